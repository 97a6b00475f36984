"""Which attacks may be believed.

An attack that cannot name people on unprotected recordings says nothing about protected ones: a broken attacker looks
just like privacy.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from personare.core import strongest as choice
from personare.core.types import Result
from personare.evaluate.identification import ATTACKERS, FIGURES


def needed(control: float) -> float:
    """Return what the lower end of an attack's top-1 on originals must exceed.

    Three times guessing; with few people, where that would be too near certainty, one half, and with fewer than six
    people half way from guessing to certainty.
    """
    return min(3 * control, max(0.5, (1 + control) / 2))


def marked(rows: Sequence[Result], baseline: Sequence[Result]) -> list[Result]:
    """Return risks of a release, not informative where their attack failed on the originals; the reason says why."""
    failed = {attack: _failure(attack, baseline) for attack in {_attack(r) for r in rows}}
    return [_doubted(row, failed[_attack(row)]) for row in rows]


def beside(row: Result, unprotected: Result, where: str) -> Result:
    """Put a membership attack on what is not protected beside its row, and mark the row where even that finds nobody.

    ``unprotected`` is the same figure where nothing protects, ``where`` what was attacked there, in words.
    """
    row = replace(row, baseline=unprotected.value)
    blind = (
        math.isfinite(row.value) and row.figure in choice.MEMBER.figures and not unprotected.low > unprotected.control
    )
    return _doubted(row, f"it does not find who is in {where} either" if blind else "")


def _doubted(row: Result, why: str) -> Result:
    if not why or row.status != "ok":  # what was not measured has its own reason; a broken claim stays broken
        return row
    return replace(
        row, status="not_informative", reason=f"not informative: {why}" + (f"; {row.reason}" if row.reason else "")
    )


def _attack(row: Result) -> tuple[str, ...]:
    """Return what is tested together: an attack that names people with all its figures, any other figure by itself."""
    named = row.question == "identify" and row.figure in (*FIGURES, choice.GAIN)
    return (row.method,) if named else (row.method, row.figure, row.subset)


def _failure(attack: tuple[str, ...], baseline: Sequence[Result]) -> str:
    """Return why an attack may not be believed, by its rows on unprotected data; empty where it may."""
    tests = [r for r in baseline if _attack(r) == attack]
    if any(r.unit == "cosine" for r in tests):
        return ""  # a similarity claims nothing that could fail
    tests = [r for r in tests if r.figure == "top1"] or tests
    row = next((r for r in tests if r.attacker in ("semi_informed", "server", "")), None)
    if row is None or not math.isfinite(row.value):
        return "it could not be tested on unprotected data"
    limit = needed(row.control) if row.figure == "top1" else row.control
    if (row.low if math.isfinite(row.low) else row.value) > limit:
        return ""
    return (
        f"failed its self-test ({row.value:.2f} [{row.low:.2f}, {row.high:.2f}] on unprotected data, "
        f"the lower end must exceed {limit:.2f})"
    )


def strongest(rows: Sequence[Result]) -> list[Result]:
    """Return rows of the method ``strongest``: for each attacker and figure the strongest attack that may be believed.

    See ``core/strongest.py``; the detail of a row says which attack it is, the reason of ``top1`` if more is to come.
    """
    results = []
    bounds = {
        r.attacker: f"a lower bound: with more recordings to learn from, {r.method} names more"
        for r in choice.lower_bounds(rows)
    }
    for attacker, figure in product(ATTACKERS, FIGURES):
        tried = [r for r in rows if r.question == "identify" and (r.attacker, r.figure) == (attacker, figure)]
        if (best := choice.strongest(tried)) is None:
            continue
        measured = math.isfinite(best.value)
        count = sum(math.isfinite(r.value) and r.status == best.status for r in tried)
        bound = bounds.get(attacker, "") if figure == "top1" else ""
        reasons = (f"strongest of {count}: {best.method}" if measured else "", best.reason, bound)
        detail = {"strongest": best.method} if measured else {}
        results.append(replace(best, method="strongest", reason="; ".join(filter(None, reasons)), detail=detail))
    return results
