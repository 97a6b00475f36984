import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from personare.core.errors import DataError
from personare.govern.ledger import GENESIS, LEDGER_COLUMNS, Ledger, Verification

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of ten rows."""
    file = tmp_path / "Geräte und mehr" / "ledger.sqlite"
    ledger = Ledger(file, who="ada", clock=lambda: NOON)
    ledger.append(
        "opened", [{"cohort": "c", "subject": "01", "recording": f"r{n}", "track": "audio"} for n in range(6)]
    )
    ledger.append("released", [{"cohort": "c", "detail": {"method": "face_blur"}, "frames": n} for n in range(4)])
    return file


def edit(path: Path, *statements: str) -> None:
    """Change the file as somebody would who wants to hide something: past the triggers."""
    with closing(sqlite3.connect(path)) as database, database:
        for verb in ("update", "delete"):
            database.execute(f"DROP TRIGGER ledger_no_{verb}")
        for statement in statements:
            database.execute(statement)


def test_rows_say_who_what_and_when(path: Path) -> None:
    rows = Ledger(path).rows()
    assert list(rows.columns) == list(LEDGER_COLUMNS)
    assert rows["sequence"].tolist() == list(range(1, 11))
    assert rows["time"].unique().tolist() == ["2026-05-01T10:00:00.000000+00:00"]
    assert rows["who"].unique().tolist() == ["ada"]
    assert rows["action"].tolist() == ["opened"] * 6 + ["released"] * 4
    assert json.loads(rows["detail"].iloc[-1]) == {"frames": 3, "method": "face_blur"}
    assert rows["prev_hash"].iloc[0] == GENESIS
    assert rows["prev_hash"].tolist()[1:] == rows["hash"].tolist()[:-1]
    assert Ledger(path).rows(limit=2)["sequence"].tolist() == [9, 10]


def test_an_untouched_chain_is_whole(path: Path) -> None:
    assert Ledger(path).verify() == Verification(ok=True, rows=10, first_bad=None)


@pytest.mark.parametrize("column", [c for c in LEDGER_COLUMNS if c != "sequence"])
def test_verify_finds_an_edit_of_any_column(path: Path, column: str) -> None:
    edit(path, f"UPDATE ledger SET {column} = 'x' WHERE sequence = 4")
    assert Ledger(path).verify() == Verification(ok=False, rows=10, first_bad=4)


@pytest.mark.parametrize("sequence", [1, 5, 9])
def test_verify_finds_a_deletion(path: Path, sequence: int) -> None:
    edit(path, f"DELETE FROM ledger WHERE sequence = {sequence}")
    assert Ledger(path).verify() == Verification(ok=False, rows=9, first_bad=sequence + 1)


def test_verify_finds_a_deletion_with_renumbering(path: Path) -> None:
    edit(
        path,
        "DELETE FROM ledger WHERE sequence = 5",
        "UPDATE ledger SET sequence = -sequence WHERE sequence > 5",
        "UPDATE ledger SET sequence = -sequence - 1 WHERE sequence < 0",
    )
    assert Ledger(path).verify() == Verification(ok=False, rows=9, first_bad=5)


def test_verify_finds_reordering(path: Path) -> None:
    edit(
        path,
        "UPDATE ledger SET sequence = 99 WHERE sequence = 3",
        "UPDATE ledger SET sequence = 3 WHERE sequence = 4",
        "UPDATE ledger SET sequence = 4 WHERE sequence = 99",
    )
    assert Ledger(path).verify().first_bad == 3


def test_verify_finds_an_insertion(path: Path) -> None:
    edit(
        path,
        "INSERT INTO ledger SELECT 11, time, action, who, cohort, subject, recording, track, purpose, detail, "
        "prev_hash, hash FROM ledger WHERE sequence = 10",
    )
    assert Ledger(path).verify().first_bad == 11


def test_verify_finds_an_edit_whose_own_hash_was_made_again(path: Path, tmp_path: Path) -> None:
    # Whoever can compute hashes can rewrite one row, but then the next one no longer points to it.
    other = tmp_path / "other.sqlite"
    shutil.copy(path, other)
    edit(other, "DELETE FROM ledger WHERE sequence > 3")
    Ledger(other, who="eve", clock=lambda: NOON).append("opened", [{"recording": "innocent"}])
    with closing(sqlite3.connect(other)) as database:
        forged = database.execute("SELECT * FROM ledger WHERE sequence = 4").fetchone()
    values = ", ".join(str(v) if isinstance(v, int) else f"'{v}'" for v in forged)
    edit(path, "DELETE FROM ledger WHERE sequence = 4", f"INSERT INTO ledger VALUES ({values})")
    assert Ledger(path).verify() == Verification(ok=False, rows=10, first_bad=5)


def test_a_cut_tail_shows_only_against_a_noted_head(path: Path) -> None:
    ledger = Ledger(path)
    early, head = ledger.rows()["hash"].iloc[4], ledger.head()
    assert ledger.verify(head=head).ok
    assert ledger.verify(head=early).ok
    edit(path, "DELETE FROM ledger WHERE sequence > 8")
    assert ledger.verify().ok  # a shorter chain is whole in itself
    assert ledger.verify(head=early).ok
    assert ledger.verify(head=head) == Verification(ok=False, rows=8, first_bad=9)


def test_careless_changes_are_stopped_by_the_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        for statement in ("DELETE FROM ledger", "UPDATE ledger SET who = 'x'"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                database.execute(statement)


WRITER = """
import sys
from personare.govern.ledger import Ledger
ledger = Ledger(sys.argv[1], who=sys.argv[2])
for n in range(25):
    ledger.append("opened", [{"recording": f"{n}-{k}"} for k in range(2)])
"""


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, os.fspath(path), f"p{n}"]) for n in range(3)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    assert Ledger(path).verify() == Verification(ok=True, rows=150, first_bad=None)
    rows = Ledger(path).rows()
    assert rows["who"].value_counts().to_dict() == {"p0": 50, "p1": 50, "p2": 50}
    pairs = rows["recording"].str.split("-").str[1].tolist()
    assert pairs == ["0", "1"] * 75  # the rows of one call stay together


def test_rows_of_one_call_appear_together_or_not_at_all(path: Path) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise ValueError("no text")

    with pytest.raises(ValueError, match="no text"):
        Ledger(path).append("opened", [{"recording": "a"}, {"recording": "b", "detail": {"x": Unprintable()}}])
    assert Ledger(path).verify().rows == 10


def test_ten_thousand_openings_are_one_transaction(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite", clock=lambda: datetime.now(UTC))
    ledger.append("opened", [{"recording": f"r{n}"} for n in range(10_000)])
    assert ledger.verify() == Verification(ok=True, rows=10_000, first_bad=None)


def test_odd_text_is_kept_and_checked(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.append("opened", [{"cohort": "Äpfel\n\t\udcff", "subject": None, "detail": {"n": float("nan"), "z": "\0"}}])
    assert ledger.verify().ok
    assert ledger.rows()["cohort"].item() == "Äpfel\n\t\\udcff"


def test_nothing_to_write_makes_no_ledger(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.sqlite").append("opened", [])
    assert list(tmp_path.iterdir()) == []


def test_an_absent_ledger_is_not_a_good_one(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for ask in (ledger.verify, ledger.head, ledger.rows):
        with pytest.raises(DataError, match="no ledger"):
            ask()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"not a database, but long enough to be one" * 10, b""])
def test_a_damaged_file_is_a_data_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(content)
    with pytest.raises(DataError, match="could not be read"):
        Ledger(tmp_path / "ledger.sqlite").verify()


def test_an_unknown_database_is_a_data_error() -> None:
    with pytest.raises(DataError, match="file or a database URL"):
        Ledger("nonsense://host/name")


def test_a_url_works_like_a_file(path: Path) -> None:
    assert Ledger(f"sqlite:///{path}").verify().ok


def test_postgresql_holds_a_chain_too(postgresql: str) -> None:
    ledger = Ledger(postgresql)
    assert not ledger.exists()
    ledger.append("opened", [{"recording": "a"}])
    before = ledger.verify()
    ledger.append("opened", [{"recording": "b"}, {"recording": "c"}])
    assert before.ok
    assert ledger.verify() == Verification(ok=True, rows=before.rows + 2, first_bad=None)


def test_two_chains_lie_in_one_database(postgresql: str) -> None:
    ledger, votes = Ledger(postgresql), Ledger(postgresql, table="votes")
    ledger.append("opened", [{"recording": "a"}, {"recording": "b"}])
    assert not votes.exists()
    votes.append("answered", [{"subject": "ada"}])
    assert votes.verify() == Verification(ok=True, rows=1, first_bad=None)
    assert ledger.verify() == Verification(ok=True, rows=2, first_bad=None)


def test_rows_are_not_added_where_another_was_first(path: Path) -> None:
    ledger = Ledger(path)
    head = ledger.head()
    first = ledger.append("opened", [{"recording": "a"}], after=head)
    assert [row["sequence"] for row in first] == [11]
    assert ledger.append("opened", [{"recording": "b"}], after=head) == []
    assert ledger.verify().rows == 11
    assert ledger.rows(start=11)["recording"].tolist() == ["a"]


@pytest.mark.parametrize("where", ["file", "postgresql"])
def test_erasing_writes_the_chain_anew_and_says_so(where: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite" if where == "file" else request.getfixturevalue("postgresql"))
    ledger.append("opened", [{"subject": name, "detail": {"note": f"of {name}"}} for name in ("ada", "eve", "bob")])
    head = ledger.head()
    ledger.erase(lambda row: None if row["subject"] == "eve" else row)
    rows = ledger.rows()
    assert rows["subject"].tolist() == ["ada", "bob", ""]
    assert rows["action"].tolist() == ["opened", "opened", "erased"]
    assert json.loads(rows["detail"].iloc[-1]) == {"rows": 1, "was": head}
    assert ledger.verify() == Verification(ok=True, rows=3, first_bad=None)
    ledger.append("opened", [{"subject": "ada"}])
    assert ledger.verify().ok
    if where == "file":
        assert b"eve" not in (tmp_path / "ledger.sqlite").read_bytes()
        with (
            closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as database,
            pytest.raises(sqlite3.IntegrityError, match="append-only"),
        ):
            database.execute("DELETE FROM ledger")


def test_a_chain_written_anew_to_its_end_shows_only_against_a_noted_head(path: Path) -> None:
    ledger = Ledger(path)
    head = ledger.head()
    edit(path, "DELETE FROM ledger WHERE sequence > 6")
    ledger.append("released", [{"cohort": "c", "frames": n} for n in range(4)])
    assert ledger.verify() == Verification(ok=True, rows=10, first_bad=None)
    assert not ledger.verify(head=head).ok


def test_a_file_that_a_kill_left_before_its_first_row_is_a_ledger_without_rows(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").touch()
    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert not ledger.exists()
    ledger.append("opened", [{"subject": "01"}])
    assert ledger.exists() and len(ledger.rows()) == 1
