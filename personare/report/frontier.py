"""The frontier of each kind of release: which releases nothing else beats, and which is the best trade."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from personare.core.types import Result
from personare.report.figures import choose, identity, informative, unprotected
from personare.report.run import KINDS, RunRecord
from personare.report.trained import LEAKY
from personare.report.wording import AREAS

__all__ = ["Panel", "Point", "baseline", "before", "best", "gain", "panels", "standing"]

_MODALITIES = ("audio", "video", "audio+video", "representation", "synthetic", "model")
_SAME = 0.015  # a difference that two figures after the point hardly show
_LEAKY_WORDS = "it was judged on people it learned from, the others were not"
_Standing = Literal["front", "near", "behind", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A release on the frontier picture.

    Attributes:
        release: Its name.
        risk: Share of people or clips named by the retrained attacker; of a model, the area of the strongest
            membership attack.
        utility: Recall (or concordance) of the retrained reader; of a model, its own.
        together: Share of people named from all of their recordings; None where it was not measured.
    """

    release: str
    risk: Result
    utility: Result
    together: Result | None = None

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
        kept: What the utility is called, e.g. ``emotion recall``.
    """

    modality: str
    points: tuple[Point, ...]
    unsure: tuple[Point, ...]
    absent: tuple[tuple[str, str], ...]
    kept: str = "emotion recall"

    @property
    def original(self) -> Point | None:
        """The unprotected cohort."""
        return next((p for p in self.points if p.original), None)

    @property
    def baselines(self) -> tuple[float, float] | None:
        """From where to where the utility of what is not protected goes; None where it is the same for all releases."""
        told = [p.utility.baseline for p in (*self.points, *self.unsure) if math.isfinite(p.utility.baseline)]
        differ = self.modality in KINDS and told and max(told) - min(told) >= _SAME
        return (min(told), max(told)) if differ else None

    @property
    def front(self) -> list[Point]:
        """The points that no other beats in both figures, from the least risk up."""
        kept = [p for p in self.points if not any(_beats(q, p) for q in self.points)]
        return sorted(kept, key=lambda p: (p.risk.value, p.utility.value))


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
    everyone = (*start, *points)
    return Panel(modality=modality, points=everyone, unsure=tuple(unsure), absent=tuple(absent), kept=record.kept)


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


def _point(rows: Sequence[Result], release: str, modality: str) -> Point | str:
    chosen = choose(rows, release, modality)
    if isinstance(chosen, str):
        return chosen
    whole = None if modality in AREAS else identity(rows, release, modality, "semi_informed", "person_top1")
    measured = whole if whole is not None and whole.status == "ok" else None
    return Point(release=release, risk=chosen[0], utility=chosen[1], together=measured)


def _original(rows: Sequence[Result], modality: str, others: Sequence[Point]) -> Point | None:
    point = _point(rows, "original", modality)
    if isinstance(point, Point):
        return point
    found = [(pair, other) for other in others if (pair := unprotected(rows, other.risk, other.utility))]
    if not found:
        return None
    (risk, utility), other = max(found, key=lambda one: one[0][1].value)
    return Point(release="original", risk=risk, utility=utility, together=baseline(other.together))


def baseline(row: Result | None) -> Result | None:
    """Return what the same figure was where nothing was protected."""
    if row is None or not math.isfinite(row.baseline):
        return None
    return replace(row, release="original", value=row.baseline, low=math.nan, high=math.nan, note="", detail={})


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
    """Return the share of what is read kept minus the share of identity left, both above guessing.

    0 is what giving away the original, or nothing, or a mixture of the two would reach; 1 is perfect.
    """
    if panel.original is None:
        return math.nan
    original = before(panel, point)
    return _above_guess(point.utility, original.utility) - _above_guess(point.risk, original.risk)


def before(panel: Panel, point: Point) -> Point:
    """Return what is not protected, to hold a release against: of representations and synthetic people, their own.

    They may be made of different features or parts of the people. The panel must have an original.
    """
    assert panel.original is not None
    if panel.modality not in KINDS:
        return panel.original
    own = {"risk": (point.risk, panel.original.risk), "utility": (point.utility, panel.original.utility)}
    rows = {
        name: replace(known, value=row.baseline if math.isfinite(row.baseline) else known.value)
        for name, (row, known) in own.items()
    }
    together = baseline(point.together) or panel.original.together
    return Point(release="original", **rows, together=together)


def _above_guess(row: Result, original: Result) -> float:
    guess = row.control if math.isfinite(row.control) else 0.0
    span = original.value - guess
    return (row.value - guess) / span if span > 0 else math.nan


def best(panel: Panel) -> Point | None:
    """Return the release with the largest gain, if any gains at all."""
    scored = [(gain(panel, p), p) for p in panel.front if not p.original]
    scored = [(g, p) for g, p in scored if math.isfinite(g) and g > 0]
    return max(scored, key=lambda pair: pair[0])[1] if scored else None
