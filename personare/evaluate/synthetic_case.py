"""Synthetic people beside the real ones: the same rows of numbers for all, and who of the real was learned from.

Everything here treats people who were learned from and people who were not in exactly the same way. If a generator
ignored its data, the two would be exchangeable, and every comparison between them comes out even but for luck. Attacks
stand beside two yardsticks: a naive guess, and people whom the generator never met.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Batch, Result
from personare.evaluate.metrics import over_people, wilson, wilson_ends
from personare.evaluate.unmeasured import Asked
from personare.features.visits import VISITS, history_rows
from personare.learn.describing import describe_rows

_FEWEST: Final = 4  # people on either side: with fewer, no interval says anything
_EACH: Final = 60  # recordings looked at of one real person
_MOST: Final = 6000  # synthetic recordings looked at
_CHUNK: Final = 256
_NARROW: Final = 4096  # numbers of a recording; of wider ones fewer at a time
_CONSTANT: Final = 1e-6  # relative spread under which a column says nothing


@dataclass(frozen=True, kw_only=True)
class Described:
    """Recordings as rows of standardized numbers."""

    values: Array  # (N, D), 0 where a modality is missing
    people: Array  # (N,) int, whose recording it is
    labels: Array  # (N,) int, index into the real people's classes; -1 for a class they do not have

    def __len__(self) -> int:
        return len(self.people)

    def take(self, rows: Array) -> "Described":
        """Return these recordings."""
        return Described(values=self.values[rows], people=self.people[rows], labels=self.labels[rows])

    def thinned(self, each: int, rng: np.random.Generator) -> "Described":
        """Return at most ``each`` recordings of each person, at random."""
        order = rng.permutation(len(self))
        order = order[np.argsort(self.people[order], kind="stable")]
        _, first = np.unique(self.people[order], return_index=True)
        place = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
        return self.take(np.sort(order[place < each]))


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Brings recordings of several sets to one scale, modality by modality."""

    center: Mapping[str, Array]  # (D,) means
    factor: Mapping[str, Array]  # (D,) one over deviations; 0 for a constant column

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> "Scaling":
        """Learn the scale from the recordings in which each modality is present, all sets together."""
        center, factor = {}, {}
        for modality in batches[0].arrays:
            # everybody counts, learned from or not: a scale that only one group made would tell the groups apart
            rows = np.concatenate([_rows(modality, b.arrays[modality])[b.present[modality]] for b in batches])
            if not len(rows):
                raise DataError(f"Nobody has {modality}: leave this modality out.")
            mean, spread = rows.mean(axis=0, dtype=float), rows.std(axis=0, dtype=float)
            told = spread > _CONSTANT * (np.abs(mean) + 1e-3)
            center[modality], factor[modality] = mean, np.where(told, 1 / np.where(told, spread, 1), 0)
        return cls(center=center, factor=factor)

    def __call__(self, batch: Batch) -> Described:
        """Describe recordings; classes are numbered as they are in this batch."""
        found = []
        for modality, mean in self.center.items():
            described = _rows(modality, batch.arrays[modality])
            if described.shape[1] != len(mean):
                raise DataError(f"{modality} must have {len(mean)} columns everywhere, it has {described.shape[1]}.")
            rows = (described - mean) * self.factor[modality]
            found.append(np.where(batch.present[modality][:, None], rows, 0))
        values = np.concatenate(found, axis=1)
        if not np.isfinite(values).all():
            raise DataError("Recordings must be finite numbers, but some are NaN or infinite: leave these out.")
        people = np.unique(batch.subjects, return_inverse=True)[1]
        return Described(values=values, people=people, labels=batch.labels)

    @property
    def parts(self) -> list[Array]:
        """Positions of the columns of each modality."""
        ends = np.cumsum([len(mean) for mean in self.center.values()])
        return np.split(np.arange(ends[-1]), ends[:-1])


def rows_of(values: Array) -> Array:
    """Return what ``describe_rows`` does, a few recordings at a time: wide ones are not copied as a whole."""
    if values.dtype.kind == "U" or not len(values):
        return describe_rows(values)
    few = max(1, _CHUNK * _NARROW // max(_NARROW, values[0].size))
    return np.concatenate([describe_rows(values[at : at + few]) for at in range(0, len(values), few)])


def _rows(modality: str, values: Array) -> Array:
    """Return the fixed description: of histories by shares of visits, since rows of zeros are none."""
    return history_rows(values) if modality == VISITS else rows_of(values)


def side_by_side(batch: Batch) -> Array:
    """Return (N, D) descriptions of all modalities, the mean where one is missing."""
    parts = []
    for modality, values in batch.arrays.items():
        rows, present = rows_of(values).astype(float), batch.present[modality]
        parts.append(np.where(present[:, None], rows, rows[present].mean(axis=0) if present.any() else 0.0))
    return np.concatenate(parts, axis=1)


def nearest(rows: Described, others: Described) -> Array:
    """Return each recording's distance to the nearest of others, (N,).

    If these are the very same object, each person's own recordings are left out.
    """
    found, squares = np.empty(len(rows)), np.einsum("nd,nd->n", others.values, others.values)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        apart = squares - 2 * rows.values[part] @ others.values.T  # (chunk, M), but for what all of a row have
        if rows is others:
            apart[rows.people[part, None] == others.people] = np.inf
        who = apart.argmin(axis=1)
        exact = np.linalg.norm(rows.values[part] - others.values[who], axis=1)  # so that copies are at 0
        found[part] = np.where(np.isinf(apart[np.arange(len(who)), who]), np.inf, exact)
    return found


def isolation(alone: Array, people: Array) -> Array:
    """Return how far each person's recordings are from anybody else's, (P,): the median of the nearest distances.

    Example:
        >>> isolation(np.array([1.0, 1.0, 8.0, 9.0]), np.array([0, 1, 2, 2])).tolist()
        [1.0, 1.0, 8.5]
    """
    return np.array([np.median(alone[people == p]) for p in range(int(people.max()) + 1)])


def most_exposed(alone: Array, share: float = 0.25) -> Array:
    """Return the positions of a share of (P,) people, at least two: the most isolated, who are the easiest to find.

    Example:
        >>> most_exposed(np.array([1.0, 5.0, 2.0, 4.0]), 0.5).tolist()
        [1, 3]
    """
    if not 0 < share <= 1:
        raise OptionError(f"The share of people who count as exposed must be in (0, 1], it is {share}.")
    return np.argsort(-alone, kind="stable")[: max(2, round(share * len(alone)))]


@dataclass(frozen=True, kw_only=True)
class SyntheticCase:
    """What attacks on synthetic people look at."""

    synthetic: Described  # the recordings released
    real: Described  # of people learned from and of others
    inside: Array  # (P,) bool, which of the P real people the generator learned from
    alone: Array  # (N,) distance of each real recording to the nearest one of any other real person
    parts: Sequence[Array]  # positions of the columns of each modality

    @classmethod
    def of(cls, synthetic: Batch, train: Batch, control: Batch, *, rng: np.random.Generator) -> "SyntheticCase":
        """Describe all recordings in the same way, scaled by all real people together.

        Args:
            synthetic: The release; at most 6000 recordings are looked at.
            train: People whom the generator learned from; at most 60 recordings of each are looked at.
            control: Other people of the same cohort, alike.
            rng: Chooses where there are more.
        """
        counts = [len(np.unique(batch.subjects)) for batch in (train, control)]
        if min(counts) < _FEWEST or not len(synthetic):
            raise DataError(
                f"Attacks on synthetic people need at least {_FEWEST} real people who were learned from, {_FEWEST} "
                f"others, and a synthetic recording; given {counts[0]}, {counts[1]} and {len(synthetic)}: add people."
            )
        if both := {*train.subjects} & {*control.subjects}:
            raise DataError(f"A person was learned from or not, but {len(both)} are in both groups: split by person.")
        for batch in (control, synthetic):
            if {*batch.arrays} != {*train.arrays}:
                raise DataError(
                    f"All three need the same modalities: learned from {sorted(train.arrays)}, given "
                    f"{sorted(batch.arrays)}. Choose some with Batch.only."
                )
        scale = Scaling.of((train, control))
        names, people = np.unique(np.concatenate([train.subjects, control.subjects]), return_inverse=True)
        made, first, second = (
            _with_classes(scale(batch), batch, train.classes) for batch in (synthetic, train, control)
        )
        real = Described(
            values=np.concatenate([first.values, second.values]),
            people=people,
            labels=np.concatenate([first.labels, second.labels]),
        ).thinned(_EACH, rng)
        return cls(
            synthetic=made.take(np.sort(rng.permutation(len(made))[:_MOST])),
            real=real,
            alone=nearest(real, real),
            inside=np.isin(names, train.subjects),
            parts=scale.parts,
        )

    @property
    def unprotected(self) -> "SyntheticCase":
        """The worst release: everything that was learned from, as it is. Attacks that miss it are of no use."""
        return replace(self, synthetic=self.real.take(self.inside[self.real.people]))

    def by_person(self, values: Array) -> Array:
        """Return the mean of (N,) numbers over each real person's recordings, (P,)."""
        return np.asarray(np.bincount(self.real.people, weights=values) / np.bincount(self.real.people))

    @cached_property
    def exposed(self) -> Array:
        """(P,) bool, the most isolated people of either group, the same share of both."""
        apart, found = isolation(self.alone, self.real.people), np.zeros(len(self.inside), dtype=bool)
        for group in (self.inside, ~self.inside):
            found[np.flatnonzero(group)[most_exposed(apart[group])]] = True
        return found


def _with_classes(rows: Described, batch: Batch, classes: tuple[str, ...]) -> Described:
    number = np.array([classes.index(c) if c in classes else -1 for c in batch.classes], dtype=np.int64)
    return replace(rows, labels=number[rows.labels])


def no_narrower(row: Result, people: int) -> Result:
    """Return a share or an area with Wilson's interval where resampling found none because all people were alike.

    ``people`` is how many there are on the smaller side.
    """
    if np.isnan(row.value) or row.low < row.high:
        return row
    low, high = wilson_ends(row.value, people)
    return replace(row, low=low, high=high)


def risk_rows(question: Asked, method: str, successes: Array, naive: Array, case: SyntheticCase) -> list[Result]:
    """Return the ``risk`` over all people and over the most exposed.

    The risk is (r - c) / (1 - c): how much more often the attack succeeds on people who were learned from (r) than on
    others (c), as a share of what could be more. It is not cut at 0: below is luck. The control is 0; the detail has
    the shares and their intervals.

    Args:
        question: What the attack asks.
        method: The attack.
        successes: (P,) how often the attack succeeded on each real person, in [0, 1]; NaN where it was not tried.
        naive: (P,) the same of guessing without the synthetic people.
        case: Who was learned from, and who is exposed.

    **Source**: criteria of the Article 29 Working Party, "Opinion 05/2014 on anonymisation techniques" (WP216); the
    interval of the difference is R. Newcombe's, "Interval estimation for the difference between independent
    proportions", Statistics in Medicine 17, 1998 (method 10), over 1 - c.
    """
    tried = np.isfinite(successes)
    rows = []
    for subset, chosen in (("", tried), ("exposed", tried & case.exposed)):
        row = Result(question=question, method=method, figure="risk", subset=subset, value=np.nan, better="lower")
        rows.append(_risk(row, successes, naive, case.inside, chosen))
    return rows


def _risk(row: Result, successes: Array, naive: Array, inside: Array, chosen: Array) -> Result:
    try:
        main, control = wilson(successes[chosen & inside]), wilson(successes[chosen & ~inside])
    except DataError as error:
        return replace(row, reason=f"not measured: {error}")
    guess, room = float(np.mean(naive[chosen & inside])), 1 - control.value
    said = f"{main.value:.3f} of people learned from, {control.value:.3f} of others, naive guess {guess:.3f}"
    if room < 1e-9:
        return replace(row, reason=f"not measured: it succeeds on everybody else too; {said}")
    gap = main.value - control.value
    low = gap - np.hypot(main.value - main.low, control.high - control.value)
    high = gap + np.hypot(main.high - main.value, control.value - control.low)
    return replace(
        row,
        value=gap / room,
        low=float(low / room),
        high=float(min(1.0, high / room)),
        n=main.n + control.n,
        control=0.0,
        reason=f"no better than a naive guess; {said}" if main.value <= guess else said,
        detail={"attack": vars(main), "control": vars(control), "naive": guess},
    )


def closest_rows(row: Result, closeness: Array, case: SyntheticCase, *, rng: np.random.Generator) -> list[Result]:
    """Return how often the real person closest to a synthetic recording is one who was learned from.

    Over all real people, and over the recordings that are closest to one of the most exposed. People as close share the
    recording; the control is the share of those real people who were learned from.

    Args:
        row: The columns that both rows have.
        closeness: (S, P) of each synthetic recording to each real person; higher = closer.
        case: Who was learned from, and who is exposed.
        rng: Resamples real people.
    """
    best = closeness >= closeness.max(axis=1, keepdims=True)
    won = (best / best.sum(axis=1, keepdims=True)).sum(axis=0)  # (P,) synthetic recordings each is closest to

    def ratio(sums: Array) -> Array:
        return np.asarray(sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], np.nan))

    rows = []
    for subset, chosen in (("", np.ones(len(won), dtype=bool)), ("exposed", case.exposed)):
        sums = np.stack([won * case.inside, won], axis=1)[chosen]
        found = over_people(sums, np.flatnonzero(chosen), ratio, rng=rng)
        found = replace(found, n=round(float(sums[:, 1].sum())))
        control, inside = float(case.inside[chosen].mean()), int(case.inside[chosen].sum())
        own = replace(row, subset=subset, **found.columns, control=control, better="lower")
        rows.append(no_narrower(own, min(inside, int(chosen.sum()) - inside)))
    return rows
