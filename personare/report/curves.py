"""The report's pictures of models: how well attacks tell members from others, and whether confidence can be trusted."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from personare.core.types import Array
from personare.report.drawing import COLORS, drawing

__all__ = ["draw_reliability", "draw_roc"]

_LEAST = 1e-3
Curve = Mapping[str, Sequence[float]]


def draw_roc(curves: Mapping[str, Curve], bound: Curve | None) -> Figure:
    """Draw membership attacks, and above them what the privacy claim allows.

    Args:
        curves: ``fpr`` and ``tpr`` by attack.
        bound: The same of the claim; None where nothing was claimed.
    """
    with drawing():
        figure = Figure(figsize=(3.7, 3.2), layout=None)
        axes = figure.add_axes((0.20, 0.15, 0.73, 0.82))
        least = _least(curves)
        line = np.geomspace(least, 1, 50)
        axes.plot(line, line, color=COLORS["muted"], linewidth=0.9, linestyle=(0, (2, 2.5)), label="guessing")
        if bound:
            axes.plot(*_above(bound, least), color=COLORS["front"], linewidth=1.8, label="the claim allows")
        for style, (name, curve) in zip(_styles(), curves.items(), strict=False):
            axes.plot(*_above(curve, least), color=COLORS["risk"], linewidth=1.3, linestyle=style, label=name)
        axes.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(least, 1.1))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("others taken for members", fontsize=9)
        axes.set_ylabel("members found", fontsize=9)
        axes.legend(loc="lower right", fontsize=8, frameon=False)
    return figure


def _least(curves: Mapping[str, Curve]) -> float:
    """Return where the picture begins: a little below the smallest share that so many others can resolve."""
    rates = [rate for curve in curves.values() for rate in curve["fpr"] if rate > 0]
    return max(min(rates, default=_LEAST) / 1.5, _LEAST)


def _above(curve: Curve, least: float) -> tuple[Array, Array]:
    """Return a curve on logarithmic axes, on which what is found with no mistake at all has no place of its own."""
    return np.maximum(curve["fpr"], least), np.maximum(curve["tpr"], least / 10)


def _styles() -> Sequence[Any]:
    return ["-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)), (0, (6, 2, 2, 2))]


def draw_reliability(bins: Mapping[str, Sequence[float]]) -> Figure:
    """Draw how often a model is right at each confidence.

    Args:
        bins: ``confidence``, ``accuracy`` and ``count`` of each bin; empty bins are NaN or None.
    """
    confidence, accuracy, count = (
        np.array([np.nan if v is None else v for v in bins[name]], float)
        for name in ("confidence", "accuracy", "count")
    )
    with drawing():
        figure = Figure(figsize=(3.7, 3.2), layout=None)
        axes = figure.add_axes((0.17, 0.15, 0.80, 0.82))
        axes.plot([0, 1], [0, 1], color=COLORS["muted"], linewidth=0.9, linestyle=(0, (2, 2.5)))
        size = 6 + 90 * count / max(np.nanmax(count, initial=1.0), 1.0)
        axes.plot(confidence, accuracy, color=COLORS["front"], linewidth=1.0, alpha=0.5)
        axes.scatter(confidence, accuracy, s=size, color=COLORS["front"], zorder=3, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        axes.set_xlabel("how sure the model is", fontsize=9)
        axes.set_ylabel("how often it is right", fontsize=9)
    return figure
