"""Writes the report of a run: one offline HTML file, and tables and pictures for a paper beside it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from personare.core.errors import reason
from personare.report import tables, wording
from personare.report.answer import answers
from personare.report.drawing import drawing, to_svg
from personare.report.frontier import Panel, panels
from personare.report.headings import headings
from personare.report.made_sections import transfer_matrix
from personare.report.made_tables import MadeTable, made_tables, made_to_csv, made_to_latex
from personare.report.media import embed_examples
from personare.report.methods import methods_paragraphs
from personare.report.models import MODEL_COLUMNS, ModelRow, models_table, models_to_csv, models_to_latex
from personare.report.plots import draw_frontier, draw_ladder, frontier_sheet
from personare.report.run import KINDS, RunRecord, read_run
from personare.report.sections import reference_rows, release_section
from personare.report.selftests import kind_tests, self_tests
from personare.report.sources import sources_of

__all__ = ["write_report"]


def write_report(run: Path) -> Path:
    """Tell a study's results in one HTML file that needs no network.

    **Guarantee.** The page makes no request, and shows media of releases only. Nothing of a run but ``report.html``,
    the tables (``results_table``, ``models_table``, ``representations_table``, ``synthetic_table``, each ``.csv`` and
    ``.tex``), ``frontier.svg`` and ``frontier.png`` is written or changed.

    Args:
        run: The run folder, as a study leaves it. Missing pieces are said on the page.

    Returns:
        ``run/report.html``.

    Raises:
        DataError: ``run`` is not a folder.
    """
    record = read_run(run)
    tried = _Tried(missing=[*record.missing])
    drawn = tried("The frontier", [], lambda: panels(record))
    rows = tried("The table of recordings", [], lambda: tables.whole_table(record, drawn))
    models = tried("The table of models", [], lambda: models_table(record, drawn))
    made = tried("The tables of what was made of features", [], lambda: made_tables(record, drawn))
    tried("The tables beside the page", None, lambda: _write_tables(record, rows, models, made))
    if any(panel.points or panel.unsure for panel in drawn):
        shown = [panel for panel in drawn if panel.points or panel.unsure]
        tried("The picture beside the page", None, lambda: _save_sheet(run, shown))
    content = _content(record, drawn, rows, tried) | {"models": models, "made": made}
    told = replace(record, missing=tuple(tried.missing))
    page = _environment().get_template("page.html").render(content | {"run": told})
    _write(run / "report.html", page.encode())
    return run / "report.html"


@dataclass
class _Tried:
    """Makes parts of the report; one that cannot be made is said on the page and leaves the others as they are."""

    missing: list[str]

    def __call__(self, what: str, instead: Any, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except Exception as error:
            self.missing.append(f"{what} could not be made ({reason(error)}).")
            return instead


def _write_tables(
    record: RunRecord, rows: Sequence[tables.TableRow], models: Sequence[ModelRow], made: Sequence[MadeTable]
) -> None:
    run = record.root
    if rows or not (models or made):
        _write(run / "results_table.csv", tables.to_csv(rows).encode())
        _write(run / "results_table.tex", tables.to_latex(rows, record.label).encode())
    if models:
        _write(run / "models_table.csv", models_to_csv(models).encode())
        _write(run / "models_table.tex", models_to_latex(models).encode())
    for table in made:
        _write(run / f"{table.file}.csv", made_to_csv(table).encode())
        _write(run / f"{table.file}.tex", made_to_latex(table).encode())


def _content(
    record: RunRecord, drawn: Sequence[Panel], rows: Sequence[tables.TableRow], tried: _Tried
) -> dict[str, Any]:
    examples, left_out = tried("Examples", ({}, []), lambda: embed_examples(record.root, record.examples))
    names = record.names()
    used = [(str(m), made) for n in names for made, m in (record.release(n).get("methods") or {}).items()]
    used += [(part, "") for r in record.results for part in _stems(r.measure.partition(".")[0])]
    placed = [p for p in drawn if p.points or p.unsure]
    tasks, transferred = tried("The table of other tasks", ([], []), lambda: transfer_matrix(record))
    sections = [
        tried(f"The section of {n}", None, partial(release_section, record, n, examples.get(n, []))) for n in names
    ]
    return {
        "panels": drawn,
        "frontiers": {p.modality: tried("A frontier", Markup(), partial(_frontier_svg, p)) for p in placed},
        "ladders": {
            p.modality: tried("A ladder of attackers", Markup(), partial(_ladder_svg, p, rows))
            for p in placed
            if p.modality not in KINDS
        },
        "answers": tried("The answer", [], lambda: answers(drawn, record)),
        "columns": tables.columns(record.label),
        "model_columns": MODEL_COLUMNS,
        "table": rows,
        "sections": [section for section in sections if section],
        "left_out": left_out,
        "ledger_columns": _ledger_columns(record),
        "self_tests": tried("The self-tests", [], lambda: self_tests(record)),
        "kind_tests": {m: tried("Self-tests", [], partial(kind_tests, record, m)) for m in KINDS},
        "told": headings(record, drawn),
        "kinds": KINDS,
        "tasks": tasks,
        "transferred": transferred,
        "reference": tried("Published figures", [], lambda: reference_rows(record)),
        "methods": tried("The methods", [], lambda: methods_paragraphs(record)),
        "sources": tried("The sources", [], lambda: sources_of(used)),
        "words": wording,
        "style": Markup(_text("style.css")),
        "script": Markup(_text("page.js")),
    }


def _stems(name: str) -> list[str]:
    """A measure may be named after its attack and what the attack looked at."""
    return [name, name.rpartition("_")[0]]


def _ledger_columns(record: RunRecord) -> list[tuple[str, str]]:
    """Heading by key, over all rows shown; the chain's hashes are left to the ledger itself."""
    keys = dict.fromkeys(key for row in record.ledger.get("last") or [] for key in row)
    return [(key, key.replace("_", " ")) for key in keys if "hash" not in key]


def _frontier_svg(panel: Panel) -> Markup:
    kept, told, against = wording.drawn(panel.modality, panel.kept)
    said = [
        f"{p.release}: {kept} {wording.figure(p.utility)[0]}, {told} {wording.figure(p.risk)[0]}"
        + (f", from all recordings {wording.figure(p.together)[0]}" if p.together else "")
        for p in (*panel.points, *panel.unsure)
    ]
    return Markup(to_svg(draw_frontier(panel), title=f"{wording.group(panel.modality)}: {against}. {'; '.join(said)}."))


def _ladder_svg(panel: Panel, rows: Sequence[tables.TableRow]) -> Markup:
    own = [row for row in rows if row.modality == panel.modality]
    people = [
        (row, dict(zip(("ignorant", "lazy_informed", "semi_informed"), row.cells[2:5], strict=True))) for row in own
    ]
    rungs = [
        (wording.label(row.release, panel.modality), {who: cell for who, cell in cells.items() if cell is not None})
        for row, cells in people
    ]
    control = next((cell.control for _, cells in rungs for cell in cells.values()), float("nan"))
    title = f"{wording.group(panel.modality)}: share named by attackers that know more and more; figures in the table."
    return Markup(to_svg(draw_ladder(rungs, control=control), title=title))


def _save_sheet(run: Path, drawn: Sequence[Panel]) -> None:
    figure = frontier_sheet(drawn)
    with drawing():
        for suffix in ("svg", "png"):
            part = run / f".frontier.part.{suffix}"
            figure.savefig(part, dpi=200, metadata={"Date": None} if suffix == "svg" else {})
            part.replace(run / f"frontier.{suffix}")


def _environment() -> Environment:
    loader = FunctionLoader(_text)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["attacker"] = wording.attacker
    environment.filters["group"] = wording.group
    environment.filters["measure"] = wording.measure
    environment.filters["breakable"] = _breakable
    return environment


def _breakable(name: str) -> Markup:
    """Let a long name be broken after its joints, and nowhere else."""
    return Markup(re.sub(r"([_+.])", r"\1<wbr>", str(escape(name))))


def _text(name: str) -> str:
    return (resources.files("personare.report") / name).read_text(encoding="utf-8")


def _write(file: Path, content: bytes) -> None:
    part = file.with_name(f".{file.name}.part")
    part.write_bytes(content)
    part.replace(file)
