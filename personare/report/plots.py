"""The report's pictures: the frontier, the ladder of attackers, and how well an attack tells people apart."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from personare.core.types import Array, Result
from personare.report import wording
from personare.report.drawing import COLORS, drawing
from personare.report.frontier import Panel, Point
from personare.report.labels import place_labels

__all__ = ["draw_frontier", "draw_histograms", "draw_ladder", "frontier_sheet"]

_LEAST_AUC = 0.46  # an area of 0.5 is guessing: what lies far below it is empty
_ATTACKERS = (("ignorant", "risk-soft", "o"), ("lazy_informed", "risk-mid", "D"), ("semi_informed", "risk", "o"))


def draw_frontier(panel: Panel) -> Figure:
    """Draw what each release of one modality keeps and gives away."""
    with drawing():
        figure = Figure(figsize=(4.8, 4.2), layout=None)
        axes = figure.add_axes((0.115, 0.115, 0.875, 0.875))
        _frontier(axes, panel)
    return figure


def frontier_sheet(drawn: Sequence[Panel]) -> Figure:
    """Draw all frontiers side by side, for a paper."""
    with drawing():
        figure = Figure(figsize=(5.0 * max(len(drawn), 1), 4.6), layout=None, facecolor="white")
        width = 1 / max(len(drawn), 1)
        for i, panel in enumerate(drawn):
            axes = figure.add_axes((i * width + 0.125 * width, 0.125, 0.85 * width, 0.80))
            _frontier(axes, panel)
            axes.set_title(wording.group(panel.modality), loc="left", fontsize=11, fontweight="bold")
    return figure


def _frontier(axes: Axes, panel: Panel) -> None:
    everyone = [*panel.points, *panel.unsure]
    _limits(axes, everyone, least=_LEAST_AUC if panel.modality in wording.AREAS else 0.0)
    strokes = _guess_lines(axes, everyone) + _front_line(axes, panel)
    front = {p.release for p in panel.front}
    for point in everyone:
        _point(axes, point, on_front=point.release in front, unsure=point in panel.unsure)
    right, up = wording.axes(panel.modality, panel.kept)
    axes.set_xlabel(right)
    axes.set_ylabel(up)
    if panel.modality not in wording.AREAS:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(color=COLORS["faint"], linewidth=0.6)
    axes.set_axisbelow(True)
    _name_points(axes, panel, strokes)


def _limits(axes: Axes, points: Sequence[Point], least: float) -> None:
    x = [v for p in points for v in (p.risk.value, p.risk.low if least else least, p.risk.high)]
    x += [p.together.value for p in points if p.together]
    y = [v for p in points for v in (p.utility.value, p.utility.low, p.utility.high, p.utility.control)]
    x, y = ([v for v in values if math.isfinite(v)] or [0.0, 1.0] for values in (x, y))
    left = min(least, *x)
    right, span = max(*x, left + 0.1), max(max(y) - min(y), 0.1)
    axes.set_xlim(left - 0.03 * (right - left), right + 0.1 * (right - left))
    axes.set_ylim(min(y) - 0.1 * span, max(y) + 0.1 * span)


def _guess_lines(axes: Axes, points: Sequence[Point]) -> list[tuple[float, float, float, float]]:
    """Draw what guessing gives in either direction; return the strokes."""
    style: dict[str, Any] = {"color": COLORS["muted"], "linewidth": 0.9, "linestyle": (0, (2, 2.5)), "zorder": 1}
    text: dict[str, Any] = {"color": COLORS["muted"], "fontsize": 8, "zorder": 1, "textcoords": "offset points"}
    named = _median([p.risk.control for p in points])
    recalled = _median([p.utility.control for p in points])
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    strokes = []
    if named is not None:
        axes.axvline(named, **style)
        axes.annotate("guessing", (named, high), (3, -2), ha="left", va="top", **text)
        end = named + 0.15 * (right - left)
        strokes += [(named, low, named, high), *[(named, y, end, y) for y in (high - 0.02 * (high - low),) * 3]]
    if recalled is not None:
        axes.axhline(recalled, **style)
        axes.annotate("guessing", (right, recalled), (0, -3), ha="right", va="top", **text)
        strokes.append((left, recalled, right, recalled))
    return strokes


def _median(values: Sequence[float]) -> float | None:
    finite = [v for v in values if math.isfinite(v)]
    return float(np.median(finite)) if finite else None


def _front_line(axes: Axes, panel: Panel) -> list[tuple[float, float, float, float]]:
    """Draw the staircase of what can be had; return its strokes."""
    corners: list[tuple[float, float]] = []
    for point in panel.front:
        if corners:
            corners.append((point.risk.value, corners[-1][1]))
        corners.append((point.risk.value, point.utility.value))
    if len(corners) > 1:
        x, y = zip(*corners, strict=True)
        axes.plot(x, y, color=COLORS["front"], linewidth=1.4, alpha=0.55, zorder=2)
    return [(*a, *b) for a, b in itertools.pairwise(corners)]


def _point(axes: Axes, point: Point, *, on_front: bool, unsure: bool) -> None:
    x, y = point.risk.value, point.utility.value
    color = COLORS["risk"] if point.original else COLORS["front"] if on_front else COLORS["muted"]
    bars: dict[str, Any] = {"color": color, "linewidth": 1.1, "alpha": 0.5, "zorder": 3, "solid_capstyle": "butt"}
    for row, ends in ((point.risk, "x"), (point.utility, "y")):
        if math.isfinite(row.low) and math.isfinite(row.high):
            line = ([row.low, row.high], [y, y]) if ends == "x" else ([x, x], [row.low, row.high])
            axes.plot(*line, **bars)
    if point.together:  # joined, so that it is nobody else's
        far = point.together.value
        axes.plot([x, far], [y, y], color=color, linewidth=0.7, linestyle=(0, (1, 1.5)), zorder=2.5)
        hollow: dict[str, Any] = {"markerfacecolor": COLORS["paper"], "markeredgecolor": color, "zorder": 3.8}
        axes.plot([far], [y], marker="D", markersize=4.2, linestyle="", **hollow)
    marker, size = ("*", 14) if point.original else ("x", 6) if unsure else ("o", 7.5)
    face = COLORS["paper"] if not (on_front or point.original) else color
    axes.plot(
        [x], [y], marker=marker, markersize=size, markerfacecolor=face, markeredgecolor=color, zorder=4, linestyle=""
    )


def _name_points(axes: Axes, panel: Panel, strokes: list[tuple[float, float, float, float]]) -> None:
    everyone = [*panel.points, *panel.unsure]
    front = {p.release for p in panel.front}
    names = [wording.label(p.release, panel.modality) for p in everyone]
    weights = ["bold" if p.release in front and not p.original else "normal" for p in everyone]
    where = axes.transData
    at = np.array([where.transform((p.risk.value, p.utility.value)) for p in everyone]).reshape(-1, 2)
    sizes = _text_sizes(axes, names, weights)
    bars = [s for p in everyone for s in _bar_strokes(p)] + strokes
    lines = np.array([[*where.transform(s[:2]), *where.transform(s[2:])] for s in bars]).reshape(-1, 4)
    box = axes.get_window_extent()
    centers = place_labels(at, sizes, (box.x0 + 2, box.y0 + 2, box.x1 - 2, box.y1 - 2), lines)
    for name, weight, point, center, size in zip(names, weights, at, centers, sizes, strict=True):
        _leader(axes, point, center, size)
        x, y = where.inverted().transform(center)
        axes.text(x, y, name, ha="center", va="center", fontsize=9, fontweight=weight, zorder=6, linespacing=1.1)


def _bar_strokes(point: Point) -> list[tuple[float, float, float, float]]:
    x, y = point.risk.value, point.utility.value
    bars = [(point.risk.low, y, point.risk.high, y), (x, point.utility.low, x, point.utility.high)]
    bars += [(x, y, point.together.value, y)] if point.together else []
    return [b for b in bars if all(math.isfinite(v) for v in b)]


def _text_sizes(axes: Axes, names: Sequence[str], weights: Sequence[str]) -> Array:
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    sizes = []
    for name, weight in zip(names, weights, strict=True):
        text = axes.text(0, 0, name, fontsize=9, fontweight=weight, linespacing=1.1)
        extent = text.get_window_extent(renderer)
        sizes.append((extent.width + 2, extent.height))
        text.remove()
    return np.array(sizes).reshape(-1, 2)


def _leader(axes: Axes, point: Array, center: Array, size: Array) -> None:
    """Join a name to its point where it could be taken for another's."""
    nearest = np.clip(point, center - size / 2, center + size / 2)
    if np.linalg.norm(nearest - point) < 13:
        return
    (x0, y0), (x1, y1) = axes.transData.inverted().transform([point, nearest])
    axes.plot([x0, x1], [y0, y1], color=COLORS["ink"], linewidth=0.7, zorder=3.5)


def draw_ladder(rungs: Sequence[tuple[str, Mapping[str, Result]]], *, control: float) -> Figure:
    """Draw who is named by attackers that know more and more.

    Args:
        rungs: (label, rows by attacker), in the order in which they are drawn, first on top.
        control: What guessing gives.
    """
    labels = [label for label, _ in rungs]
    with drawing():
        height = 0.62 + 0.29 * len(rungs) + 0.13 * sum("\n" in label for label in labels)
        figure = Figure(figsize=(4.8, height), layout=None)
        axes = figure.add_axes((0.30, 0.42 / height, 0.67, 1 - 0.50 / height))
        axes.grid(axis="x", color=COLORS["faint"], linewidth=0.6)
        axes.set_axisbelow(True)
        if math.isfinite(control):
            axes.axvline(control, color=COLORS["muted"], linewidth=0.9, linestyle=(0, (2, 2.5)), zorder=1)
        for y, (_, rows) in enumerate(rungs):
            _rung(axes, float(y), rows)
        axes.set_yticks(range(len(rungs)), labels, color=COLORS["ink"], fontsize=9, linespacing=1.0)
        axes.set_ylim(len(rungs) - 0.4, -0.6)
        axes.set_xlim(-0.02, 1.02)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("named at the first guess", fontsize=9)
    return figure


def _rung(axes: Axes, y: float, rows: Mapping[str, Result]) -> None:
    values = [r.value for r in rows.values() if math.isfinite(r.value)]
    if len(values) > 1:
        axes.plot([min(values), max(values)], [y, y], color=COLORS["risk-soft"], linewidth=2.2, zorder=2)
    for attacker, role, marker in _ATTACKERS:
        row = rows.get(attacker)
        if row is None or not math.isfinite(row.value):
            continue
        if attacker == "semi_informed" and math.isfinite(row.low):
            axes.plot([row.low, row.high], [y, y], color=COLORS["risk"], linewidth=1.0, zorder=3)
        size = {"ignorant": 7.0, "lazy_informed": 5.0, "semi_informed": 7.0}[attacker]
        face = COLORS["paper"] if attacker == "ignorant" else COLORS[role]
        axes.plot(
            [row.value],
            [y],
            marker=marker,
            markersize=size,
            markerfacecolor=face,
            markeredgecolor=COLORS["risk"],
            linestyle="",
            zorder=4,
        )


def draw_histograms(mated: Mapping[str, Any], non_mated: Mapping[str, Any]) -> Figure:
    """Draw how an attack scores clips against their own person and against others.

    Args:
        mated: ``edges`` and ``counts`` of scores against the right person.
        non_mated: The same against everybody else.
    """
    with drawing():
        figure = Figure(figsize=(3.7, 2.0), layout=None)
        axes = figure.add_axes((0.03, 0.20, 0.94, 0.78))
        for part, role, hatch in ((non_mated, "muted", ""), (mated, "risk", "////")):
            edges, counts = np.asarray(part["edges"], float), np.asarray(part["counts"], float)
            density = counts / max(float((counts * np.diff(edges)).sum()), 1e-12)
            axes.stairs(
                density,
                edges,
                fill=True,
                alpha=0.28,
                facecolor=COLORS[role],
                edgecolor=COLORS[role],
                hatch=hatch,
                linewidth=0,
            )
            axes.stairs(density, edges, color=COLORS[role], linewidth=1.2)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("score given by the attack  (higher = “this is the person”)", fontsize=8.5)
    return figure
