"""The report's pictures of made data: what carries identity, how alike people are made, and who is found in them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from personare.core.types import Result
from personare.report.drawing import COLORS, drawing
from personare.report.measures import LIKENESS

__all__ = ["draw_carriers", "draw_found", "draw_likeness"]

_WIDTH_IN: Final = 4.0
_ROW_IN: Final = 0.40
_DISTANCES: Final = ("synthetic.ks", "visits.visits", "visits.gaps")  # from 0, the best, to 1
_SIZES: Final = {"o": 7.0, "x": 7.0, "D": 6.0, "*": 9.0}


def _axes(rows: int, *, beneath_in: float = 0.45) -> tuple[Figure, Axes]:
    """Return room for so many rows, the words of each above it so that they may be long."""
    height = 0.05 + _ROW_IN * rows + beneath_in
    figure = Figure(figsize=(_WIDTH_IN, height), layout=None)
    axes = figure.add_axes((0.03, beneath_in / height, 0.94, 1 - (0.05 + beneath_in) / height))
    axes.grid(axis="x", color=COLORS["faint"], linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set(ylim=(rows - 0.25, -0.75), yticks=[])
    axes.spines["left"].set_visible(False)
    return figure, axes


def _words(axes: Axes, y: float, left: str, right: str) -> None:
    transform = axes.get_yaxis_transform()
    common: dict[str, Any] = {"transform": transform, "va": "center", "fontsize": 8.5, "clip_on": False, "zorder": 5}
    common["bbox"] = {"facecolor": COLORS["paper"], "edgecolor": "none", "pad": 0.6}  # lines must not cross words
    axes.text(0.0, y - 0.44, left, ha="left", **common)
    axes.text(1.0, y - 0.44, right, ha="right", color=COLORS["muted"], **common)


def _interval(axes: Axes, y: float, low: float, high: float, color: str) -> None:
    if math.isfinite(low) and math.isfinite(high):
        axes.plot([low, high], [y, y], color=color, linewidth=1.1, solid_capstyle="butt", zorder=3)


def _dot(axes: Axes, at: tuple[float, float], marker: str, color: str, *, filled: bool = True) -> None:
    if math.isfinite(at[0]):
        face = COLORS[color if filled else "paper"]
        style: dict[str, Any] = {"markerfacecolor": face, "markeredgecolor": COLORS[color], "linestyle": ""}
        axes.plot(*([x] for x in at), marker=marker, markersize=_SIZES[marker], clip_on=False, zorder=4, **style)


def draw_carriers(parts: Sequence[Mapping[str, Any]], *, most: int = 12) -> Figure:
    """Draw how many fewer recordings an attacker names once one part of the input was exchanged between them.

    Args:
        parts: ``modality``, ``columns``, ``drop``, ``low`` and ``high`` of each part.
        most: How many are drawn, those with the largest drop.
    """
    chosen = sorted(parts, key=lambda part: -float(part["drop"]))[:most]
    with drawing():
        figure, axes = _axes(len(chosen))
        for y, part in enumerate(chosen):
            drop, low, high = (float(part[key]) for key in ("drop", "low", "high"))
            sure = low > 0
            axes.barh(y, drop, height=0.34, color=COLORS["risk" if sure else "risk-soft"], alpha=0.75, zorder=2)
            _interval(axes, y, low, high, COLORS["ink"])
            _words(axes, y, f"{part['modality']}: {part['columns']}", f"{100 * drop:.0f} points")
        axes.axvline(0, color=COLORS["muted"], linewidth=0.8, zorder=1)
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f}")
        axes.set_xlabel("percentage points fewer recordings named", fontsize=9)
    return figure


def draw_likeness(rows: Sequence[Result]) -> Figure:
    """Draw measures of likeness with their anchors, each turned so that right is better and 1 is perfect.

    Args:
        rows: ``synthetic.<measure>``; the baseline is that of other real people, the control that of recordings whose
            modalities were put together at random.
    """
    with drawing():
        figure, axes = _axes(len(rows))
        for y, row in enumerate(rows):
            worst, best, made, low, high = (
                _turned(row.measure, v) for v in (row.control, row.baseline, row.value, row.low, row.high)
            )
            _interval(axes, y, min(low, high), max(low, high), COLORS["front"])
            if worst < best:  # shuffling whole modalities leaves each as it is: it is no end of what looks at one alone
                _dot(axes, (worst, y), "x", "muted")
            _dot(axes, (best, y), "D", "muted", filled=False)
            _dot(axes, (made, y), "o", "front")
            _words(axes, y, LIKENESS[row.measure], f"{row.value:.2f}")
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel("nothing alike  →  perfectly alike", fontsize=9)
    return figure


def _turned(measure: str, value: float) -> float:
    """Return a measure on a scale from 0 to 1 whose upper end is good; what lies beyond is drawn at its end."""
    if measure.startswith("synthetic.told_apart"):
        value = 2 - 2 * value  # an area of 0.5 is the best there is
    elif measure in _DISTANCES:
        value = 1 - value
    return min(max(value, 0.0), 1.0) if math.isfinite(value) else math.nan


def draw_found(rows: Sequence[tuple[str, Result]], *, label: str) -> Figure:
    """Draw what attacks find with its interval, beside guessing and what they find where nothing is protected.

    Args:
        rows: (words, row) of each.
        label: Of the axis.
    """
    with drawing():
        figure, axes = _axes(len(rows))
        for y, (words, row) in enumerate(rows):
            doubted = row.status == "not_informative"
            if math.isfinite(row.control):
                dotted: Any = (0, (2, 2.5))
                axes.plot([row.control] * 2, [y - 0.75, y + 0.25], color=COLORS["muted"], linewidth=1, linestyle=dotted)
            _interval(axes, y, row.low, row.high, COLORS["risk"])
            _dot(axes, (row.baseline, y), "*", "muted", filled=False)
            _dot(axes, (row.value, y), "o", "risk", filled=not doubted)
            _words(axes, y, words, f"{row.value:.2f}")
        ends = [v for _, r in rows for v in (r.value, r.low, r.control) if math.isfinite(v)]
        axes.set_xlim(min(ends) - 0.02, 1.02)
        axes.set_xlabel(f"{label}   (better ←)", fontsize=9)
    return figure
