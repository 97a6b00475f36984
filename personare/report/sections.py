"""What the page shows of each release, of all tasks and of the published figures, ready for the template."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from personare.core.strongest import CANARIES, IDENTIFY, group_of
from personare.core.types import RISKS, Result
from personare.report import plots, words
from personare.report.claims import links_of
from personare.report.drawing import to_svg
from personare.report.media import Example
from personare.report.run import RunRecord
from personare.report.sources import about

__all__ = ["Pictures", "ReleaseSection", "pictures", "reference_rows", "release_section", "transfer_matrix"]

_PARTS = {"Utility": ("read", "resemble"), "Risk": RISKS, "Cost": ("cost",)}
_COUNTED = {
    "model": {"recordings": "recordings learned from", "people": "people learned from"},
    "representations": {"recordings": "recordings in it", "people": "people in it"},
}
_COUNTED["synthetic"] = _COUNTED["representations"]
_UNSCALED = ("mmd2", "mmd_p", "transitions")  # have no worst end that a picture could begin at; the table has them
_NEAREST = ("nearer", "exact", "named", "copies", "near_copies")


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Some pictures, each (title, SVG), under the heading that they answer; ``note`` says how they are read."""

    heading: str
    drawn: Sequence[tuple[str, str]]
    note: str


@dataclass(frozen=True, kw_only=True)
class ReleaseSection:
    """Everything the page tells about one release.

    ``methods`` are (modality, method, summary, options), ``pivots`` all figures with a line for each measure and a
    column for each attacker or reader, ``confusions`` matrices with the share of each class that was read as another.
    """

    name: str
    kind: str
    record: Mapping[str, Any]
    methods: Sequence[tuple[str, str, str, str]]
    counts: Sequence[tuple[str, str]]
    withheld: Sequence[Mapping[str, Any]]
    pivots: Sequence[Mapping[str, Any]]
    confusions: Sequence[Mapping[str, Any]]
    pictures: Sequence[Pictures]
    claim: str
    links: Sequence[tuple[str, str]]
    examples: Sequence[Example]


def release_section(record: RunRecord, name: str, examples: Sequence[Example]) -> ReleaseSection:
    """Gather what is known about one release."""
    rows = [r for r in record.results if r.release == name]
    kind, one = record.kind(name), record.release(name)
    counts = dict(one.get("counts") or {})
    if isinstance(one.get("seconds"), int | float):
        counts.setdefault("seconds", one["seconds"])
    said = _COUNTED.get(kind, {})
    methods = []
    for modality, method in (one.get("methods") or {}).items():
        options = ", ".join(f"{k} = {v}" for k, v in ((one.get("options") or {}).get(method) or {}).items())
        part = words.group(modality) if kind == "recordings" else "Method"
        methods.append((part, str(method), about(str(method), kind).summary, options or "as they come"))
    return ReleaseSection(
        name=name,
        kind=kind,
        record=one,
        methods=methods,
        counts=[(said.get(key, words.plain(key)), _counted(value)) for key, value in counts.items()],
        withheld=[w for w in one.get("withheld") or [] if isinstance(w, dict)],
        pivots=[made for part, questions in _PARTS.items() if (made := _pivot(part, questions, rows))],
        confusions=[matrix for row in rows if (matrix := _confusion(row))],
        pictures=pictures(record, name),
        claim=str(one.get("claim") or ""),
        links=[] if kind == "model" else links_of(record.root, name) if kind != "recordings" else [],
        examples=examples,
    )


def _counted(value: Any) -> str:
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def _pivot(part: str, questions: Sequence[str], rows: Sequence[Result]) -> dict[str, Any]:
    chosen = [r for r in rows if r.question in questions]
    present = {r.attacker for r in chosen}
    columns = [a for a in words.ATTACKERS if a in present] + sorted(present - set(words.ATTACKERS))
    lines: dict[tuple[str, ...], dict[str, Result]] = {}
    reasons: dict[tuple[str, str], list[str]] = {}  # one that holds for several attackers is said once
    for row in chosen:
        lines.setdefault((row.method, row.figure, row.subset, group_of(row)), {})[row.attacker] = row
        if row.reason:
            reasons.setdefault((words.name_of(row), row.reason), []).append(words.attacker(row.attacker))
    cells = [[line.get(column) for column in columns] for line in lines.values()]
    notes = [(n, ", ".join(dict.fromkeys(filter(None, who))), why) for (n, why), who in reasons.items()]
    return {"part": part, "columns": columns, "lines": cells, "notes": notes} if cells else {}


def _confusion(row: Result) -> dict[str, Any]:
    counts, classes = row.detail.get("confusion"), row.detail.get("classes")
    if row.method not in ("reader", "model") or not counts or not classes or len(counts) != len(classes):
        return {}
    title = f"{words.group(group_of(row))}, {words.attacker(row.attacker)}" if row.attacker else "The model's answers"
    shares = [[c / sum(line) if sum(line) else math.nan for c in line] for line in counts]
    return {"title": title, "classes": [str(c) for c in classes], "counts": counts, "shares": shares}


def pictures(record: RunRecord, name: str) -> list[Pictures]:
    """Return the pictures of one release; a heading without pictures says why there are none."""
    rows = [r for r in record.results if r.release == name]
    match record.kind(name):
        case "representations":
            return _told("carriers", _carriers(rows))
        case "synthetic":
            likeness = _told("likeness", _likeness(rows)) + _told("membership", _membership(rows))
            return likeness + _told("disclosure", _disclosure(rows))
        case "model":
            return _told("model", [*_curves(rows), *_reliability(rows)])
    groups = dict.fromkeys(group_of(r) for r in rows if r.question != "cost")
    return _told("scores", [one for group in groups for one in _scores(record, name, group)])


_Draw = tuple[str, str, Callable[[], Figure]]  # title, words for those who cannot see it, and how it is drawn


def _told(of: str, drawn: Sequence[_Draw]) -> list[Pictures]:
    """Draw what a study recorded; what it recorded in another shape is no reason to have no report."""
    said, made = words.PICTURES[of], []
    for title, spoken, draw in drawn:
        try:
            made.append((title, to_svg(draw(), title=spoken)))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    if not drawn:
        return [Pictures(heading=said["heading"], drawn=[], note=said["none"])] if said["none"] else []
    note = said["note"] if made else "It was recorded in a way that cannot be drawn."
    return [Pictures(heading=said["heading"], drawn=made, note=note)]


def _carriers(rows: Sequence[Result]) -> list[_Draw]:
    row = next((r for r in rows if r.question == "identify" and r.detail.get("carriers")), None)
    if row is None:
        return []
    return [("", "Parts of the input that carry identity.", partial(plots.draw_carriers, row.detail["carriers"]))]


def _likeness(rows: Sequence[Result]) -> list[_Draw]:
    found = {(r.method, r.figure): r for r in rows if math.isfinite(r.value)}
    chosen = [found[key] for key in words.LIKENESS if key in found and key[1] not in _UNSCALED]
    spoken = "Likeness of synthetic people between two anchors."
    return [("", spoken, partial(plots.draw_likeness, chosen))] if chosen else []


def _membership(rows: Sequence[Result]) -> list[_Draw]:
    found = [r for r in rows if r.question == "member" and r.figure == "auc" and math.isfinite(r.value)]
    if not found:
        return []
    planted = [r for r in found if r.method in CANARIES]
    everybody = [r for r in found if r.method not in CANARIES and not r.subset]
    exposed = [r for r in found if r.method not in CANARIES and r.subset]
    said = [(words.method(r.method), r) for r in everybody]
    said += [(f"{words.method(r.method)}, most {r.subset}", r) for r in exposed]
    said += [(words.method(r.method), r) for r in planted]
    areas = partial(plots.draw_found, said, label="membership AUC")
    drawn: list[_Draw] = [("AUC of all attacks", "AUC of membership attacks.", areas)]
    for who, own in (("everybody", everybody), ("planted people", planted)):
        drawn += _roc(own, f"Curves, {who}", who)
    return drawn


def _roc(rows: Sequence[Result], title: str, who: str) -> list[_Draw]:
    curves = {words.method(r.method): r.detail["roc"] for r in rows if r.detail.get("roc")}
    bound = next((r.detail["bound"] for r in rows if "bound" in r.detail), None)
    spoken = f"ROC of membership attacks on {who}."
    return [(title, spoken, partial(plots.draw_roc, curves, bound))] if curves else []


def _disclosure(rows: Sequence[Result]) -> list[_Draw]:
    risks = [r for r in rows if r.risk and math.isfinite(r.value)]
    parts = {
        "Beyond what succeeds on others": ([r for r in risks if r.figure == "risk"], "share of what could be more"),
        "Whom they are nearest to": ([r for r in risks if r.figure in _NEAREST], "share of synthetic recordings"),
    }
    return [
        (title, f"{title}.", partial(plots.draw_found, [(words.measure(r), r) for r in chosen], label=label))
        for title, (chosen, label) in parts.items()
        if chosen
    ]


def _curves(rows: Sequence[Result]) -> list[_Draw]:
    """A model's membership attacks, by recording and by person."""
    drawn: list[_Draw] = []
    for figure, who in (("auc", "recordings"), ("person_auc", "people")):
        own = [r for r in rows if r.question == "member" and r.figure == figure]
        drawn += _roc(own, f"Which {who} it learned from, as attacks tell", who)
    return drawn


def _reliability(rows: Sequence[Result]) -> list[_Draw]:
    row = next((r for r in rows if r.figure == "ece" and "reliability" in r.detail), None)
    if row is None:
        return []
    title, draw = "How sure it is, and how often right", partial(plots.draw_reliability, row.detail["reliability"])
    return [(title, "Reliability diagram of the model.", draw)]


def _scores(record: RunRecord, name: str, group: str) -> list[_Draw]:
    """The strongest retrained attack whose scores were kept, and the same attack on originals."""
    rows = [r for r in record.results if group_of(r) == group and r.question == "identify"]
    kept = [r for r in rows if {"mated", "non_mated"} <= set(r.detail)]
    own = [r for r in kept if r.release == name and r.attacker == IDENTIFY.attacker]
    found = {r.method: r.value for r in IDENTIFY.rows(rows, name, group) if math.isfinite(r.value)}
    if not own:
        return []
    strongest = IDENTIFY.find(rows, name, group)
    value = strongest.value if strongest else math.nan
    chosen = max(own, key=lambda r: (found.get(r.method) == value, found.get(r.method, -1.0)))
    before = [r for r in kept if r.release == "original" and r.method == chosen.method]
    drawn: list[_Draw] = []
    for row in (*sorted(before, key=lambda r: r.attacker == chosen.attacker)[-1:], chosen):
        where = "on the originals" if row.release == "original" else "on this release, retrained"
        spoken = f"Scores of {row.method} on {row.release}: clips against their own person, and against others."
        draw = partial(plots.draw_histograms, row.detail["mated"], row.detail["non_mated"])
        drawn.append((f"{words.group(group)}, {row.method}, {where}", spoken, draw))
    return drawn


def transfer_matrix(record: RunRecord) -> tuple[list[str], list[tuple[str, list[tuple[Result, float] | None]]]]:
    """Return tasks, the own one first, and for each representation its row of each task.

    Beside a row stands how much of what raw features tell it still tells, in [0, 1].
    """
    read = [r for r in record.rows("representations") if r.question == "read"]
    tasks = dict.fromkeys(r.subset for r in read if r.method == "transfer")
    if not tasks:
        return [], []
    rows = {
        (r.release, r.subset): r for r in read if r.method == "transfer" or (r.method, r.figure) == ("reader", "uar")
    }
    lines = []
    for name in record.of("representations"):
        cells: list[tuple[Result, float] | None] = []
        for task in ("", *tasks):
            row = rows.get((name, task))
            room = row.baseline - row.control if row else 0.0
            kept = (row.value - row.control) / room if row and room > 0 else math.nan
            cells.append((row, min(max(kept, 0.0), 1.0) if math.isfinite(kept) else 0.0) if row else None)
        lines.append((name, cells))
    return ["its own task", *map(words.plain, tasks)], lines


def reference_rows(record: RunRecord) -> list[Mapping[str, str]]:
    """Return published figures beside ours, as text."""
    return [
        {
            "row": str(entry.get("row", "")),
            "published": _free(entry.get("published")),
            "ours": _free(entry.get("ours")),
            "interval": _ends(entry),
            "note": words.attacker(str(entry.get("attacker_note") or "")),
            "retrained": _free(entry.get("retrained")),
        }
        for entry in record.reference
    ]


def _free(value: Any) -> str:
    if isinstance(value, dict):
        return f"{_free(value.get('value'))} {_ends(value)}".strip()
    if isinstance(value, int | float):
        return words.number(float(value))
    return str(value or "–")


def _ends(of: Mapping[str, Any]) -> str:
    low, high = of.get("low"), of.get("high")
    return "" if low is None or high is None else words.interval(low, high)
