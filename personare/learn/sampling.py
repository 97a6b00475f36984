"""Synthetic people: whom they are drawn from, of which class each recording is, and the batch they come out as."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from torch import Tensor, nn

from personare.core.errors import DataError, OptionError
from personare.core.protocols import Sampler
from personare.core.types import Array, Batch, Latents, Spend
from personare.learn.mixed_effects import complete
from personare.learn.row_codes import RowCodes


@dataclass(frozen=True, kw_only=True)
class Population:
    """What synthetic recordings have in common with the group they are drawn after."""

    classes: tuple[str, ...]  # what they may be of
    priors: Array  # (C,) how often; of the group, or public
    columns: Mapping[str, tuple[str, ...]]  # names by modality
    spends: tuple[Spend, ...] = ()  # what learning cost

    @classmethod
    def of(cls, batch: Batch, spends: tuple[Spend, ...] = ()) -> "Population":
        """Learn how often each class occurs; under differential privacy ``batch`` must be public."""
        counts = np.bincount(batch.labels, minlength=len(batch.classes))
        return cls(classes=batch.classes, priors=counts / counts.sum(), columns=dict(batch.columns), spends=spends)

    def labels(
        self, people: int, recordings: int, labels: Array | None, *, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Return the classes asked for, or drawn, and which synthetic person each recording is of; both (N,)."""
        if people < 1 or recordings < 1:
            raise OptionError(f"At least one person with one recording can be made up, asked: {people}, {recordings}.")
        whose = np.repeat(np.arange(people), recordings)
        if labels is None:
            return rng.choice(len(self.classes), size=len(whose), p=self.priors), whose
        asked = np.asarray(labels)
        learned = np.flatnonzero(self.priors > 0)
        if asked.shape != whose.shape or asked.dtype.kind not in "iu" or not np.isin(asked, learned).all():
            raise OptionError(
                f"labels must be one class for each of the {len(whose)} recordings, a position in {self.classes}, of "
                f"those that were learned ({', '.join(self.classes[i] for i in learned)}); given shape {asked.shape}, "
                f"values {np.unique(asked).tolist()[:12]}."
            )
        return asked.astype(np.int64), whose

    def recognized(self, items: Batch) -> Batch:
        """Return made-up items that were read again, with the classes that were learned."""
        if unknown := sorted({*items.classes} - {*self.classes}):
            raise DataError(
                f"Rated items are {', '.join(unknown)}, and the generator makes {', '.join(self.classes)}: the votes "
                "must be of a release that it made."
            )
        places = np.array([self.classes.index(name) for name in items.classes], np.int64)
        return replace(items, labels=places[items.labels], classes=self.classes)

    def batch(self, arrays: Mapping[str, Array], labels: Array, whose: Array) -> Batch:
        """Return the recordings, everything present."""
        subjects = np.array([f"synthetic-{person + 1:04d}" for person in whose])
        take = np.arange(len(whose)) - np.searchsorted(whose, whose) + 1
        return Batch(
            ids=tuple(f"{person}-{number:04d}" for person, number in zip(subjects, take, strict=True)),
            arrays=arrays,
            present={modality: np.ones(len(whose), dtype=bool) for modality in arrays},
            labels=labels.astype(np.int64),
            classes=self.classes,
            subjects=subjects,
            columns=self.columns,
        )


class Density(Protocol):
    """How likely a generator finds some items: a network of parameters that can be trained."""

    def __call__(self, rows: Tensor) -> Tensor:
        """Return log densities of the items at these positions, (N,), or lower bounds in which torch draws noise."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return what can be trained, and what cannot."""

    def drift(self) -> float:
        """Return the divergence from the generator as it was, in nats of a recording."""

    def model(self) -> Any:
        """Return what the generator learned, as it was trained."""


class DensitySampler(Sampler, Protocol):
    """A fitted generator that says how likely it finds items, and may be trained by that."""

    def density(self, items: Batch) -> Density:
        """Return how likely made-up items are; the generator itself is not changed by training it."""

    def adapted(self, density: Density) -> Sampler:
        """Return the generator as trained; the density may be trained on."""


class RowModel(Protocol):
    """What a generator of recordings learned of rows of normal numbers."""

    def latents(self, labels: Array, whose: Array, *, rng: np.random.Generator) -> Latents:
        """Draw latents for recordings of classes ``labels`` (N,), by the people ``whose`` (N,), counted from 0."""
        ...

    def rows(self, latents: Latents, *, rng: np.random.Generator) -> Array:
        """Return the (N, K) rows that latents stand for; what they leave open is drawn."""
        ...

    def density(self, rows: Array, labels: Array, priors: Array) -> Density:
        """Return how likely rows (N, K) of classes ``labels`` (N,) are; ``priors`` (C,) say how often classes occur."""
        ...


Model = TypeVar("Model", bound=RowModel)


@dataclass(frozen=True, kw_only=True)
class RecordingSampler(Generic[Model]):
    """A fitted generator of recordings: classes and people are drawn, then rows, then what rows stand for."""

    codes: RowCodes
    model: Model
    population: Population

    @property
    def spends(self) -> tuple[Spend, ...]:
        """The privacy that fitting cost."""
        return self.population.spends

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        """Return made-up people; see ``core.protocols.Sampler``."""
        return self.decoded(self.latents(people, recordings, rng=rng, labels=labels), rng=rng)

    def latents(
        self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None
    ) -> Latents:
        """Draw what is decoded; see ``core.protocols.LatentSampler``."""
        labels, whose = self.population.labels(people, recordings, labels, rng=rng)
        return self.model.latents(labels, whose, rng=rng)

    def decoded(self, latents: Latents, *, rng: np.random.Generator) -> Batch:
        """Return the recordings that latents stand for."""
        arrays = self.codes.decode(self.model.rows(latents, rng=rng), rng=rng)
        return self.population.batch(arrays, latents.labels, latents.whose)

    def density(self, items: Batch) -> Density:
        """Return how likely items are; see ``DensitySampler``."""
        labels = self.population.recognized(items).labels
        return self.model.density(self.codes.encode(items), labels, self.population.priors)

    def adapted(self, density: Density) -> "RecordingSampler[Model]":
        """Return the same with another model."""
        return replace(self, model=density.model())


def complete_rows(batch: Batch, *, rng: np.random.Generator) -> tuple[RowCodes, Array]:
    """Learn how a batch is coded, and return its rows (N, K), what is missing in them drawn from the rest."""
    codes = RowCodes.of(batch)
    return codes, complete(codes.encode(batch), batch.labels, rng=rng)


def check_group(train: Batch, *, fewest: int) -> None:
    """Refuse a group of fewer than ``fewest`` people: too small to make people up from."""
    people = len(np.unique(train.subjects))
    if people < fewest:
        raise DataError(
            f"This generator needs recordings of at least {fewest} people, {people} were given: with fewer, made-up "
            "people would be copies. Add people, or choose another generator."
        )


def check_public(train: Batch, public: Batch | None, *, fewest: int = 1) -> Batch:
    """Return the public recordings that ranges, scaling and directions come from under differential privacy."""
    if public is None:
        raise OptionError(
            "Differential privacy needs public recordings, for ranges, scaling and directions: taken from the people "
            "to be protected, they would give them away. Give public, or epsilon=None."
        )
    if public.classes != train.classes or set(public.arrays) != set(train.arrays):
        raise DataError(
            f"Public recordings must have the classes {train.classes} and modalities {sorted(train.arrays)} of the "
            f"group, they have {public.classes} and {sorted(public.arrays)}."
        )
    check_group(public, fewest=fewest)
    return public
