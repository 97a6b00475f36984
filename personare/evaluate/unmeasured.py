"""Rows of figures that could not be had: missing is never 0, and each says why."""

from dataclasses import replace
from typing import Literal

from personare.core.errors import PersonareError, reason
from personare.core.types import Result

__all__ = ["UNEXPECTED", "unmeasured", "without_figure"]

UNEXPECTED = "unexpected"  # key of a row's detail: the error is no answer that anybody foresaw


def unmeasured(
    measure: str, kind: Literal["utility", "risk"], error: Exception, *, release: str = "", modality: str = ""
) -> Result:
    """Return the row of a figure that an error prevented."""
    return Result(
        release=release,
        modality=modality,
        measure=measure,
        kind=kind,
        value=float("nan"),
        better="lower" if kind == "risk" else "higher",
        note=f"not measured: {reason(error)}",
        detail={} if isinstance(error, PersonareError) else {UNEXPECTED: type(error).__name__},
    )


def without_figure(row: Result, why: str) -> Result:
    """Return a row whose figure would say nothing, with the reason instead."""
    nan = float("nan")
    return replace(row, value=nan, low=nan, high=nan, note=f"not measured: {why}", detail={})
