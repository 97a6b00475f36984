"""Which of all that was measured stands for a release: the one place where "the strongest attack" is chosen.

The judge, the report and the terminal all choose here, so that they cannot choose differently. An attack counts only
where it passed its self-test; where none did, the strongest of the others is given, and its status says so.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from personare.core.types import Result

__all__ = [
    "AREAS",
    "broken_claim",
    "choose",
    "identity",
    "informative",
    "learned",
    "membership",
    "of_people",
    "reading",
    "shown_identity",
    "strongest",
    "unprotected",
]

AREAS = ("auc", "person_auc")
"""The figures of membership over all thresholds, of recordings and of people."""
_PLANTED = ("synthetic_canaries_neighbor", "synthetic_canaries_normal")  # are about canaries, not about real people
_MISSING = {
    "recordings": ("no retrained attacker was run on it", "no retrained reader was run on it"),
    "representations": ("no retrained attacker was run on it", "no reader was run on it"),
    "synthetic": ("no membership attack on its people was run", "what is learned from it was not measured"),
    "model": ("no membership attack was run on it", "its recall was not measured"),
}


def informative(row: Result) -> bool:
    """Whether the attack behind a row passed its self-test."""
    return row.status != "not_informative"


def strongest(rows: Sequence[Result]) -> Result | None:
    """Return the row of the attack that finds most, of those that may be believed; None of no rows.

    The best of several noisy figures is a little too high: the claim errs on the side of risk. Of rows without a number
    the first is given, whose reason says why.
    """
    measured = [r for r in rows if math.isfinite(r.value)]
    ranked = [r for r in measured if informative(r)] or measured
    if not ranked:
        return next(iter(rows), None)
    return max(reversed(ranked), key=lambda r: r.value if r.better == "lower" else -r.value)


def identity(
    rows: Sequence[Result],
    release: str,
    modality: str = "",
    attacker: str = "semi_informed",
    figure: str = "top1",
    *,
    kind: str = "recordings",
) -> Result | None:
    """Return who is named by this attacker: the judge's own choice, or else the strongest informative attack.

    Args:
        rows: Everything measured.
        release: Its name.
        modality: What was released.
        attacker: Who names.
        figure: ``top1`` from one recording, ``top1_5`` from five, ``person_top1`` from all of a person's.
        kind: Of release, ``recordings`` or ``representations``.
    """
    own = [r for r in rows if (r.release, r.kind, r.modality) == (release, kind, modality)]
    found = [r for r in own if r.question == "identify" and r.figure == figure]
    # On originals all attackers are one.
    found = [r for r in found if r.attacker == attacker] or (found if release == "original" else [])
    return strongest([r for r in found if r.method == "strongest"] or found)


def reading(
    rows: Sequence[Result],
    release: str,
    modality: str = "",
    reader: str = "retrained_reader",
    *,
    kind: str = "recordings",
) -> Result | None:
    """Return how well this reader reads the label: the one that is chosen for each person on all others."""
    own = [r for r in rows if (r.release, r.kind, r.modality) == (release, kind, modality)]
    found = [r for r in own if r.method == "reader" and r.figure in ("uar", "ccc")]
    # Training again on originals changes nothing, so one reader's row is enough for them.
    return _largest([r for r in found if r.attacker == reader] or (found if release == "original" else []))


def membership(rows: Sequence[Result], release: str, figures: Sequence[str] = AREAS) -> Result | None:
    """Return how well the strongest attack tells what a model learned from: ``auc`` recordings, ``person_auc`` people.

    By default the larger of both.
    """
    found = [r for r in rows if (r.release, r.kind, r.question) == (release, "model", "member")]
    return strongest([r for r in found if r.figure in figures])


def shown_identity(rows: Sequence[Result], release: str, figure: str = "top1") -> Result | None:
    """Return how often people are named by what a model shows of their recordings; ``figure`` as of ``identity``."""
    found = [r for r in rows if (r.release, r.kind, r.question) == (release, "model", "identify")]
    return strongest([r for r in found if r.figure == figure])


def of_people(rows: Sequence[Result], release: str, *, canaries: bool = False) -> Result | None:
    """Return how well the strongest attack tells whom synthetic people were learned from, over everybody.

    Args:
        rows: Everything measured.
        release: The synthetic people.
        canaries: Whether planted people are asked about, and not real ones.
    """
    return strongest([r for r in _areas(rows, release) if (r.method in _PLANTED) == canaries])


def _areas(rows: Sequence[Result], release: str) -> list[Result]:
    found = [r for r in rows if (r.release, r.kind, r.question) == (release, "synthetic", "member")]
    return [r for r in found if r.figure == "auc" and not r.subset]


def learned(rows: Sequence[Result], release: str, figure: str = "tstr_uar") -> Result | None:
    """Return what the better reader can do with real recordings after learning from synthetic ones.

    Of histories of visits, what is learned is what comes next.
    """
    found = [r for r in rows if (r.release, r.kind, r.question) == (release, "synthetic", "read")]
    figures = (figure, "next_visit_auc") if figure == "tstr_uar" else (figure,)
    return _largest([r for r in found if r.figure in figures])


def _largest(rows: Sequence[Result]) -> Result | None:
    finite = [r for r in rows if math.isfinite(r.value)]
    return max(finite, key=lambda r: r.value) if finite else next(iter(rows), None)


def broken_claim(rows: Sequence[Result], release: str) -> Result | None:
    """Return a row in which an attack found more than a privacy claim allows; None where none did."""
    return next((r for r in rows if r.release == release and r.status == "claim_broken"), None)


def choose(rows: Sequence[Result], release: str, kind: str, modality: str = "") -> tuple[Result, Result] | str:
    """Return the risk and the utility that stand for a release on the frontier, or why there are none."""
    if broken_claim(rows, release) is not None:
        return "its privacy claim does not hold"
    if kind == "model":
        risk = membership(rows, release)
        own = [r for r in rows if (r.release, r.kind, r.method) == (release, kind, "model")]
        utility = next((r for r in own if r.figure == "uar" and not r.subset), None)
    elif kind == "synthetic":
        risk, utility = of_people(rows, release), learned(rows, release)
    else:
        risk = identity(rows, release, modality, kind=kind)
        utility = reading(rows, release, modality, kind=kind)
    no_risk, no_utility = _MISSING[kind]
    if risk is None or not math.isfinite(risk.value):
        return (risk.reason if risk else "") or no_risk
    if utility is None or not math.isfinite(utility.value):
        return (utility.reason if utility else "") or no_utility
    return risk, utility


def unprotected(rows: Sequence[Result], risk: Result, utility: Result) -> tuple[Result, Result] | None:
    """Return what the baselines of a release say of the originals; None where they say nothing.

    Shadow generators have no worst release to be tried on: beside them stands the strongest membership attack that has.
    """
    tried = [r.baseline for r in _areas(rows, risk.release) if r.method not in _PLANTED]
    before = [value for value in [risk.baseline] if math.isfinite(value)]
    before = before or [value for value in tried if math.isfinite(value)]
    if not before or not math.isfinite(utility.baseline):
        return None
    nothing = {"release": "original", "low": math.nan, "high": math.nan, "reason": "", "detail": {}}
    first = replace(risk, value=max(before), **nothing)  # type: ignore[arg-type]
    second = replace(utility, value=utility.baseline, **nothing)  # type: ignore[arg-type]
    return first, second
