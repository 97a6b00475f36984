"""What the page shows of each release and of all tasks, ready for the template."""

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

__all__ = ["Pictures", "pictures", "release_section", "transfer_matrix"]

_PARTS = {"Utility": ("read", "resemble"), "Risk": RISKS, "Cost": ("cost",)}
_UNSCALED = ("mmd2", "mmd_p", "transitions")  # have no worst end that a picture could begin at; the table has them
_NEAREST = ("nearer", "exact", "named", "copies", "near_copies")
_Draw = tuple[str, str, Callable[[], Figure]]  # title, words for those who cannot see it, and how it is drawn


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Some pictures, each (title, SVG), under the heading that they answer; ``note`` says how they are read."""

    heading: str
    drawn: Sequence[tuple[str, str]]
    note: str


def release_section(record: RunRecord, name: str, examples: Sequence[Example]) -> dict[str, Any]:
    """Gather what is known about one release.

    ``methods`` are (modality, method, summary, options), ``pivots`` all figures with a line for each measure and a
    column for each attacker or reader, ``confusions`` matrices with the share of each class that was read as another.
    """
    rows = [r for r in record.results if r.release == name]
    kind, one = record.kind(name), record.release(name)
    counts = dict(one.get("counts") or {})
    if isinstance(one.get("seconds"), int | float):
        counts.setdefault("seconds", one["seconds"])
    inside = {"model": " learned from", "recordings": ""}.get(kind, " in it")
    methods = []
    for modality, method in (one.get("methods") or {}).items():
        options = ", ".join(f"{k} = {v}" for k, v in ((one.get("options") or {}).get(method) or {}).items())
        part = words.group(modality) if kind == "recordings" else "Method"
        methods.append((part, str(method), about(str(method), kind)[0], options or "as they come"))
    return {
        "name": name,
        "kind": kind,
        "record": one,
        "methods": methods,
        "counts": [
            (f"{words.plain(key)}{inside if key in ('recordings', 'people') else ''}", words.amount(value))
            for key, value in counts.items()
        ],
        "withheld": [w for w in one.get("withheld") or [] if isinstance(w, dict)],
        "pivots": [made for part, questions in _PARTS.items() if (made := _pivot(part, questions, rows))],
        "confusions": [matrix for row in rows if (matrix := _confusion(row))],
        "pictures": pictures(record, name),
        "claim": str(one.get("claim") or ""),
        "links": [] if kind in ("recordings", "model") else links_of(record.root, name),
        "examples": examples,
    }


def _pivot(part: str, questions: Sequence[str], rows: Sequence[Result]) -> dict[str, Any]:
    chosen = [r for r in rows if r.question in questions]
    present = {r.attacker for r in chosen}
    columns = [a for a in words.ATTACKERS if a in present] + sorted(present - set(words.ATTACKERS))
    lines: dict[tuple[str, ...], dict[str, Result]] = {}
    reasons: dict[tuple[str, str], list[str]] = {}  # one that holds for several attackers is said once
    for row in chosen:
        lines.setdefault((row.method, row.figure, row.subset, group_of(row)), {})[row.attacker] = row
        if row.reason:
            reasons.setdefault((row.name, row.reason), []).append(words.attacker(row.attacker))
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
    finite = [r for r in rows if math.isfinite(r.value)]
    parts: Mapping[str, list[_Draw]]
    match record.kind(name):
        case "representations":
            carried = [r.detail["carriers"] for r in rows if r.question == "identify" and r.detail.get("carriers")]
            spoken = "Parts of the input that carry identity."
            parts = {"carriers": [("", spoken, partial(plots.draw_carriers, one)) for one in carried[:1]]}
        case "synthetic":
            parts = {"likeness": _likeness(finite), "membership": _members(finite), "disclosure": _disclosure(finite)}
        case "model":
            parts = {"model": _model(rows)}
        case _:
            groups = dict.fromkeys(group_of(r) for r in rows if r.question != "cost")
            parts = {"scores": [one for group in groups for one in _scores(record, name, group)]}
    return [made for part, drawn in parts.items() for made in _drawn(words.PICTURES[part], drawn)]


def _drawn(said: Mapping[str, str], drawn: Sequence[_Draw]) -> list[Pictures]:
    """Draw what a study recorded; what it recorded in another shape is no reason to have no report."""
    made = []
    for title, spoken, draw in drawn:
        try:
            made.append((title, to_svg(draw(), title=spoken)))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    note = said["note"] if made else "It was recorded in a way that cannot be drawn." if drawn else said["none"]
    return [Pictures(heading=said["heading"], drawn=made, note=note)] if note else []


def _likeness(rows: Sequence[Result]) -> list[_Draw]:
    found = {(r.method, r.figure): r for r in rows}
    chosen = [found[key] for key in words.LIKENESS if key in found and key[1] not in _UNSCALED]
    spoken = "Likeness of synthetic people between two anchors."
    return [("", spoken, partial(plots.draw_likeness, chosen))] if chosen else []


def _members(rows: Sequence[Result]) -> list[_Draw]:
    found = [r for r in rows if r.question == "member" and r.figure == "auc"]
    planted = [r for r in found if r.method in CANARIES]
    everybody = [r for r in found if r.method not in CANARIES and not r.subset]
    exposed = [r for r in found if r.method not in CANARIES and r.subset]
    named = [(words.method(r.method) + (f", most {r.subset}" if r in exposed else ""), r) for r in everybody + exposed]
    areas = partial(plots.draw_found, named + [(words.method(r.method), r) for r in planted], label="membership AUC")
    drawn: list[_Draw] = [("AUC of all attacks", "AUC of membership attacks.", areas)] if found else []
    for who, own in (("everybody", everybody), ("planted people", planted)):
        drawn += _roc(own, f"Curves, {who}", who)
    return drawn


def _roc(rows: Sequence[Result], title: str, who: str) -> list[_Draw]:
    curves = {words.method(r.method): r.detail["roc"] for r in rows if r.detail.get("roc")}
    bound = next((r.detail["bound"] for r in rows if "bound" in r.detail), None)
    spoken = f"ROC of membership attacks on {who}."
    return [(title, spoken, partial(plots.draw_roc, curves, bound))] if curves else []


def _disclosure(rows: Sequence[Result]) -> list[_Draw]:
    drawn: list[_Draw] = []
    for title, figures, label in (
        ("Beyond what succeeds on others", ("risk",), "share of what could be more"),
        ("Whom they are nearest to", _NEAREST, "share of synthetic recordings"),
    ):
        if named := [(words.measure(r), r) for r in rows if r.risk and r.figure in figures]:
            drawn.append((title, f"{title}.", partial(plots.draw_found, named, label=label)))
    return drawn


def _model(rows: Sequence[Result]) -> list[_Draw]:
    """A model's membership attacks, by recording and by person, and how far it is right when it is sure."""
    drawn: list[_Draw] = []
    for figure, who in (("auc", "recordings"), ("person_auc", "people")):
        own = [r for r in rows if r.question == "member" and r.figure == figure]
        drawn += _roc(own, f"Which {who} it learned from, as attacks tell", who)
    for row in [r for r in rows if r.figure == "ece" and "reliability" in r.detail][:1]:
        draw = partial(plots.draw_reliability, row.detail["reliability"])
        drawn.append(("How sure it is, and how often right", "Reliability diagram of the model.", draw))
    return drawn


def _scores(record: RunRecord, name: str, group: str) -> list[_Draw]:
    """The strongest retrained attack whose scores were kept, and the same attack on originals."""
    rows = [r for r in record.results if group_of(r) == group and r.question == "identify"]
    kept = [r for r in rows if {"mated", "non_mated"} <= set(r.detail)]
    own = [r for r in kept if r.release == name and r.attacker == IDENTIFY.attacker]
    if not own:
        return []
    found = {r.method: r.value for r in IDENTIFY.rows(rows, name, group) if math.isfinite(r.value)}
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
    read = [r for r in record.rows("representations") if r.question == "read" and r.figure == "uar"]
    rows = {(r.release, r.subset): r for r in read if r.method in ("reader", "transfer")}
    tasks = list(dict.fromkeys(task for _, task in rows if task))
    lines = []
    for name in record.of("representations") if tasks else []:
        cells: list[tuple[Result, float] | None] = []
        for row in (rows.get((name, task)) for task in ("", *tasks)):
            room = row.baseline - row.control if row else math.nan
            kept = (row.value - row.control) / room if row and room > 0 else 0.0
            cells.append((row, min(max(kept, 0.0), 1.0) if math.isfinite(kept) else 0.0) if row else None)
        lines.append((name, cells))
    return ["its own task", *map(words.plain, tasks)], lines
