"""Whether each attack finds anything where nothing is protected: if not, its failure elsewhere says nothing."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from personare.core.types import Result
from personare.evaluate.identification import FIGURES
from personare.report import wording
from personare.report.figures import informative
from personare.report.run import RunRecord

__all__ = ["KindTest", "SelfTest", "kind_tests", "self_tests"]

_MAIN = {"auc": "recordings", "person_auc": "people"}
_NO_TEST = (
    r"exposed|tpr_fpr|^synthetic_copies.exact|^visits"  # rates are of the attack whose area is there; a copy no guess
)


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """How an attack did on the unprotected cohort.

    Attributes:
        attack: Its name.
        modality: What it looks at.
        row: Its first guesses on originals; None if that was not recorded.
        passed: Whether its figures may be read.
        why: The reason where it did not pass.
    """

    attack: str
    modality: str
    row: Result | None
    passed: bool
    why: str


@dataclass(frozen=True, kw_only=True)
class KindTest:
    """How an attack on models, representations or synthetic people did where nothing was protected.

    Attributes:
        attack: Its name.
        before: What it found there, over all models.
        guess: What guessing gives.
        passed: Whether its figures may be read, on one release at least.
        why: Where they may not, and the reason.
    """

    attack: str
    before: str
    guess: str
    passed: bool
    why: str


@dataclass(frozen=True)
class _Trial:
    """One figure of an attack on one release, tried without protection."""

    release: str
    what: str
    before: float
    row: Result
    reason: str


def self_tests(record: RunRecord) -> list[SelfTest]:
    """Return what each attack on recordings did on originals, and whether it may be believed."""
    rows = [r for r in record.of_recordings() if r.kind == "risk"]
    rows = [r for r in rows if not r.measure.startswith("identity.")]
    found = dict.fromkeys((_attack(r), r.modality) for r in rows if r.unit != "cosine")
    return [_self_test(key, [r for r in rows if (_attack(r), r.modality) == key]) for key in sorted(found, key=_order)]


def _attack(row: Result) -> str:
    """What is tested together: an identity attack with all its figures, an attribute by itself."""
    name, _, figure = row.measure.partition(".")
    return name if figure in FIGURES else row.measure


def _order(key: tuple[str, str]) -> tuple[int, str, str]:
    attack, modality = key
    known = list(wording.GROUPS)
    return known.index(modality) if modality in known else len(known), modality, attack


def _self_test(key: tuple[str, str], own: Sequence[Result]) -> SelfTest:
    first = [r for r in own if r.measure.endswith(".top1")] or own
    original = next((r for r in first if r.release == "original" and math.isfinite(r.value)), None)
    failed = next((r.note for r in own if not informative(r)), "")
    reason = failed or ("" if original else next((r.note for r in own if r.note), ""))
    return SelfTest(attack=key[0], modality=key[1], row=original, passed=not failed, why=reason)


def kind_tests(record: RunRecord, modality: str) -> list[KindTest]:
    """Return one line for each attack on a kind of release: what it finds without protection, and if that is enough.

    Membership is tried on the same model trained without privacy; a model without a claim is its own trial. What a
    model shows of people is tried on what the model read, attacks on representations on the raw features, attacks on
    synthetic people on the real recordings as they are.
    """
    trials: dict[str, list[_Trial]] = {}
    for row in record.results:
        if row.kind == "risk" and row.modality == modality and _is_main(row):
            name = {"model": _attack_on_model, "representation": _attack}.get(modality, _family)(row)
            trials.setdefault(name, []).append(_trial(record, row))
    return [_test(attack, own) for attack, own in sorted(trials.items())]


def _is_main(row: Result) -> bool:
    name, _, figure = row.measure.partition(".")
    if name.startswith("membership_"):
        return figure in _MAIN
    if row.modality == "synthetic":
        return not re.search(_NO_TEST, row.measure)
    if name == "identity":
        return False
    return figure == "top1" or figure not in FIGURES


def _attack_on_model(row: Result) -> str:
    """What is tested together: membership of recordings and people, a name or an attribute from all that is shown."""
    name, _, figure = row.measure.partition(".")
    if name.startswith("membership_") or not figure:
        return name
    if figure == "top1":
        return name.rpartition("_")[0] or name
    return f"{name}.{figure.rpartition('_')[2]}"


def _family(row: Result) -> str:
    return row.measure.partition(".")[0]


def _trial(record: RunRecord, row: Result) -> _Trial:
    open_model = row.measure.startswith("membership_") and not record.claim(row.release).made
    before = row.value if open_model and not math.isfinite(row.baseline) else row.baseline
    if not informative(row):
        reason = row.note.partition(";")[0].removeprefix("not informative: ")
    elif not math.isfinite(before):
        known = row.note if row.modality == "model" or not math.isfinite(row.value) else ""
        reason = known or "not tried without protection"
    else:
        reason = "finds nobody, without privacy" if open_model and not row.low > row.control else ""
    what = _what(row)
    return _Trial(row.release, what, before, row, reason)


def _what(row: Result) -> str:
    """What of a release is attacked, or how, where an attack has several figures."""
    figure = row.measure.partition(".")[2]
    if row.modality == "synthetic":
        stem = figure.partition("_")[0]
        return {"neighbor": "nearness", "normal": "averages"}.get(stem, stem)
    return _MAIN.get(figure, "")


def _test(attack: str, trials: Sequence[_Trial]) -> KindTest:
    whats = list(dict.fromkeys(trial.what for trial in trials))
    said = [f"{what} {_range(t for t in trials if t.what == what)}".strip() for what in whats]
    reasons: dict[str, dict[str, list[str]]] = {}
    for trial in trials:
        if trial.reason:
            reasons.setdefault(trial.reason, {}).setdefault(trial.release, []).append(trial.what)
    guess = next((wording.beside(t.row)[1] for t in trials if math.isfinite(t.row.control)), "–")
    return KindTest(
        attack=attack,
        before=", ".join(said),
        guess=guess,
        passed=any(not trial.reason for trial in trials),
        why="; ".join(f"{_whose(who)}: {reason}" for reason, who in reasons.items()),
    )


def _whose(told: Mapping[str, Sequence[str]]) -> str:
    """Name models, and what of theirs is meant."""
    named = []
    for release, whats in told.items():
        inside = ", ".join(dict.fromkeys(filter(None, whats)))
        named.append(f"{release} ({inside})" if inside else release)
    return ", ".join(named)


def _range(trials: Iterable[_Trial]) -> str:
    known = sorted((t for t in trials if math.isfinite(t.before)), key=lambda t: t.before)
    ends = [wording.share_like(t.row, t.before) for t in known[:1] + known[-1:]]
    return "–".join(dict.fromkeys(ends)) or "not tried"
