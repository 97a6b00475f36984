"""Whether each attack finds anything where nothing is protected: if not, its failure elsewhere says nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from personare.core.strongest import group_of, informative
from personare.core.types import Result
from personare.report import words
from personare.report.run import RunRecord

__all__ = ["SelfTest", "self_tests"]

_FIGURES = {"top1": "", "auc": "recordings", "person_auc": "people", "uar": "", "risk": "", "named": "", "nearer": ""}
"""The figure of an attack that is tested, and of what; rates go with an AUC, and a copy is no guess."""


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """How an attack did where nothing was protected, and whether its figures may be read, on one release at least."""

    attack: str
    group: str
    before: str
    guess: str
    passed: bool
    why: str


def self_tests(record: RunRecord) -> dict[str, list[SelfTest]]:
    """Return one line for each attack, by the kind of release: what it finds without protection, and if that is enough.

    Recordings are tried on the originals. Membership is tried on the same model trained without privacy; a model
    without a claim is its own trial. What a model shows of people is tried on what the model read, attacks on
    representations on the raw features, attacks on synthetic people on the real recordings as they are.
    """
    found: dict[str, list[SelfTest]] = {}
    for kind in record.kinds():
        attacks: dict[tuple[str, str, str], list[Result]] = {}
        for row in record.rows(kind):
            tested = row.figure in _FIGURES or not row.figure
            if row.risk and tested and row.method != "strongest" and row.subset != "exposed" and row.unit != "cosine":
                attacks.setdefault((group_of(row), row.method, row.subset), []).append(row)
        test = _on_originals if kind == "recordings" else _on_baselines
        found[kind] = [test(record, key, own) for key, own in sorted(attacks.items())]
    return {kind: tests for kind, tests in found.items() if tests}


def _name(method: str, subset: str) -> str:
    return ".".join(filter(None, (method, subset)))


def _on_originals(record: RunRecord, key: tuple[str, str, str], own: Sequence[Result]) -> SelfTest:
    """One failure condemns the attack, whatever the release; a release needs no trial of its own."""
    original = next((r for r in own if r.release == "original" and math.isfinite(r.value)), None)
    failed = next((r.reason for r in own if not informative(r)), "")
    why = failed or ("" if original else next((r.reason for r in own if r.reason), "not recorded"))
    return SelfTest(
        attack=_name(*key[1:]),
        group=key[0],
        before=" ".join(words.figure(original)) if original else "not recorded",
        guess=words.share_like(original, original.control) if original else "–",
        passed=not why,
        why=why,
    )


def _on_baselines(record: RunRecord, key: tuple[str, str, str], own: Sequence[Result]) -> SelfTest:
    before: dict[str, list[tuple[float, Result]]] = {}
    reasons: dict[str, dict[str, list[str]]] = {}  # reason -> release -> of what
    for row in own:
        what = _FIGURES.get(row.figure, "") if row.kind == "model" else ""
        bare = row.kind == "model" and row.question == "member" and not record.claim(row.release).made
        value = row.value if bare and not math.isfinite(row.baseline) else row.baseline
        if math.isfinite(value):
            before.setdefault(what, []).append((value, row))
        why = ""
        if not informative(row):
            why = row.reason or "not informative"
        elif not math.isfinite(value):
            why = (row.reason if row.status == "not_measured" else "") or "not tried without protection"
        elif bare and not row.low > row.control:
            why = "finds nobody, without privacy"
        if why:
            reasons.setdefault(why, {}).setdefault(row.release, []).append(what)
    said = []
    for what, values in before.items():
        ends = [min(values, key=lambda v: v[0]), max(values, key=lambda v: v[0])]
        said.append(f"{what} {'–'.join(dict.fromkeys(words.share_like(row, value) for value, row in ends))}".strip())
    return SelfTest(
        attack=_name(*key[1:]),
        group=key[0],
        before=", ".join(said) or "not tried",
        guess=next((words.share_like(r, r.control) for r in own if math.isfinite(r.control)), "–"),
        passed=sum(len(whats) for who in reasons.values() for whats in who.values()) < len(own),
        why="; ".join(f"{_whose(who)}: {why}" for why, who in reasons.items()),
    )


def _whose(told: Mapping[str, Sequence[str]]) -> str:
    """Name releases, and what of theirs is meant."""
    parts = {release: ", ".join(dict.fromkeys(filter(None, whats))) for release, whats in told.items()}
    return ", ".join(f"{release} ({part})" if part else release for release, part in parts.items())
