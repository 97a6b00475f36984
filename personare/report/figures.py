"""Which of all that was measured stands for a release: what is still learned from it, and who is found in it."""

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from personare.core.types import Result

__all__ = [
    "broken_claim",
    "choose",
    "emotion",
    "identity",
    "informative",
    "learned",
    "membership",
    "of_people",
    "shown_identity",
    "unprotected",
]

_OF_PEOPLE = r"synthetic_(membership|shadow)\.(?!.*exposed).*_auc"
_MISSING = {
    "model": ("no membership attack was run on it", "its recall was not measured"),
    "representation": ("no retrained attacker was run on it", "no reader was run on it"),
    "synthetic": ("no membership attack on its people was run", "what is learned from it was not measured"),
}
_NOT_MEASURED = ("no retrained attacker was run on it", "no retrained reader was run on it")


def informative(row: Result) -> bool:
    """Whether the attack behind a row passed its self-test."""
    return row.status != "not_informative"


def identity(rows: Sequence[Result], release: str, modality: str, attacker: str, figure: str = "top1") -> Result | None:
    """Return who is named by this attacker: the study's aggregate, or else the strongest informative attack.

    Args:
        rows: Everything measured.
        release: Its name.
        modality: What was released.
        attacker: Who names.
        figure: ``top1`` from one recording, ``top1_5`` from five, ``person_top1`` from all of a person's.
    """
    found = [
        r
        for r in rows
        if r.release == release and r.modality == modality and r.kind == "risk" and r.measure.endswith(f".{figure}")
    ]
    found = [r for r in found if r.attacker == attacker] or (found if release == "original" else [])
    aggregates = [r for r in found if r.measure == f"identity.{figure}"]
    single = [r for r in found if r.measure != f"identity.{figure}"]
    return _largest(aggregates) or _largest([r for r in single if informative(r)]) or _largest(single)


def emotion(rows: Sequence[Result], release: str, modality: str, reader: str) -> Result | None:
    """Return how well this reader reads the label: the one chosen on other people; in older runs the best there is."""
    own = [r for r in rows if r.release == release and r.modality == modality and r.kind == "utility"]
    found = [r for r in own if r.measure in ("reader.uar", "reader.ccc")]
    found = found or [r for r in own if "emotion" in r.measure and r.measure.endswith(".uar")]
    # Training again on originals changes nothing, so one reader's row is enough for them.
    return _largest([r for r in found if r.attacker == reader] or (found if release == "original" else []))


def membership(rows: Sequence[Result], release: str, figures: Sequence[str] = ("auc", "person_auc")) -> Result | None:
    """Return how well the strongest attack that may be believed tells what a model learned from.

    Args:
        rows: Everything measured.
        release: The model.
        figures: ``auc`` for recordings, ``person_auc`` for people; the larger of both by default.
    """
    found = [r for r in rows if r.release == release and r.measure.startswith("membership_")]
    return _strongest([r for r in found if r.measure.partition(".")[2] in figures])


def shown_identity(rows: Sequence[Result], release: str, figure: str) -> Result | None:
    """Return how often people are named by what a model shows of their recordings; ``figure`` as of ``identity``."""
    return _strongest(
        [r for r in rows if r.release == release and re.fullmatch(rf"model_identity_.*\.{figure}", r.measure)]
    )


def of_people(rows: Sequence[Result], release: str, pattern: str = _OF_PEOPLE) -> Result | None:
    """Return how well the strongest attack that may be believed tells whom synthetic people were learned from.

    Args:
        rows: Everything measured.
        release: The synthetic people.
        pattern: Which measures count; by default the areas over everybody, not over the most exposed alone.
    """
    return _strongest([r for r in rows if r.release == release and re.fullmatch(pattern, r.measure)])


def learned(rows: Sequence[Result], release: str, figure: str = "tstr_uar") -> Result | None:
    """Return what the better reader can do with real recordings after learning from synthetic ones."""
    # Of histories of visits, what is learned is what comes next.
    pattern = rf"synthetic\.\w+\.{figure}" + (r"|visits\.next_visit_auc" if figure == "tstr_uar" else "")
    return _largest([r for r in rows if r.release == release and re.fullmatch(pattern, r.measure)])


def _strongest(areas: Sequence[Result]) -> Result | None:
    finite = [r for r in areas if math.isfinite(r.value)]
    return _largest([r for r in finite if informative(r)]) or _largest(finite) or next(iter(areas), None)


def _largest(rows: Sequence[Result]) -> Result | None:
    finite = [r for r in rows if math.isfinite(r.value)]
    return max(finite, key=lambda r: r.value) if finite else next(iter(rows), None)


def broken_claim(rows: Sequence[Result], release: str) -> str:
    """Return what an attack found above the bound of a privacy claim; empty where none did."""
    own = (r for r in rows if r.release == release and r.status == "claim_broken")
    return next((f"{r.measure}: {r.note}" for r in own), "")


def choose(rows: Sequence[Result], release: str, modality: str) -> tuple[Result, Result] | str:
    """Return the risk and the utility that stand for a release on the frontier, or why there are none."""
    if broken_claim(rows, release):
        return "its privacy claim does not hold"
    risk, utility = _risk(rows, release, modality), _utility(rows, release, modality)
    no_risk, no_utility = _MISSING.get(modality, _NOT_MEASURED)
    if risk is None or not math.isfinite(risk.value):
        return (risk.note if risk else "") or no_risk
    if utility is None or not math.isfinite(utility.value):
        return (utility.note if utility else "") or no_utility
    return risk, utility


def _risk(rows: Sequence[Result], release: str, modality: str) -> Result | None:
    if modality == "model":
        return membership(rows, release)
    if modality == "synthetic":
        return of_people(rows, release)
    return identity(rows, release, modality, "semi_informed")


def _utility(rows: Sequence[Result], release: str, modality: str) -> Result | None:
    if modality == "synthetic":
        return learned(rows, release)
    own = {"model": "model.uar", "representation": "reader.uar"}.get(modality)
    if own:
        return next((r for r in rows if r.release == release and r.measure == own), None)
    return emotion(rows, release, modality, "retrained_reader")


def unprotected(rows: Sequence[Result], risk: Result, utility: Result) -> tuple[Result, Result] | None:
    """Return what the baselines of a release say of the originals; None where they say nothing.

    Shadow generators have no worst release to be tried on: beside them stands the strongest membership attack that has.
    """
    same = [risk.baseline] if math.isfinite(risk.baseline) else []
    tried = [r.baseline for r in rows if r.release == risk.release and re.fullmatch(_OF_PEOPLE, r.measure)]
    before = same or [value for value in tried if math.isfinite(value)]
    if not before or not math.isfinite(utility.baseline):
        return None
    nan = math.nan
    made = (
        replace(row, release="original", value=value, low=nan, high=nan, note="", detail={})
        for row, value in ((risk, max(before)), (utility, utility.baseline))
    )
    first, second = made
    return first, second
