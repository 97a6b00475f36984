"""The tables that ``tables.toml`` specifies, for the page, a spreadsheet, a paper and the terminal."""

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from personare.core.errors import reason
from personare.core.strongest import Query, baseline, broken_claim, strongest
from personare.core.types import Result
from personare.report import frontier, words
from personare.report.frontier import Panel, standing
from personare.report.run import Claim, RunRecord, read_run

_SPECIFIED = tomllib.loads(words.text("tables.toml"))


@dataclass(frozen=True, kw_only=True)
class Row:
    """A release in a table."""

    release: str
    group: str
    method: str
    protocol: str
    leaky: bool
    cells: Mapping[str, Result | None]  # by key of the column, None where nothing was measured
    claim: Claim
    broken: str
    standing: str
    standing_words: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """All releases of one kind, in the study's order; ``columns`` as ``tables.toml`` has them, each with its tone."""

    kind: str
    file: str
    intro: str
    beneath: str
    columns: tuple[Mapping[str, Any], ...]
    rows: tuple[Row, ...]

    @property
    def visible_columns(self) -> list[Mapping[str, Any]]:
        """The columns in which anything was measured; of recordings all."""
        cells = [(key, cell) for row in self.rows for key, cell in row.cells.items() if cell is not None]
        measured = {key for key, cell in cells if math.isfinite(cell.value)}
        return [c for c in self.columns if c["key"] in measured or self.kind == "recordings"]

    @property
    def headers(self) -> list[tuple[str, str, int]]:
        """What stands over the columns that are shown: words, tone and how many columns."""
        spans = [
            (over, list(columns)) for over, columns in groupby(self.visible_columns, key=lambda column: column["over"])
        ]
        return [(over, columns[0]["tone"], len(columns)) for over, columns in spans]

    @property
    def parts(self) -> list[tuple[str, list[Row]]]:
        """The rows of each modality of recordings under its name; those of other kinds without one."""
        groups = groupby(self.rows, key=lambda row: row.group)
        return [(words.group(name) if self.kind == "recordings" else "", list(rows)) for name, rows in groups]


def tables(record: RunRecord, panels: Sequence[Panel]) -> list[Table]:
    """Return a table for each kind that the study released, with the originals of each modality of recordings first."""
    utility = f"{record.utility_name[:1].upper()}{record.utility_name[1:]}"
    result = []
    for kind in record.kinds():
        specification = _SPECIFIED.get(kind, _SPECIFIED["other"])
        columns = []
        for column in specification["columns"]:
            selection: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in column["rows"].items()}
            query = Query(**selection)
            tone = "utility" if {"read", "resemble"} & set(query.questions) else "risk"
            defaults = {"by": False, "lead": False, "optional": False, "before": "", "tone": tone, "query": query}
            columns.append({**defaults, **column, "over": column["over"].format(utility=utility)})
        of_kind = [p for p in panels if p.kind == kind]
        if kind == "recordings":
            rows = []
            for panel in of_kind:
                members = {p.release for p in panel.all_points} | {name for name, _ in panel.absent}
                names = [name for name in ("original", *record.names()) if name in members]
                rows += [_row(record, panel, name, kind, columns) for name in names]
        else:
            rows = [_row(record, next(iter(of_kind), None), name, kind, columns) for name in record.of(kind)]
        columns = [c for c in columns if not c["optional"] or any(row.cells[c["key"]] for row in rows)]
        if rows:
            file = specification["file"].format(kind=words.slug(kind))
            texts = {
                "file": file,
                "intro": specification["intro"].format(utility=utility),
                "beneath": specification["beneath"],
            }
            result.append(Table(kind=kind, columns=tuple(columns), rows=tuple(rows), **texts))
    return result


def _row(record: RunRecord, panel: Panel | None, name: str, kind: str, columns: Sequence[Mapping[str, Any]]) -> Row:
    group = panel.group if panel else kind
    cells = {c["key"]: c["query"].find(record.results, name, group) for c in columns}
    rank, rank_words = standing(panel, name)
    if name == "original":
        rank, rank_words = "unknown", "unprotected"
        for column in columns:  # where it has no rows of its own, the baselines of releases stand for it
            rows = (column["query"].find(record.results, other, group) for other in record.names())
            cells[column["key"]] = cells[column["key"]] or strongest([*filter(None, map(baseline, rows))])
    broken = broken_claim(record.results, name)
    return Row(
        release=name,
        group=group,
        method=", ".join(map(str, (record.release(name).get("methods") or {}).values())),
        protocol=record.protocol(name),
        leaky=record.leaky(name),
        cells=cells,
        claim=record.claim(name),
        broken=f"{broken.name}: {broken.reason}" if broken else "",
        standing=rank,
        standing_words=rank_words,
    )


def to_csv(table: Table) -> str:
    """Write every figure with interval, n, guess, measure, reason and baseline; empty where nothing was measured.

    Epsilon is empty where nothing is claimed, and the column ``claim`` says which.
    """
    attributes = {"guess": "control", "measure": "name", "note": "reason", "before": "baseline"}
    lines = []
    for row in table.rows:
        line: dict[str, Any] = {"release": row.release}
        line |= {"modality": row.group} if table.kind == "recordings" else {"method": row.method}
        line |= {"protocol": row.protocol} if table.kind == "model" else {}
        for key in (column["key"] for column in table.columns):
            for part in ("value", "low", "high", "n", *attributes):
                line[f"{key}_{part}"] = getattr(row.cells[key], attributes.get(part, part), None)
        if table.kind != "recordings":
            claim = row.claim
            line |= {"claim": claim.words, "epsilon": claim.epsilon if claim.has_bound else None, "delta": claim.delta}
            line |= {"unit": claim.unit, "accountant": claim.accountant, "claim_broken": row.broken}
        lines.append({**line, "standing": row.standing_words})
    return pd.DataFrame(lines).to_csv(index=False, float_format="%.6g", lineterminator="\n")


def to_latex(table: Table) -> str:
    """Write a table for a paper; needs the LaTeX package ``booktabs``."""
    recordings, lines = table.kind == "recordings", []
    for row in table.rows:
        name = _latex(row.release) + (r"\textsuperscript{\dag}" if row.leaky else "")
        line = {("", "Release"): name} | ({("", "Modality"): _latex(words.group(row.group))} if recordings else {})
        for column in table.columns:
            cell = row.cells[column["key"]]
            value, ends = words.figure(cell)
            text = f"{value} {{\\footnotesize {ends}}}" if ends else value
            if cell is not None and cell.status == "not_informative":
                text += r"\textsuperscript{*}"
            if cell is not None and column["before"] and math.isfinite(cell.baseline):
                text += f" / {words.share_like(cell, cell.baseline)}"
            text = text.replace("–", "--").replace(" %", r"\,\%")
            line[_latex(column["over"]), _latex(column["heading"])] = text
        if not recordings:
            claim = row.claim.words.replace("ε", r"$\varepsilon$").replace("δ", r"$\delta$")
            line["", "Privacy"] = claim + (r"\textsuperscript{!}" if row.broken else "")
        lines.append(line)
    frame = pd.DataFrame([list(line.values()) for line in lines], columns=pd.MultiIndex.from_tuples(lines[0]))
    shape = ("ll" if recordings else "l") + "r" * len(table.columns) + ("" if recordings else "l")
    notes = [
        "% Needs \\usepackage{booktabs}. Values with 95 % intervals, people resampled; after the slash the same on",
        "% what is not protected. * not informative: the attack failed there too.",
    ]
    notes += [f"% \\dag {words.protocol(row.protocol)}" for row in table.rows if row.leaky][:1]
    notes += [f"% {row.release}: THE PRIVACY CLAIM DOES NOT HOLD, {row.broken}" for row in table.rows if row.broken]
    return "\n".join([*notes, frame.to_latex(index=False, escape=False, column_format=shape, multicolumn_format="c")])


def _latex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {c: f"\\{c}" for c in "&%$#_{}"}
    return "".join(special.get(c, c) for c in text)


def text_table(out: Path) -> str:
    """Return the study's answer for a terminal: a line a release, what is kept and what an attacker still finds."""
    record = read_run(out)
    texts: list[Callable[[], str]] = [partial(_text, table) for table in tables(record, frontier.panels(record))]
    if record.reference:
        texts.append(lambda: f"Published beside ours:\n{_frame_text(pd.DataFrame(record.reference).set_index('row'))}")
    parts = []
    for text in texts:
        try:
            parts.append(text())
        except Exception as error:
            parts.append(f"A table could not be made ({reason(error)}).")
    return "\n\n".join(parts) or "Nothing was measured."


def _frame_text(frame: pd.DataFrame) -> str:
    return frame.round(3).to_string(na_rep="-")


def _text(table: Table) -> str:
    if not table.visible_columns:
        return "Nothing could be measured of: " + ", ".join(column["heading"] for column in table.columns)
    parts = []
    for title, rows in table.parts:
        values = [[getattr(row.cells[c["key"]], "value", math.nan) for c in table.visible_columns] for row in rows]
        heads = pd.MultiIndex.from_tuples([(c["over"], c["heading"]) for c in table.visible_columns])
        frame = pd.DataFrame(values, index=[row.release for row in rows], columns=heads)
        parts.append(f"{title or words.group(table.kind)}\n{_frame_text(frame)}")
    return "\n\n".join(parts)
