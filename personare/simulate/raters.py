"""Raters who do not exist: their taste is known, they err at a known rate and lean to one side, to test the loop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from personare.core.errors import DataError, OptionError
from personare.core.options import NotNegative, PartShare, check_options
from personare.core.types import Array, Batch
from personare.features.visits import is_history
from personare.learn.coherence import follows
from personare.learn.describing import describe_rows

Taste = Callable[[Batch], Array]
"""How much each recording is liked, (N,): in deviations of those of its class that the taste was made for."""
DISLIKED: Final = "disliked"
"""What raters call the failure that they look for."""
FAILING: Final = -0.67  # a quarter of a normal taste lies below: these recordings fail
_QUALITIES: Final = 8  # of what recordings most differ by
_RARE: Final = 0.02  # share of what follows a kind of visit


@dataclass(frozen=True, kw_only=True)
class Raters:
    """A group of raters with one taste, who take turns. They are pseudonyms: nobody is heard.

    To every second rater what is shown left counts ``side_bias`` deviations more, to the others as much less. What then
    differs by less than ``tie`` deviations is a tie. An error is the other answer.

    **Source**: mistakes and ties as of the simulated teachers of K. Lee et al., "B-Pref: Benchmarking preference-based
    reinforcement learning", NeurIPS 2021 (arXiv:2111.03026); the side is ours.
    """

    taste: Taste
    names: Sequence[str]
    error: PartShare = 0.15  # share of the answers that are errors
    side_bias: NotNegative = 0.1
    tie: NotNegative = 0.1

    def __post_init__(self) -> None:
        """Check the options."""
        check_options(self)

    def compare(self, items: Batch, pairs: Array, *, rng: np.random.Generator) -> pd.DataFrame:
        """Return an answer to each of (M, 2) pairs of positions, left and right."""
        liked = self.taste(items)
        side = np.where(np.arange(len(pairs)) % len(self.names) % 2, -self.side_bias, self.side_bias)
        difference = liked[pairs[:, 0]] - liked[pairs[:, 1]] + side
        first = (difference > 0) ^ (rng.random(len(pairs)) < self.error)
        answers = np.where(np.abs(difference) < self.tie, "tie", np.where(first, "a", "b"))
        return self._votes("compare", items, answers, a=pairs[:, 0], b=pairs[:, 1])

    def check(self, items: Batch, rows: Array, *, rng: np.random.Generator) -> pd.DataFrame:
        """Return whether each of (M,) recordings is plausible: whether it is not in the least liked quarter."""
        fails = (self.taste(items)[rows] < FAILING) ^ (rng.random(len(rows)) < self.error)
        votes = self._votes("check", items, np.where(fails, "implausible", "plausible"), a=rows)
        return votes.assign(failures=np.where(fails, DISLIKED, ""))

    def same(self, items: Batch, trials: Array, *, rng: np.random.Generator) -> pd.DataFrame:
        """Return of (M, 3) positions a, b and x whether x is the person of a or of b: of whom it is more like."""
        rows = _standardized(items, sorted(items.arrays))(items)
        to_a, to_b = (np.linalg.norm(rows[trials[:, 2]] - rows[trials[:, side]], axis=1) for side in (0, 1))
        first = (to_a < to_b) ^ (rng.random(len(trials)) < self.error)
        answers = np.where(first, "a", "b")
        return self._votes("same", items, answers, a=trials[:, 0], b=trials[:, 1], x=trials[:, 2])

    def _votes(self, task: str, items: Batch, answers: Array, **shown: Array) -> pd.DataFrame:
        ids = np.array(items.ids, dtype=object)
        columns = {side: ids[shown[side]] if side in shown else "" for side in ("a", "b", "x")}
        raters = [self.names[turn % len(self.names)] for turn in range(len(answers))]
        votes = pd.DataFrame({"time": "", "rater": raters, "task": task, **columns, "answer": answers})
        return votes.assign(failures="", note="", repeat=False)


def simulated_votes(
    items: Batch,
    *,
    raters: int = 6,
    comparisons: int = 300,
    checks: int = 120,
    taste: str = "direction",
    error: float = 0.15,
    side_bias: float = 0.1,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return what raters say of randomly drawn items, as a table of votes; see ``data.votes.Votes.table``."""
    names = [f"simulated-{n + 1}" for n in range(raters)]
    group = Raters(taste=taste_of(taste, items), names=names, error=error, side_bias=side_bias)
    compared = group.compare(items, random_pairs(items.labels, comparisons, rng=rng), rng=rng)
    checked = group.check(items, rng.integers(len(items), size=checks), rng=rng)
    return votes_of(compared, checked)


def votes_of(*parts: pd.DataFrame) -> pd.DataFrame:
    """Return one table of votes, numbered."""
    return pd.concat(parts, ignore_index=True).rename_axis("id").reset_index()


def random_pairs(labels: Array, count: int, *, rng: np.random.Generator) -> Array:
    """Return pairs of positions of different items of the same class, (count, 2): like is compared with like."""
    order = np.argsort(labels, kind="stable")
    start, end = (np.searchsorted(labels[order], labels[order], side=side) for side in ("left", "right"))
    if not (end - start > 1).any():
        raise DataError("Two recordings of one class must be there to be compared. Make more people or recordings.")
    one = rng.choice(np.flatnonzero(end - start > 1), count)
    first, size = start[one], (end - start)[one]
    other = first + (one - first + rng.integers(1, size)) % size
    return np.asarray(order[np.stack([one, other], axis=1)])


def taste_of(name: str, items: Batch) -> Taste:
    """Return a known taste for recordings like these; the same items give the same taste.

    ``direction``: recordings that lie far to one side, along a fixed mix of the eight qualities in which those of a
    class differ most. ``order``: histories in which no kind of visit follows another that it seldom follows.
    ``agreement``: recordings whose voice is as their face lets expect, or in general two tracks, the first by name.
    """
    if name not in _TASTES:
        raise OptionError(f"There is no taste {name!r}. Choose one of: {', '.join(_TASTES)}.")
    score = _TASTES[name](items)
    values = score(items)
    of_class = [values[items.labels == c] for c in range(len(items.classes))]
    centers = np.array([part.mean() if len(part) else values.mean() for part in of_class])
    spread = max(float((values - centers[items.labels]).std()), 1e-9)
    return lambda batch: (score(batch) - centers[batch.labels]) / spread


def _standardized(items: Batch, names: Sequence[str]) -> Taste:
    """Return what describes tracks by (N, D) numbers, each of mean 0 and deviation 1 among these items."""
    parts = []
    for name in names:
        rows = describe_rows(items.arrays[name][items.present[name]]).astype(float)
        center, spread = rows.mean(axis=0), rows.std(axis=0)
        parts.append((name, center, np.where(spread > 1e-6 * np.maximum(np.abs(center), 1), spread, np.inf)))

    def numbers(batch: Batch) -> Array:
        rows = [(describe_rows(batch.arrays[name]) - center) / spread for name, center, spread in parts]
        return np.hstack([np.where(batch.present[part[0]][:, None], r, 0) for part, r in zip(parts, rows, strict=True)])

    return numbers


def _within(rows: Array, items: Batch) -> Array:
    """Return how (N, D) rows differ from the mean of their class."""
    return np.asarray(rows - pd.DataFrame(rows).groupby(items.labels).transform("mean").to_numpy())


def _direction(items: Batch) -> Taste:
    numbers = _standardized(items, sorted(items.arrays))
    _, sizes, span = np.linalg.svd(_within(numbers(items), items), full_matrices=False)
    span = span[: min(_QUALITIES, int((sizes > 1e-6 * sizes[0]).sum()))]  # (Q, D)
    span = span * np.sign(span[np.arange(len(span)), np.abs(span).argmax(axis=1)])[:, None]
    mix = np.cos(np.arange(len(span))) / sizes[: len(span)] @ span
    return lambda batch: np.asarray(numbers(batch) @ mix)


def _order(items: Batch) -> Taste:
    name = next((name for name in items.arrays if is_history(items, name)), "")
    if not name:
        raise OptionError("The taste 'order' is for histories of visits, which these recordings are not.")
    total = follows(items, name).sum(axis=0)
    seldom = total < _RARE * total.sum(axis=1, keepdims=True)

    def score(batch: Batch) -> Array:
        steps = follows(batch, name)
        return np.asarray(-(steps * seldom).sum(axis=(1, 2)) / np.maximum(steps.sum(axis=(1, 2)), 1))

    return score


def _agreement(items: Batch) -> Taste:
    names = sorted(items.arrays)
    if len(names) < 2:
        raise OptionError(f"The taste 'agreement' is for two tracks, and there is {', '.join(names)} alone.")
    sides = [_standardized(items, names[:1]), _standardized(items, names[1:])]
    one, other = (side(items) for side in sides)
    left, _, right = np.linalg.svd(one.T @ other, full_matrices=False)
    directions = left[:, 0], right[0]  # what goes together most
    slope = (one @ directions[0]) @ (other @ directions[1]) / ((one @ directions[0]) ** 2).sum()
    return lambda batch: np.asarray(
        -((sides[1](batch) @ directions[1] - slope * (sides[0](batch) @ directions[0])) ** 2)
    )


_TASTES: Mapping[str, Callable[[Batch], Taste]] = {
    "direction": _direction,
    "order": _order,
    "agreement": _agreement,
}
