import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from personare.core.types import Result
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


@pytest.mark.parametrize("measured", [False, True])
def test_the_original_stands_beside_phones_whether_a_utility_was_measured_or_not(
    fake_run: Path, measured: bool
) -> None:
    """Also what four facts single out, which is asked of phones alone."""
    record, rows = read_run(fake_run), []
    for release, risk, utility in (("original", 1.0, 0.9), ("coarse", 0.4, 0.8)):
        about = {"release": release, "modality": "phone", "control": 0.1}
        for question, method, figure, subset, attacker, value in (
            ("identify", "strongest", "top1", "", "semi_informed", risk),
            ("link", "phone_unicity", "unicity", "any", "", risk / 10),
            ("read", "reader", "ccc", "", "retrained_reader", utility),
        ):
            if measured or question != "read":
                columns = {"question": question, "method": method, "figure": figure, "subset": subset, "value": value}
                rows.append(Result(**about, **columns, attacker=attacker))  # type: ignore[arg-type]
    record = replace(record, results=tuple(rows), releases=[{"name": "coarse", "modalities": ["phone"]}])
    [panel] = panels(record)
    assert [p.release for p in panel.points] == (["original", "coarse"] if measured else [])
    assert [name for name, _ in panel.absent] == ([] if measured else ["original", "coarse"])
    [made] = tables.tables(record, [panel])
    assert [(row.release, row.cells["unicity"].value) for row in made.rows] == [("original", 0.1), ("coarse", 0.04)]
    assert made.rows[0].standing_words == "unprotected" and made.rows[0].cells["semi_informed"].value == 1
    assert (made.rows[0].cells["retrained_reader"] is not None) == measured


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
