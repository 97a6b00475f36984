"""The table of models: what each learned, what privacy it claims, and whom attacks find in it."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from personare.core.types import Result
from personare.report import wording
from personare.report.figures import broken_claim, membership, shown_identity
from personare.report.frontier import Panel, standing
from personare.report.run import RunRecord
from personare.report.tables import PARTS, csv_cell, latex_cell, latex_text
from personare.report.trained import LEAKY, Claim

__all__ = ["MODEL_COLUMNS", "ModelRow", "models_table", "models_to_csv", "models_to_latex"]

MODEL_COLUMNS: tuple[tuple[str, str], ...] = (
    ("uar", "Recall"),
    ("accuracy", "Accuracy"),
    ("ece", "Calibration error"),
    ("confacc_low", "Right when unsure"),
    ("recordings", "Recordings told"),
    ("people", "People told"),
    ("named", "Named from one recording"),
    ("named_all", "Named from all recordings"),
)
"""The figures of the table: ``model.<figure>``, whose membership the strongest attack tells, or how often people are
named by what it shows; and the heading."""
_MEMBERSHIP = {"recordings": "auc", "people": "person_auc"}
_NAMED = {"named": "top1", "named_all": "person_top1"}


@dataclass(frozen=True, kw_only=True)
class ModelRow:
    """A model.

    Attributes:
        release: Its name.
        method: A file of ``train``.
        protocol: How people were parted.
        cells: The row behind each of ``MODEL_COLUMNS``; None where nothing was measured. The baseline of
            membership is the same attack on the same model without privacy; of names, on what the model reads.
        claim: The privacy it was trained with.
        broken: What an attack found above the bound of the claim; empty if none did.
        standing: ``front``, ``near``, ``behind`` or ``unknown``.
        standing_words: The same, with the model that beats it or the reason.
    """

    release: str
    method: str
    protocol: str
    cells: tuple[Result | None, ...]
    claim: Claim
    broken: str
    standing: str
    standing_words: str

    @property
    def leaky(self) -> bool:
        """Whether it was judged on people it learned from."""
        return self.protocol == LEAKY


def models_table(record: RunRecord, drawn: Sequence[Panel]) -> list[ModelRow]:
    """Return a row for each model, in the study's order."""
    panel = next((p for p in drawn if p.modality == "model"), None)
    return [_row(record, panel, name) for name in record.models()]


def _row(record: RunRecord, panel: Panel | None, name: str) -> ModelRow:
    trained = record.trained.get(name)
    rank, words = standing(panel, name) if panel else ("unknown", "not ranked")
    why = _why_not(panel, name) if panel else "nothing was measured"
    return ModelRow(
        release=name,
        method=trained.method if trained else str((record.release(name).get("methods") or {}).get("model", "")),
        protocol=trained.protocol if trained else "",
        cells=tuple(_cell(record.results, name, column) for column, _ in MODEL_COLUMNS),
        claim=record.claim(name),
        broken=broken_claim(record.results, name),
        standing=rank,
        standing_words=f"{words}: {why}" if why else words,
    )


def _why_not(panel: Panel, name: str) -> str:
    if any(point.release == name for point in panel.unsure):
        return "attacks find nobody in it without privacy either"
    return dict(panel.absent).get(name, "")


def _cell(rows: Sequence[Result], name: str, column: str) -> Result | None:
    if column in _MEMBERSHIP:
        return membership(rows, name, [_MEMBERSHIP[column]])
    if column in _NAMED:
        return shown_identity(rows, name, _NAMED[column])
    return next((r for r in rows if r.release == name and r.measure == f"model.{column}"), None)


def models_to_csv(rows: Sequence[ModelRow]) -> str:
    """Write the table as CSV; epsilon is empty where nothing is claimed, and the column ``claim`` says which."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    figures = [f"{column}_{part}" for column, _ in MODEL_COLUMNS for part in PARTS]
    privacy = ["claim", "epsilon", "delta", "unit", "accountant", "claim_broken"]
    without = [f"{column}_without_privacy" for column in _MEMBERSHIP]
    writer.writerow(["model", "method", "protocol", *figures, *without, *privacy, "standing"])
    for row in rows:
        cells = [value for cell in row.cells for value in csv_cell(cell)]
        before = [_number(cell.baseline) if cell else "" for cell in row.cells[4:6]]
        claim = [row.claim.words, _number(row.claim.epsilon), _number(row.claim.delta), row.claim.unit]
        claim += [row.claim.accountant, row.broken]
        writer.writerow([row.release, row.method, row.protocol, *cells, *before, *claim, row.standing_words])
    return stream.getvalue()


def _number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""


def models_to_latex(rows: Sequence[ModelRow]) -> str:
    """Write the table for a paper; needs the LaTeX package ``booktabs``."""
    headings = [heading for _, heading in MODEL_COLUMNS]
    lines = [
        "% Needs \\usepackage{booktabs}. Values with 95 % intervals, people resampled. Told: area under the curve of",
        "% the strongest membership attack; after the slash the same attack on the same model without privacy.",
        "% Named by what it shows of a recording; after the slash by what the model reads.",
        "\\begin{tabular}{l" + "r" * len(headings) + "rrl}",
        "\\toprule",
        " & ".join(["Model", *headings, "$\\varepsilon$", "$\\delta$", "Unit"]) + " \\\\",
        "\\midrule",
    ]
    for row in rows:
        cells = [latex_cell(cell) + _latex_before(cell) for cell in row.cells]
        name = latex_text(row.release) + ("\\textsuperscript{\\dag}" if row.leaky else "")
        lines.append(" & ".join([name, *cells, *_latex_claim(row)]) + " \\\\")
    lines += ["\\bottomrule", "\\end{tabular}", ""]
    marks = ["% * not informative: the attack failed without privacy too."]
    marks += ["% \\dag " + wording.protocol(LEAKY)] * any(row.leaky for row in rows)
    marks += [f"% {row.release}: THE PRIVACY CLAIM DOES NOT HOLD, {row.broken}" for row in rows if row.broken]
    return "\n".join([*marks, *lines])


def _latex_before(cell: Result | None) -> str:
    known = cell is not None and cell.kind == "risk" and math.isfinite(cell.baseline)
    return f" / {wording.beside(cell)[0]}" if known and cell is not None else ""


def _latex_claim(row: ModelRow) -> list[str]:
    if not row.claim.made:
        return [row.claim.words, "--", "--"]
    mark = "\\textsuperscript{!}" if row.broken else ""
    delta = f"{row.claim.delta:.3g}" if math.isfinite(row.claim.delta) else "--"
    return [f"{row.claim.epsilon:.3g}{mark}", delta, row.claim.unit or "--"]
