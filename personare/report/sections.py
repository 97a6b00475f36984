"""What the page shows of each release, of the self-tests and of the published figures, ready for the template."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personare.core.types import Result
from personare.report import wording
from personare.report.curves import draw_reliability, draw_roc
from personare.report.drawing import to_svg
from personare.report.frontier import emotion, identity, informative
from personare.report.media import Example
from personare.report.plots import draw_histograms
from personare.report.run import RunRecord
from personare.report.sources import about

__all__ = ["Confusion", "Histogram", "ReleaseSection", "SelfTest", "reference_rows", "release_section", "self_tests"]

_WHO = ("fixed_reader", "retrained_reader", "ignorant", "lazy_informed", "semi_informed", "")
_IDENTITY = ("top1", "eer", "dsys", "tar_far1")
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
    examples: Sequence[Example]


def release_section(record: RunRecord, name: str, examples: Sequence[Example]) -> ReleaseSection:
    """Gather what is known about one release."""
    rows = [r for r in record.results if r.release == name]
    modalities = list(dict.fromkeys(r.modality for r in rows if r.kind != "cost"))
    one = record.release(name)
    counted = dict(one.get("counts") or {})
    if isinstance(one.get("seconds"), int | float):
        counted.setdefault("seconds", one["seconds"])
    return ReleaseSection(
        name=name,
        slug=wording.slug(name),
        record=one,
        methods=_methods(one),
        counts=[(key.replace("_", " "), _counted(value)) for key, value in counted.items()],
        withheld=[w for w in one.get("withheld") or [] if isinstance(w, dict)],
        pivots=_pivots(rows),
        confusions=[c for m in modalities for c in _confusions(rows, name, m)],
        histograms=[h for m in modalities for h in _histograms(record, name, m)] + _curves(rows),
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
        listed.append((wording.group(modality), str(method), about(str(method)).summary, said))
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
    """Draw a model's membership attacks, by recording and by person, and its reliability."""
    drawn = []
    for figure, what in (("auc", "recordings"), ("person_auc", "people")):
        areas = [r for r in rows if r.measure.partition(".")[2] == figure and "roc" in r.detail]
        curves = {wording.measure(r.measure).partition(":")[0]: r.detail["roc"] for r in areas}
        if curves:
            bound = next((r.detail["bound"] for r in areas if "bound" in r.detail), None)
            drawn.append(
                Histogram(
                    title=f"Membership of {what}",
                    svg=to_svg(draw_roc(curves, bound), title=f"ROC of membership attacks on {what}."),
                )
            )
    drawn += [
        Histogram(
            title="Can its confidence be trusted?",
            svg=to_svg(draw_reliability(r.detail["reliability"]), title="Reliability diagram of the model."),
        )
        for r in rows
        if "reliability" in r.detail
    ]
    return drawn


def _confusions(rows: Sequence[Result], name: str, modality: str) -> Iterable[Confusion]:
    for reader in ("fixed_reader", "retrained_reader"):
        row = emotion(rows, name, modality, reader)
        counts = row.detail.get("confusion") if row else None
        classes = row.detail.get("classes") if row else None
        if not row or not counts or not classes or len(counts) != len(classes):
            continue
        shares = [[c / sum(line) if sum(line) else math.nan for c in line] for line in counts]
        title = f"{wording.group(modality)}, {wording.attacker(reader)} ({row.measure.partition('.')[0]})"
        yield Confusion(title=title, classes=[str(c) for c in classes], counts=counts, shares=shares)


def _histograms(record: RunRecord, name: str, modality: str) -> Iterable[Histogram]:
    """The strongest retrained attack whose scores were kept, and the same attack on originals."""
    rows = [r for r in record.results if r.release == name and r.modality == modality]
    detailed = [r for r in rows if r.attacker == "semi_informed" and set(r.detail) >= _SCORES]
    strongest = identity(rows, name, modality, "semi_informed")
    value = strongest.value if strongest else math.nan

    def closeness(row: Result) -> tuple[bool, bool, float]:
        attack = row.measure.partition(".")[0]
        top1 = next((r.value for r in rows if r.measure == f"{attack}.top1" and r.attacker == row.attacker), math.nan)
        named = bool(strongest and re.search(rf"\b{re.escape(attack)}\b", strongest.note))
        return named, top1 == value, top1 if math.isfinite(top1) else -1.0

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


def self_tests(record: RunRecord) -> list[SelfTest]:
    """Return what each attack did on originals, and whether it may be believed."""
    rows = [r for r in record.results if r.kind == "risk" and not r.measure.startswith("identity.")]
    found = dict.fromkeys((_attack(r), r.modality) for r in rows if r.unit != "cosine")
    return [_self_test(key, [r for r in rows if (_attack(r), r.modality) == key]) for key in sorted(found, key=_order)]


def _attack(row: Result) -> str:
    """What is tested together: an identity attack with all its figures, an attribute by itself."""
    name, _, figure = row.measure.partition(".")
    return name if figure in _IDENTITY else row.measure


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
