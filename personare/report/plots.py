"""The report's pictures, each a figure that knows nothing of the page, and figures as small SVG for inside it."""

import io
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any, cast

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

from personare.core.types import Array, Result
from personare.report import words
from personare.report.frontier import Panel, Point
from personare.report.labels import place_labels

Stroke = tuple[float, float, float, float]
Curve = Mapping[str, Sequence[float]]

COLORS: Mapping[str, str] = dict(re.findall(r"--([\w-]+):(#[0-9a-f]{6})", words.text("style.css").partition("}")[0]))
"""Roles and their colors in the light theme, as ``style.css`` names them; inside the page each follows the theme.

Blue and vermilion stay apart for color-blind readers; every difference is also one of shape or fill.
"""
_STYLE: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.edgecolor": COLORS["muted"],
    "axes.labelcolor": COLORS["ink"],
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": False,
    "xtick.color": COLORS["muted"],
    "ytick.color": COLORS["muted"],
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": COLORS["ink"],
    "text.parse_math": False,
    "figure.dpi": 72,
    "svg.fonttype": "none",
}
_DOTTED: Any = (0, (2, 2.5))  # what guessing gives
_GUESS: dict[str, Any] = {"color": COLORS["muted"], "linewidth": 0.9, "linestyle": _DOTTED, "zorder": 1}
_LEAST_AUC = 0.46  # an AUC of 0.5 is guessing: what lies far below it is empty
_LEAST_RATE = 1e-3
_RUNGS = (
    ("ignorant", "paper", "o", 7.0),
    ("lazy_informed", "risk-mid", "D", 5.0),
    ("semi_informed", "risk", "o", 7.0),
)
_DISTANCES = ("ks", "visits", "gaps")  # figures from 0, the best, to 1
_SIZES = {"o": 7.0, "x": 7.0, "D": 6.0, "*": 9.0}
_ids = itertools.count(1)


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the report's style inside this block."""
    with matplotlib.rc_context(cast(Any, _STYLE)):
        yield


def to_svg(figure: Figure, *, title: str) -> str:
    """Return a figure drawn inside ``drawing()`` as an ``<svg>`` element for the page.

    Colors become CSS variables ``--ink`` and so on, ids are unique in the process; ``title`` says in words what the
    picture shows, for those who cannot see it.
    """
    stream = io.StringIO()
    with drawing():
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    svg = stream.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>f{next(_ids)}-", svg)
    svg = re.sub(r"font: ?([\d.]+px) 'DejaVu Sans'[^;\"]*", r"font-size: \1; font-family: inherit", svg)
    svg = re.sub(r"font-family: ?'DejaVu Sans'[^;\"]*", "font-family: inherit", svg)
    for role, color in COLORS.items():
        svg = svg.replace(color, f"var(--{role})")
    head, rest = re.sub(r"\s*\n\s*", "\n", svg).split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{escape(title, quote=True)}">{rest}'


def _blank(width: float, height: float, box: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout=None)
    return figure, figure.add_axes(box)


def _dot(axes: Axes, x: float, y: float, marker: str, size: float, edge: str, face: str, **more: Any) -> None:
    colors: dict[str, Any] = {"markerfacecolor": COLORS[face], "markeredgecolor": COLORS[edge]}
    axes.plot([x], [y], marker=marker, markersize=size, linestyle="", **{"zorder": 4, **colors, **more})


def _interval(axes: Axes, low: float, high: float, y: float, color: str) -> None:
    if math.isfinite(low) and math.isfinite(high):
        axes.plot([low, high], [y, y], color=COLORS[color], linewidth=1.1, solid_capstyle="butt", zorder=3)


@drawing()
def draw_frontier(panel: Panel) -> Figure:
    """Draw what each release of one group keeps and gives away."""
    figure, axes = _blank(4.8, 4.2, (0.115, 0.115, 0.875, 0.875))
    _frontier(axes, panel)
    return figure


@drawing()
def frontier_sheet(panels: Sequence[Panel]) -> Figure:
    """Draw all frontiers side by side, for a paper."""
    figure = Figure(figsize=(5.0 * len(panels), 4.6), layout=None, facecolor="white")
    width = 1 / len(panels)
    for i, panel in enumerate(panels):
        axes = figure.add_axes((i * width + 0.125 * width, 0.125, 0.85 * width, 0.80))
        _frontier(axes, panel)
        axes.set_title(words.group(panel.group), loc="left", fontsize=11, fontweight="bold")
    return figure


def _frontier(axes: Axes, panel: Panel) -> None:
    kind, points = words.kind_of(panel.kind), panel.all_points
    least = _LEAST_AUC if kind["auc"] else 0.0
    x = [v for p in points for v in (p.risk.value, p.risk.high, p.risk.low if kind["auc"] else least)]
    x += [p.together.value for p in points if p.together]
    y = [v for p in points for v in (p.utility.value, p.utility.low, p.utility.high, p.utility.control)]
    x, y = ([v for v in values if math.isfinite(v)] or [0.0, 1.0] for values in (x, y))
    left = min(least, *x)
    right, span = max(*x, left + 0.1), max(max(y) - min(y), 0.1)
    axes.set_xlim(left - 0.03 * (right - left), right + 0.1 * (right - left))
    axes.set_ylim(min(y) - 0.1 * span, max(y) + 0.1 * span)
    strokes = _guess_lines(axes, points)
    # the staircase of what can be had
    corners: list[tuple[float, float]] = []
    for point in panel.front:
        corners += [(point.risk.value, corners[-1][1])] if corners else []
        corners.append((point.risk.value, point.utility.value))
    if len(corners) > 1:
        axes.plot(*zip(*corners, strict=True), color=COLORS["front"], linewidth=1.4, alpha=0.55, zorder=2)
    strokes += [(*a, *b) for a, b in itertools.pairwise(corners)]
    front = {p.release for p in panel.front}
    for point in points:
        strokes += _mark(axes, point, on_front=point.release in front, unsure=point in panel.unsure)
    up = f"{panel.utility_name} of a retrained reader" if panel.kind == "recordings" else kind["up"]
    axes.set_xlabel(f"{kind['right']}   (better ←)", fontsize=9.5)
    axes.set_ylabel(f"{up}   (better →)", fontsize=9.5)
    if not kind["auc"]:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))  # never 0.325, for which there is no room
    axes.grid(color=COLORS["faint"], linewidth=0.6)
    axes.set_axisbelow(True)
    _name_points(axes, panel, strokes)


def _guess_lines(axes: Axes, points: Sequence[Point]) -> list[Stroke]:
    """Draw what guessing gives in either direction; return the strokes."""
    text: dict[str, Any] = {"color": COLORS["muted"], "fontsize": 8, "zorder": 1, "textcoords": "offset points"}
    across = [p.risk.control for p in points if math.isfinite(p.risk.control)]
    up = [p.utility.control for p in points if math.isfinite(p.utility.control)]
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    strokes: list[Stroke] = []
    if across:
        at = float(np.median(across))
        axes.axvline(at, **_GUESS)
        axes.annotate("guessing", (at, high), (3, -2), ha="left", va="top", **text)
        y = high - 0.02 * (high - low)
        strokes += [(at, low, at, high), *[(at, y, at + 0.15 * (right - left), y)] * 3]
    if up:
        at = float(np.median(up))
        axes.axhline(at, **_GUESS)
        axes.annotate("guessing", (right, at), (0, -3), ha="right", va="top", **text)
        strokes.append((left, at, right, at))
    return strokes


def _mark(axes: Axes, point: Point, *, on_front: bool, unsure: bool) -> list[Stroke]:
    """Draw a release with its intervals; return the strokes."""
    x, y = point.risk.value, point.utility.value
    color = "risk" if point.original else "front" if on_front else "muted"
    strokes = [(point.risk.low, y, point.risk.high, y), (x, point.utility.low, x, point.utility.high)]
    strokes = [s for s in strokes if all(map(math.isfinite, s))]
    for x0, y0, x1, y1 in strokes:
        style: dict[str, Any] = {"linewidth": 1.1, "alpha": 0.5, "zorder": 3, "solid_capstyle": "butt"}
        axes.plot([x0, x1], [y0, y1], color=COLORS[color], **style)
    if point.together:  # joined, so that it is nobody else's
        far = point.together.value
        strokes.append((x, y, far, y))
        axes.plot([x, far], [y, y], color=COLORS[color], linewidth=0.7, linestyle=(0, (1, 1.5)), zorder=2.5)
        _dot(axes, far, y, "D", 4.2, color, "paper", zorder=3.8)
    marker, size = ("*", 14) if point.original else ("x", 6) if unsure else ("o", 7.5)
    _dot(axes, x, y, marker, size, color, color if on_front or point.original else "paper")
    return strokes


def _name_points(axes: Axes, panel: Panel, strokes: Sequence[Stroke]) -> None:
    front = {p.release for p in panel.front}
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    texts, sizes = [], []
    for p in panel.all_points:
        weight = "bold" if p.release in front and not p.original else "normal"
        name = words.label(p.release, panel.kind)
        text = axes.text(0, 0, name, ha="center", va="center", fontsize=9, fontweight=weight, zorder=6, linespacing=1.1)
        extent = text.get_window_extent(renderer)
        texts.append(text)
        sizes.append((extent.width + 2, extent.height))
    to_pixels, box = axes.transData, axes.get_window_extent()
    at = to_pixels.transform([(p.risk.value, p.utility.value) for p in panel.all_points]).reshape(-1, 2)
    lines = to_pixels.transform(np.array(strokes).reshape(-1, 2)).reshape(-1, 4)
    bounds = (box.x0 + 2, box.y0 + 2, box.x1 - 2, box.y1 - 2)
    centers = place_labels(at, np.array(sizes).reshape(-1, 2), bounds, lines)
    for text, point, center, size in zip(texts, at, centers, sizes, strict=True):
        text.set_position(tuple(to_pixels.inverted().transform(center)))
        nearest = np.clip(point, center - np.array(size) / 2, center + np.array(size) / 2)
        if np.linalg.norm(nearest - point) >= 13:  # join a name to its point where it could be taken for another's
            (x0, y0), (x1, y1) = to_pixels.inverted().transform([point, nearest])
            axes.plot([x0, x1], [y0, y1], color=COLORS["ink"], linewidth=0.7, zorder=3.5)


@drawing()
def draw_ladder(rungs: Sequence[tuple[str, Mapping[str, Result | None]]], *, control: float) -> Figure:
    """Draw who is identified by attackers that know more and more; rungs are (label, row by attacker), first on top."""
    height = 0.62 + 0.29 * len(rungs) + 0.13 * sum("\n" in label for label, _ in rungs)
    figure, axes = _blank(4.8, height, (0.30, 0.42 / height, 0.67, 1 - 0.50 / height))
    axes.grid(axis="x", color=COLORS["faint"], linewidth=0.6)
    axes.set_axisbelow(True)
    if math.isfinite(control):
        axes.axvline(control, **_GUESS)
    for y, (_, cells) in enumerate(rungs):
        rows = {who: r for who, r in cells.items() if r is not None and math.isfinite(r.value)}
        ends = [r.value for r in rows.values()]
        if len(ends) > 1:
            axes.plot([min(ends), max(ends)], [y, y], color=COLORS["risk-soft"], linewidth=2.2, zorder=2)
        for who, face, marker, size in _RUNGS:
            if who in rows:
                if who == "semi_informed":
                    _interval(axes, rows[who].low, rows[who].high, y, "risk")
                _dot(axes, rows[who].value, y, marker, size, "risk", face)
    names = [name for name, _ in rungs]
    axes.set_yticks(range(len(rungs)), names, color=COLORS["ink"], fontsize=9, linespacing=1.0)
    axes.set(ylim=(len(rungs) - 0.4, -0.6), xlim=(-0.02, 1.02), xlabel="identified at first guess (top-1)")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure


@drawing()
def draw_histograms(mated: Mapping[str, Any], non_mated: Mapping[str, Any]) -> Figure:
    """Draw the ``counts`` by ``edges`` of an attack's scores of clips against their own person, and against others."""
    figure, axes = _blank(3.7, 2.0, (0.03, 0.20, 0.94, 0.78))
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


@drawing()
def draw_roc(curves: Mapping[str, Curve], bound: Curve | None) -> Figure:
    """Draw the ``fpr`` and ``tpr`` of membership attacks by name, and above them what a claim of privacy allows."""
    rates = [rate for curve in curves.values() for rate in curve["fpr"] if rate > 0]
    least = max(min(rates, default=_LEAST_RATE) / 1.5, _LEAST_RATE)  # a little below what so many others can resolve

    def above(curve: Curve) -> tuple[Array, Array]:
        """On logarithmic axes what is found with no mistake at all has no place of its own."""
        return np.maximum(curve["fpr"], least), np.maximum(curve["tpr"], least / 10)

    figure, axes = _blank(3.7, 3.2, (0.20, 0.15, 0.73, 0.82))
    line = np.geomspace(least, 1, 50)
    axes.plot(line, line, label="guessing", **_GUESS)
    if bound:
        axes.plot(*above(bound), color=COLORS["front"], linewidth=1.8, label="the claim allows")
    styles: list[Any] = ["-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)), (0, (6, 2, 2, 2))]
    for style, (name, curve) in zip(itertools.cycle(styles), curves.items(), strict=False):
        axes.plot(*above(curve), color=COLORS["risk"], linewidth=1.3, linestyle=style, label=name)
    axes.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(least, 1.1))
    axes.set(xlabel="others taken for members", ylabel="members found")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
        axis.set_minor_formatter(NullFormatter())
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    return figure


@drawing()
def draw_reliability(bins: Mapping[str, Sequence[float]]) -> Figure:
    """Draw how often a model is right by ``confidence``, ``accuracy`` and ``count`` of bins; empty ones are None."""
    names = ("confidence", "accuracy", "count")
    sure, right, count = (np.array([np.nan if v is None else v for v in bins[name]], float) for name in names)
    figure, axes = _blank(3.7, 3.2, (0.17, 0.15, 0.80, 0.82))
    axes.plot([0, 1], [0, 1], **_GUESS)
    axes.plot(sure, right, color=COLORS["front"], linewidth=1.0, alpha=0.5)
    size = 6 + 90 * count / max(np.nanmax(count, initial=1.0), 1.0)
    axes.scatter(sure, right, s=size, color=COLORS["front"], zorder=3, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="how sure the model is", ylabel="how often it is right")
    return figure


@drawing()
def draw_course(course: Sequence[Mapping[str, float]]) -> Figure:
    """Draw how often an adapted generator wins by ``reward`` and by ``judge`` at each ``drift``, and what was kept."""
    figure, axes = _blank(3.7, 2.6, (0.17, 0.18, 0.80, 0.79))
    steps = sorted(course, key=lambda step: step["drift"])
    drift = [step["drift"] for step in steps]
    axes.axhline(0.5, **_GUESS)
    styles: list[tuple[str, str, str, Any]] = [
        ("reward", "raters who were heard", "muted", _DOTTED),
        ("judge", "raters who were kept out", "front", "-"),
    ]
    for who, label, role, style in styles:
        wins = [step[who] for step in steps]
        axes.plot(drift, wins, color=COLORS[role], linestyle=style, marker="o", markersize=4, label=label)
    for step in (step for step in steps if step["kept"]):
        _dot(axes, step["drift"], step["judge"], "o", 9, "front", "paper")
        axes.annotate("kept", (step["drift"], step["judge"]), (0, -14), textcoords="offset points", ha="center")
    axes.set(xlim=(0, None), ylim=(0.3, 1.02), xlabel="drift from the generator (nats)")
    axes.set_ylabel("share of comparisons won")
    axes.legend(loc="lower right", fontsize=8, frameon=False)
    return figure


def _lines(count: int) -> tuple[Figure, Axes]:
    """Return room for so many lines, the words of each above it so that they may be long."""
    height = 0.50 + 0.40 * count
    figure, axes = _blank(4.0, height, (0.03, 0.45 / height, 0.94, 1 - 0.50 / height))
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


def _line_dot(axes: Axes, x: float, y: float, marker: str, color: str, *, filled: bool = True) -> None:
    if math.isfinite(x):
        _dot(axes, x, y, marker, _SIZES[marker], color, color if filled else "paper", clip_on=False)


@drawing()
def draw_carriers(parts: Sequence[Mapping[str, Any]], *, most: int = 12) -> Figure:
    """Draw the ``drop``, ``low`` to ``high``, of what is identified once ``columns`` of ``modality`` are exchanged."""
    largest = sorted(parts, key=lambda part: -float(part["drop"]))[:most]
    figure, axes = _lines(len(largest))
    for y, part in enumerate(largest):
        drop, low, high = (float(part[key]) for key in ("drop", "low", "high"))
        axes.barh(y, drop, height=0.34, color=COLORS["risk" if low > 0 else "risk-soft"], alpha=0.75, zorder=2)
        _interval(axes, low, high, y, "ink")
        _say(axes, y, f"{part['modality']}: {part['columns']}", f"{100 * drop:.0f} points")
    axes.axvline(0, color=COLORS["muted"], linewidth=0.8, zorder=1)
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f}")
    axes.set_xlabel("percentage points fewer recordings identified")
    return figure


@drawing()
def draw_likeness(rows: Sequence[Result]) -> Figure:
    """Draw measures of likeness, each turned so that right is better and 1 is perfect.

    The baseline is that of other real people, the control that of recordings whose modalities were put together at
    random: left out where it is no worse, for shuffling whole modalities leaves each of them as it is.
    """

    def turned(row: Result, value: float) -> float:
        """What lies beyond the scale is drawn at its end."""
        if row.figure in ("c2st_linear", "c2st_trees"):
            value = 2 - 2 * value  # an AUC of 0.5 is the best there is
        elif row.figure in _DISTANCES:
            value = 1 - value
        return min(max(value, 0.0), 1.0) if math.isfinite(value) else math.nan

    figure, axes = _lines(len(rows))
    for y, row in enumerate(rows):
        values = (row.control, row.baseline, row.value, row.low, row.high)
        worst, best, position, one_end, other_end = (turned(row, value) for value in values)
        _interval(axes, one_end, other_end, y, "front")
        if worst < best:
            _line_dot(axes, worst, y, "x", "muted")
        _line_dot(axes, best, y, "D", "muted", filled=False)
        _line_dot(axes, position, y, "o", "front")
        _say(axes, y, words.measure(row), f"{row.value:.2f}")
    axes.set(xlim=(-0.02, 1.02), xlabel="nothing alike  →  perfectly alike")
    return figure


@drawing()
def draw_found(rows: Sequence[tuple[str, Result]], *, label: str) -> Figure:
    """Draw what attacks find by name, beside guessing and what they find where nothing is protected."""
    figure, axes = _lines(len(rows))
    for y, (name, row) in enumerate(rows):
        if math.isfinite(row.control):
            axes.plot([row.control] * 2, [y - 0.75, y + 0.25], **_GUESS)
        _interval(axes, row.low, row.high, y, "risk")
        _line_dot(axes, row.baseline, y, "*", "muted", filled=False)
        _line_dot(axes, row.value, y, "o", "risk", filled=row.status != "not_informative")
        _say(axes, y, name, f"{row.value:.2f}")
    ends = [v for _, r in rows for v in (r.value, r.low, r.control) if math.isfinite(v)]
    axes.set(xlim=(min(ends) - 0.02, 1.02), xlabel=f"{label}   (better ←)")
    return figure
