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
import pandas as pd
from scipy.stats import Covariance, multivariate_normal
from sklearn.covariance import ledoit_wolf

from personare.core.errors import DataError
from personare.core.types import Array, Batch, Result
from personare.evaluate.metrics import difference, means_by_person, no_narrower, over_people, wilson
from personare.evaluate.unmeasured import Asked
from personare.learn.describing import describe_track
from personare.learn.standardizing import Standardized

_FEWEST: Final = 4  # people on either side: with fewer, no interval says anything
_EACH: Final = 60  # recordings looked at of one real person
_MOST: Final = 6000  # synthetic recordings looked at
_OUTLIERS: Final = 0.25  # share of the people who count as the outliers
_CHUNK: Final = 256
_NEAR: Final = 0.05  # share of real recordings that are as near to somebody else's by chance
_FLOOR: Final = 1e-6  # of the variance, against columns that are constant


def described(batch: Batch) -> Batch:
    """Return the recordings with each modality as a table, (N, D), by fixed arithmetic."""
    return replace(batch, arrays={name: describe_track(batch, name) for name in batch.arrays}, columns={})


def side_by_side(batch: Batch) -> Array:
    """Return (N, D) descriptions of all modalities, the mean where one is missing."""
    parts = []
    for modality, values in described(batch).arrays.items():
        rows, present = values.astype(float), batch.present[modality]
        parts.append(np.where(present[:, None], rows, rows[present].mean(axis=0) if present.any() else 0.0))
    return np.concatenate(parts, axis=1)


def scaling(everybody: Batch) -> Callable[[Batch], Batch]:
    """Return what turns recordings into rows of standardized numbers, 0 where a modality is missing.

    People count whether learned from or not: a scale that only one group made would tell the groups apart.
    """
    standard = Standardized.of(described(everybody))
    ends = np.cumsum(standard.widths)[:-1]

    def scaled(batch: Batch) -> Batch:
        parts = np.split(standard.exact(described(batch)), ends, axis=1)
        return replace(batch, arrays=dict(zip(standard.shapes, parts, strict=True)), columns={})

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
    earlier = pd.Series(order).groupby(people[order]).cumcount().to_numpy()
    return np.sort(order[earlier < each])


def nearest(rows: Array, others: Array, people: Array | None = None) -> Array:
    """Return the distance of each of (N, D) rows to the nearest of others, (N,).

    With ``people`` (N,) both are the same rows, and each person's own are left out.
    """
    distance, squares = np.empty(len(rows)), np.einsum("nd,nd->n", others, others)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        apart = squares - 2 * rows[part] @ others.T  # (chunk, M), but for what all of a row have
        if people is not None:
            apart[people[part, None] == people] = np.inf
        who = apart.argmin(axis=1)
        exact = np.linalg.norm(rows[part] - others[who], axis=1)  # so that copies are at 0
        distance[part] = np.where(np.isinf(apart[np.arange(len(who)), who]), np.inf, exact)
    return distance


def near_recordings(made: Batch, train: Batch) -> Array:
    """Return (S,) bool: which made-up recordings are too near to one learned from to be shown to anybody.

    Nearer than all but the nearest twentieth of the recordings learned from are to a recording of anybody else.
    """
    numeric = [name for name, values in train.arrays.items() if values.dtype.kind == "f"]
    train, made = train.only(*numeric), made.only(*numeric)
    scaled = scaling(train)
    real, people = numbers(scaled(train)), np.unique(train.subjects, return_inverse=True)[1]
    usual = np.quantile(nearest(real, real, people), _NEAR)
    return np.asarray(nearest(numbers(scaled(made)), real) < usual)


def normal_density(rows: Array) -> Callable[[Array], Array]:
    """Return what gives the log-density of (N, D) rows, (N,), under the normal distribution of these.

    **Source**: O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", Journal
    of Multivariate Analysis 88(2), 2004, doi:10.1016/S0047-259X(03)00096-4 (scikit-learn's).
    """
    if len(rows) < 2:
        raise DataError(f"A normal distribution needs at least two recordings, given {len(rows)}.")
    covariance = ledoit_wolf(rows)[0] + _FLOOR * np.eye(rows.shape[1])
    normal = multivariate_normal(rows.mean(axis=0), Covariance.from_cholesky(np.linalg.cholesky(covariance)))
    return lambda asked: np.atleast_1d(normal.logpdf(asked))


def most_isolated(distance: Array, people: Array, among: Array) -> Array:
    """Return (P,) bool, the most isolated quarter (at least two) of some people: they are the easiest to find.

    By the median of the (N,) ``distance`` of their recordings to anybody else's; ``people`` (N,) says whose each is, as
    a whole number, and ``among`` (P,) bool who is meant.
    """
    isolation = np.array([np.median(distance[people == person]) for person in range(len(among))])
    group = np.flatnonzero(among)
    order = np.argsort(-isolation[group], kind="stable")[: max(2, round(_OUTLIERS * len(group)))]
    return np.isin(np.arange(len(among)), group[order])


def check_comparable(synthetic: Batch, train: Batch, others: Batch) -> None:
    """Refuse people who were both learned from and not, and recordings that cannot be compared."""
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
    if others.classes != train.classes:
        raise DataError("Real people must have the same classes, learned from or not.")


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
        real, classes = together([train, control]), train.classes
        scaled = scaling(real)
        number = np.array([classes.index(c) if c in classes else -1 for c in synthetic.classes], dtype=np.int64)
        released = replace(scaled(synthetic), labels=number[synthetic.labels], classes=classes)
        real = scaled(real).take(thinned(real.subjects, _EACH, rng))
        names, people = np.unique(real.subjects, return_inverse=True)
        rows = numbers(real)
        return cls(
            released=released.take(np.sort(rng.permutation(len(released))[:_MOST])),
            original=real,
            inside=np.isin(names, train.subjects),
            distance=nearest(rows, rows, people),
        )

    @property
    def unprotected(self) -> "SyntheticCase":
        """The worst release: everything that was learned from, as it is. Attacks that miss it are of no use."""
        return replace(self, released=self.original.take(self.inside[self.people]))

    @cached_property
    def synthetic(self) -> Array:
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
    def outliers(self) -> Array:
        """(P,) bool, the most isolated people of either group, the same share of both."""
        first, second = (most_isolated(self.distance, self.people, group) for group in (self.inside, ~self.inside))
        return np.asarray(first | second)

    @property
    def subsets(self) -> dict[str, Array]:
        """(P,) bool by the name of the subset: everybody, and the outliers."""
        return {"": np.ones(len(self.inside), dtype=bool), "outliers": self.outliers}

    def by_person(self, values: Array) -> Array:
        """Return the mean of (N,) numbers over each real person's recordings, (P,)."""
        return means_by_person(values, self.people)


def risk_rows(question: Asked, method: str, successes: Array, naive: Array, case: SyntheticCase) -> list[Result]:
    """Return the ``risk`` over all people and over the outliers.

    The risk is (r - c) / (1 - c): how much more often the attack succeeds on people who were learned from (r) than on
    others (c), as a share of what could be more. It is not cut at 0: below is luck. ``successes`` (P,) says how often
    the attack succeeded on each real person, NaN where it was not tried; ``naive`` the same of guessing.

    **Source**: criteria of the Article 29 Working Party, "Opinion 05/2014 on anonymisation techniques" (WP216); the
    interval is that of the difference r - c, over 1 - c.
    """
    rows = []
    for subset, people in case.subsets.items():
        row = Result(question=question, method=method, figure="risk", subset=subset, value=np.nan, better="lower")
        tried = people & np.isfinite(successes)
        inside, outside = tried & case.inside, tried & ~case.inside
        if not inside.any() or not outside.any():
            rows.append(replace(row, reason="not measured: it could be tried on nobody of one group"))
            continue
        attack, control = wilson(successes[inside]), wilson(successes[outside])
        guess, room = float(np.mean(naive[inside])), 1 - control.value
        shares = f"{attack.value:.3f} of people learned from, {control.value:.3f} of others, naive guess {guess:.3f}"
        if room < 1e-9:
            rows.append(replace(row, reason=f"not measured: it succeeds on everybody else too; {shares}"))
            continue
        low, high = difference(attack, control)
        reason = f"no better than a naive guess; {shares}" if attack.value <= guess else shares
        risk, low, high = ((attack.value - control.value) / room, low / room, min(1.0, high / room))
        rows.append(replace(row, value=risk, low=low, high=high, n=attack.n + control.n, control=0.0, reason=reason))
    return rows


def closest_rows(row: Result, closeness: Array, case: SyntheticCase, *, rng: np.random.Generator) -> list[Result]:
    """Return how often the real person closest to a synthetic recording is one who was learned from.

    Over all real people, and over the recordings that are closest to one of the outliers. People as close share the
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
        estimate = over_people(sums, np.arange(len(inside)), ratio, rng=rng)
        estimate = replace(estimate, n=round(float(counts.sum())))
        estimate = no_narrower(estimate, int(min(inside.sum(), (~inside).sum())))
        columns = {**estimate.columns, "control": float(inside.mean()), "subset": subset}
        rows.append(replace(row, better="lower", **columns))
    return rows
