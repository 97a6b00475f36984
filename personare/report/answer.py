"""The study's answer in one sentence for each modality, computed from its results."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from personare.report import wording
from personare.report.frontier import Panel, Point, best
from personare.report.run import RunRecord

__all__ = ["Answer", "answers"]

_NO_MODEL = "No model could be ranked: none has both its recall and a membership attack that may be believed."


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a study found for one modality.

    Attributes:
        modality: ``audio``, ``video``, ``audio+video`` or ``model``.
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
    return [_of_models(panel, record) if panel.modality == "model" else _answer(panel) for panel in drawn]


def _answer(panel: Panel) -> Answer:
    chosen = best(panel)
    if chosen is None:
        return Answer(modality=panel.modality, release="", sentence=_no_answer(panel), caution="")
    original = panel.original
    assert original is not None  # best() compares with it
    kept, kept_ends = wording.figure(chosen.utility)
    named, named_ends = wording.figure(chosen.risk)
    was_kept, was_named = wording.figure(original.utility)[0], wording.figure(original.risk)[0]
    sentence = (
        f"keeps {kept} {kept_ends} of emotion recall (original {was_kept}{_guess(chosen.utility.control, False)}), "
        f"while an attacker who retrains names {named} {named_ends} (original {was_named}"
        f"{_guess(chosen.risk.control, True)})."
    )
    # Intervals and percentages must not be torn apart at the end of a line.
    sentence = sentence.replace("  ", " ").replace("–", "\u2060–\u2060").replace(" %", "\u00a0%")
    return Answer(modality=panel.modality, release=chosen.release, sentence=sentence, caution=_caution(chosen))


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
        sentence=sentence.replace("  ", " ").replace("–", "\u2060–\u2060").replace(" = ", "\u00a0=\u00a0"),
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
        return "No release could be ranked: none has both a retrained reader and an attack that may be believed."
    if panel.original is None:
        return "No best trade can be named, because the unprotected recordings were not measured."
    return "No release trades identity for emotion better than giving away the original or giving away nothing."


def _caution(chosen: Point) -> str:
    risk = chosen.risk
    if not (math.isfinite(risk.low) and math.isfinite(risk.control)):
        return "Without an interval, how sure this is cannot be said."
    if risk.low > risk.control:
        return "It lowers the risk and does not remove it: people are still named more often than by guessing."
    high = wording.number(risk.high, percent=True)
    return f"These attacks do no better than guessing, within an interval that reaches {high}; a stronger one might."
