"""Which numbers stand for a release on the frontier, which releases nothing else beats, and the answer in words.

Risk is what the strongest retrained attacker names; utility is what the best retrained reader still recalls.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from personare.core.types import Result
from personare.report.run import RunRecord
from personare.report.trained import LEAKY

__all__ = [
    "Panel",
    "Point",
    "best",
    "broken_claim",
    "emotion",
    "gain",
    "identity",
    "informative",
    "membership",
    "panels",
    "standing",
]

_MODALITIES = ("audio", "video", "audio+video", "model")
_AGGREGATE = "identity.top1"
_LEAKY_WORDS = "it was judged on people it learned from, the others were not"
_BROKEN = "ABOVE THE BOUND"
_Standing = Literal["front", "near", "behind", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A release on the frontier picture.

    Attributes:
        release: Its name.
        risk: Share of people or clips named by the retrained attacker; of a model, the area of the strongest
            membership attack.
        utility: Emotion recall of the retrained reader; of a model, its own.
    """

    release: str
    risk: Result
    utility: Result

    @property
    def original(self) -> bool:
        """Whether this is the unprotected cohort."""
        return self.release == "original"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The frontier of one modality.

    Attributes:
        modality: ``audio``, ``video``, ``audio+video`` or ``model``.
        points: Releases that have both figures from attacks that passed their self-test; the original, if known.
        unsure: Releases whose attack failed its self-test: drawn apart, never ranked.
        absent: (release, reason) of those that cannot be drawn.
    """

    modality: str
    points: tuple[Point, ...]
    unsure: tuple[Point, ...]
    absent: tuple[tuple[str, str], ...]

    @property
    def original(self) -> Point | None:
        """The unprotected cohort."""
        return next((p for p in self.points if p.original), None)

    @property
    def front(self) -> list[Point]:
        """The points that no other beats in both figures, from the least risk up."""
        kept = [p for p in self.points if not any(_beats(q, p) for q in self.points)]
        return sorted(kept, key=lambda p: (p.risk.value, p.utility.value))


def informative(row: Result) -> bool:
    """Whether the attack behind a row passed its self-test."""
    return "not informative" not in row.note.lower()


def identity(rows: Sequence[Result], release: str, modality: str, attacker: str) -> Result | None:
    """Return who is named by this attacker: the study's aggregate, or else the strongest informative attack."""
    found = [
        r
        for r in rows
        if r.release == release and r.modality == modality and r.kind == "risk" and r.measure.endswith(".top1")
    ]
    found = [r for r in found if r.attacker == attacker] or (found if release == "original" else [])
    aggregates = [r for r in found if r.measure == _AGGREGATE]
    single = [r for r in found if r.measure != _AGGREGATE]
    return _largest(aggregates) or _largest([r for r in single if informative(r)]) or _largest(single)


def emotion(rows: Sequence[Result], release: str, modality: str, reader: str) -> Result | None:
    """Return the best emotion recall that this reader reaches."""
    found = [
        r
        for r in rows
        if r.release == release
        and r.modality == modality
        and r.kind == "utility"
        and "emotion" in r.measure
        and r.measure.endswith(".uar")
    ]
    # Training again on originals changes nothing, so one reader's row is enough for them.
    return _largest([r for r in found if r.attacker == reader] or (found if release == "original" else []))


def _largest(rows: Sequence[Result]) -> Result | None:
    finite = [r for r in rows if math.isfinite(r.value)]
    return max(finite, key=lambda r: r.value) if finite else next(iter(rows), None)


def panels(record: RunRecord) -> list[Panel]:
    """Return a panel for each modality in which anything was measured."""
    measured = {r.modality for r in record.results if r.kind in ("utility", "risk")}
    order = [m for m in _MODALITIES if m in measured] + sorted(measured - set(_MODALITIES) - {""})
    made = [_panel(record, modality) for modality in order]
    return [p for p in made if p.points or p.unsure or p.absent]


def _panel(record: RunRecord, modality: str) -> Panel:
    points, unsure, absent = [], [], []
    members = _members(record, modality)
    leaky = _leaky(record, members) if modality == "model" else set()
    for name in members:
        point: Point | str = _LEAKY_WORDS if name in leaky else _point(record.results, name, modality)
        if isinstance(point, str):
            absent.append((name, point))
        elif informative(point.risk):
            points.append(point)
        else:
            unsure.append(point)
    original = _original(record.results, modality, [*points, *unsure])
    start = [original] if original else []
    return Panel(modality=modality, points=(*start, *points), unsure=tuple(unsure), absent=tuple(absent))


def _leaky(record: RunRecord, models: Sequence[str]) -> set[str]:
    """Return models judged on people they learned from, where others were not: one picture cannot hold both."""
    leaky = {name for name in models if name in record.trained and record.trained[name].protocol == LEAKY}
    return leaky if len(leaky) < len(models) else set()


def _members(record: RunRecord, modality: str) -> list[str]:
    """Releases made for exactly this modality: one that hides face and voice would repeat the voice's point."""
    measured = {r.release for r in record.results if r.modality == modality and r.kind != "cost"}
    names = [n for n in record.names() if n in measured]
    made = {n: "+".join(sorted(record.release(n).get("modalities") or modality.split("+"))) for n in names}
    return [n for n in names if made[n] == modality] or names


def membership(rows: Sequence[Result], release: str, figures: Sequence[str] = ("auc", "person_auc")) -> Result | None:
    """Return how well the strongest attack that may be believed tells what a model learned from.

    Args:
        rows: Everything measured.
        release: The model.
        figures: ``auc`` for recordings, ``person_auc`` for people; the larger of both by default.
    """
    found = [r for r in rows if r.release == release and r.measure.startswith("membership_")]
    areas = [r for r in found if r.measure.partition(".")[2] in figures]
    finite = [r for r in areas if math.isfinite(r.value)]
    return _largest([r for r in finite if informative(r)]) or _largest(finite) or next(iter(areas), None)


def broken_claim(rows: Sequence[Result], release: str) -> str:
    """Return what an attack found above the bound of a model's privacy claim; empty where none did."""
    own = (r for r in rows if r.release == release and _BROKEN in r.note)
    return next((f"{r.measure}: {r.note[r.note.index(_BROKEN) :]}" for r in own), "")


def _model(rows: Sequence[Result], release: str) -> Point | str:
    risk = membership(rows, release)
    utility = next((r for r in rows if r.release == release and r.measure == "model.uar"), None)
    if broken_claim(rows, release):
        return "its privacy claim does not hold"
    if risk is None or not math.isfinite(risk.value):
        return (risk.note if risk else "") or "no membership attack was run on it"
    if utility is None or not math.isfinite(utility.value):
        return (utility.note if utility else "") or "its recall was not measured"
    return Point(release=release, risk=risk, utility=utility)


def _point(rows: Sequence[Result], release: str, modality: str) -> Point | str:
    if modality == "model":
        return _model(rows, release)
    risk = identity(rows, release, modality, "semi_informed")
    utility = emotion(rows, release, modality, "retrained_reader")
    if risk is None or not math.isfinite(risk.value):
        return (risk.note if risk else "") or "no retrained attacker was run on it"
    if utility is None or not math.isfinite(utility.value):
        return (utility.note if utility else "") or "no retrained reader of emotion was run on it"
    return Point(release=release, risk=risk, utility=utility)


def _original(rows: Sequence[Result], modality: str, others: Sequence[Point]) -> Point | None:
    point = _point(rows, "original", modality)
    if isinstance(point, Point):
        return point
    for other in others:
        if math.isfinite(other.risk.baseline) and math.isfinite(other.utility.baseline):
            risk, utility = (
                replace(r, release="original", value=r.baseline, low=math.nan, high=math.nan, note="", detail={})
                for r in (other.risk, other.utility)
            )
            return Point(release="original", risk=risk, utility=utility)
    return None


def _beats(one: Point, other: Point) -> bool:
    at_least = one.risk.value <= other.risk.value and one.utility.value >= other.utility.value
    return at_least and (one.risk.value < other.risk.value or one.utility.value > other.utility.value)


def _beats_beyond_intervals(one: Point, other: Point) -> bool:
    return one.risk.high < other.risk.low and one.utility.low > other.utility.high


def standing(panel: Panel, release: str) -> tuple[_Standing, str]:
    """Say whether a release is on the front, and if not, which one beats it and how surely."""
    point = next((p for p in panel.points if p.release == release), None)
    if point is None:
        return "unknown", "not ranked"
    winners = [p for p in panel.points if _beats(p, point)]
    if not winners:
        return "front", "on the front"
    sure = [p for p in winners if _beats_beyond_intervals(p, point)]
    winner = max(sure or winners, key=lambda p: gain(panel, p))
    if sure:
        return "behind", f"beaten by {winner.release}, beyond the intervals"
    return "near", f"beaten by {winner.release}, within the intervals"


def gain(panel: Panel, point: Point) -> float:
    """Return the share of emotion kept minus the share of identity left, both above guessing.

    0 is what giving away the original, or nothing, or a mixture of the two would reach; 1 is perfect.
    """
    if panel.original is None:
        return math.nan
    kept = _above_guess(point.utility, panel.original.utility)
    left = _above_guess(point.risk, panel.original.risk)
    return kept - left


def _above_guess(row: Result, original: Result) -> float:
    guess = row.control if math.isfinite(row.control) else 0.0
    span = original.value - guess
    return (row.value - guess) / span if span > 0 else math.nan


def best(panel: Panel) -> Point | None:
    """Return the release with the largest gain, if any gains at all."""
    scored = [(gain(panel, p), p) for p in panel.front if not p.original]
    scored = [(g, p) for g, p in scored if math.isfinite(g) and g > 0]
    return max(scored, key=lambda pair: pair[0])[1] if scored else None
