"""Several representations one after another: each learns from what the one before it shows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.protocols import Representation, Transform
from personare.core.state import restored, state_of
from personare.core.types import Array, Batch, Spend


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Fit representations in a row, the next one on what the last one makes.

    **Guarantee**: that of every link about what it is given, if no later link looks at the recordings again; what an
    earlier link has lost, a later one cannot bring back.
    """

    links: Sequence[Representation]

    def __post_init__(self) -> None:
        if not self.links:
            raise OptionError("A chain needs at least one representation.")

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "Chained":
        """Fit every link; see ``core.protocols.Representation``."""
        transforms: list[Transform] = []
        for link in self.links:
            transforms.append(link.fit(train, validation=validation, rng=rng, public=public))
            train, validation = transforms[-1](train, rng=rng), transforms[-1](validation, rng=rng)
            public = None if public is None else transforms[-1](public, rng=rng)
        return Chained(links=tuple(transforms))

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "Chained":
        """Build again what ``Chained.state`` returned."""
        try:
            texts = json.loads(about["links"])
        except (KeyError, ValueError) as error:
            raise DataError(f"This is not the state of a chain ({error}): fit it again.") from error
        if len(texts) != len(self.links):
            raise DataError(f"The chain that was saved has {len(texts)} links, this one {len(self.links)}.")
        links = []
        for i, link in enumerate(self.links):
            arrays = {n.removeprefix(f"{i}/"): v for n, v in tensors.items() if n.startswith(f"{i}/")}
            links.append(restored(link, arrays, texts[i]))
        return Chained(links=tuple(links))


@dataclass(frozen=True, kw_only=True)
class Chained:
    """Fitted representations in a row; see ``core.protocols.Transform``."""

    links: tuple[Transform, ...]

    @property
    def guarantee(self) -> str:
        """What each link promises."""
        return "; then ".join(link.guarantee for link in self.links)

    @property
    def spends(self) -> tuple[Spend, ...]:
        """What all fits cost."""
        return tuple(spend for link in self.links for spend in link.spends)

    def __call__(self, batch: Batch, *, rng: np.random.Generator) -> Batch:
        """Return the recordings as the last link shows them."""
        for link in self.links:
            batch = link(batch, rng=rng)
        return batch

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return the arrays of all links, named by their place, and their texts."""
        parts = [state_of(link) for link in self.links]
        tensors = {f"{i}/{name}": value for i, (arrays, _) in enumerate(parts) for name, value in arrays.items()}
        return tensors, {"links": json.dumps([about for _, about in parts])}
