"""The study's answer in one sentence for each modality, computed from its results."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from personare.report import wording
from personare.report.frontier import Panel, Point, best

__all__ = ["Answer", "answers"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a study found for one modality.

    Attributes:
        modality: ``audio``, ``video`` or ``audio+video``.
        release: The release with the best trade; empty if none is better than giving away the original or nothing.
        sentence: The answer, in plain words, with intervals.
        caution: How far the best release is from naming nobody.
    """

    modality: str
    release: str
    sentence: str
    caution: str


def answers(drawn: Sequence[Panel]) -> list[Answer]:
    """Return an answer for each panel."""
    return [_answer(panel) for panel in drawn]


def _answer(panel: Panel) -> Answer:
    if panel.modality == "model":
        return _of_models(panel)
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


def _of_models(panel: Panel) -> Answer:
    """Choose the model that recalls most among those whose members are not told from others, else the safest."""
    if not panel.points:
        return Answer(modality=panel.modality, release="", sentence=_no_answer(panel), caution="")
    hidden = [p for p in panel.points if p.risk.low <= p.risk.control]
    chosen = max(hidden, key=lambda p: p.utility.value) if hidden else min(panel.points, key=lambda p: p.risk.value)
    recall, ends = wording.figure(chosen.utility)
    area, area_ends = wording.figure(chosen.risk)
    sentence = (
        f"recalls {recall} {ends} in people it never met{_guess(chosen.utility.control, False)}, while the strongest "
        f"membership attack tells what it learned from with an area of {area} {area_ends}, guessing 0.50."
    )
    caution = "Attacks show no more than they find; only a model with an ε has a bound that holds against all of them."
    return Answer(
        modality=panel.modality,
        release=chosen.release,
        sentence=sentence.replace("–", "\u2060–\u2060"),
        caution=f"{chosen.risk.note}. {caution}".lstrip(". "),
    )


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
