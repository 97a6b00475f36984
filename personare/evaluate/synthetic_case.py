"""Synthetic people beside the real ones: the same rows of numbers for all, and who of the real was learned from.

Everything here treats people who were learned from and people who were not in exactly the same way. If a generator
ignored its data, the two would be exchangeable, and every comparison between them comes out even but for luck. Attacks
stand beside two yardsticks: a naive guess, and people whom the generator never met.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from sklearn.covariance import ledoit_wolf

from personare.core.errors import DataError
from personare.core.types import Array, Batch, Result
from personare.evaluate.metrics import means_by_person, no_narrower, over_people, wilson
from personare.evaluate.unmeasured import Asked
from personare.features.visits import history_rows, is_history
from personare.learn.describing import describe_rows

_FEWEST: Final = 4  # people on either side: with fewer, no interval says anything
_EACH: Final = 60  # recordings looked at of one real person
_MOST: Final = 6000  # synthetic recordings looked at
_EXPOSED: Final = 0.25  # share of the people who count as the most exposed
_CHUNK: Final = 256
_NARROW: Final = 4096  # numbers of a recording; of wider ones fewer at a time
_CONSTANT: Final = 1e-6  # relative spread under which a column says nothing
_FLOOR: Final = 1e-6  # of the variance, against columns that are constant


def rows_of(values: Array) -> Array:
    """Return what ``describe_rows`` does, a few recordings at a time: wide ones are not copied as a whole."""
    if values.dtype.kind == "U" or not len(values):
        return describe_rows(values)
    few = max(1, _CHUNK * _NARROW // max(_NARROW, values[0].size))
    return np.concatenate([describe_rows(values[at : at + few]) for at in range(0, len(values), few)])


def described(batch: Batch) -> dict[str, Array]:
    """Return each modality as (N, D) numbers by fixed arithmetic."""
    return {
        name: history_rows(values) if is_history(batch, name) else rows_of(values)
        for name, values in batch.arrays.items()
    }


def side_by_side(batch: Batch) -> Array:
    """Return (N, D) descriptions of all modalities, the mean where one is missing."""
    parts = []
    for modality, values in described(batch).items():
        rows, present = values.astype(float), batch.present[modality]
        parts.append(np.where(present[:, None], rows, rows[present].mean(axis=0) if present.any() else 0.0))
    return np.concatenate(parts, axis=1)


def scaling(batches: Sequence[Batch]) -> Callable[[Batch], Batch]:
    """Return what turns recordings into rows of standardized numbers, 0 where a modality is missing.

    Everybody in ``batches`` counts, learned from or not: a scale that only one group made would tell the groups apart.
    """
    scales = {}
    sets = [described(batch) for batch in batches]
    for modality in batches[0].arrays:
        rows = np.concatenate([of[modality][b.present[modality]] for of, b in zip(sets, batches, strict=True)])
        if not len(rows):
            raise DataError(f"Nobody has {modality}: leave this modality out.")
        mean, spread = rows.mean(axis=0, dtype=float), rows.std(axis=0, dtype=float)
        varies = spread > _CONSTANT * (np.abs(mean) + 1e-3)
        scales[modality] = mean, np.where(varies, 1 / np.where(varies, spread, 1), 0)

    def scaled(batch: Batch) -> Batch:
        arrays, rows = {}, described(batch)
        for modality, (mean, factor) in scales.items():
            width = rows[modality].shape[1]
            if width != len(mean):
                raise DataError(f"{modality} must have {len(mean)} columns everywhere, it has {width}.")
            there = batch.present[modality][:, None]
            arrays[modality] = np.where(there, (rows[modality] - mean) * factor, 0)
            if not np.isfinite(arrays[modality]).all():
                raise DataError("Recordings must be finite numbers, but some are NaN or infinite: leave these out.")
        return replace(batch, arrays=arrays, columns={})

    return scaled


def numbers(batch: Batch) -> Array:
    """Return all modalities of a scaled batch side by side, (N, D)."""
    return np.concatenate(list(batch.arrays.values()), axis=1)


def together(parts: Sequence[Batch]) -> Batch:
    """Return the recordings of several batches of the same modalities and classes as one."""
    return replace(
        parts[0],
        ids=tuple(i for part in parts for i in part.ids),
        arrays={m: np.concatenate([part.arrays[m] for part in parts]) for m in parts[0].arrays},
        present={m: np.concatenate([part.present[m] for part in parts]) for m in parts[0].present},
        labels=np.concatenate([part.labels for part in parts]),
        subjects=np.concatenate([part.subjects for part in parts]),
        table=None,
    )


def thinned(people: Array, each: int, rng: np.random.Generator) -> Array:
    """Return the positions, in order, of at most ``each`` recordings of each of (N,) people, at random."""
    order = rng.permutation(len(people))
    order = order[np.argsort(people[order], kind="stable")]
    _, first, counts = np.unique(people[order], return_index=True, return_counts=True)
    return np.sort(order[np.arange(len(order)) - np.repeat(first, counts) < each])


def nearest(rows: Array, others: Array, people: Array | None = None) -> Array:
    """Return the distance of each of (N, D) rows to the nearest of others, (N,).

    With ``people`` (N,) both are the same rows, and each person's own are left out.
    """
    found, squares = np.empty(len(rows)), np.einsum("nd,nd->n", others, others)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        apart = squares - 2 * rows[part] @ others.T  # (chunk, M), but for what all of a row have
        if people is not None:
            apart[people[part, None] == people] = np.inf
        who = apart.argmin(axis=1)
        exact = np.linalg.norm(rows[part] - others[who], axis=1)  # so that copies are at 0
        found[part] = np.where(np.isinf(apart[np.arange(len(who)), who]), np.inf, exact)
    return found


def normal_density(rows: Array) -> Callable[[Array], Array]:
    """Return what gives the log-density of (N, D) rows, (N,), under the normal distribution of these.

    **Source**: O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal
    of Multivariate Analysis 88(2), 2004, doi:10.1016/S0047-259X(03)00096-4 (scikit-learn's), up to a constant.
    """
    if len(rows) < 2:
        raise DataError(f"A normal distribution needs at least two recordings, given {len(rows)}.")
    center = rows.mean(axis=0)
    covariance = ledoit_wolf(rows - center, assume_centered=True)[0]
    lower = cholesky(covariance + _FLOOR * np.eye(rows.shape[1]), lower=True)
    volume = 2 * np.log(np.diag(lower)).sum()

    def density(asked: Array) -> Array:
        apart = solve_triangular(lower, (asked - center).T, lower=True)  # (D, N)
        return np.asarray(-((apart**2).sum(axis=0) + volume) / 2)

    return density


def most_exposed(distance: Array, people: Array, among: Array) -> Array:
    """Return (P,) bool, the quarter (at least two) of the people ``among`` (P,) all who are the most isolated.

    These are the easiest to find: by the median of the (N,) distances of their recordings to anybody else's. ``people``
    (N,) says whose each recording is, as a whole number.
    """
    isolation = np.array([np.median(distance[people == person]) for person in range(len(among))])
    group = np.flatnonzero(among)
    order = np.argsort(-isolation[group], kind="stable")[: max(2, round(_EXPOSED * len(group)))]
    return np.isin(np.arange(len(among)), group[order])


def check_comparable(synthetic: Batch, train: Batch, others: Batch) -> None:
    """Refuse people who were both learned from and not, and recordings of other modalities."""
    if both := sorted({*train.subjects} & {*others.subjects}):
        raise DataError(
            f"A person was learned from or not, but {len(both)} are in both groups, e.g. {both[0]}: split by person."
        )
    for batch in (others, synthetic):
        if {*batch.arrays} != {*train.arrays}:
            raise DataError(
                f"All three need the same modalities: learned from {sorted(train.arrays)}, given "
                f"{sorted(batch.arrays)}. Choose some with Batch.only."
            )


@dataclass(frozen=True, kw_only=True)
class SyntheticCase:
    """What attacks on synthetic people look at: the release, and real people of whom it is known who was learned from.

    Every modality of either is a table of standardized numbers.
    """

    released: Batch  # S synthetic recordings; a label is -1 where real people do not have the class
    original: Batch  # N recordings of people learned from and of others
    inside: Array  # (P,) bool, which of the real people, in sorted order, the generator learned from
    distance: Array  # (N,) of each real recording to the nearest one of any other real person

    @classmethod
    def of(cls, synthetic: Batch, train: Batch, control: Batch, *, rng: np.random.Generator) -> "SyntheticCase":
        """Describe a release, the people ``train`` whom it was learned from and others of the same cohort in one way.

        All real people together make the scale. At most 6000 synthetic recordings and 60 of each real person are looked
        at; chance chooses where there are more.
        """
        counts = [len(np.unique(batch.subjects)) for batch in (train, control)]
        if min(counts) < _FEWEST or not len(synthetic):
            raise DataError(
                f"Attacks on synthetic people need at least {_FEWEST} real people who were learned from, {_FEWEST} "
                f"others, and a synthetic recording; given {counts[0]}, {counts[1]} and {len(synthetic)}: add people."
            )
        check_comparable(synthetic, train, control)
        scaled, classes = scaling((train, control)), train.classes

        def like_train(batch: Batch) -> Batch:
            number = np.array([classes.index(c) if c in classes else -1 for c in batch.classes], dtype=np.int64)
            return replace(scaled(batch), labels=number[batch.labels], classes=classes)

        real = together([like_train(train), like_train(control)])
        real = real.take(thinned(real.subjects, _EACH, rng))
        made = like_train(synthetic)
        names, people = np.unique(real.subjects, return_inverse=True)
        rows = numbers(real)
        return cls(
            released=made.take(np.sort(rng.permutation(len(made))[:_MOST])),
            original=real,
            inside=np.isin(names, train.subjects),
            distance=nearest(rows, rows, people),
        )

    @property
    def unprotected(self) -> "SyntheticCase":
        """The worst release: everything that was learned from, as it is. Attacks that miss it are of no use."""
        return replace(self, released=self.original.take(self.inside[self.people]))

    @cached_property
    def made(self) -> Array:
        """(S, D) numbers of the synthetic recordings."""
        return numbers(self.released)

    @cached_property
    def real(self) -> Array:
        """(N, D) numbers of the real recordings."""
        return numbers(self.original)

    @cached_property
    def people(self) -> Array:
        """(N,) int, whose real recording it is."""
        return np.asarray(np.unique(self.original.subjects, return_inverse=True)[1])

    @cached_property
    def exposed(self) -> Array:
        """(P,) bool, the most isolated people of either group, the same share of both."""
        first, second = (most_exposed(self.distance, self.people, group) for group in (self.inside, ~self.inside))
        return np.asarray(first | second)

    @property
    def subsets(self) -> dict[str, Array]:
        """(P,) bool by the name of the subset: everybody, and the most exposed."""
        return {"": np.ones(len(self.inside), dtype=bool), "exposed": self.exposed}

    def by_person(self, values: Array) -> Array:
        """Return the mean of (N,) numbers over each real person's recordings, (P,)."""
        return means_by_person(values, self.people)


def risk_rows(question: Asked, method: str, successes: Array, naive: Array, case: SyntheticCase) -> list[Result]:
    """Return the ``risk`` over all people and over the most exposed.

    The risk is (r - c) / (1 - c): how much more often the attack succeeds on people who were learned from (r) than on
    others (c), as a share of what could be more. It is not cut at 0: below is luck. ``successes`` (P,) says how often
    the attack succeeded on each real person, in [0, 1], NaN where it was not tried; ``naive`` (P,) the same of guessing
    without the synthetic people.

    **Source**: criteria of the Article 29 Working Party, "Opinion 05/2014 on anonymisation techniques" (WP216); the
    interval of the difference is R. Newcombe's, "Interval estimation for the difference between independent
    proportions", Statistics in Medicine 17, 1998 (method 10), over 1 - c.
    """
    rows = []
    for subset, people in case.subsets.items():
        row = Result(question=question, method=method, figure="risk", subset=subset, value=np.nan, better="lower")
        tried = people & np.isfinite(successes)
        inside, outside = tried & case.inside, tried & ~case.inside
        if not inside.any() or not outside.any():
            rows.append(replace(row, reason="not measured: nobody of either group could be tried"))
            continue
        attack, control = wilson(successes[inside]), wilson(successes[outside])
        guess, room = float(np.mean(naive[inside])), 1 - control.value
        said = f"{attack.value:.3f} of people learned from, {control.value:.3f} of others, naive guess {guess:.3f}"
        if room < 1e-9:
            rows.append(replace(row, reason=f"not measured: it succeeds on everybody else too; {said}"))
            continue
        gap = attack.value - control.value
        low = gap - np.hypot(attack.value - attack.low, control.high - control.value)
        high = gap + np.hypot(attack.high - attack.value, control.value - control.low)
        found = replace(
            row,
            value=gap / room,
            low=float(low / room),
            high=float(min(1.0, high / room)),
            n=attack.n + control.n,
            control=0.0,
            reason=f"no better than a naive guess; {said}" if attack.value <= guess else said,
        )
        rows.append(found)
    return rows


def closest_rows(row: Result, closeness: Array, case: SyntheticCase, *, rng: np.random.Generator) -> list[Result]:
    """Return how often the real person closest to a synthetic recording is one who was learned from.

    Over all real people, and over the recordings that are closest to one of the most exposed. People as close share the
    recording; the control is the share of those real people who were learned from. ``row`` has the columns of both;
    ``closeness`` (S, P) is of each synthetic recording to each real person, higher = closer.
    """
    best = closeness >= closeness.max(axis=1, keepdims=True)
    won = (best / best.sum(axis=1, keepdims=True)).sum(axis=0)  # (P,) synthetic recordings each is closest to

    def ratio(sums: Array) -> Array:
        return np.asarray(sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], np.nan))

    rows = []
    for subset, people in case.subsets.items():
        inside, counts = case.inside[people], won[people]
        sums = np.stack([counts * inside, counts], axis=1)
        found = over_people(sums, np.arange(len(inside)), ratio, rng=rng)
        found = no_narrower(replace(found, n=round(float(counts.sum()))), int(min(inside.sum(), (~inside).sum())))
        control = float(inside.mean())
        rows.append(replace(row, subset=subset, **found.columns, control=control, better="lower"))
    return rows
