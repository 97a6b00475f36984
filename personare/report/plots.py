"""The report's pictures, each a figure that knows nothing of the page."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

from personare.core.types import Array, Result
from personare.report import words
from personare.report.drawing import COLORS, drawing
from personare.report.frontier import Panel, Point
from personare.report.labels import place_labels

Stroke = tuple[float, float, float, float]
Curve = Mapping[str, Sequence[float]]

_DOTTED: Any = (0, (2, 2.5))  # what guessing gives
_GUESS: dict[str, Any] = {"color": COLORS["muted"], "linewidth": 0.9, "linestyle": _DOTTED, "zorder": 1}
_LEAST_AUC = 0.46  # an AUC of 0.5 is guessing: what lies far below it is empty
_LEAST_RATE = 1e-3
_RUNGS = (
    ("ignorant", "risk-soft", "o", 7.0),
    ("lazy_informed", "risk-mid", "D", 5.0),
    ("semi_informed", "risk", "o", 7.0),
)
_DISTANCES = ("ks", "visits", "gaps")  # figures from 0, the best, to 1
_SIZES = {"o": 7.0, "x": 7.0, "D": 6.0, "*": 9.0}


def draw_frontier(panel: Panel) -> Figure:
    """Draw what each release of one group keeps and gives away."""
    with drawing():
        figure = Figure(figsize=(4.8, 4.2), layout=None)
        _frontier(figure.add_axes((0.115, 0.115, 0.875, 0.875)), panel)
    return figure


def frontier_sheet(drawn: Sequence[Panel]) -> Figure:
    """Draw all frontiers side by side, for a paper."""
    with drawing():
        figure = Figure(figsize=(5.0 * max(len(drawn), 1), 4.6), layout=None, facecolor="white")
        width = 1 / max(len(drawn), 1)
        for i, panel in enumerate(drawn):
            axes = figure.add_axes((i * width + 0.125 * width, 0.125, 0.85 * width, 0.80))
            _frontier(axes, panel)
            axes.set_title(words.group(panel.group), loc="left", fontsize=11, fontweight="bold")
    return figure


def _frontier(axes: Axes, panel: Panel) -> None:
    kind, points = words.kind_of(panel.kind), panel.drawn
    least = _LEAST_AUC if kind["auc"] else 0.0
    x = [v for p in points for v in (p.risk.value, p.risk.high, p.risk.low if kind["auc"] else least)]
    x += [p.together.value for p in points if p.together]
    y = [v for p in points for v in (p.utility.value, p.utility.low, p.utility.high, p.utility.control)]
    x, y = ([v for v in values if math.isfinite(v)] or [0.0, 1.0] for values in (x, y))
    left = min(least, *x)
    right, span = max(*x, left + 0.1), max(max(y) - min(y), 0.1)
    axes.set_xlim(left - 0.03 * (right - left), right + 0.1 * (right - left))
    axes.set_ylim(min(y) - 0.1 * span, max(y) + 0.1 * span)
    strokes = _guess_lines(axes, points) + _front_line(axes, panel)
    front = {p.release for p in panel.front}
    for point in points:
        strokes += _mark(axes, point, on_front=point.release in front, unsure=point in panel.unsure)
    up = f"{panel.kept} of a retrained reader" if panel.kind == "recordings" else kind["up"]
    axes.set_xlabel(f"{kind['right']}   (better ←)")
    axes.set_ylabel(f"{up}   (better →)")
    if not kind["auc"]:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(color=COLORS["faint"], linewidth=0.6)
    axes.set_axisbelow(True)
    _name_points(axes, panel, strokes)


def _guess_lines(axes: Axes, points: Sequence[Point]) -> list[Stroke]:
    """Draw what guessing gives in either direction; return the strokes."""
    text: dict[str, Any] = {"color": COLORS["muted"], "fontsize": 8, "zorder": 1, "textcoords": "offset points"}
    told = [p.risk.control for p in points if math.isfinite(p.risk.control)]
    read = [p.utility.control for p in points if math.isfinite(p.utility.control)]
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    strokes: list[Stroke] = []
    if told:
        at = float(np.median(told))
        axes.axvline(at, **_GUESS)
        axes.annotate("guessing", (at, high), (3, -2), ha="left", va="top", **text)
        y = high - 0.02 * (high - low)
        strokes += [(at, low, at, high), *[(at, y, at + 0.15 * (right - left), y)] * 3]
    if read:
        at = float(np.median(read))
        axes.axhline(at, **_GUESS)
        axes.annotate("guessing", (right, at), (0, -3), ha="right", va="top", **text)
        strokes.append((left, at, right, at))
    return strokes


def _front_line(axes: Axes, panel: Panel) -> list[Stroke]:
    """Draw the staircase of what can be had; return its strokes."""
    corners: list[tuple[float, float]] = []
    for point in panel.front:
        corners += [(point.risk.value, corners[-1][1])] if corners else []
        corners.append((point.risk.value, point.utility.value))
    if len(corners) > 1:
        x, y = zip(*corners, strict=True)
        axes.plot(x, y, color=COLORS["front"], linewidth=1.4, alpha=0.55, zorder=2)
    return [(*a, *b) for a, b in itertools.pairwise(corners)]


def _mark(axes: Axes, point: Point, *, on_front: bool, unsure: bool) -> list[Stroke]:
    """Draw a release with its intervals; return the strokes."""
    x, y = point.risk.value, point.utility.value
    color = COLORS["risk"] if point.original else COLORS["front"] if on_front else COLORS["muted"]
    strokes = [(point.risk.low, y, point.risk.high, y), (x, point.utility.low, x, point.utility.high)]
    strokes = [s for s in strokes if all(map(math.isfinite, s))]
    for x0, y0, x1, y1 in strokes:
        axes.plot([x0, x1], [y0, y1], color=color, linewidth=1.1, alpha=0.5, zorder=3, solid_capstyle="butt")
    if point.together:  # joined, so that it is nobody else's
        far = point.together.value
        strokes.append((x, y, far, y))
        axes.plot([x, far], [y, y], color=color, linewidth=0.7, linestyle=(0, (1, 1.5)), zorder=2.5)
        hollow: dict[str, Any] = {"markerfacecolor": COLORS["paper"], "markeredgecolor": color, "zorder": 3.8}
        axes.plot([far], [y], marker="D", markersize=4.2, linestyle="", **hollow)
    marker, size = ("*", 14) if point.original else ("x", 6) if unsure else ("o", 7.5)
    face = color if on_front or point.original else COLORS["paper"]
    filled: dict[str, Any] = {"markerfacecolor": face, "markeredgecolor": color}
    axes.plot([x], [y], marker=marker, markersize=size, zorder=4, linestyle="", **filled)
    return strokes


def _name_points(axes: Axes, panel: Panel, strokes: Sequence[Stroke]) -> None:
    front = {p.release for p in panel.front}
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    texts, sizes = [], []
    for p in panel.drawn:
        weight = "bold" if p.release in front and not p.original else "normal"
        name = words.label(p.release, panel.kind)
        text = axes.text(0, 0, name, ha="center", va="center", fontsize=9, fontweight=weight, zorder=6, linespacing=1.1)
        extent = text.get_window_extent(renderer)
        texts.append(text)
        sizes.append((extent.width + 2, extent.height))
    to_pixels, box = axes.transData, axes.get_window_extent()
    at = to_pixels.transform([(p.risk.value, p.utility.value) for p in panel.drawn]).reshape(-1, 2)
    lines = to_pixels.transform(np.array(strokes).reshape(-1, 2)).reshape(-1, 4)
    bounds = (box.x0 + 2, box.y0 + 2, box.x1 - 2, box.y1 - 2)
    centers = place_labels(at, np.array(sizes).reshape(-1, 2), bounds, lines)
    for text, point, center, size in zip(texts, at, centers, sizes, strict=True):
        text.set_position(tuple(to_pixels.inverted().transform(center)))
        nearest = np.clip(point, center - np.array(size) / 2, center + np.array(size) / 2)
        if np.linalg.norm(nearest - point) >= 13:  # join a name to its point where it could be taken for another's
            (x0, y0), (x1, y1) = to_pixels.inverted().transform([point, nearest])
            axes.plot([x0, x1], [y0, y1], color=COLORS["ink"], linewidth=0.7, zorder=3.5)


def draw_ladder(rungs: Sequence[tuple[str, Mapping[str, Result | None]]], *, control: float) -> Figure:
    """Draw who is identified by attackers that know more and more; rungs are (label, row by attacker), first on top."""
    with drawing():
        height = 0.62 + 0.29 * len(rungs) + 0.13 * sum("\n" in label for label, _ in rungs)
        figure = Figure(figsize=(4.8, height), layout=None)
        axes = figure.add_axes((0.30, 0.42 / height, 0.67, 1 - 0.50 / height))
        axes.grid(axis="x", color=COLORS["faint"], linewidth=0.6)
        axes.set_axisbelow(True)
        if math.isfinite(control):
            axes.axvline(control, **_GUESS)
        for y, (_, found) in enumerate(rungs):
            rows = {who: r for who, r in found.items() if r is not None and math.isfinite(r.value)}
            ends = [r.value for r in rows.values()]
            if len(ends) > 1:
                axes.plot([min(ends), max(ends)], [y, y], color=COLORS["risk-soft"], linewidth=2.2, zorder=2)
            for who, role, marker, size in _RUNGS:
                if who not in rows:
                    continue
                if who == "semi_informed":
                    _interval(axes, y, rows[who], "risk")
                face = COLORS["paper"] if who == "ignorant" else COLORS[role]
                style: dict[str, Any] = {"markerfacecolor": face, "markeredgecolor": COLORS["risk"], "linestyle": ""}
                axes.plot([rows[who].value], [y], marker=marker, markersize=size, zorder=4, **style)
        axes.set_yticks(
            range(len(rungs)), [name for name, _ in rungs], color=COLORS["ink"], fontsize=9, linespacing=1.0
        )
        axes.set(ylim=(len(rungs) - 0.4, -0.6), xlim=(-0.02, 1.02))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("identified at first guess (top-1)", fontsize=9)
    return figure


def draw_histograms(mated: Mapping[str, Any], non_mated: Mapping[str, Any]) -> Figure:
    """Draw the ``counts`` by ``edges`` of an attack's scores of clips against their own person, and against others."""
    with drawing():
        figure = Figure(figsize=(3.7, 2.0), layout=None)
        axes = figure.add_axes((0.03, 0.20, 0.94, 0.78))
        for part, role, hatch in ((non_mated, "muted", ""), (mated, "risk", "////")):
            edges, counts = np.asarray(part["edges"], float), np.asarray(part["counts"], float)
            density, color = counts / max(float((counts * np.diff(edges)).sum()), 1e-12), COLORS[role]
            filled: dict[str, Any] = {"facecolor": color, "edgecolor": color, "hatch": hatch, "linewidth": 0}
            axes.stairs(density, edges, fill=True, alpha=0.28, **filled)
            axes.stairs(density, edges, color=color, linewidth=1.2)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("score given by the attack  (higher = “this is the person”)", fontsize=8.5)
    return figure


def draw_roc(curves: Mapping[str, Curve], bound: Curve | None) -> Figure:
    """Draw the ``fpr`` and ``tpr`` of membership attacks by name, and above them what a claim of privacy allows."""
    rates = [rate for curve in curves.values() for rate in curve["fpr"] if rate > 0]
    least = max(min(rates, default=_LEAST_RATE) / 1.5, _LEAST_RATE)  # a little below what so many others can resolve

    def above(curve: Curve) -> tuple[Array, Array]:
        """On logarithmic axes what is found with no mistake at all has no place of its own."""
        return np.maximum(curve["fpr"], least), np.maximum(curve["tpr"], least / 10)

    with drawing():
        figure = Figure(figsize=(3.7, 3.2), layout=None)
        axes = figure.add_axes((0.20, 0.15, 0.73, 0.82))
        line = np.geomspace(least, 1, 50)
        axes.plot(line, line, label="guessing", **_GUESS)
        if bound:
            axes.plot(*above(bound), color=COLORS["front"], linewidth=1.8, label="the claim allows")
        styles: list[Any] = ["-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)), (0, (6, 2, 2, 2))]
        for style, (name, curve) in zip(itertools.cycle(styles), curves.items(), strict=False):
            axes.plot(*above(curve), color=COLORS["risk"], linewidth=1.3, linestyle=style, label=name)
        axes.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(least, 1.1))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("others taken for members", fontsize=9)
        axes.set_ylabel("members found", fontsize=9)
        axes.legend(loc="lower right", fontsize=8, frameon=False)
    return figure


def draw_reliability(bins: Mapping[str, Sequence[float]]) -> Figure:
    """Draw how often a model is right by ``confidence``, ``accuracy`` and ``count`` of bins; empty ones are None."""
    names = ("confidence", "accuracy", "count")
    sure, right, count = (np.array([np.nan if v is None else v for v in bins[name]], float) for name in names)
    with drawing():
        figure = Figure(figsize=(3.7, 3.2), layout=None)
        axes = figure.add_axes((0.17, 0.15, 0.80, 0.82))
        axes.plot([0, 1], [0, 1], **_GUESS)
        axes.plot(sure, right, color=COLORS["front"], linewidth=1.0, alpha=0.5)
        size = 6 + 90 * count / max(np.nanmax(count, initial=1.0), 1.0)
        axes.scatter(sure, right, s=size, color=COLORS["front"], zorder=3, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.set_xlabel("how sure the model is", fontsize=9)
        axes.set_ylabel("how often it is right", fontsize=9)
    return figure


def _lines(count: int) -> tuple[Figure, Axes]:
    """Return room for so many lines, the words of each above it so that they may be long."""
    height = 0.50 + 0.40 * count
    figure = Figure(figsize=(4.0, height), layout=None)
    axes = figure.add_axes((0.03, 0.45 / height, 0.94, 1 - 0.50 / height))
    axes.grid(axis="x", color=COLORS["faint"], linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set(ylim=(count - 0.25, -0.75), yticks=[])
    axes.spines["left"].set_visible(False)
    return figure, axes


def _say(axes: Axes, y: float, left: str, right: str) -> None:
    common: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 8.5, "zorder": 5}
    common["bbox"] = {"facecolor": COLORS["paper"], "edgecolor": "none", "pad": 0.6}  # lines must not cross words
    axes.text(0.0, y - 0.44, left, ha="left", **common)
    axes.text(1.0, y - 0.44, right, ha="right", color=COLORS["muted"], **common)


def _interval(axes: Axes, y: float, row: Result, color: str) -> None:
    if math.isfinite(row.low) and math.isfinite(row.high):
        axes.plot([row.low, row.high], [y, y], color=COLORS[color], linewidth=1.1, solid_capstyle="butt", zorder=3)


def _dot(axes: Axes, x: float, y: float, marker: str, color: str, *, filled: bool = True) -> None:
    if math.isfinite(x):
        face = COLORS[color if filled else "paper"]
        style: dict[str, Any] = {"markerfacecolor": face, "markeredgecolor": COLORS[color], "linestyle": ""}
        axes.plot([x], [y], marker=marker, markersize=_SIZES[marker], clip_on=False, zorder=4, **style)


def draw_carriers(parts: Sequence[Mapping[str, Any]], *, most: int = 12) -> Figure:
    """Draw the ``drop``, ``low`` to ``high``, of what is identified once ``columns`` of ``modality`` are exchanged."""
    chosen = sorted(parts, key=lambda part: -float(part["drop"]))[:most]
    with drawing():
        figure, axes = _lines(len(chosen))
        for y, part in enumerate(chosen):
            drop, low, high = (float(part[key]) for key in ("drop", "low", "high"))
            axes.barh(y, drop, height=0.34, color=COLORS["risk" if low > 0 else "risk-soft"], alpha=0.75, zorder=2)
            axes.plot([low, high], [y, y], color=COLORS["ink"], linewidth=1.1, solid_capstyle="butt", zorder=3)
            _say(axes, y, f"{part['modality']}: {part['columns']}", f"{100 * drop:.0f} points")
        axes.axvline(0, color=COLORS["muted"], linewidth=0.8, zorder=1)
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f}")
        axes.set_xlabel("percentage points fewer recordings identified", fontsize=9)
    return figure


def draw_likeness(rows: Sequence[Result]) -> Figure:
    """Draw measures of likeness, each turned so that right is better and 1 is perfect.

    The baseline is that of other real people, the control that of recordings whose modalities were put together at
    random: left out where it is no worse, for shuffling whole modalities leaves each of them as it is.
    """

    def turned(row: Result, value: float) -> float:
        """What lies beyond the scale is drawn at its end."""
        if row.figure in ("told_apart_linear", "told_apart_trees"):
            value = 2 - 2 * value  # an AUC of 0.5 is the best there is
        elif row.figure in _DISTANCES:
            value = 1 - value
        return min(max(value, 0.0), 1.0) if math.isfinite(value) else math.nan

    with drawing():
        figure, axes = _lines(len(rows))
        for y, row in enumerate(rows):
            worst, best, made, *ends = (
                turned(row, v) for v in (row.control, row.baseline, row.value, row.low, row.high)
            )
            if all(map(math.isfinite, ends)):
                axes.plot(ends, [y, y], color=COLORS["front"], linewidth=1.1, solid_capstyle="butt", zorder=3)
            if worst < best:
                _dot(axes, worst, y, "x", "muted")
            _dot(axes, best, y, "D", "muted", filled=False)
            _dot(axes, made, y, "o", "front")
            _say(axes, y, words.measure(row), f"{row.value:.2f}")
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel("nothing alike  →  perfectly alike", fontsize=9)
    return figure


def draw_found(rows: Sequence[tuple[str, Result]], *, label: str) -> Figure:
    """Draw what attacks find by name, beside guessing and what they find where nothing is protected."""
    with drawing():
        figure, axes = _lines(len(rows))
        for y, (name, row) in enumerate(rows):
            if math.isfinite(row.control):
                axes.plot([row.control] * 2, [y - 0.75, y + 0.25], **_GUESS)
            _interval(axes, y, row, "risk")
            _dot(axes, row.baseline, y, "*", "muted", filled=False)
            _dot(axes, row.value, y, "o", "risk", filled=row.status != "not_informative")
            _say(axes, y, name, f"{row.value:.2f}")
        ends = [v for _, r in rows for v in (r.value, r.low, r.control) if math.isfinite(v)]
        axes.set_xlim(min(ends) - 0.02, 1.02)
        axes.set_xlabel(f"{label}   (better ←)", fontsize=9)
    return figure
