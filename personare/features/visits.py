"""A history of visits as arrays: which column says what, which rows are visits, and what a made-up row must be."""

from dataclasses import dataclass

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Batch

_FIRST = "gap=first"
VISITS = "visits"
"""The modality: (N, T, D) float32 of 0 and 1, rows of zeros after a person's last visit."""


@dataclass(frozen=True, kw_only=True)
class VisitColumns:
    """What the columns of histories are, as ``data.visit_codes.history_columns`` says them."""

    names: tuple[str, ...]  # D of them: ``visit``, then ``type=...``, ``code=...``, ``length=...``, ``gap=...``

    def __post_init__(self) -> None:
        order = ["visit", "type", "code", "length", "gap"]
        kinds = [name.partition("=")[0] for name in self.names]
        if list(dict.fromkeys(kinds)) != order or kinds != sorted(kinds, key=order.index):
            raise DataError(
                "A history has the columns visit, type=..., code=..., length=... and gap=..., in this order, but there "
                f"are {', '.join(self.names[:5]) or 'none'} ... Import the visits with a reader of personare."
            )
        if _FIRST not in self.names:
            raise DataError(f"A history needs the column {_FIRST} for its first visit. Import the visits again.")

    @property
    def width(self) -> int:
        """How many columns."""
        return len(self.names)

    @property
    def codes(self) -> tuple[str, ...]:
        """The code groups."""
        return tuple(name.partition("=")[2] for name in self.names if name.startswith("code="))

    @property
    def first(self) -> int:
        """The column that is 1 at the first visit only."""
        return self.names.index(_FIRST)

    def part(self, kind: str) -> slice:
        """Return where ``type``, ``code``, ``length`` or ``gap`` stands."""
        places = [at for at, name in enumerate(self.names) if name.partition("=")[0] == kind]
        return slice(places[0], places[-1] + 1)


def histories(batch: Batch) -> tuple[Array, VisitColumns]:
    """Return the histories of a batch, (N, T, D) float32 of 0 and 1, and their columns, checked.

    **Guarantee**: every row is a visit in words of the vocabulary (one type, one length, one gap) or all zeros, visits
    come before zeros, and everybody has at least one.
    """
    if VISITS not in batch.arrays:
        raise DataError(f"There is no modality {VISITS}, only {', '.join(batch.arrays)}. Choose data with visits.")
    columns = VisitColumns(names=tuple(batch.columns.get(VISITS, ())))
    rows = np.asarray(batch.arrays[VISITS], np.float32)
    if rows.ndim != 3 or rows.shape[2] != columns.width:
        raise DataError(f"Histories must be (people, visits, {columns.width} columns), not {rows.shape}.")
    visits = rows[..., 0] == 1
    lengths = visits.sum(axis=1)
    if not len(rows) or not batch.present[VISITS].all() or not lengths.all():
        raise DataError("Everybody needs at least one visit. Leave out those who have none.")
    whole = np.isin(rows, (0, 1)).all() and not rows[~visits].any()
    once = all((rows[..., columns.part(kind)].sum(axis=2) == visits).all() for kind in ("type", "length", "gap"))
    if not whole or not once or not (visits == (np.arange(rows.shape[1]) < lengths[:, None])).all():
        raise DataError(
            "A visit is a row of 0 and 1 with one type, one length and one gap; rows of zeros come last. Do not scale "
            "histories, and import them with a reader of personare."
        )
    return rows, columns


def history_rows(rows: Array) -> Array:
    """Describe histories (N, T, D) by (N, D) float32: the log of how many visits, the share with each column."""
    count = rows[..., 0].sum(axis=1)
    shares = rows.sum(axis=1) / np.maximum(count, 1)[:, None]
    shares[:, 0] = np.log1p(count)
    return np.asarray(shares, dtype=np.float32)


def is_history(batch: Batch, modality: str) -> bool:
    """Whether a modality is one of histories, by its columns."""
    return tuple(batch.columns.get(modality, ()))[:1] == ("visit",)


def moved_history(rows: Array, names: tuple[str, ...], strength: float, *, rng: np.random.Generator) -> Array:
    """Return histories (N, T, D) in which each code has the same drawn value at a part (``strength``) of the visits."""
    moved, codes = rows.copy(), VisitColumns(names=names).part("code")
    corner = rng.integers(2, size=codes.stop - codes.start)
    taken = (rows[..., :1] == 1) & (rng.random(rows[..., codes].shape) < strength)
    moved[..., codes] = np.where(taken, corner, rows[..., codes])
    return moved


def summarize_visits(rows: Array, columns: VisitColumns) -> list[dict[str, object]]:
    """Return one person's history (T, D) in words: ``after`` is the time since the start of the visit before.

    Example:
        >>> columns = VisitColumns(names=("visit", "type=urgent", "code=drug.opioids", "code=drug.beta_blockers",
        ...     "length=under_1_day", "gap=first", "gap=under_1_week"))
        >>> summarize_visits(np.array([[1, 1, 0, 1, 1, 1, 0], [0] * 7]), columns)
        [{'after': 'first', 'type': 'urgent', 'lasted': 'under 1 day', 'codes': {'drug': ['beta blockers']}}]
    """
    visits: list[dict[str, object]] = []
    for row in rows[rows[:, 0] == 1]:
        words: dict[str, list[str]] = {}
        for name in (columns.names[i] for i in np.flatnonzero(row)):
            kind, _, word = name.partition("=")
            words.setdefault(kind, []).append(word)
        codes: dict[str, list[str]] = {}
        for code in words.get("code", []):
            kind, _, word = code.rpartition(".")
            codes.setdefault(kind or "code", []).append(word.replace("_", " "))
        after, kind_of_visit, lasted = (words[kind][0].replace("_", " ") for kind in ("gap", "type", "length"))
        visits.append({"after": after, "type": kind_of_visit, "lasted": lasted, "codes": codes})
    return visits
