"""The study's answer in one sentence for each modality, computed from its results."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from personare.report import wording
from personare.report.frontier import Panel, Point, before, best, gain
from personare.report.run import RunRecord
from personare.report.trained import NO_CLAIM

__all__ = ["Answer", "answers"]

_NO_MODEL = "No model could be ranked: none has both its recall and a membership attack that may be believed."
_NO_SYNTHETIC = (
    "No synthetic people could be ranked: none have both a reader that learned from them and a membership attack that "
    "may be believed."
)
_NO_TRADE = {
    "representation": "No representation trades identity for recall better than giving away the original or nothing.",
    "synthetic": "No synthetic people trade membership for recall better than giving away the real ones or nothing.",
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a study found for one modality.

    Attributes:
        modality: ``audio``, ``video``, ``audio+video``, ``representation``, ``synthetic`` or ``model``.
        release: The release with the best trade; empty if none is better than giving away the original or nothing.
        sentence: The answer, in plain words, with intervals.
        caution: How far the best release is from naming nobody.
    """

    modality: str
    release: str
    sentence: str
    caution: str


def answers(drawn: Sequence[Panel], record: RunRecord) -> list[Answer]:
    """Return an answer for each panel."""
    return [_of_models(panel, record) if panel.modality == "model" else _answer(panel, record) for panel in drawn]


def _answer(panel: Panel, record: RunRecord) -> Answer:
    chosen = best(panel)
    if chosen is None:
        return Answer(modality=panel.modality, release="", sentence=_no_answer(panel), caution=_nearest(panel))
    caution = _caution_of_synthetic(chosen) if panel.modality == "synthetic" else _caution(chosen)
    sentence = _sentence(panel, chosen)
    if record.claims.get(chosen.release, NO_CLAIM).made:
        sentence += f" Privacy claimed: {record.claim(chosen.release).words}."
    return Answer(modality=panel.modality, release=chosen.release, sentence=_unbroken(sentence), caution=caution)


def _sentence(panel: Panel, chosen: Point) -> str:
    original = before(panel, chosen)
    if panel.modality == "synthetic":
        return _of_synthetic(chosen, original)
    return _of_people(chosen, original, wording.drawn(panel.modality)[0])


def _nearest(panel: Panel) -> str:
    """Return what the nearest to a trade is like, of representations and synthetic people."""
    scored = [(gain(panel, p), p) for p in panel.points if not p.original and math.isfinite(gain(panel, p))]
    if panel.modality not in _NO_TRADE or not scored:
        return ""
    nearest = max(scored, key=lambda pair: pair[0])[1]
    return _unbroken(f"The nearest, {nearest.release}, {_sentence(panel, nearest)}")


def _of_people(chosen: Point, original: Point, what: str) -> str:
    kept, kept_ends = wording.figure(chosen.utility)
    named, named_ends = wording.figure(chosen.risk)
    was_kept, was_named = wording.figure(original.utility)[0], wording.figure(original.risk)[0]
    return (
        f"keeps {kept} {kept_ends} of {what} (original {was_kept}{_guess(chosen.utility.control, False)}), "
        f"while an attacker who retrains names {named} {named_ends} (original {was_named}"
        f"{_guess(chosen.risk.control, True)})."
    )


def _of_synthetic(chosen: Point, original: Point) -> str:
    recall, ends = wording.figure(chosen.utility)
    area, area_ends = wording.figure(chosen.risk)
    real, known = wording.number(original.utility.value), wording.number(original.risk.value)
    able = f"recall {recall} {ends} of real people’s recordings"
    if chosen.utility.unit == "auc":
        able = f"foretell real people’s next visits with an area of {recall} {ends}"
    return (
        f"teaches a reader to {able} (real people teach {real}{_guess(chosen.utility.control, False)}), while the "
        f"strongest attack tells whom it was learned from with an area of {area} {area_ends} (of the real recordings "
        f"themselves {known}{_guess(chosen.risk.control, False)})."
    )


def _unbroken(sentence: str) -> str:
    """Keep intervals, percentages and equations from being torn apart at the end of a line."""
    short = sentence.replace("  ", " ").replace("–", "\u2060–\u2060")
    return short.replace(" %", "\u00a0%").replace(" = ", "\u00a0=\u00a0")


def _of_models(panel: Panel, record: RunRecord) -> Answer:
    """Choose the model that recalls most among those whose members are not told from others, else the safest."""
    if not panel.points:
        return Answer(modality=panel.modality, release="", sentence=_NO_MODEL, caution="")
    hidden = [p for p in panel.points if _hides(p)]
    chosen = max(hidden, key=lambda p: p.utility.value) if hidden else min(panel.points, key=lambda p: p.risk.value)
    recall, ends = wording.figure(chosen.utility)
    area, area_ends = wording.figure(chosen.risk)
    sentence = (
        f"recalls {recall} {ends} in recordings it never met{_guess(chosen.utility.control, False)}, while the "
        f"strongest membership attack tells what it learned from with an area of {area} {area_ends}, guessing 0.50. "
        f"Privacy claimed: {record.claim(chosen.release).words}."
    )
    return Answer(
        modality=panel.modality,
        release=chosen.release,
        sentence=_unbroken(sentence),
        caution=_caution_of_model(panel, chosen, record),
    )


def _caution_of_model(panel: Panel, chosen: Point, record: RunRecord) -> str:
    said = []
    if not _hides(chosen):
        others = ", as they do of every model ranked here" if len(panel.points) > 1 else ""
        said.append(f"Attacks tell better than guessing what it learned from{others}")
    if chosen.utility.low <= chosen.utility.control:
        said.append("It recalls no better than guessing")
    if record.claim(chosen.release).made:
        said.append("The ε bounds every attack; those tried here only show that it is not plainly wrong")
    else:
        said.append("Attacks show no more than they find; only a model with an ε has a bound against all of them")
    return ". ".join(said) + "."


def _hides(point: Point) -> bool:
    return point.risk.low <= point.risk.control


def _guess(control: float, percent: bool) -> str:
    return f", guessing {wording.number(control, percent=percent)}" if math.isfinite(control) else ""


def _no_answer(panel: Panel) -> str:
    if not any(not p.original for p in panel.points):
        if panel.modality == "synthetic":
            return _NO_SYNTHETIC
        return "No release could be ranked: none has both a retrained reader and an attack that may be believed."
    if panel.original is None:
        return "No best trade can be named, because the unprotected recordings were not measured."
    either = "No release trades identity for emotion better than giving away the original or giving away nothing."
    return _NO_TRADE.get(panel.modality, either)


def _caution_of_synthetic(chosen: Point) -> str:
    risk = chosen.risk
    if not math.isfinite(risk.low):
        return "Without an interval, how sure this is cannot be said."
    if not _hides(chosen):
        return "Attacks tell better than guessing whom they were learned from."
    return (
        f"This attack does no better than guessing, within an interval that reaches {wording.number(risk.high)}; a "
        "stronger one might. What is rare is at the greatest risk: see the most exposed people."
    )


def _caution(chosen: Point) -> str:
    risk = chosen.risk
    if not (math.isfinite(risk.low) and math.isfinite(risk.control)):
        return "Without an interval, how sure this is cannot be said."
    if risk.low > risk.control:
        return "It lowers the risk and does not remove it: people are still named more often than by guessing."
    high = wording.number(risk.high, percent=True)
    return f"These attacks do no better than guessing, within an interval that reaches {high}; a stronger one might."
