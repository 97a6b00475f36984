"""Rows of figures that could not be had: missing is never 0, and each says why."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Literal

from personare.core.errors import PersonareError, reason
from personare.core.types import RISKS, Result

UNEXPECTED: Final = "unexpected"  # key of a row's detail: the error is no answer that anybody foresaw
Asked = Literal["identify", "infer", "member", "link", "read", "resemble", "cost"]


def kinds_of(method: Any) -> tuple[str, ...]:
    """Return the kinds of releases that a method can be asked of: recordings where it does not say."""
    kinds: tuple[str, ...] = getattr(method, "kinds", ("recordings",))
    return kinds


def answers(method: Any, kind: str) -> bool:
    """Whether a method can be asked of a kind of release."""
    return kind in kinds_of(method)


def unmeasured(method: str, question: Asked, error: Exception, *, figure: str = "", **columns: Any) -> Result:
    """Return the row of a figure that an error prevented; other columns as of ``Result``."""
    return Result(
        method=method,
        question=question,
        figure=figure,
        value=float("nan"),
        reason=f"not measured: {reason(error)}",
        detail={} if isinstance(error, PersonareError) else {UNEXPECTED: type(error).__name__},
        **{"better": "lower" if question in RISKS else "higher", **columns},
    )


def measured(method: str, question: Asked, work: Callable[[], list[Result]], **columns: Any) -> list[Result]:
    """Return what was measured, or one row that says why it could not be: what fails stops nothing else."""
    try:
        return work()
    except Exception as error:
        return [unmeasured(method, question, error, **columns)]


def without_figure(row: Result, why: str) -> Result:
    """Return a row whose figure would say nothing, with the reason instead."""
    nan = float("nan")
    return replace(row, value=nan, low=nan, high=nan, reason=f"not measured: {why}", detail={})
