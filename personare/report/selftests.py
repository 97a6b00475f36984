"""Whether each attack finds anything where nothing is protected: if not, its failure elsewhere says nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from personare.core.strongest import group_of, informative
from personare.core.types import Result
from personare.report import words
from personare.report.run import RunRecord

__all__ = ["SelfTest", "self_tests"]

_FIGURES = ("top1", "auc", "person_auc", "uar", "risk", "named", "nearer", "")
"""The figures of attacks that are tested: rates go with an AUC, a copy is no guess; one without has only a reason."""
_OF = {"auc": "recordings", "person_auc": "people"}


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
            one = row.figure in _FIGURES and row.method != "strongest" and row.subset != "exposed"
            if row.risk and one and row.unit != "cosine":
                attacks.setdefault((group_of(row), row.method, row.subset), []).append(row)
        if attacks:
            found[kind] = [_test(record, *key, own) for key, own in sorted(attacks.items())]
    return found


def _test(record: RunRecord, group: str, method: str, subset: str, own: Sequence[Result]) -> SelfTest:
    originals = own[0].kind == "recordings"
    failed = next((r.reason or "not informative" for r in own if not informative(r)), "")
    if originals:  # one failure condemns the attack, whatever the release
        first = [r for r in own if r.release == "original" and math.isfinite(r.value)]
        own = first[:1] or own[:1]
    before: dict[str, dict[float, str]] = {}
    reasons: dict[str, dict[str, list[str]]] = {}  # reason -> release -> of what
    for row in own:
        of = _OF.get(row.figure, "") if row.kind == "model" else ""
        alone = row.kind == "model" and row.question == "member" and not record.claim(row.release).made
        value = row.value if originals or (alone and not math.isfinite(row.baseline)) else row.baseline
        if originals and math.isfinite(value):
            before[of] = {value: " ".join(words.figure(row))}
        elif math.isfinite(value):
            before.setdefault(of, {})[value] = words.share_like(row, value)
        why = failed if originals else "" if informative(row) else row.reason or "not informative"
        if not why and not math.isfinite(value):
            why = (row.reason if row.status == "not_measured" else "") or "not tried without protection"
        if not why and alone and not row.low > row.control:
            why = "finds nobody, without privacy"
        if why:
            reasons.setdefault(why, {}).setdefault("" if originals else row.release, []).append(of)
    ranges = {of: dict.fromkeys((said[min(said)], said[max(said)])) for of, said in before.items()}
    whose: dict[str, list[str]] = {}
    for why, releases in reasons.items():
        parts = {release: ", ".join(dict.fromkeys(filter(None, of))) for release, of in releases.items()}
        whose[why] = [f"{release} ({part})" if part else release for release, part in parts.items() if release]
    return SelfTest(
        attack=".".join(filter(None, (method, subset))),
        group=group,
        before=", ".join(f"{of} {'–'.join(ends)}".strip() for of, ends in ranges.items()) or "not tried",
        guess=next((words.share_like(r, r.control) for r in own if math.isfinite(r.control)), "–"),
        passed=sum(len(of) for whose in reasons.values() for of in whose.values()) < len(own),
        why="; ".join(": ".join(filter(None, (", ".join(whose[why]), why))) for why in reasons),
    )
