"""Train one model for each shard of the people, so that erasing somebody costs the training of one shard."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from personare.core import registry
from personare.core.errors import DataError, OptionError
from personare.core.options import Count, check_options
from personare.core.randomness import part_of
from personare.core.state import load_weights, restored, save_weights, state_of
from personare.core.types import Array, Batch, Spend
from personare.learn.multimodal import check

__all__ = ["Sharded"]


Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Sharded:
    """Part people into shards by a keyed hash of their pseudonyms; answer with the mean of the shards' probabilities.

    **Guarantee:** trained again without a person, by the same seed and validation people, it is bit by bit what it
    would be had the person never been there, and every shard but the person's is as it was.

    **Source:** L. Bourtoule et al., "Machine Unlearning" (SISA), IEEE S&P 2021, arXiv:1912.03817; shards only.
    """

    of: str = "private_head"  # the learner of every shard
    options: Mapping[str, Any] = field(default_factory=dict)  # of that learner
    shards: Count = 4
    key: str = "personare"  # of the hash: another key parts people otherwise

    def __post_init__(self) -> None:
        check_options(self)
        if self.of == "sharded" or "epsilon" in self.options:
            raise OptionError(
                "Shards are of a learner without privacy: with an epsilon for a person nothing needs to be trained "
                "again. Give another learner, or leave out the epsilon."
            )
        self._learner()

    def _learner(self) -> Any:
        return registry.create("personare.train", self.of, self.options)

    def fit(
        self,
        train: Batch,
        *,
        validation: Batch,
        rng: np.random.Generator,
        public: Batch | None = None,
        cache: Path | None = None,
    ) -> "ShardedPredictor":
        """Learn from the people of ``train``; see ``core.protocols.Learner``.

        In the folder ``cache`` every shard's model stays, with the ids of its recordings; a shard that is as it was is
        read from there.
        """
        check(train, validation)
        shards = np.array([part_of(subject, self.shards, self.key) for subject in train.subjects])
        others = [batch.digest() for batch in (validation, public) if batch is not None]
        models = []
        for shard, chance in enumerate(rng.spawn(self.shards)):
            part, file = train.take(shards == shard), cache / f"{shard}.safetensors" if cache else None
            if (people := len(set(part.subjects))) < 2:
                raise DataError(f"Each of {self.shards} shards must have 2 people, one has {people}: take fewer.")
            made_of = json.dumps([part.digest(), *others, str(chance.bit_generator.state), repr(self)])
            if file and file.is_file():
                tensors, about = load_weights(file)
                if about.pop("made_of") == made_of:
                    models.append(restored(self._learner(), tensors, about))
                    continue
            models.append(self._learner().fit(part, validation=validation, rng=chance, public=public))
            if file:
                file.parent.mkdir(parents=True, exist_ok=True)
                arrays, about = state_of(models[-1])
                save_weights(file, arrays, {**about, "made_of": made_of, "recordings": json.dumps(part.ids)})
        return ShardedPredictor(models=tuple(models), classes=train.classes)

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "ShardedPredictor":
        """Build a predictor again from what its ``state`` gave."""

        def inside(state: Mapping[str, Value], start: str) -> dict[str, Value]:
            return {name.removeprefix(start): value for name, value in state.items() if name.startswith(start)}

        starts = [f"{shard}/" for shard in range(self.shards)]
        models = [restored(self._learner(), inside(tensors, s), inside(about, s)) for s in starts]
        return ShardedPredictor(models=tuple(models), classes=models[0].classes)


@dataclass(frozen=True, kw_only=True)
class ShardedPredictor:
    """The models of all shards."""

    models: tuple[Any, ...]
    classes: tuple[str, ...]
    spends: tuple[Spend, ...] = ()

    def __call__(self, batch: Batch) -> Array:
        """Return (N, C) probabilities, the mean over shards."""
        return np.asarray(np.mean([model(batch) for model in self.models], axis=0))

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Take all models apart; see ``core.state.state_of``."""
        tensors: dict[str, Array] = {}
        about: dict[str, str] = {}
        for shard, (arrays, texts) in enumerate(map(state_of, self.models)):
            tensors |= {f"{shard}/{name}": values for name, values in arrays.items()}
            about |= {f"{shard}/{name}": text for name, text in texts.items()}
        return tensors, about
