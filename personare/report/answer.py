"""A study's answer in a sentence for each group of releases: chosen from its results, worded by ``answers.txt``."""

import math
from dataclasses import dataclass, replace

from personare.core.strongest import IDENTIFY, IDENTIFY_ALL, baseline
from personare.core.types import Result
from personare.evaluate import metrics
from personare.report import words
from personare.report.frontier import Panel, before, best, gain
from personare.report.run import RunRecord


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a study found for one group of releases."""

    group: str
    kind: str
    release: str  # the best trade; empty if none beats giving away the original or nothing, and of made-up people
    sentence: str
    caution: str  # how far it is from identifying nobody


def answer(panel: Panel, record: RunRecord) -> Answer:
    """Return the answer of a panel; of made-up people, no release is called best."""
    others = [p for p in panel.points if not p.original]
    gains = [(gain(panel, p), p) for p in others]
    choice = best(panel)
    if panel.kind == "model":  # what recalls most of those whose members no attack tells from others, else the safest
        hidden = [p for p in others if p.risk.low <= p.risk.control]
        safest = min(others, key=lambda p: p.risk.value, default=None)
        choice = max(hidden, key=lambda p: p.utility.value, default=safest)
    name = choice.release if choice and not record.simulated else ""
    templates = words.templates(escaped=False)
    templates.filters["capital"] = lambda name: f"{name[:1].upper()}{name[1:]}"
    templates.filters["above"] = lambda part: part[0] if part[1].low > part[1].control else ""
    templates.filters["sure"] = lambda part: math.isfinite(part[1].low) and math.isfinite(part[1].control)
    text = templates.get_template("answers.txt").render(
        panel=panel,
        kind=words.kind_of(panel.kind),
        utility_name=panel.utility_name,
        others=others,
        simulated=record.simulated,
        choice=choice,
        nearest=max((g for g in gains if math.isfinite(g[0])), key=lambda g: g[0], default=(0.0, None))[1],
        claim=record.claim(name),
        top1=replace(IDENTIFY, attacker="").find(record.results, name, panel.group),
        person_top1=replace(IDENTIFY_ALL, attacker="").find(record.results, name, panel.group),
        words=words,
        change=change,
        difference=difference,
        before=before,
        bare=baseline,
    )
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    for parts, whole in (("–", "\u2060–\u2060"), (" %", "\u00a0%"), (" = ", "\u00a0=\u00a0")):  # at the end of a line
        lines = [line.replace(parts, whole) for line in lines]
    sentence, *caution = lines
    return Answer(group=panel.group, kind=panel.kind, release=name, sentence=sentence, caution=" ".join(caution))


def change(row: Result | None, original: Result | None) -> str:
    """Say how a figure stands to what it is where nothing is protected, by the interval of the difference.

    That follows from the two 95 % intervals; that they are of the same people makes it wider than it need be. A figure
    of the originals without an interval counts as it stands; one of the release cannot be told from anything.
    """
    if row is None or original is None or "not_measured" in (row.status, original.status):
        return "not measured"
    if "not_informative" in (row.status, original.status):
        return "not informative"
    low, high = difference(row, original)
    return "lower" if high < 0 else "higher" if low > 0 else "no difference that can be told"


def difference(row: Result, original: Result) -> tuple[float, float]:
    """Return the interval of a figure less that of the originals; NaN where the figure has none."""
    low, high = (end if math.isfinite(end) else original.value for end in (original.low, original.high))
    return metrics.difference(row, replace(original, low=low, high=high))
