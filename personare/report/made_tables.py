"""The tables of representations and of synthetic people: what is still learned from each, and who is found in it."""

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from personare.core.types import Result
from personare.report import wording
from personare.report.figures import broken_claim, learned, of_people
from personare.report.frontier import Panel, standing
from personare.report.run import RunRecord
from personare.report.tables import PARTS, csv_cell, latex_cell, latex_text
from personare.report.trained import Claim

__all__ = ["Column", "MadeRow", "MadeTable", "made_tables", "made_to_csv", "made_to_latex"]

_Find = Callable[[Sequence[Result], str], Result | None]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A figure of a table.

    Attributes:
        key: Its name in a spreadsheet.
        heading: Its name for people.
        tone: ``utility`` or ``risk``.
        find: Chooses the row of a release that stands for it.
        before: What its baseline is called.
    """

    key: str
    heading: str
    tone: str
    find: _Find
    before: str = "original"


@dataclass(frozen=True, kw_only=True)
class MadeRow:
    """A release.

    Attributes:
        release: Its name.
        method: What made it.
        cells: The row behind each column; None where nothing was measured.
        claim: The privacy that it claims.
        broken: What an attack found above the bound of the claim; empty if none did.
        standing: ``front``, ``near``, ``behind`` or ``unknown``.
        standing_words: The same, with the release that beats it or the reason.
    """

    release: str
    method: str
    cells: tuple[Result | None, ...]
    claim: Claim
    broken: str
    standing: str
    standing_words: str

    def pairs(self, table: "MadeTable") -> list[tuple[Column, Result | None]]:
        """Return the columns that are shown, each with the row behind it."""
        return [pair for pair in zip(table.columns, self.cells, strict=True) if pair[0].key in table.shown]


@dataclass(frozen=True, kw_only=True)
class MadeTable:
    """All releases of one kind.

    Attributes:
        modality: ``representation`` or ``synthetic``.
        intro: How it is read.
        columns: Its figures.
        rows: Its releases, in the study's order.
    """

    modality: str
    intro: str
    columns: tuple[Column, ...]
    rows: tuple[MadeRow, ...]

    @property
    def shown(self) -> set[str]:
        """Keys of the columns in which anything was measured."""
        cells = [(column.key, cell) for row in self.rows for column, cell in zip(self.columns, row.cells, strict=True)]
        return {key for key, cell in cells if cell is not None and math.isfinite(cell.value)}

    @property
    def file(self) -> str:
        """Name of the files beside the report, without suffix."""
        return {"representation": "representations_table", "synthetic": "synthetic_table"}[self.modality]


def _exactly(measure: str) -> _Find:
    return lambda rows, name: next((r for r in rows if (r.release, r.measure) == (name, measure)), None)


def _areas(pattern: str) -> _Find:
    return lambda rows, name: of_people(rows, name, pattern)


_REPRESENTATION: Final = (
    Column(key="recall", heading="recall", tone="utility", find=_exactly("reader.uar")),
    Column(key="named", heading="named, one recording", tone="risk", find=_exactly("identity.top1")),
    Column(key="named_by_all", heading="named, all recordings", tone="risk", find=_exactly("identity.person_top1")),
    Column(key="sex", heading="sex read", tone="risk", find=_exactly("attribute.sex")),
    Column(key="age", heading="age read", tone="risk", find=_exactly("attribute.age")),
)
_SYNTHETIC: Final = (
    Column(key="learned", heading="learned from it", tone="utility", find=learned, before="real people"),
    Column(
        key="together",
        heading="with real people",
        tone="utility",
        find=lambda rows, name: learned(rows, name, "augmented_uar"),
        before="real people",
    ),
    Column(
        key="told_apart",
        heading="told from real (area)",
        tone="utility",
        find=_exactly("synthetic.told_apart_trees"),
        before="real people",
    ),
    Column(key="people", heading="of everybody", tone="risk", find=of_people, before="as they are"),
    Column(
        key="exposed",
        heading="of the most exposed",
        tone="risk",
        find=_areas(r"synthetic_(membership|shadow)\..*_exposed_auc"),
        before="as they are",
    ),
    Column(
        key="canaries",
        heading="of planted people",
        tone="risk",
        find=_areas(r"synthetic_canaries\.(?!.*exposed).*_auc"),
        before="as they are",
    ),
)
_INTRO: Final = {
    "representation": "Recall: more is better. Named, sex and age read: less is better. Everything is measured on "
    "people the representation was not fitted to, by readers and attackers that learned from it.",
    "synthetic": "Learned: more is better; what a reader that learned from made-up people alone recalls of real ones "
    "(of histories of visits: how well it foretells the next one, as an area). "
    "Told from real: 0.5 cannot be told apart, 1 always. Membership is the area of the strongest attack that tells the "
    "people who were learned from: 0.5 is guessing, 1 finds all.",
}
_COLUMNS: Final = {"representation": _REPRESENTATION, "synthetic": _SYNTHETIC}


def made_tables(record: RunRecord, drawn: Sequence[Panel]) -> list[MadeTable]:
    """Return a table for each of the two kinds that the study released."""
    made = []
    for modality, columns in _COLUMNS.items():
        panel = next((p for p in drawn if p.modality == modality), None)
        rows = tuple(_row(record, panel, name, columns) for name in record.of(modality))
        if rows:
            made.append(MadeTable(modality=modality, intro=_INTRO[modality], columns=columns, rows=rows))
    return made


def _row(record: RunRecord, panel: Panel | None, name: str, columns: Sequence[Column]) -> MadeRow:
    rank, words = standing(panel, name) if panel else ("unknown", "not ranked")
    why = _why_not(panel, name) if panel else "nothing was measured"
    return MadeRow(
        release=name,
        method=", ".join((record.release(name).get("methods") or {}).values()),
        cells=tuple(column.find(record.results, name) for column in columns),
        claim=record.claim(name),
        broken=broken_claim(record.results, name),
        standing=rank,
        standing_words=f"{words}: {why}" if why else words,
    )


def _why_not(panel: Panel, name: str) -> str:
    if any(point.release == name for point in panel.unsure):
        return "attacks find nobody where nothing is protected either"
    return dict(panel.absent).get(name, "")


def made_to_csv(table: MadeTable) -> str:
    """Write a table as CSV; epsilon is empty where nothing is claimed, and the column ``claim`` says which."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    figures = [f"{c.key}_{part}" for c in table.columns for part in (*PARTS, "before")]
    writer.writerow(["release", "method", *figures, "claim", "epsilon", "delta", "unit", "claim_broken", "standing"])
    for row in table.rows:
        cells = [text for cell in row.cells for text in (*csv_cell(cell), _number(cell.baseline if cell else math.nan))]
        claim = [row.claim.words, _number(row.claim.epsilon), _number(row.claim.delta), row.claim.unit, row.broken]
        writer.writerow([row.release, row.method, *cells, *claim, row.standing_words])
    return stream.getvalue()


def _number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""


def made_to_latex(table: MadeTable) -> str:
    """Write a table for a paper; needs the LaTeX package ``booktabs``."""
    lines = [
        "% Needs \\usepackage{booktabs}. Values with 95 % intervals, people resampled; after the slash the same on",
        "% what is not protected. * not informative: the attack failed there too.",
        *[f"% {row.release}: THE PRIVACY CLAIM DOES NOT HOLD, {row.broken}" for row in table.rows if row.broken],
        "\\begin{tabular}{l" + "r" * len(table.columns) + "l}",
        "\\toprule",
        " & ".join(["Release", *[latex_text(c.heading) for c in table.columns], "Privacy"]) + " \\\\",
        "\\midrule",
    ]
    for row in table.rows:
        cells = [latex_cell(cell) + _before(cell) for cell in row.cells]
        claim = row.claim.words.replace("ε", "$\\varepsilon$").replace("δ", "$\\delta$")
        mark = "\\textsuperscript{!}" if row.broken else ""
        lines.append(" & ".join([latex_text(row.release), *cells, claim + mark]) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def _before(cell: Result | None) -> str:
    known = cell is not None and math.isfinite(cell.baseline)
    return f" / {wording.beside(cell)[0]}".replace(" %", "\\,\\%") if known and cell is not None else ""
