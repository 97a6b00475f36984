"""Writes the report of a run: one offline HTML file, and tables and pictures for a paper beside it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from personare.core.atomic import replacing, write_text
from personare.core.errors import reason
from personare.core.strongest import lower_bounds
from personare.report import words
from personare.report.answer import answer
from personare.report.examples import embed_examples
from personare.report.experts import adapted_sections, human_rows
from personare.report.explanation import explanations_of
from personare.report.frontier import Panel, panels
from personare.report.plots import draw_frontier, draw_ladder, drawing, frontier_sheet, to_svg
from personare.report.run import RunRecord, papers_of, read_run
from personare.report.sections import federated, release_section, self_tests, sources_of, transfer_matrix
from personare.report.tables import Table, tables, to_csv, to_latex


def write_report(run: Path) -> Path:
    """Tell a study's results in one HTML file that needs no network, and return its path.

    **Guarantee.** The page makes no request, and shows media of releases only. Nothing of a run but ``report.html``,
    the tables (``results_table``, ``models_table``, ``representations_table``, ``synthetic_table``, one for a kind of
    another package, each ``.csv`` and ``.tex``), ``frontier.svg`` and ``frontier.png`` is written or changed. Missing
    pieces are said on the page.
    """
    record = read_run(run)
    missing = [*record.missing]

    def tried(what: str, instead: Any, make: Callable[[], Any]) -> Any:
        """A part that cannot be made is said on the page and leaves the others as they are."""
        try:
            return make()
        except Exception as error:
            missing.append(f"{what} could not be made ({reason(error)}).")
            return instead

    all_panels = tried("The frontier", [], lambda: panels(record))
    pictured = [panel for panel in all_panels if panel.all_points]
    all_tables = tried("The tables", [], lambda: tables(record, all_panels))
    for table in all_tables:
        for suffix, to_text in (("csv", to_csv), ("tex", to_latex)):
            file = run / f"{table.file}.{suffix}"
            if text := tried(file.name, "", partial(to_text, table)):
                tried(file.name, None, partial(write_text, file, text))
    if pictured:
        tried("The picture beside the page", None, lambda: _save_sheet(run, pictured))
    examples, left_out = tried("Examples", ({}, []), lambda: embed_examples(run, record.examples))
    sections = [
        tried(f"The section of {name}", None, partial(release_section, record, name, examples.get(name, [])))
        for name in record.names()
    ]
    kinds = record.kinds()
    content = {
        "panels": all_panels,
        "frontiers": {p.group: tried("A frontier", Markup(), partial(_frontier, p)) for p in pictured},
        "ladders": {
            p.group: tried("A ladder of attackers", Markup(), partial(_ladder, p, all_tables))
            for p in pictured
            if p.kind == "recordings"
        },
        "answers": tried("The answer", [], lambda: [answer(panel, record) for panel in all_panels]),
        "tables": all_tables,
        "sections": [section for section in sections if section],
        "left_out": left_out,
        "experts": tried("What the experts changed", [], lambda: adapted_sections(record, examples)),
        "humans": human_rows(record),
        "explanations": tried("The explanations", [], lambda: explanations_of(run)),
        "self_tests": tried("The self-tests", {}, lambda: self_tests(record)),
        "kinds": kinds,
        "counted": {kind: len(record.of(kind)) for kind in kinds},
        "federated": tried("The table of sites", ([], []), lambda: federated(record)),
        "lower_bounds": lower_bounds([row for row in record.results if row.release != "original"]),
        "transferred": tried("The table of other tasks", ([], []), lambda: transfer_matrix(record)),
        "methods": tried("The methods", [], lambda: methods_paragraphs(record)),
        "papers": tried("The list of papers", [], lambda: papers_of(run)),
        "sources": tried("The sources", [], lambda: sources_of(record)),
        "words": words,
        "style": Markup(words.text("style.css")),
        "script": Markup(words.text("page.js")),
    }
    content["run"] = replace(record, missing=tuple(missing))
    write_text(run / "report.html", words.templates().get_template("page.html").render(content))
    return run / "report.html"


def methods_paragraphs(record: RunRecord) -> list[str]:
    """Write the methods of a study, ready to be pasted into a paper."""
    templates = words.templates(escaped=False)  # it is escaped where it is put into the page
    templates.filters["withheld"] = lambda name: len(record.release(name).get("withheld") or [])
    templates.filters["claimed"] = lambda name: record.claim(name).has_bound
    text = templates.get_template("methods.txt").render(record=record)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _frontier(panel: Panel) -> Markup:
    risk, utility = words.kind_of(panel.kind)["risk"], panel.utility_name
    figures = [
        f"{p.release}: {utility} {words.figure(p.utility)[0]}, {risk} {words.figure(p.risk)[0]}"
        + (f", from all recordings {words.figure(p.together)[0]}" if p.together else "")
        for p in panel.all_points
    ]
    title = f"{words.group(panel.group)}: {utility} against {risk}. {'; '.join(figures)}."
    return Markup(to_svg(draw_frontier(panel), title=title))


def _ladder(panel: Panel, all_tables: Sequence[Table]) -> Markup:
    rows = [
        row for table in all_tables for row in table.rows if table.kind == "recordings" and row.group == panel.group
    ]
    rungs = [(words.label(row.release, "recordings"), row.cells) for row in rows]
    guesses = [cell.control for row in rows if (cell := row.cells["semi_informed"])]
    title = f"{words.group(panel.group)}: share identified by attackers that know more and more; figures in the table."
    return Markup(to_svg(draw_ladder(rungs, control=guesses[0] if guesses else float("nan")), title=title))


def _save_sheet(run: Path, all_panels: Sequence[Panel]) -> None:
    figure = frontier_sheet(all_panels)
    for suffix in ("svg", "png"):
        with drawing(), replacing(run / f"frontier.{suffix}") as part:
            figure.savefig(part, format=suffix, dpi=200, metadata={"Date": None} if suffix == "svg" else {})
