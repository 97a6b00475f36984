import csv
import io
from pathlib import Path

import pytest

from personare.report import tables
from personare.report.frontier import panels
from personare.report.run import read_run

from .fake_run import FAKE


@pytest.fixture
def rows(fake_run: Path) -> list[tables.TableRow]:
    record = read_run(fake_run)
    return tables.whole_table(record, panels(record))


def test_every_release_and_the_original_of_each_modality_has_a_row(rows: list[tables.TableRow]) -> None:
    assert len(rows) == len(FAKE) + 3
    assert next(r.release for r in rows if r.modality == "audio") == "original"


def test_csv_holds_the_numbers_as_measured(rows: list[tables.TableRow]) -> None:
    read = {(r["release"], r["modality"]): r for r in csv.DictReader(io.StringIO(tables.to_csv(rows)))}
    one = read["voice_veil", "audio"]
    assert (one["semi_informed_value"], one["semi_informed_low"], one["semi_informed_n"]) == ("0.27", "0.2", "144")
    # invented as the rest: of what one recording leaves unnamed, five name 0.4 and all 0.65
    assert (one["semi_informed_5_value"], one["semi_informed_all_value"]) == ("0.562", "0.7445")
    assert one["semi_informed_all_measure"] == "identity.person_top1" and one["semi_informed_all_n"] == "24"
    assert (one["fixed_reader_value"], one["retrained_reader_value"]) == ("0.41", "0.62")
    assert one["retrained_reader_measure"] == "voice_emotion_svm.uar"
    assert one["standing"] == "on the front"


def test_latex_escapes_names_and_marks_no_missing_as_zero(rows: list[tables.TableRow]) -> None:
    blank = tables.TableRow(
        release="odd_name & 5%",
        modality="audio",
        cells=(None,) * len(tables.COLUMNS),
        standing="unknown",
        standing_words="not ranked",
    )
    text = tables.to_latex([*rows, blank])
    assert r"odd\_name \& 5\% & Voice & -- & -- & -- & -- & -- & -- & -- \\" in text
    assert r"voice\_veil & Voice & 0.41" in text and r"27\,\% {\footnotesize [20--33]}" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1
    assert tables.to_csv([blank]).splitlines()[1].count(",") == tables.to_csv([blank]).splitlines()[0].count(",")
