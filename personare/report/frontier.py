"""The frontier of each kind of release: which releases nothing else beats, and which is the best trade."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from personare.core.channels import CHANNELS
from personare.core.strongest import IDENTIFY_ALL, baseline, choose, group_of, informative, unprotected
from personare.core.types import Result
from personare.report.run import RunRecord
from personare.report.words import KINDS, kind_of

_ORDER = (*(channel.track for channel in CHANNELS), "audio+video", *KINDS)
_SAME = 0.015  # a difference that two figures after the point hardly show


@dataclass(frozen=True, kw_only=True)
class Point:
    """A release on the frontier."""

    release: str
    risk: Result
    utility: Result
    together: Result | None = None  # who is identified from all recordings, None where not measured

    @property
    def original(self) -> bool:
        """Whether this is the unprotected cohort."""
        return self.release == "original"

    def beats(self, other: "Point") -> bool:
        """Whether this is better in one figure and no worse in the other."""
        at_least = self.risk.value <= other.risk.value and self.utility.value >= other.utility.value
        return at_least and (self.risk.value < other.risk.value or self.utility.value > other.utility.value)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The frontier of one group of releases: of a modality of recordings, or of another kind."""

    group: str
    kind: str
    points: Sequence[Point]  # both figures of attacks that passed their self-test, the original among them if known
    unsure: Sequence[Point] = ()  # drawn apart and never ranked
    absent: Sequence[tuple[str, str]] = ()  # release, reason
    utility_name: str = "emotion recall"

    @property
    def original(self) -> Point | None:
        """The unprotected cohort."""
        return next((p for p in self.points if p.original), None)

    @property
    def all_points(self) -> tuple[Point, ...]:
        """All that has a place in the picture."""
        return (*self.points, *self.unsure)

    @property
    def baselines(self) -> tuple[float, float] | None:
        """From where to where the utility of what is not protected goes; None where it is the same for all releases."""
        values = [p.utility.baseline for p in self.all_points if math.isfinite(p.utility.baseline)]
        differ = self.kind != "recordings" and values and max(values) - min(values) >= _SAME
        return (min(values), max(values)) if differ else None

    @property
    def front(self) -> list[Point]:
        """The points that no other beats in both figures, from the least risk up."""
        unbeaten = [p for p in self.points if not any(q.beats(p) for q in self.points)]
        return sorted(unbeaten, key=lambda p: (p.risk.value, p.utility.value))


def panels(record: RunRecord) -> list[Panel]:
    """Return a panel for each group in which anything was measured."""
    kinds = {group_of(r): r.kind for r in record.results if r.question != "cost"}
    order = sorted(filter(None, kinds), key=lambda g: (_ORDER.index(g) if g in _ORDER else len(_ORDER), g))
    panels = [_panel(record, group, kinds[group]) for group in order]
    return [p for p in panels if p.all_points or p.absent]


def _panel(record: RunRecord, group: str, kind: str) -> Panel:
    points: list[Point] = []
    unsure: list[Point] = []
    absent: list[tuple[str, str]] = []
    measured = {r.release for r in record.results if group_of(r) == group and r.question != "cost"}
    names = [n for n in record.names() if n in measured]
    if kind == "recordings":  # one that hides face and voice would repeat the voice's point
        hidden = {n: "+".join(record.release(n).get("modalities") or [group]) for n in names}
        names = [n for n in names if hidden[n] == group] or names
    leaky = set(filter(record.leaky, names))
    for name in names:
        point = _point(record.results, name, kind, group)
        if name in leaky and len(leaky) < len(names):  # one picture cannot hold both
            absent.append((name, "it was judged on people it was trained on, the others were not"))
        elif isinstance(point, str):
            absent.append((name, point))
        else:
            (points if informative(point.risk) else unsure).append(point)
    original = _point(record.results, "original", kind, group)
    if isinstance(original, str):  # what the baselines of the releases say of it
        pairs = [(pair, p) for p in (*points, *unsure) if (pair := unprotected(record.results, p.risk, p.utility))]
        if pairs:
            (risk, utility), other = max(pairs, key=lambda pair: pair[0][1].value)
            original = Point(release="original", risk=risk, utility=utility, together=baseline(other.together))
    if isinstance(original, Point):
        points.insert(0, original)
    elif kind == "recordings":
        absent.insert(0, ("original", original))
    utility_name = record.utility_name if kind == "recordings" else kind_of(kind).get("utility", "recall")
    return Panel(group=group, kind=kind, points=points, unsure=unsure, absent=absent, utility_name=utility_name)


def _point(rows: Sequence[Result], release: str, kind: str, group: str) -> Point | str:
    pair = choose(rows, release, kind, group)
    if isinstance(pair, str):
        return pair
    together = None if kind_of(kind)["auc"] else IDENTIFY_ALL.find(rows, release, group)
    if together is not None and together.status != "ok":
        together = None
    return Point(release=release, risk=pair[0], utility=pair[1], together=together)


def standing(panel: Panel | None, release: str) -> tuple[str, str]:
    """Say whether a release is on the front, and if not, which one beats it and how surely, or why it is not ranked.

    The first is ``front``, ``near``, ``behind`` or ``unknown``.
    """
    if panel is None:
        return "unknown", "not ranked: nothing was measured"
    point = next((p for p in panel.points if p.release == release), None)
    if point is None:
        doubted = release in {p.release for p in panel.unsure}
        why = kind_of(panel.kind)["unsure"] if doubted else dict(panel.absent).get(release, "")
        return "unknown", f"not ranked: {why}" if why else "not ranked"
    winners = [p for p in panel.points if p.beats(point)]
    if not winners:
        return "front", "on the front"
    sure = [p for p in winners if p.risk.high < point.risk.low and p.utility.low > point.utility.high]
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

    def share(row: Result, of: Result) -> float:
        guess = row.control if math.isfinite(row.control) else 0.0
        return (row.value - guess) / (of.value - guess) if of.value > guess else math.nan

    return share(point.utility, original.utility) - share(point.risk, original.risk)


def before(panel: Panel, point: Point) -> Point:
    """Return what is not protected, to hold a release against: of other kinds than recordings, its own baselines.

    They may be made of different features or parts of the people. The panel must have an original.
    """
    assert panel.original is not None
    if panel.kind == "recordings":
        return panel.original
    risk, utility = (
        replace(original, value=row.baseline if math.isfinite(row.baseline) else original.value)
        for row, original in ((point.risk, panel.original.risk), (point.utility, panel.original.utility))
    )
    together = baseline(point.together) or panel.original.together
    return Point(release="original", risk=risk, utility=utility, together=together)


def best(panel: Panel) -> Point | None:
    """Return the release with the largest gain, if any gains at all."""
    gains = [(gain(panel, p), p) for p in panel.front if not p.original]
    return max((pair for pair in gains if pair[0] > 0), key=lambda pair: pair[0], default=(0.0, None))[1]
