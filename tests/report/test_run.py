import json
import math
from pathlib import Path

import pytest

from personare.core.errors import DataError
from personare.report.run import read_run


def test_null_is_nan_and_details_follow_their_rows(fake_run: Path) -> None:
    record = read_run(fake_run)
    prosody = next(r for r in record.results if r.method == "prosody")
    cost = next(r for r in record.results if r.question == "cost")
    assert prosody.detail == {} and math.isnan(cost.baseline)
    assert all("confusion" in r.detail for r in record.results if r.figure == "uar")
    assert record.missing == ("examples.json is not in the run folder.",) or record.missing == ()


def test_an_empty_folder_is_a_run_of_which_everything_is_missing(tmp_path: Path) -> None:
    record = read_run(tmp_path)
    assert record.results == () and record.names() == []
    assert {said.split()[0] for said in record.missing} >= {
        "results.json",
        "releases.json",
        "ledger.json",
        "study.toml",
    }


def test_broken_pieces_are_named(fake_run: Path) -> None:
    (fake_run / "ledger.json").write_text('{"verified": tr', encoding="utf-8")
    (fake_run / "cohort.json").write_text("[]", encoding="utf-8")
    (fake_run / "details.json").write_text("[{}]", encoding="utf-8")
    (fake_run / "study.toml").write_text("seed = ", encoding="utf-8")
    rows = json.loads((fake_run / "results.json").read_text(encoding="utf-8"))
    (fake_run / "results.json").write_text(json.dumps([*rows, {"value": 1}, "nonsense"]), encoding="utf-8")
    record = read_run(fake_run)
    said = " ".join(record.missing)
    assert "ledger.json could not be read" in said and "study.toml could not be read" in said
    assert "cohort.json must hold a dict, it holds a list" in said
    assert "details.json has 1 entries" in said
    assert f"entry {len(rows) + 1}, was left out" in said and f"entry {len(rows) + 2}, was left out" in said
    assert len(record.results) == len(rows)


def test_a_run_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be a folder"):
        read_run(tmp_path / "gone")


def test_the_home_folder_is_not_told(fake_run: Path) -> None:
    (fake_run / "study.toml").write_text(f'cohort = "{Path.home()}/patients"\n', encoding="utf-8")
    assert read_run(fake_run).study["cohort"] == "~/patients"
