"""What the page shows of each release and of the published figures, ready for the template."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personare.core.types import Result
from personare.report import wording
from personare.report.cards import links_of
from personare.report.curves import draw_reliability, draw_roc
from personare.report.drawing import to_svg
from personare.report.figures import emotion, identity
from personare.report.made_sections import Pictures, made_pictures
from personare.report.media import Example
from personare.report.plots import draw_histograms
from personare.report.run import KINDS, RunRecord
from personare.report.sources import about

__all__ = ["Confusion", "Histogram", "ReleaseSection", "reference_rows", "release_section"]

_WHO = ("fixed_reader", "retrained_reader", "ignorant", "lazy_informed", "semi_informed", "")
_LEARNED = {"recordings": "recordings learned from", "people": "people learned from", "seconds": "seconds of training"}
_MADE = {"recordings": "recordings in it", "people": "people in it", "seconds": "seconds of work"}
_SCORES = {"mated", "non_mated"}


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """A confusion matrix; ``shares[i][j]`` is the share of class i that was read as class j."""

    title: str
    classes: Sequence[str]
    counts: Sequence[Sequence[float]]
    shares: Sequence[Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """The scores of an attack, drawn."""

    title: str
    svg: str


@dataclass(frozen=True, kw_only=True)
class Pivot:
    """All figures of one kind: a line for each measure, a column for each attacker or reader; notes by measure."""

    kind: str
    columns: Sequence[str]
    lines: Sequence[tuple[str, str, Sequence[Result | None]]]
    notes: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, kw_only=True)
class ReleaseSection:
    """Everything the page tells about one release."""

    name: str
    slug: str
    record: Mapping[str, Any]
    methods: Sequence[tuple[str, str, str, str]]
    counts: Sequence[tuple[str, str]]
    withheld: Sequence[Mapping[str, Any]]
    pivots: Sequence[Pivot]
    confusions: Sequence[Confusion]
    histograms: Sequence[Histogram]
    kind: str
    curves: Sequence[Histogram]
    pictures: Sequence[Pictures]
    claim: str
    links: Sequence[tuple[str, str]]
    examples: Sequence[Example]

    @property
    def model(self) -> bool:
        """Whether it is a model."""
        return self.kind == "model"


def release_section(record: RunRecord, name: str, examples: Sequence[Example]) -> ReleaseSection:
    """Gather what is known about one release."""
    rows = [r for r in record.results if r.release == name]
    modalities = list(dict.fromkeys(r.modality for r in rows if r.kind != "cost"))
    one = record.release(name)
    counted = dict(one.get("counts") or {})
    if isinstance(one.get("seconds"), int | float):
        counted.setdefault("seconds", one["seconds"])
    kind = record.modality(name)
    said = _LEARNED if kind == "model" else _MADE if kind else {}
    return ReleaseSection(
        name=name,
        slug=wording.slug(name),
        record=one,
        methods=_methods(one),
        counts=[(said.get(key, key.replace("_", " ")), _counted(value)) for key, value in counted.items()],
        withheld=[w for w in one.get("withheld") or [] if isinstance(w, dict)],
        pivots=_pivots(rows),
        confusions=[c for m in modalities for c in _confusions(rows, name, m)],
        histograms=[h for m in modalities for h in _histograms(record, name, m)],
        kind=kind,
        curves=_curves(rows),
        pictures=made_pictures(rows, kind),
        claim=str(one.get("claim") or ""),
        links=links_of(record.root, name) if kind not in ("", "model") else [],
        examples=examples,
    )


def _counted(value: Any) -> str:
    whole = not isinstance(value, float) or value == round(value)
    return f"{value:,.0f}" if whole and isinstance(value, int | float) else f"{value}" if whole else f"{value:,.1f}"


def _methods(one: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Modality, method, its summary, its options."""
    options = one.get("options") or {}
    listed = []
    for modality, method in (one.get("methods") or {}).items():
        chosen = options.get(method) or {}
        said = ", ".join(f"{key} = {value}" for key, value in chosen.items()) or "as they come"
        part = "Method" if modality in KINDS else wording.group(modality)
        listed.append((part, str(method), about(str(method), modality).summary, said))
    return listed


def _pivots(rows: Sequence[Result]) -> list[Pivot]:
    made = []
    for kind in ("utility", "risk", "cost"):
        chosen = [r for r in rows if r.kind == kind]
        present = {r.attacker for r in chosen}
        columns = [a for a in _WHO if a in present] + sorted(present - set(_WHO))
        keys = dict.fromkeys((r.measure, r.modality) for r in chosen)
        by_key = {(r.measure, r.modality, r.attacker): r for r in chosen}
        lines = [(m, wording.group(mod), [by_key.get((m, mod, a)) for a in columns]) for m, mod in keys]
        if lines:
            made.append(Pivot(kind=kind, columns=columns, lines=lines, notes=_notes(chosen)))
    return made


def _notes(rows: Sequence[Result]) -> list[tuple[str, str, str]]:
    """Measure, who it holds for, note; a note that holds for several attackers is said once."""
    whose: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.note:
            whose.setdefault((row.measure, row.note), []).append(wording.attacker(row.attacker))
    return [(measure, ", ".join(dict.fromkeys(filter(None, who))), note) for (measure, note), who in whose.items()]


def _curves(rows: Sequence[Result]) -> list[Histogram]:
    """Draw a model's membership attacks, by recording and by person, and whether its confidence can be trusted."""
    drawn = []
    for figure, what in (("auc", "recordings"), ("person_auc", "people")):
        areas = [r for r in rows if r.measure.startswith("membership_") and r.measure.partition(".")[2] == figure]
        areas = [r for r in areas if r.detail.get("roc")]
        curves = {r.measure.partition(".")[0].removeprefix("membership_"): r.detail["roc"] for r in areas}
        if curves:
            bound = next((r.detail["bound"] for r in areas if "bound" in r.detail), None)
            svg = to_svg(draw_roc(curves, bound), title=f"ROC of membership attacks on {what}.")
            drawn.append(Histogram(title=f"Which {what} it learned from, as attacks tell", svg=svg))
    return drawn + _reliability(rows)


def _reliability(rows: Sequence[Result]) -> list[Histogram]:
    row = next((r for r in rows if r.measure == "model.ece" and "reliability" in r.detail), None)
    if row is None:
        return []
    svg = to_svg(draw_reliability(row.detail["reliability"]), title="Reliability diagram of the model.")
    return [Histogram(title="How sure it is, and how often right", svg=svg)]


def _confusions(rows: Sequence[Result], name: str, modality: str) -> Iterable[Confusion]:
    if modality in KINDS:
        row = next((r for r in rows if r.measure == "model.accuracy"), None)
        yield from _confusion(row, "The model's answers")
        return
    for reader in ("fixed_reader", "retrained_reader"):
        row = emotion(rows, name, modality, reader)
        method = row.measure.partition(".")[0] if row else ""
        yield from _confusion(row, f"{wording.group(modality)}, {wording.attacker(reader)} ({method})")


def _confusion(row: Result | None, title: str) -> Iterable[Confusion]:
    counts = row.detail.get("confusion") if row else None
    classes = row.detail.get("classes") if row else None
    if not counts or not classes or len(counts) != len(classes):
        return
    shares = [[c / sum(line) if sum(line) else math.nan for c in line] for line in counts]
    yield Confusion(title=title, classes=[str(c) for c in classes], counts=counts, shares=shares)


def _histograms(record: RunRecord, name: str, modality: str) -> Iterable[Histogram]:
    """The strongest retrained attack whose scores were kept, and the same attack on originals."""
    rows = [r for r in record.results if r.release == name and r.modality == modality]
    detailed = [r for r in rows if r.attacker == "semi_informed" and set(r.detail) >= _SCORES]
    strongest = identity(rows, name, modality, "semi_informed")
    value = strongest.value if strongest else math.nan

    def closeness(row: Result) -> tuple[bool, float]:
        attack = row.measure.partition(".")[0]
        top1 = next((r.value for r in rows if r.measure == f"{attack}.top1" and r.attacker == row.attacker), math.nan)
        return top1 == value, top1 if math.isfinite(top1) else -1.0

    for row in sorted(detailed, key=closeness, reverse=True)[:1]:
        before = [
            r for r in record.results if (r.release, r.modality, r.measure) == ("original", modality, row.measure)
        ]
        before = [r for r in before if set(r.detail) >= _SCORES]
        for drawn in (*sorted(before, key=lambda r: r.attacker == row.attacker)[-1:], row):
            yield from _histogram(drawn)


def _histogram(row: Result) -> Iterable[Histogram]:
    attack = row.measure.partition(".")[0]
    where = "on the originals" if row.release == "original" else "on this release, retrained"
    words = f"Histogram of scores of {attack} on {row.release}: clips against their own person, and against others."
    try:
        figure = draw_histograms(row.detail["mated"], row.detail["non_mated"])
    except (KeyError, TypeError, ValueError):
        return
    yield Histogram(title=f"{wording.group(row.modality)}, {attack}, {where}", svg=to_svg(figure, title=words))


def reference_rows(record: RunRecord) -> list[Mapping[str, str]]:
    """Return published figures beside ours, as text."""
    return [
        {
            "row": str(entry.get("row", "")),
            "published": _free(entry.get("published")),
            "ours": _free(entry.get("ours")),
            "interval": wording.interval(_float(entry.get("low")), _float(entry.get("high"))),
            "note": wording.attacker(str(entry.get("attacker_note") or "")),
            "retrained": _free(entry.get("retrained")),
        }
        for entry in record.reference
    ]


def _free(value: Any) -> str:
    if isinstance(value, dict):
        ends = wording.interval(_float(value.get("low")), _float(value.get("high")))
        return f"{_free(value.get('value'))} {ends}".strip()
    if value is None or value == "":
        return "–"
    return wording.number(float(value)) if isinstance(value, int | float) else str(value)


def _float(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
