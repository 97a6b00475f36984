"""What one answer about one recording rests on: its parts are taken away, and the same is asked again.

Explanations of private recordings tell about those recordings: they are for the people who may see them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Batch

_WINDOWS, _WORDS, _FIELDS = 12, 40, 8  # at most so many windows and words; fields a side of a picture
_WINDOW_S = 0.1  # the shortest window
_DRAWS = 20
_TRAITS, _SAID = 2, 5  # columns of a track that are told of each thing that moved it; parts that are told in words


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a recording, and by how much the answer falls without it."""

    name: str
    value: float = float("nan")
    begin: float = float("nan")  # to ``end``, where it has a place in time
    end: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """What one answer about one recording rests on."""

    release: str  # of the run, about which is asked
    question: str  # in words, with what parts are taken from
    method: str = ""  # the attack, learner or generator that answers
    answer: str = ""  # in words
    unit: str = ""  # of the parts' values
    form: Literal["lines", "spectrogram", "picture", "names"] = "names"  # how it is drawn
    status: Literal["ok", "not_informative", "not_measured"] = "ok"
    reason: str = ""
    parts: tuple[Part, ...] = ()
    deletion: float = float("nan")  # how far the answer falls without the quarter of the parts that count most
    control: float = float("nan")  # without a quarter drawn by chance, on average

    @property
    def most(self) -> list[Part]:
        """The parts that count most for the answer; none where the explanation says nothing."""
        if self.status != "ok":
            return []
        if self.form == "names":  # what speaks against it is told too
            return sorted(self.parts, key=lambda part: -abs(part.value))[:_SAID]
        return sorted((part for part in self.parts if part.value > 0), key=lambda part: -part.value)[:_SAID]


class Parts(NamedTuple):
    """How a recording's array is parted."""

    parts: Sequence[Part]
    hide: Callable[[Sequence[int]], Any]  # gives the array without some of the parts


def length_of(values: Array, axis: int) -> int:
    """Return how far an array goes along an axis: zeros at its end fill up a batch."""
    rows = np.moveaxis(values, axis, 0)
    return int(np.flatnonzero(rows.reshape(len(rows), -1).any(axis=1)).max(initial=-1)) + 1


def windows(values: Array, axis: int, instead: Array | float, *, rate_hz: float = 0.0, begin_s: float = 0.0) -> Parts:
    """Part an array into up to 12 windows along an axis, its time; where one is taken away, there is ``instead``.

    They are told in seconds or, without a rate, in steps.
    """
    length = length_of(values, axis)
    least = max(2, round(_WINDOW_S * rate_hz)) if rate_hz else 1
    count = min(_WINDOWS, length // least)
    if count < 2:
        raise DataError(
            f"It is too short for windows: it takes {2 * least} rows, and has {length}. Ask about a longer one."
        )
    edges = np.linspace(0, length, count + 1).round().astype(int)
    places = [(*[slice(None)] * axis, slice(a, b)) for a, b in pairwise(edges)]
    at = begin_s + edges / (rate_hz or 1)
    spans = list(pairwise(at.tolist()))
    names = [f"{a:.2f} to {b:.2f} s" if rate_hz else f"steps {a:.0f} to {b:.0f}" for a, b in spans]
    parts = [Part(name=name, begin=a, end=b) for name, (a, b) in zip(names, spans, strict=True)]
    return Parts(parts, _hiding(values, places, instead))


def fields(values: Array, instead: Array) -> Parts:
    """Part pictures, whose second and third axes are height and width, into 8 x 8 fields, row by row."""
    rows, columns = (
        [slice(k * size // _FIELDS, (k + 1) * size // _FIELDS) for k in range(_FIELDS)] for size in values.shape[1:3]
    )
    places = [(slice(None), row, column) for row in rows for column in columns]
    names = [f"row {n // _FIELDS + 1}, column {n % _FIELDS + 1}" for n in range(len(places))]
    return Parts([Part(name=name) for name in names], _hiding(values, places, instead))


def words(text: str) -> Parts:
    """Part a text into its words, of a long one some together; one taken away is missing."""
    every = text.split()
    if len(every) < 2:
        raise DataError(f"It takes two words to say which counts, and there are {len(every)}. Ask about a longer one.")
    names = [" ".join(some) for some in np.array_split(every, min(len(every), _WORDS))]
    return Parts(
        [Part(name=name) for name in names],
        lambda gone: " ".join(name for n, name in enumerate(names) if n not in gone),
    )


def _hiding(values: Array, places: Sequence[tuple[slice, ...]], instead: Array | float) -> Callable[..., Array]:
    filled = np.broadcast_to(np.asarray(instead, dtype=values.dtype), values.shape)

    def hide(gone: Sequence[int]) -> Array:
        hidden = values.copy()
        for part in gone:
            hidden[places[part]] = filled[places[part]]
        return hidden

    return hide


def occlude(
    about: Attribution, parted: Parts, ask: Callable[[list[Any]], Array], *, rng: np.random.Generator
) -> Attribution:
    """Return by how much the answer falls without each part, and whether deletion bears it out.

    Without the quarter of the parts that count most the answer must fall further than without a quarter drawn by
    chance, or the explanation is not informative. ``ask`` gives the answer, a number, to variants of the array.

    **Source**: M. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014,
    doi:10.1007/978-3-319-10590-1_53; deletion after V. Petsiuk et al., "RISE", BMVC 2018 (arXiv 1806.07421).
    """
    parts, hide = parted
    answers = np.asarray(ask([hide([]), *(hide([n]) for n in range(len(parts)))]), dtype=float)
    falls, few = answers[0] - answers[1:], max(1, len(parts) // 4)
    drawn = [np.argsort(-falls)[:few], *(rng.permutation(len(parts))[:few] for _ in range(_DRAWS))]
    deleted = answers[0] - np.asarray(ask([hide(some.tolist()) for some in drawn]), dtype=float)
    deletion, control = float(deleted[0]), float(deleted[1:].mean())
    found = replace(
        about,
        parts=tuple(replace(part, value=float(fall)) for part, fall in zip(parts, falls, strict=True)),
        deletion=deletion,
        control=control,
    )
    if deletion > control:
        return found
    why = "without the parts that count most, the answer falls no further than without any others"
    return replace(found, status="not_informative", reason=why)


def training_mean(values: Array) -> Array:
    """Return the mean over (N, ...) recordings and, where they have it, time: what stands for a part taken away.

    Of signals it is (1, D), of spectrograms (1, F, 1), of pictures (3, H, W); where one has ended does not count.
    """
    time = {3: 1}.get(values.ndim, 3 if values.shape[1] == 1 else 0)
    if not time:
        return np.asarray(values.mean(axis=0))
    rows = np.moveaxis(values, time, 1)  # (N, T, ...)
    going_on = rows.reshape(*rows.shape[:2], -1).any(axis=2)
    return np.expand_dims(rows[going_on].mean(axis=0), time - 1)


def traits(batch: Batch, row: int) -> tuple[Part, ...]:
    """Return where a made-up recording lies farthest from its group, in deviations of the group, and what moved it.

    What moved it is its class (the class's mean, less the group's), the made-up person (their recordings' mean, less
    those of the classes they show) or the recording alone; the three add up.

    **Guarantee**: only made-up recordings are looked at. Nobody whom the generator learned from is named, and nothing
    is told of them that their release did not tell.
    """
    same, whose = batch.labels == batch.labels[row], batch.subjects == batch.subjects[row]
    parts: list[Part] = []
    for track, values in batch.arrays.items():
        # (N, D): columns of tables and signals, bands of spectrograms, colors of pictures
        axes = {2: (), 3: (1,)}.get(values.ndim, (1, 3) if values.shape[1] == 1 else (2, 3))
        rows = values.mean(axis=axes, dtype=float) if axes else values.astype(float)
        spread = rows.std(axis=0)
        rows = (rows - rows.mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf)
        shown = np.stack([rows[batch.labels == label].mean(axis=0) for label in batch.labels[whose]])
        moved = {
            f"being {batch.classes[batch.labels[row]]}": rows[same].mean(axis=0),
            "this made-up person": (rows[whose] - shown).mean(axis=0),
        }
        moved["this recording alone"] = rows[row] - sum(moved.values())
        names = batch.columns.get(track) or [
            f"{track} {'band ' * (values.ndim == 4)}{n + 1}" for n in range(rows.shape[1])
        ]
        for what, values in moved.items():
            far = np.argsort(-np.abs(values))[:_TRAITS]
            parts += [Part(name=f"{names[n]}, {what}", value=float(values[n])) for n in far]
    return tuple(sorted(parts, key=lambda part: -abs(part.value)))
