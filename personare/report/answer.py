"""The study's answer in one sentence for each modality, computed from its results."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from personare.core.types import Result
from personare.report import wording
from personare.report.figures import shown_identity
from personare.report.frontier import Panel, Point, baseline, before, best, gain
from personare.report.run import RunRecord
from personare.report.trained import NO_CLAIM

__all__ = ["Answer", "answers", "change"]

_NO_MODEL = "No model could be ranked: none has both its recall and a membership attack that may be believed."
_NO_SYNTHETIC = (
    "No synthetic people could be ranked: none have both a reader that learned from them and a membership attack that "
    "may be believed."
)
_UNCLEAR = "no difference that can be told"
_ONE, _ALL = "from one recording", "from all of a person’s recordings"
_NO_TRADE = {
    "representation": "No representation trades identity for recall better than giving away the original or nothing.",
    "synthetic": "No synthetic people trade membership for recall better than giving away the real ones or nothing.",
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a study found for one modality.

    Attributes:
        modality: ``audio``, ``video``, ``audio+video``, ``representation``, ``synthetic`` or ``model``.
        release: The release with the best trade; empty if none is better than giving away the original or nothing, and
            where the people are made up.
        sentence: The answer, in plain words, with intervals.
        caution: How far the best release is from naming nobody.
    """

    modality: str
    release: str
    sentence: str
    caution: str


def answers(drawn: Sequence[Panel], record: RunRecord) -> list[Answer]:
    """Return an answer for each panel; of made-up people, no release is called best."""
    if record.simulated:
        return [_of_simulated(panel) for panel in drawn]
    return [_of_models(panel, record) if panel.modality == "model" else _answer(panel, record) for panel in drawn]


def change(row: Result | None, original: Result | None) -> str:
    """Say how a figure stands to what it is where nothing is protected, by the interval of the difference.

    That follows from the two 95 % intervals; that they are of the same people makes it wider than it need be. A figure
    of the originals without an interval counts as it stands; one of the release cannot be told from anything.

    Returns:
        ``lower``, ``higher``, ``no difference that can be told``, ``not informative`` or ``not measured``.

    **Source**: G. Zou, A. Donner, "Construction of confidence limits about effect measures", Statistics in Medicine
    27(10), 2008.
    """
    if row is None or original is None or "not_measured" in (row.status, original.status):
        return "not measured"
    if "not_informative" in (row.status, original.status):
        return "not informative"
    low, high = _difference(row, original)
    return "lower" if high < 0 else "higher" if low > 0 else _UNCLEAR


def _difference(row: Result, original: Result) -> tuple[float, float]:
    """Return the interval of a figure less that of the originals; NaN where the figure has none."""
    was_low, was_high = (e if math.isfinite(e) else original.value for e in (original.low, original.high))
    gap = row.value - original.value
    low = gap - math.hypot(row.value - row.low, was_high - original.value)
    return low, gap + math.hypot(row.high - row.value, original.value - was_low)


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
    return _of_people(chosen, original, wording.drawn(panel.modality, panel.kept)[0])


def _nearest(panel: Panel) -> str:
    """Return what the nearest to a trade is like, of representations and synthetic people."""
    scored = [(gain(panel, p), p) for p in panel.points if not p.original and math.isfinite(gain(panel, p))]
    if panel.modality not in _NO_TRADE or not scored:
        return ""
    nearest = max(scored, key=lambda pair: pair[0])[1]
    return _unbroken(f"The nearest, {nearest.release}: {_sentence(panel, nearest)}")


def _of_people(chosen: Point, original: Point, what: str) -> str:
    return (
        f"{_capital(what)} is {_kept(chosen.utility, original.utility)}. An attacker who retrains names "
        f"{_against(chosen.risk, original.risk, _ONE)}; {_against(chosen.together, original.together, _ALL)}."
    )


def _kept(row: Result, original: Result, was: str = "original") -> str:
    """Say what is left of a utility, what it was, and what is lost or gained as far as that can be told."""
    said = change(row, original)
    if said in ("lower", "higher"):
        ends = sorted(abs(end) for end in _difference(row, original))
        said += f" by {wording.number(abs(original.value - row.value))} {wording.interval(*ends)}"
    return f"{_figure(row)} ({was} {wording.figure(original)[0]}{_guess(row.control, False)}): {said}"


def _against(row: Result | None, original: Result | None, where: str, was: str = "original") -> str:
    """Say what is named, what was, and what became of it."""
    if row is None:
        return f"{where}: not measured"
    guess = _guess(row.control, True) if where == _ONE else ""  # the same for both
    known = wording.figure(original)[0] if original else "not measured"
    return f"{_figure(row)} {where} ({was} {known}{guess}): {change(row, original)}"


def _figure(row: Result) -> str:
    return " ".join(filter(None, wording.figure(row)))


def _of_synthetic(chosen: Point, original: Point) -> str:
    kept = _kept(chosen.utility, original.utility, "real people teach")
    able = f"teaches a reader to recall real people’s recordings: {kept}"
    if chosen.utility.unit == "auc":
        able = f"teaches a reader to foretell real people’s next visits, as an area: {kept}"
    return (
        f"{able}. The strongest attack tells whom it was learned from with an area of {_figure(chosen.risk)} (of the "
        f"real recordings themselves {wording.figure(original.risk)[0]}{_guess(chosen.risk.control, False)}): "
        f"{change(chosen.risk, original.risk)}."
    )


def _of_simulated(panel: Panel) -> Answer:
    """Say from where to where the releases of made-up people go, which shows the page and ranks nothing."""
    shown = [p for p in panel.points if not p.original]
    if not shown:
        return Answer(modality=panel.modality, release="", sentence=_no_answer(panel), caution="")
    kept, told, _ = wording.drawn(panel.modality, panel.kept)
    known = panel.original
    said = f"{kept} {_range([p.utility for p in shown], known.utility if known else None)}; "
    said += f"{told} {_range([p.risk for p in shown], known.risk if known else None)}"
    if whole := [p.together for p in shown if p.together]:
        said += f" {_ONE}, {_range(whole, known.together if known else None)} {_ALL}"
    return Answer(modality=panel.modality, release="", sentence=_unbroken(f"{_capital(said)}."), caution="")


def _range(rows: Sequence[Result], original: Result | None) -> str:
    least, most = (wording.figure(pick(rows, key=lambda row: row.value))[0] for pick in (min, max))
    was = f" (original {wording.figure(original)[0]})" if original else ""
    return f"{least}{f' to {most}' if most != least else ''}{was}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


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
    bare = baseline(chosen.risk)
    without = f" (without privacy {wording.figure(bare)[0]}): {change(chosen.risk, bare)}" if bare else ""
    sentence = (
        f"recalls {_figure(chosen.utility)} in recordings it never met{_guess(chosen.utility.control, False)}, while "
        f"the strongest membership attack tells what it learned from with an area of {_figure(chosen.risk)}, guessing "
        f"0.50{without}. "
    )
    if (one := shown_identity(record.results, chosen.release, "top1")) is not None:
        whole = shown_identity(record.results, chosen.release, "person_top1")
        sentence += f"What it shows names people: {_against(one, baseline(one), _ONE, 'what it reads')}; "
        sentence += f"{_against(whole, baseline(whole), _ALL, 'what it reads')}. "
    sentence += f"Privacy claimed: {record.claim(chosen.release).words}."
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
    either = f"No release trades identity for {panel.kept} better than giving away the original or nothing."
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
    rows = [(where, row) for where, row in ((_ONE, chosen.risk), (_ALL, chosen.together)) if row]
    if not all(math.isfinite(row.low) and math.isfinite(row.control) for _, row in rows):
        return "Without an interval, how sure this is cannot be said."
    if above := [where for where, row in rows if row.low > row.control]:
        return f"People are still named more often than by guessing, {' and '.join(above)}."
    high = wording.number(max(row.high for _, row in rows), percent=True)
    return f"These attacks do no better than guessing, within an interval that reaches {high}; a stronger one might."
