"""Makes people up whose voice, face and body belong together: a class, a person and a moment in one latent space."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.errors import OptionError
from personare.core.types import Array, Batch, Spend
from personare.learn.accounting import check_claim
from personare.learn.casting import Cast, check_group
from personare.learn.effects import Effects, complete
from personare.learn.latents import Latents
from personare.learn.private_effects import PrivateMeans, Told

__all__ = ["Joint"]

_FEWEST = 6
_PUBLIC_FEWEST = 3
_FAR = 3.0


@dataclass(frozen=True, kw_only=True)
class Joint:
    """Describe every modality by normal numbers, model them together as class + person + moment, and draw new ones.

    Each modality is coded alone (``learn.latents``); all codes together are one row, and one normal model of rows has
    the mean of each class, how people differ, and how one person's recordings differ. A made-up person is one draw of
    the person's part, kept over all recordings and all modalities.

    **Guarantee**: with ``epsilon``, what is made is (epsilon, delta)-differentially private for each person of the
    group: quantiles, directions, variances and class frequencies are those of ``public`` people, and the means of
    classes are paid for. Without, no recording and nobody's part is kept, but rare people shape the variances: ``rare``
    tells how many there are, and ``hold_out`` leaves them out.

    Attributes:
        epsilon: Privacy bound; None for none.
        delta: The chance that it fails, below 1 / people.
        directions: In which means are learned privately, at most; fewer cost less noise.
        hold_out: Leave out people who are further from the others than is common; without epsilon only.

    **Source**: independent codes and one joint latent model follow M. Bounoua, G. Franzese, P. Michiardi, "Multi-modal
    latent diffusion", arXiv:2306.04445; with tens of people we put a mixed linear model in place of the diffusion.

    Example:
        >>> Joint(epsilon=8.0).directions
        16
    """

    makes_texts: ClassVar[bool] = False

    epsilon: float | None = None
    delta: float = 1e-5
    directions: int = 16
    hold_out: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        if self.epsilon is not None:
            check_claim(epsilon=self.epsilon, delta=self.delta)
            if self.hold_out:
                raise OptionError(
                    "Who is rare must not be looked for under differential privacy, which bounds everybody."
                )
        if self.directions < 1:
            raise OptionError(f"directions must be at least 1, it is {self.directions}.")

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "JointSampler":
        """Learn from the people of ``train``; see ``core.protocols.Generator``. Validation is not looked at."""
        private = self.epsilon is not None
        check_group(train, fewest=_FEWEST, public=public, private=private)
        if private:
            assert public is not None
            return self._private(train, public, rng)
        latents = Latents.of(train)
        rows = complete(latents.encode(train), train.labels, rng=rng)
        far = _far(rows, train)
        kept = ~np.isin(train.subjects, far) if self.hold_out else np.ones(len(train), dtype=bool)
        if self.hold_out and len(far):
            train, rows = train.take(kept), rows[kept]
            check_group(train, fewest=_FEWEST)
            latents = Latents.of(train)  # the codes must not tell of those left out either
            rows = complete(latents.encode(train), train.labels, rng=rng)
        effects = Effects.of(rows, train.labels, train.subjects, classes=len(train.classes))
        rare = {"people": len(far), "held_out": len(far) if self.hold_out else 0}
        return JointSampler(latents=latents, effects=effects, cast=Cast.of(train), rare=rare)

    def _private(self, train: Batch, public: Batch, rng: np.random.Generator) -> "JointSampler":
        assert self.epsilon is not None
        check_group(public, fewest=_PUBLIC_FEWEST)
        latents = Latents.of(public)
        known = complete(latents.encode(public), public.labels, rng=rng)
        start = Effects.of(known, public.labels, public.subjects, classes=len(public.classes))
        rows = latents.encode(train)
        rows = np.where(np.isnan(rows), start.means[train.labels], rows)  # not a word from anybody else
        means = PrivateMeans(epsilon=self.epsilon, delta=self.delta, directions=self.directions)
        people = Told(rows=known, labels=public.labels, subjects=public.subjects)
        group = Told(rows=rows, labels=train.labels, subjects=train.subjects)
        effects, spend = means.move(start, people, group, rng=rng)
        return JointSampler(latents=latents, effects=effects, cast=Cast.of(public, (spend,)), rare={})

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "JointSampler":
        """Build again what ``state`` of the sampler returned; who was rare is not kept."""
        cast, latents = Cast.restore(tensors, about), Latents.restore(tensors, about)
        return JointSampler(latents=latents, effects=Effects.restore(tensors), cast=cast, rare={})


def _far(rows: Array, batch: Batch) -> Array:
    """Return people whose mean is further from the others' than is common (three robust deviations)."""
    people, whose = np.unique(batch.subjects, return_inverse=True)
    means = np.stack([rows[whose == i].mean(axis=0) for i in range(len(people))])
    spread = np.maximum(means.std(axis=0), 1e-6)
    distance = np.sqrt((((means - np.median(means, axis=0)) / spread) ** 2).mean(axis=1))
    middle = np.median(distance)
    return np.asarray(people[distance > middle + _FAR * 1.4826 * max(float(np.median(abs(distance - middle))), 1e-6)])


@dataclass(frozen=True, kw_only=True)
class JointSampler:
    """A fitted group from which people can be drawn.

    Attributes:
        latents: Codes of the modalities.
        effects: Classes, people, moments.
        cast: Classes and what learning cost.
        rare: Without privacy: how many ``people`` were far from the others, and how many of them were ``held_out``.
    """

    latents: Latents
    effects: Effects
    cast: Cast
    rare: Mapping[str, int]

    @property
    def spends(self) -> tuple[Spend, ...]:
        """The privacy that fitting cost."""
        return self.cast.spends

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        """Return made-up people; see ``core.protocols.Sampler``."""
        chosen, whose = self.cast.labels(people, recordings, labels, rng=rng)
        rows = self.effects.draw(chosen, whose, rng=rng)
        return self.cast.batch(self.latents.decode(rows, rng=rng), chosen, whose)

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return everything as arrays and text."""
        codes, about = self.latents.state()
        shares, told = self.cast.state()
        return {**codes, **self.effects.state(), **shares}, {**about, **told}
