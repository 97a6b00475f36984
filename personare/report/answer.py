"""The study's answer in one sentence for each group of releases, computed from its results."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from personare.core.strongest import Query, baseline
from personare.core.types import Result
from personare.report import words
from personare.report.frontier import Panel, Point, before, best, gain
from personare.report.run import RunRecord

__all__ = ["Answer", "answers", "change"]

_UNCLEAR = "no difference that can be told"
_ONE, _ALL = "from one recording", "from all of a person’s recordings"
_NOT_RANKED = {
    "model": "No model could be ranked: none has both its recall and a membership attack that may be believed.",
    "synthetic": "No synthetic people could be ranked: none have both a reader that learned from them and a membership "
    "attack that may be believed.",
}
_NO_TRADE = {
    "representations": "No representation trades identity for recall better than giving away the original or nothing.",
    "synthetic": "No synthetic people trade membership for recall better than giving away the real ones or nothing.",
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a study found for one group of releases.

    ``release`` is the best trade; empty if none is better than giving away the original or nothing, and where the
    people are made up. ``caution`` says how far it is from identifying nobody.
    """

    group: str
    kind: str
    release: str = ""
    sentence: str
    caution: str = ""


def answers(drawn: Sequence[Panel], record: RunRecord) -> list[Answer]:
    """Return an answer for each panel; of made-up people, no release is called best."""
    ranked = [_of_models(p, record) if p.kind == "model" else _answer(p, record) for p in drawn]
    return [_of_simulated(p) for p in drawn] if record.simulated else ranked


def change(row: Result | None, original: Result | None) -> str:
    """Say how a figure stands to what it is where nothing is protected, by the interval of the difference.

    That follows from the two 95 % intervals; that they are of the same people makes it wider than it need be. A figure
    of the originals without an interval counts as it stands; one of the release cannot be told from anything.

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
        scored = [(gain(panel, p), p) for p in panel.points if not p.original and math.isfinite(gain(panel, p))]
        nearest = ""
        if panel.kind in _NO_TRADE and scored:
            point = max(scored, key=lambda pair: pair[0])[1]
            nearest = _unbroken(f"The nearest, {point.release}: {_sentence(panel, point)}")
        return Answer(group=panel.group, kind=panel.kind, sentence=_no_answer(panel), caution=nearest)
    sentence = _sentence(panel, chosen)
    if chosen.release in record.claims and record.claims[chosen.release].made:
        sentence += f" Privacy claimed: {record.claim(chosen.release).words}."
    caution = _caution(panel, chosen)
    return Answer(
        group=panel.group, kind=panel.kind, release=chosen.release, sentence=_unbroken(sentence), caution=caution
    )


def _sentence(panel: Panel, chosen: Point) -> str:
    original = before(panel, chosen)
    if panel.kind == "synthetic":
        able = "teaches a reader to recall real people’s recordings"
        if chosen.utility.figure == "next_visit_auc":
            able = "teaches a reader to predict real people’s next visits (AUC)"
        return (
            f"{able}: {_kept(chosen.utility, original.utility, 'real people teach')}. The strongest attack tells whom "
            f"it was learned from with a membership AUC of {_figure(chosen.risk)} (of the real recordings themselves "
            f"{words.figure(original.risk)[0]}{_guess(chosen.risk)}): {change(chosen.risk, original.risk)}."
        )
    kept = panel.kept if panel.kind == "recordings" else "recall"
    said = f"{kept[:1].upper()}{kept[1:]} is {_kept(chosen.utility, original.utility)}."
    if panel.kind not in words.KINDS:
        return f"{said} The strongest attack finds {_against(chosen.risk, original.risk, '')}."
    return (
        f"{said} An attacker who retrains identifies {_against(chosen.risk, original.risk, _ONE)}; "
        f"{_against(chosen.together, original.together, _ALL)}."
    )


def _kept(row: Result, original: Result, was: str = "original") -> str:
    """Say what is left of a utility, what it was, and what is lost or gained as far as that can be told."""
    said = change(row, original)
    if said in ("lower", "higher"):
        ends = sorted(abs(end) for end in _difference(row, original))
        said += f" by {words.number(abs(original.value - row.value))} {words.interval(*ends)}"
    return f"{_figure(row)} ({was} {words.figure(original)[0]}{_guess(row)}): {said}"


def _against(row: Result | None, original: Result | None, where: str, was: str = "original") -> str:
    """Say what is identified, what was, and what became of it."""
    if row is None:
        return f"{where}: not measured"
    guess = _guess(row) if where != _ALL else ""  # the same for both
    known = words.figure(original)[0] if original else "not measured"
    return f"{_figure(row)} {where} ({was} {known}{guess}): {change(row, original)}"


def _figure(row: Result) -> str:
    return " ".join(filter(None, words.figure(row)))


def _guess(row: Result) -> str:
    return f", guessing {words.share_like(row, row.control)}" if math.isfinite(row.control) else ""


def _of_simulated(panel: Panel) -> Answer:
    """Say from where to where the releases of made-up people go, which shows the page and ranks nothing."""
    shown = [p for p in panel.points if not p.original]
    if not shown:
        return Answer(group=panel.group, kind=panel.kind, sentence=_no_answer(panel))
    kind, known = words.kind_of(panel.kind), panel.original
    kept = panel.kept if panel.kind == "recordings" else kind["kept"]
    said = f"{kept[:1].upper()}{kept[1:]} {_range([p.utility for p in shown], known.utility if known else None)}; "
    said += f"{kind['risk']} {_range([p.risk for p in shown], known.risk if known else None)}"
    if whole := [p.together for p in shown if p.together]:
        said += f" {_ONE}, {_range(whole, known.together if known else None)} {_ALL}"
    return Answer(group=panel.group, kind=panel.kind, sentence=_unbroken(f"{said}."))


def _range(rows: Sequence[Result], original: Result | None) -> str:
    least, most = (words.figure(pick(rows, key=lambda row: row.value))[0] for pick in (min, max))
    was = f" (original {words.figure(original)[0]})" if original else ""
    return f"{least}{f' to {most}' if most != least else ''}{was}"


def _unbroken(sentence: str) -> str:
    """Keep intervals, percentages and equations from being torn apart at the end of a line."""
    short = sentence.replace("  ", " ").replace("–", "\u2060–\u2060")
    return short.replace(" %", "\u00a0%").replace(" = ", "\u00a0=\u00a0")


def _of_models(panel: Panel, record: RunRecord) -> Answer:
    """Choose the model that recalls most among those whose members are not told from others, else the safest."""
    if not panel.points:
        return Answer(group=panel.group, kind=panel.kind, sentence=_NOT_RANKED["model"])
    hidden = [p for p in panel.points if p.risk.low <= p.risk.control]
    chosen = max(hidden, key=lambda p: p.utility.value) if hidden else min(panel.points, key=lambda p: p.risk.value)
    bare = baseline(chosen.risk)
    without = f" (without privacy {words.figure(bare)[0]}): {change(chosen.risk, bare)}" if bare else ""
    sentence = (
        f"recalls {_figure(chosen.utility)} in recordings it never met{_guess(chosen.utility)}, while the strongest "
        f"attack tells what it learned from with a membership AUC of {_figure(chosen.risk)}, guessing 0.50{without}. "
    )
    one, whole = (
        Query(questions=("identify",), figures=(figure,)).find(record.results, chosen.release, panel.group)
        for figure in ("top1", "person_top1")
    )
    if one is not None:
        sentence += f"What it shows identifies people: {_against(one, baseline(one), _ONE, 'what it reads')}; "
        sentence += f"{_against(whole, baseline(whole), _ALL, 'what it reads')}. "
    claim = record.claim(chosen.release)
    caution = []
    if not hidden:
        others = ", as they do of every model ranked here" if len(panel.points) > 1 else ""
        caution.append(f"Attacks tell better than guessing what it learned from{others}")
    if chosen.utility.low <= chosen.utility.control:
        caution.append("It recalls no better than guessing")
    caution.append(
        "The ε bounds every attack; those tried here only show that it is not plainly wrong"
        if claim.made
        else "Attacks show no more than they find; only a model with an ε has a bound against all of them"
    )
    return Answer(
        group=panel.group,
        kind=panel.kind,
        release=chosen.release,
        sentence=_unbroken(f"{sentence}Privacy claimed: {claim.words}."),
        caution=". ".join(caution) + ".",
    )


def _no_answer(panel: Panel) -> str:
    if all(p.original for p in panel.points):
        either = "No release could be ranked: none has both a retrained reader and an attack that may be believed."
        return _NOT_RANKED.get(panel.kind, either)
    if panel.original is None:
        return "No best trade can be named, because the unprotected recordings were not measured."
    either = f"No release trades identity for {panel.kept} better than giving away the original or nothing."
    return _NO_TRADE.get(panel.kind, either)


def _caution(panel: Panel, chosen: Point) -> str:
    rows = [(where, row) for where, row in ((_ONE, chosen.risk), (_ALL, chosen.together)) if row]
    if not all(math.isfinite(row.low) and math.isfinite(row.control) for _, row in rows):
        return "Without an interval, how sure this is cannot be said."
    above = [where for where, row in rows if row.low > row.control]
    high = words.share_like(chosen.risk, max(row.high for _, row in rows))
    if panel.kind == "synthetic":
        if above:
            return "Attacks tell better than guessing whom they were learned from."
        return (
            f"This attack does no better than guessing, within an interval that reaches {high}; a stronger one might. "
            "What is rare is at the greatest risk: see the most exposed people."
        )
    if above:
        return f"People are still identified more often than by guessing, {' and '.join(above)}."
    return f"These attacks do no better than guessing, within an interval that reaches {high}; a stronger one might."
