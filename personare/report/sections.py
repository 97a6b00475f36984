"""What the page shows of each release, of its attacks and of all tasks, ready for the template."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import Any

from matplotlib.figure import Figure

from personare.core.errors import PersonareError
from personare.core.registry import Method, find
from personare.core.strongest import CANARIES, IDENTIFY, group_of, informative
from personare.core.types import RISKS, Result
from personare.report import plots, words
from personare.report.run import RunRecord, links_of

_PARTS = {"Utility": ("read", "resemble"), "Risk": RISKS, "Cost": ("cost",)}
_UNSCALED = ("mmd2", "mmd_p", "transitions")  # have no worst end that a picture could begin at; the table has them
_NEAREST = ("nearer", "exact", "named", "copies", "near_copies")
_TESTED = ("top1", "auc", "person_auc", "uar", "risk", "named", "nearer", "recovered", "")
"""The figures of attacks that are tested: rates go with an AUC, a copy is no guess; one without has only a reason."""
_FOLDERS = ("anonymize", "evaluate.attacks", "evaluate.utility", "represent", "synthesize", "adapt", "train")
_MADE_BY = {"representations": ("represent",), "synthetic": ("synthesize", "adapt"), "model": ("train",)}
_Draw = tuple[str, str, Callable[[], Figure]]  # title, words for those who cannot see it, and how it is drawn


def release_section(record: RunRecord, name: str, examples: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Gather what is known about one release.

    ``methods`` are (modality, method, summary, options), ``pivots`` all figures with a line for each measure and a
    column for each attacker or reader, ``confusions`` matrices with the share of each class that was read as another.
    """
    rows = [r for r in record.results if r.release == name]
    kind, release = record.kind(name), record.release(name)
    counts = dict(release.get("counts") or {})
    if isinstance(release.get("seconds"), int | float):
        counts.setdefault("seconds", release["seconds"])
    inside = {"model": " trained on", "recordings": ""}.get(kind, " in it")
    methods = []
    for modality, method in (release.get("methods") or {}).items():
        options = ", ".join(f"{k} = {v}" for k, v in ((release.get("options") or {}).get(method) or {}).items())
        part, file = words.group(modality) if kind == "recordings" else "Method", about(str(method), kind)
        methods.append((part, str(method), file.summary if file else "", options or "as they come"))
    return {
        "name": name,
        "kind": kind,
        "record": release,
        "methods": methods,
        "counts": [
            (f"{words.plain(key)}{inside if key in ('recordings', 'people') else ''}", words.amount(value))
            for key, value in counts.items()
        ],
        "withheld": [w for w in release.get("withheld") or [] if isinstance(w, dict)],
        "pivots": [pivot for part, questions in _PARTS.items() if (pivot := _pivot(part, questions, rows))],
        "confusions": [matrix for row in rows if (matrix := _confusion(row))],
        "pictures": pictures(record, name),
        "claim": str(release.get("claim") or ""),
        "links": [] if kind in ("recordings", "model") else links_of(record.root, name),
        "examples": examples,
    }


@cache
def _methods(folder: str) -> Mapping[str, Method]:
    try:
        return find(f"personare.{folder}")
    except (PersonareError, ModuleNotFoundError, SyntaxError):
        return {}  # a folder with one unreadable file must not cost the study its report


def about(name: str, kind: str = "") -> Method | None:
    """Return what a method's file says of it; ``kind`` of what it makes tells methods of one name apart."""
    folders = _MADE_BY.get(kind, _FOLDERS)
    return next((_methods(folder)[name] for folder in folders if name in _methods(folder)), None)


def sources_of(record: RunRecord) -> list[tuple[str, str]]:
    """Return (method, source) of the methods of a run that state one: each once, sorted."""
    releases = [(record.kind(name), record.release(name)) for name in record.names()]
    methods = {(str(method), kind) for kind, one in releases for method in (one.get("methods") or {}).values()}
    # A measure may be named after its attack and what the attack looked at.
    methods |= {(name, "") for r in record.results for name in (r.method, r.method.rpartition("_")[0])}
    files = [(name, about(name, kind)) for name, kind in sorted(methods)]
    return list(dict.fromkeys((name, file.source) for name, file in files if file and file.source))


def _pivot(part: str, questions: Sequence[str], rows: Sequence[Result]) -> dict[str, Any]:
    rows = [r for r in rows if r.question in questions]
    present = {r.attacker for r in rows}
    columns = [a for a in words.ATTACKERS if a in present] + sorted(present - set(words.ATTACKERS))
    lines: dict[tuple[str, ...], dict[str, Result]] = {}
    reasons: dict[tuple[str, str], list[str]] = {}  # one that holds for several attackers is said once
    for row in rows:
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


def pictures(record: RunRecord, name: str) -> list[dict[str, Any]]:
    """Return the pictures of one release, ``images`` (title, SVG) under the ``heading`` that they answer.

    ``note`` says how they are read, or why there are none.
    """
    rows = [r for r in record.results if r.release == name]
    parts: dict[str, list[_Draw]]
    match record.kind(name):
        case "representations":
            importances = [r.detail["carriers"] for r in rows if r.question == "identify" and r.detail.get("carriers")]
            alt_text = "Parts of the input that carry identity."
            parts = {"carriers": [("", alt_text, partial(plots.draw_carriers, values)) for values in importances[:1]]}
        case "synthetic":
            parts = _pictures_of_synthetic([r for r in rows if math.isfinite(r.value)])
        case "model":
            curves: list[_Draw] = []
            for figure, who in (("auc", "recordings"), ("person_auc", "people")):
                attacks = [r for r in rows if r.question == "member" and r.figure == figure]
                curves += _roc(attacks, f"Which {who} it was trained on, as attacks tell", who)
            bins = [r.detail["reliability"] for r in rows if r.figure == "ece" and "reliability" in r.detail]
            title, alt_text = "How sure it is, and how often right", "Reliability diagram of the model."
            parts = {
                "model": [*curves, *((title, alt_text, partial(plots.draw_reliability, values)) for values in bins[:1])]
            }
        case _:
            groups = dict.fromkeys(group_of(r) for r in rows if r.question != "cost")
            parts = {"scores": [draw for group in groups for draw in _scores(record, name, group)]}
    result = []
    for part, draws in parts.items():
        captions, images = words.PICTURES[part], []
        for title, alt_text, draw in draws:
            # what a study recorded in another shape is no reason to have no report
            with suppress(KeyError, TypeError, ValueError, AttributeError):
                images.append((title, plots.to_svg(draw(), title=alt_text)))
        missing = "It was recorded in a way that cannot be drawn." if draws else captions["none"]
        if note := captions["note"] if images else missing:
            result.append({"heading": captions["heading"], "images": images, "note": note})
    return result


def _pictures_of_synthetic(rows: Sequence[Result]) -> dict[str, list[_Draw]]:
    by_measure = {(r.method, r.figure): r for r in rows}
    alike = [by_measure[key] for key in words.LIKENESS if key in by_measure and key[1] not in _UNSCALED]
    alt_text = "Likeness of synthetic people between two anchors."
    areas = [r for r in rows if r.question == "member" and r.figure == "auc"]
    canaries = [r for r in areas if r.method in CANARIES]
    others = [r for r in areas if r.method not in CANARIES]
    everybody, outliers = ([r for r in others if bool(r.subset) == part] for part in (False, True))
    memberships = [(words.method(r.method), r) for r in everybody]
    memberships += [(f"{words.method(r.method)}, {r.subset}", r) for r in outliers]
    memberships += [(words.method(r.method), r) for r in canaries]

    def attacks(title: str, rows: Sequence[tuple[str, Result]], label: str, alt_text: str = "") -> list[_Draw]:
        return [(title, alt_text or f"{title}.", partial(plots.draw_found, rows, label=label))] if rows else []

    beyond, nearest = (
        [(words.measure(r), r) for r in rows if r.risk and r.figure in figures] for figures in (("risk",), _NEAREST)
    )
    return {
        "likeness": [("", alt_text, partial(plots.draw_likeness, alike))] if alike else [],
        "membership": attacks("AUC of all attacks", memberships, "membership AUC", "AUC of membership attacks.")
        + _roc(everybody, "Curves, everybody", "everybody")
        + _roc(canaries, "Curves, planted people", "planted people"),
        "disclosure": attacks("Beyond what succeeds on others", beyond, "share of what could be more")
        + attacks("Whom they are nearest to", nearest, "share of synthetic recordings"),
    }


def _roc(rows: Sequence[Result], title: str, who: str) -> list[_Draw]:
    curves = {words.method(r.method): r.detail["roc"] for r in rows if r.detail.get("roc")}
    bound = next((r.detail["bound"] for r in rows if "bound" in r.detail), None)
    alt_text = f"ROC of membership attacks on {who}."
    return [(title, alt_text, partial(plots.draw_roc, curves, bound))] if curves else []


def _scores(record: RunRecord, name: str, group: str) -> list[_Draw]:
    """The strongest retrained attack whose scores were kept, and the same attack on originals."""
    attacks = [r for r in record.results if group_of(r) == group and r.question == "identify"]
    scored = [r for r in attacks if {"mated", "non_mated"} <= set(r.detail)]
    retrained = [r for r in scored if r.release == name and r.attacker == IDENTIFY.attacker]
    if not retrained:
        return []
    values = {r.method: r.value for r in IDENTIFY.rows(attacks, name, group) if math.isfinite(r.value)}
    value = getattr(IDENTIFY.find(attacks, name, group), "value", math.nan)
    strongest = max(retrained, key=lambda r: (values.get(r.method) == value, values.get(r.method, -1.0)))
    before = [r for r in scored if r.release == "original" and r.method == strongest.method]
    draws: list[_Draw] = []
    for row in (*sorted(before, key=lambda r: r.attacker == strongest.attacker)[-1:], strongest):
        where = "on the originals" if row.release == "original" else "on this release, retrained"
        alt_text = f"Scores of {row.method} on {row.release}: clips against their own person, and against others."
        draw = partial(plots.draw_histograms, row.detail["mated"], row.detail["non_mated"])
        draws.append((f"{words.group(group)}, {row.method}, {where}", alt_text, draw))
    return draws


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
            share = (row.value - row.control) / room if row and room > 0 else 0.0
            cells.append((row, min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0) if row else None)
        lines.append((name, cells))
    return ["its own task", *map(words.plain, tasks)], lines


def federated(record: RunRecord) -> tuple[list[tuple[str, str]], list[dict[str, str]]]:
    """Return the columns and, for each model learned over sites, the line: how, for what ε, and what updates tell."""
    columns = {"name": "Model", "how": "How", "privacy": "Privacy claimed", "out": "Could not take part"}
    lines = []
    for name, model in record.trained.items():
        if how := model["result"].get("federation"):
            out = " ".join(model["result"].get("notices") or ["Every site took part."])
            line = {"name": name, "how": how.replace("`", ""), "privacy": record.claim(name).words, "out": out}
            for row in record.results:
                if (row.release, row.attacker) == (name, "server"):
                    columns[row.method] = words.measure(row)
                    before, guess = (words.share_like(row, value) for value in (row.baseline, row.control))
                    told = f"{' '.join(words.figure(row))} (unprotected {before}, guessing {guess})"
                    line[row.method] = told if informative(row) else f"not informative: {told}"
            lines.append(line)
    return [*columns.items()], lines


def self_tests(record: RunRecord) -> dict[str, list[dict[str, Any]]]:
    """Return for each attack, by the kind of release, what it finds without protection, and if that is enough.

    Recordings are tried on the originals. Membership is tried on the same model trained without privacy; a model
    without a claim is its own trial. What a model shows of people is tried on what the model read, attacks on
    representations on the raw features, attacks on synthetic people on the real recordings as they are.
    """
    tests = {}
    for kind in record.kinds():
        attacks: dict[tuple[str, str, str], list[Result]] = {}
        for row in record.rows(kind):
            is_tested = row.figure in _TESTED and row.method != "strongest" and row.subset != "outliers"
            if row.risk and is_tested and row.unit != "cosine":
                attacks.setdefault((group_of(row), row.method, row.subset), []).append(row)
        if attacks:
            tests[kind] = [_self_test(record, *key, rows) for key, rows in sorted(attacks.items())]
    return tests


def _self_test(record: RunRecord, group: str, method: str, subset: str, rows: Sequence[Result]) -> dict[str, Any]:
    originals = rows[0].kind == "recordings"
    failed = next((r.reason or "not informative" for r in rows if not informative(r)), "")
    if originals:  # one failure condemns the attack, whatever the release
        first = [r for r in rows if r.release == "original" and math.isfinite(r.value)]
        rows = first[:1] or rows[:1]
    before: dict[str, dict[float, str]] = {}
    reasons: dict[str, dict[str, list[str]]] = {}  # reason -> release -> of what
    for row in rows:
        of = {"auc": "recordings", "person_auc": "people"}.get(row.figure, "") if row.kind == "model" else ""
        unclaimed = row.kind == "model" and row.question == "member" and not record.claim(row.release).has_bound
        unclaimed &= not math.isfinite(row.baseline)
        value = row.value if originals or unclaimed else row.baseline
        if originals and math.isfinite(value):
            before[of] = {value: " ".join(words.figure(row))}
        elif math.isfinite(value):
            before.setdefault(of, {})[value] = words.share_like(row, value)
        why = failed if originals else "" if informative(row) else row.reason or "not informative"
        if not why and not math.isfinite(value):
            why = (row.reason if row.status == "not_measured" else "") or "not tried without protection"
        if not why and unclaimed and not row.low > row.control:
            why = "finds nobody, without privacy"
        if why:
            reasons.setdefault(why, {}).setdefault("" if originals else row.release, []).append(of)
    ranges = {of: dict.fromkeys((texts[min(texts)], texts[max(texts)])) for of, texts in before.items()}
    whose: dict[str, list[str]] = {}
    for why, releases in reasons.items():
        parts = {release: ", ".join(dict.fromkeys(filter(None, of))) for release, of in releases.items()}
        whose[why] = [f"{release} ({part})" if part else release for release, part in parts.items() if release]
    return {
        "attack": ".".join(filter(None, (method, subset))),
        "group": group,
        "before": ", ".join(f"{of} {'–'.join(ends)}".strip() for of, ends in ranges.items()) or "not tried",
        "guess": next((words.share_like(r, r.control) for r in rows if math.isfinite(r.control)), "–"),
        # on one release at least its figures may be read
        "passed": sum(len(of) for releases in reasons.values() for of in releases.values()) < len(rows),
        "why": "; ".join(": ".join(filter(None, (", ".join(whose[why]), why))) for why in reasons),
    }
