"""Pictures of one representation or of synthetic people, and the matrix of all representations and tasks."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from matplotlib.figure import Figure

from personare.core.types import Result
from personare.report.curves import draw_roc
from personare.report.dots import draw_carriers, draw_found, draw_likeness
from personare.report.drawing import to_svg
from personare.report.measures import LIKENESS, measure
from personare.report.run import RunRecord

__all__ = ["Pictures", "TransferRow", "made_pictures", "transfer_matrix"]

_WHO: Final = {"everybody": "synthetic_(membership|shadow)", "planted people": "synthetic_canaries"}
_HOW: Final = {
    "synthetic_membership": "looking at the release",
    "synthetic_shadow": "with shadow generators",
    "synthetic_canaries": "with shadow generators",
}
_DISCLOSURE: Final = r"synthetic_(singling_out|linkability|inference|identity|copies)\.|visits\.\w*copies"
_BY: Final = {"neighbor": "nearness", "normal": "averages"}
_UNSCALED: Final = (
    "synthetic.mmd2",
    "synthetic.mmd_p",
    "visits.transitions",
)  # have no worst end that a picture could begin at; the table has them


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Some pictures under one heading.

    Attributes:
        heading: What they answer.
        drawn: (title, SVG) of each.
        note: How they are read, or why there are none.
    """

    heading: str
    drawn: Sequence[tuple[str, str]]
    note: str


@dataclass(frozen=True, kw_only=True)
class TransferRow:
    """A representation read for every task.

    Attributes:
        release: Its name.
        cells: The row of each task, and how much of what raw features tell it still tells, in [0, 1]; None where
            nothing was measured.
    """

    release: str
    cells: Sequence[tuple[Result, float] | None]


def made_pictures(rows: Sequence[Result], modality: str) -> list[Pictures]:
    """Return the pictures of one release; a heading without pictures says why there are none.

    Args:
        rows: Of the release.
        modality: ``representation`` or ``synthetic``.
    """
    if modality == "representation":
        return [_carriers(rows)]
    return [_likeness(rows), _membership(rows), *_disclosed(rows)] if modality == "synthetic" else []


def _carriers(rows: Sequence[Result]) -> Pictures:
    heading = "What still carries identity"
    row = next((r for r in rows if r.measure == "identity.top1" and r.detail.get("carriers")), None)
    if row is None:
        return Pictures(heading=heading, drawn=[], note="Which parts of the input carry identity was not measured.")
    parts = row.detail["carriers"]
    drawn = _drawn("", "Parts of the input that carry identity.", lambda: draw_carriers(parts))
    note = (
        "Each part of the recordings in turn was exchanged between people before the representation was made. The bar "
        "is how many fewer recordings an attacker then names, the line its 95 % interval; a pale bar may be luck."
    )
    return _told(heading, drawn, note)


def _likeness(rows: Sequence[Result]) -> Pictures:
    found = {r.measure: r for r in rows if math.isfinite(r.value)}
    chosen = [found[name] for name in LIKENESS if name in found and name not in _UNSCALED]
    heading = "How like real people they are"
    if not chosen:
        return Pictures(heading=heading, drawn=[], note="How like real people they are was not measured.")
    drawn = _drawn("", "Likeness of made-up people between two anchors.", lambda: draw_likeness(chosen))
    note = (
        "● the made-up people, with their figure at the right. ◇ other real people: the best that can be had. × real "
        "recordings whose modalities (or visits) were put together at random: the worst that still has every value "
        "right; it is left out where it is no worse than other real people, as of what a single modality shows."
    )
    return _told(heading, drawn, note)


def _membership(rows: Sequence[Result]) -> Pictures:
    areas = [r for r in rows if re.fullmatch(r"synthetic_(membership|shadow|canaries)\..*_auc", r.measure)]
    areas = [r for r in areas if math.isfinite(r.value)]
    heading = "Can anybody be found whom they were learned from?"
    if not areas:
        return Pictures(heading=heading, drawn=[], note="No membership attack on their people was run.")
    said = [
        (f"{who}, {_attack(r)}", r)
        for who in ("everybody", "most exposed", "planted people")
        for r in areas
        if _who(r) == who
    ]
    drawn = _drawn(
        "Areas of all attacks", "Areas of membership attacks.", lambda: draw_found(said, label="area under the curve")
    )
    for who in _WHO:
        drawn += _curves([r for r in areas if _who(r) == who and r.detail.get("roc")], who)
    note = (
        "● what the attack finds, with its 95 % interval; ☆ the same attack where the real recordings are released "
        "as they are; ○ it is not informative: it finds nobody even there. The most exposed are the quarter of the "
        "people who are least like anybody else. Planted people are made extreme on purpose: a generator that "
        "remembers must show them, one with a privacy claim no more than the claim allows. Curves: across, others "
        "taken for people learned from; up, people found. A blue line is the most that the claim allows."
    )
    return _told(heading, drawn, note)


def _disclosed(rows: Sequence[Result]) -> list[Pictures]:
    """Draw the attacks that guess, join and name; nothing where none was run, for the table has the reason."""
    found = [r for r in rows if re.match(_DISCLOSURE, r.measure) and math.isfinite(r.value)]
    heading = "What else can be told of them?"
    if not found:
        return []
    beyond = [r for r in found if r.measure.endswith("_risk")]
    kinds = {
        "Beyond what succeeds on others": (beyond, "share of what could be more"),
        "Whom they are nearest to": ([r for r in found if r not in beyond], "share of made-up recordings"),
    }
    drawn = []
    for title, (chosen, label) in kinds.items():
        said = [(measure(r.measure), r) for r in chosen]
        drawn += _drawn(title, f"{title}.", partial(draw_found, said, label=label)) if said else []
    note = (
        "An attack counts only as far as it succeeds more often on people who were learned from than on people who "
        "were not: 0 is no more often, 1 is all that could be. Whom made-up people are nearest to, or are taken for, "
        "is somebody learned from as often as there are such people where nothing is remembered (dotted). ☆ where the "
        "real recordings are released as they are, ○ not informative. Few copies are no sign of safety."
    )
    return [_told(heading, drawn, note)]


def _who(row: Result) -> str:
    if "_exposed" in row.measure:
        return "most exposed"
    return "planted people" if row.measure.startswith("synthetic_canaries") else "everybody"


def _attack(row: Result) -> str:
    name, _, figure = row.measure.partition(".")
    what = figure.partition("_")[0]
    return f"{_HOW[name]}, by {_BY.get(what, what)}"


def _curves(rows: Sequence[Result], who: str) -> list[tuple[str, str]]:
    curves = {
        _attack(r).replace("looking at the ", "").replace("with shadow generators", "shadows"): r.detail["roc"]
        for r in rows
    }
    bound = next((r.detail["bound"] for r in rows if "bound" in r.detail), None)
    return (
        _drawn(f"Curves, {who}", f"ROC of membership attacks on {who}.", lambda: draw_roc(curves, bound))
        if curves
        else []
    )


def _drawn(title: str, words: str, draw: Callable[[], Figure]) -> list[tuple[str, str]]:
    """Draw what a study recorded; what it recorded in another shape is no reason to have no report."""
    try:
        return [(title, to_svg(draw(), title=words))]
    except (KeyError, TypeError, ValueError, AttributeError):
        return []


def _told(heading: str, drawn: Sequence[tuple[str, str]], note: str) -> Pictures:
    return Pictures(
        heading=heading, drawn=drawn, note=note if drawn else "It was recorded in a way that cannot be drawn."
    )


def transfer_matrix(record: RunRecord) -> tuple[list[str], list[TransferRow]]:
    """Return tasks, the own one first, and what is read for each of them through every representation."""
    rows: Mapping[tuple[str, str], Result] = {
        (r.release, r.measure): r for r in record.results if r.modality == "representation"
    }
    others = dict.fromkeys(m for _, m in rows if m.startswith("transfer."))
    if not others:
        return [], []
    measures = ["reader.uar", *others]
    lines = [
        TransferRow(release=name, cells=[_cell(rows.get((name, m))) for m in measures])
        for name in record.of("representation")
    ]
    return ["its own task", *(m.partition(".")[2].replace("_", " ") for m in others)], lines


def _cell(row: Result | None) -> tuple[Result, float] | None:
    if row is None:
        return None
    room = row.baseline - row.control
    kept = (row.value - row.control) / room if room > 0 else math.nan
    return row, min(max(kept, 0.0), 1.0) if math.isfinite(kept) else 0.0
