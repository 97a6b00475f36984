import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from personare.report import tables
from personare.report.frontier import panels
from personare.report.run import read_run

from .fake_run import FAKE


@pytest.fixture
def table(fake_run: Path) -> tables.Table:
    record = read_run(fake_run)
    [made] = tables.tables(record, panels(record))
    return made


def test_every_release_and_the_original_of_each_modality_has_a_row(table: tables.Table) -> None:
    assert len(table.rows) == len(FAKE) + 3
    assert next(r.release for r in table.rows if r.group == "audio") == "original"


def test_csv_holds_the_numbers_as_measured(table: tables.Table) -> None:
    read = {(r["release"], r["modality"]): r for r in csv.DictReader(io.StringIO(tables.to_csv(table)))}
    one = read["voice_veil", "audio"]
    assert (one["semi_informed_value"], one["semi_informed_low"], one["semi_informed_n"]) == ("0.27", "0.2", "144")
    # invented as the rest: of what one recording leaves unnamed, five name 0.4 and all 0.65
    assert (one["semi_informed_5_value"], one["semi_informed_all_value"]) == ("0.562", "0.7445")
    assert one["semi_informed_all_measure"] == "strongest.person_top1" and one["semi_informed_all_n"] == "24"
    assert (one["fixed_reader_value"], one["retrained_reader_value"]) == ("0.41", "0.62")
    assert one["retrained_reader_measure"] == "reader.uar"
    assert one["standing"] == "on the front"


def test_latex_escapes_names_and_marks_no_missing_as_zero(table: tables.Table) -> None:
    cells = dict.fromkeys(table.rows[0].cells)
    blank = replace(table.rows[0], release="odd_name & 5%", group="audio", cells=cells, standing_words="not ranked")
    text = tables.to_latex(replace(table, rows=(*table.rows, blank)))
    assert r"odd\_name \& 5\% & Voice & -- & -- & -- & -- & -- & -- & -- \\" in text
    assert r"voice\_veil & Voice & 0.41" in text and r"27\,\% {\footnotesize [20--33]}" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    lines = tables.to_csv(replace(table, rows=(blank,))).splitlines()
    assert lines[1].count(",") == lines[0].count(",")
