"""The table of releases: one row for each release and modality, for the page, for a spreadsheet and for a paper."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from personare.core.types import Result
from personare.report import wording
from personare.report.figures import emotion, identity
from personare.report.frontier import Panel, standing
from personare.report.run import KINDS, RunRecord

__all__ = [
    "COLUMNS",
    "PARTS",
    "TableRow",
    "columns",
    "csv_cell",
    "latex_cell",
    "latex_text",
    "to_csv",
    "to_latex",
    "whole_table",
]

COLUMNS: tuple[tuple[str, str], ...] = (
    ("fixed_reader", "{label}, fixed reader"),
    ("retrained_reader", "{label}, retrained reader"),
    ("ignorant", "Named by an ignorant attacker"),
    ("lazy_informed", "Named by a lazy-informed attacker"),
    ("semi_informed", "Named by a retrained attacker"),
    ("semi_informed_5", "The same, from five recordings"),
    ("semi_informed_all", "The same, from all recordings"),
)
"""The figures of the table: who looks, and the heading."""
_TOGETHER = {"semi_informed_5": "top1_5", "semi_informed_all": "person_top1"}
PARTS = ("value", "low", "high", "n", "guess", "measure", "note")
"""What a spreadsheet gets of each figure."""


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A release in one modality.

    Attributes:
        release: Its name; ``original`` for the unprotected cohort.
        modality: ``audio``, ``video`` or ``audio+video``.
        cells: The row behind each column of ``COLUMNS``; None where nothing was measured.
        standing: ``front``, ``near``, ``behind`` or ``unknown``.
        standing_words: The same, with the release that beats it.
    """

    release: str
    modality: str
    cells: tuple[Result | None, ...]
    standing: str
    standing_words: str


def columns(label: str) -> list[tuple[str, str]]:
    """Return the columns with headings that name what was read.

    Example:
        >>> columns("valence")[0]
        ('fixed_reader', 'Valence, fixed reader')
    """
    return [(who, heading.format(label=label[:1].upper() + label[1:])) for who, heading in COLUMNS]


def whole_table(record: RunRecord, drawn: Sequence[Panel]) -> list[TableRow]:
    """Return the rows, panel by panel: the original first, then the study's releases of recordings."""
    shown = [panel for panel in drawn if panel.modality not in KINDS]
    return [_row(record, panel, name) for panel in shown for name in _names(record, panel)]


def _names(record: RunRecord, panel: Panel) -> list[str]:
    shown = {p.release for p in (*panel.points, *panel.unsure)} | {name for name, _ in panel.absent}
    return ["original"] * ("original" in shown) + [name for name in record.names() if name in shown]


def _row(record: RunRecord, panel: Panel, name: str) -> TableRow:
    cells = [_cell(record.results, name, panel.modality, who) for who, _ in COLUMNS]
    if name == "original" and panel.original:
        backup = (*[panel.original.utility] * 2, *[panel.original.risk] * 3, None, panel.original.together)
        cells = [cell or spare for cell, spare in zip(cells, backup, strict=True)]
    rank, words = ("unknown", "unprotected") if name == "original" else standing(panel, name)
    return TableRow(release=name, modality=panel.modality, cells=tuple(cells), standing=rank, standing_words=words)


def _cell(rows: Sequence[Result], name: str, modality: str, who: str) -> Result | None:
    if who.endswith("reader"):
        return emotion(rows, name, modality, who)
    if who in _TOGETHER:
        return identity(rows, name, modality, "semi_informed", _TOGETHER[who])
    return identity(rows, name, modality, who)


def to_csv(rows: Sequence[TableRow]) -> str:
    """Write the table as CSV: value, interval, n and guess of every figure; empty where nothing was measured."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["release", "modality", *[f"{who}_{part}" for who, _ in COLUMNS for part in PARTS], "standing"])
    for row in rows:
        cells = [value for cell in row.cells for value in csv_cell(cell)]
        writer.writerow([row.release, row.modality, *cells, row.standing_words])
    return stream.getvalue()


def csv_cell(cell: Result | None) -> list[str]:
    """Write value, interval, n, guess, measure and note of a figure."""
    if cell is None:
        return [""] * len(PARTS)
    numbers = [f"{v:.6g}" if math.isfinite(v) else "" for v in (cell.value, cell.low, cell.high)]
    guess = f"{cell.control:.6g}" if math.isfinite(cell.control) else ""
    return [*numbers, str(cell.n), guess, cell.measure, cell.note]


def to_latex(rows: Sequence[TableRow], label: str = "emotion") -> str:
    """Write the table for a paper; needs the LaTeX package ``booktabs``."""
    lines = [
        "% Needs \\usepackage{booktabs}. Values with 95 % intervals, people resampled.",
        "\\begin{tabular}{ll" + "r" * len(COLUMNS) + "}",
        "\\toprule",
        "Release & Modality & " + " & ".join(latex_text(heading) for _, heading in columns(label)) + " \\\\",
    ]
    last = ""
    for row in rows:
        lines += ["\\midrule"] if row.modality != last else []
        last = row.modality
        cells = [latex_cell(cell) for cell in row.cells]
        lines.append(" & ".join([latex_text(row.release), latex_text(wording.group(row.modality)), *cells]) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def latex_cell(cell: Result | None) -> str:
    """Write a figure with its interval; a star marks one that is not informative."""
    value, interval = wording.figure(cell)
    text = f"{value} {{\\footnotesize {interval}}}" if interval else value
    mark = "\\textsuperscript{*}" if cell is not None and cell.status == "not_informative" else ""
    return text.replace("–", "--").replace(" %", "\\,\\%") + mark


def latex_text(text: str) -> str:
    """Write text so that LaTeX prints it as it is."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {c: f"\\{c}" for c in "&%$#_{}"}
    return "".join(special.get(c, c) for c in text)
