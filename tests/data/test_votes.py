"""Answers are there once, in order, and for good; unless their rater wants them gone."""

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from personare.core.errors import DataError, PersonareError, PolicyError
from personare.data.votes import REVIEW, VOTE_COLUMNS, Question, Votes
from personare.govern.ledger import Ledger


@pytest.fixture(params=["file", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where votes are kept."""
    return str(tmp_path / "run.votes.sqlite") if request.param == "file" else request.getfixturevalue("postgresql")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of votes."""
    return tmp_path / "run.votes.sqlite"


def asked(votes: Votes, rater: str, token: str, **what: str) -> Question:
    return votes.give(rater, Question(**{"token": token, "task": "compare", "a": "r/1", "b": "r/2", **what}))


def rated(votes: Votes, rater: str, answers: int, answer: str = "a") -> None:
    votes.admit(rater)
    for n in range(answers):
        asked(votes, rater, f"{rater}-{n}", a=f"r/{n}", b=f"r/{n + 1}")
        votes.answer(rater, f"{rater}-{n}", answer, note=f"note {n} of {rater}")


def edit(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for verb in ("update", "delete"):
            database.execute(f"DROP TRIGGER IF EXISTS votes_no_{verb}")
        for statement in statements:
            database.execute(statement)


def test_an_answer_is_stored_before_the_call_returns(address: str) -> None:
    votes = Votes(address)
    votes.admit("ada")
    asked(votes, "ada", "t1")
    number = votes.answer("ada", "t1", "b", note=" louder ", plays=2, seconds=3.14)
    table = Votes(address).table()
    assert list(table.columns) == list(VOTE_COLUMNS)
    (row,) = table.to_dict("records")
    assert (row["id"], row["rater"], row["task"], row["a"], row["b"], row["x"]) == (
        number,
        "ada",
        "compare",
        "r/1",
        "r/2",
        "",
    )
    assert (row["answer"], row["failures"], row["note"], row["repeat"]) == ("b", "", "louder", False)


def test_an_answer_counts_once_however_often_it_is_sent(address: str) -> None:
    first, second = Votes(address), Votes(address)  # two processes
    first.admit("ada")
    asked(first, "ada", "t1")
    number = first.answer("ada", "t1", "a")
    assert first.answer("ada", "t1", "a") == number
    assert second.answer("ada", "t1", "a") == number
    for votes in (first, second):
        with pytest.raises(DataError, match="answered otherwise"):
            votes.answer("ada", "t1", "b")
    assert len(Votes(address).table()) == 1


def test_two_tabs_get_the_same_question(address: str) -> None:
    first, second = Votes(address), Votes(address)
    first.admit("ada")
    assert asked(first, "ada", "t1") == asked(second, "ada", "t2") == asked(Votes(address), "ada", "t3")
    assert first.waiting("ada", "check") is None


def test_a_question_waits_until_it_is_answered(file: Path) -> None:
    votes = Votes(file)
    votes.admit("ada")
    question = asked(votes, "ada", "t1")
    assert Votes(file).waiting("ada", "compare") == question
    votes.answer("ada", "t1", "tie")
    assert Votes(file).waiting("ada", "compare") is None


def test_answers_are_refused_that_are_none(file: Path) -> None:
    votes = Votes(file)
    votes.admit("ada")
    asked(votes, "ada", "t1")
    for rater, token, answer, more, words in [
        ("eve", "t1", "a", {}, "not asked of eve"),
        ("ada", "t2", "a", {}, "not asked of ada"),
        ("ada", "t1", "left", {}, "must be one of a, b, tie, cannot_tell"),
        ("ada", "t1", "a", {"failures": ["ok", "No: way"]}, "Failures must be words"),
        ("ada", "t1", "a", {"note": "x" * 2001}, "at most 2000"),
    ]:
        with pytest.raises(DataError, match=words):
            votes.answer(rater, token, answer, **more)
    assert votes.table().empty


def test_an_answer_taken_back_counts_no_more_and_is_asked_again(file: Path) -> None:
    votes = Votes(file)
    rated(votes, "ada", 2)
    next_one = asked(votes, "ada", "t9", a="r/8", b="r/9")
    again = votes.undo("ada")
    assert again is not None
    assert (again.a, again.b) == ("r/1", "r/2")
    assert len(votes.table()) == 1
    assert votes.waiting("ada", "compare") == again
    with pytest.raises(DataError, match="undone"):
        votes.answer("ada", "ada-1", "a")  # a late call of the page
    votes.answer("ada", again.token, "b")
    assert votes.waiting("ada", "compare") == next_one
    assert Votes(file).table()["answer"].tolist() == ["a", "b"]
    assert votes.asked[("r/1", "r/2")] == 1
    assert votes.undo("eve") is None


def test_a_name_belongs_to_one_rater(file: Path) -> None:
    votes = Votes(file)
    votes.admit("ada", "heron")
    votes.admit("ada", "heron")
    votes.admit("bob")
    votes.admit("bob")
    for name, word in [("ada", ""), ("ada", "stork"), ("bob", "heron")]:
        with pytest.raises(PolicyError, match="Choose another name"):
            Votes(file).admit(name, word)
    for name in ("Ada Lovelace", "", "a" * 41, "ada\n"):
        for record in (votes.admit, votes.authorize):
            with pytest.raises(DataError, match="pseudonym"):
                record(name)
    assert b"heron" not in file.read_bytes()


def test_leave_to_see_releases_of_real_people_is_recorded(file: Path) -> None:
    Votes(file).authorize("ada")
    rater = Votes(file).raters["ada"]
    assert (rater.purposes, rater.consent) == ({REVIEW}, "")


@pytest.mark.parametrize(
    "statement",
    [
        """UPDATE votes SET detail = replace(detail, '"answer":"a"', '"answer":"b"') WHERE sequence = 3""",
        "DELETE FROM votes WHERE sequence = 5",
        "UPDATE votes SET sequence = CASE sequence WHEN 3 THEN -5 ELSE -3 END WHERE sequence IN (3, 5)",
    ],
)
def test_a_changed_cut_or_reordered_file_is_found(file: Path, statement: str) -> None:
    rated(Votes(file), "ada", 5)
    edit(file, statement, "UPDATE votes SET sequence = -sequence WHERE sequence < 0")
    with pytest.raises(DataError, match="were changed: row"):
        Votes(file)


def test_a_cut_end_is_found_by_the_head_that_the_ledger_noted(file: Path, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    rated(Votes(file, ledger=ledger), "ada", 21)
    assert len(Votes(file, ledger=ledger).table()) == 21
    edit(file, "DELETE FROM votes WHERE sequence > 42")  # the 21st is not noted yet
    assert len(Votes(file, ledger=ledger).table()) == 20
    edit(file, "DELETE FROM votes WHERE sequence > 40")
    assert len(Votes(file).table()) == 19  # whole in itself
    with pytest.raises(DataError, match="end was cut"):
        Votes(file, ledger=ledger)
    file.unlink()
    with pytest.raises(DataError, match="end was cut"):
        Votes(file, ledger=ledger)
    assert Votes(tmp_path / "others.sqlite", ledger=ledger).table().empty


def test_erasing_a_rater_leaves_nothing_of_them(address: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    votes, elsewhere = (Votes(address, ledger=ledger) for _ in range(2))
    for name in ("ada", "eve-9", "bob"):
        rated(votes, name, 3)
    votes.alarm("eve-9", "r/7", "eve-9 knows this voice")
    asked(votes, "eve-9", "eve-9-last")
    elsewhere.refresh()
    votes.erase("eve-9")
    for kept in (votes, elsewhere, Votes(address, ledger=ledger)):
        assert kept.table()["rater"].unique().tolist() == ["ada", "bob"]
        assert len(kept.table()) == 6
        assert kept.alarms().to_dict("records")[0].items() >= {"rater": "", "item": "r/7", "note": ""}.items()
        assert "eve-9" not in kept.raters
    with pytest.raises(DataError, match="erased"):
        elsewhere.answer("eve-9", "eve-9-last", "a")
    rows = Ledger(address, table="votes").rows()
    erased = json.loads(rows[rows["action"] == "erased"]["detail"].item())
    assert (
        erased["rows"] == 9
    )  # consent, three questions and answers, the question that waited, the alarm made nobody's
    assert "eve-9" not in rows.to_csv()
    assert "eve-9" not in ledger.rows().to_csv()
    if "://" not in address:
        assert b"eve-9" not in Path(address).read_bytes()
    with pytest.raises(DataError, match="no rater eve-9"):
        votes.erase("eve-9")


def test_votes_that_vanish_while_they_are_open_are_missed(file: Path) -> None:
    votes = Votes(file)
    rated(votes, "ada", 2)
    asked(votes, "ada", "t1")
    file.unlink()
    with pytest.raises(DataError, match="cut while they were open"):
        votes.answer("ada", "t1", "a")
    edit(file, "DELETE FROM votes")
    with pytest.raises(DataError, match="cut while they were open"):
        votes.table()


def test_an_erasure_that_was_killed_is_no_cut_end(file: Path, tmp_path: Path) -> None:
    class Dying(Ledger):
        def append(self, action, rows, *, after=None):  # type: ignore[no-untyped-def]
            if action == "votes" and not rows[0]["erasing"] and self.exists():
                raise KeyboardInterrupt
            return super().append(action, rows, after=after)

    path = tmp_path / "ledger.sqlite"
    votes = Votes(file, ledger=Ledger(path))
    rated(votes, "ada", 20)
    rated(votes, "eve", 3)
    with pytest.raises(KeyboardInterrupt):
        Votes(file, ledger=Dying(path)).erase("eve")
    assert Votes(file, ledger=Ledger(path)).table()["rater"].unique().tolist() == ["ada"]


def test_an_alarm_is_kept_once(file: Path) -> None:
    votes = Votes(file)
    votes.admit("ada")
    votes.alarm("ada", "r/1", "my neighbour")
    votes.alarm("ada", "r/1")
    (alarm,) = Votes(file).alarms().to_dict("records")
    assert (alarm["rater"], alarm["item"], alarm["note"]) == ("ada", "r/1", "my neighbour")


def test_a_file_that_holds_no_votes_is_an_error(file: Path) -> None:
    file.write_bytes(b"not a database at all " * 50)
    with pytest.raises(PersonareError, match="could not be read"):
        Votes(file)


ZYGOTE = """
import os, sys
from personare.data.votes import Question, Votes
for round_ in sys.stdin:
    child = os.fork()
    if child == 0:
        votes = Votes(sys.argv[1])
        votes.admit("ada")
        os.write(1, f"pid {os.getpid()}\\n".encode())
        n = 0
        while True:
            question = votes.give("ada", Question(token=f"{round_.strip()}-{n}", task="check", a=f"r/{n}"))
            votes.answer("ada", question.token, "plausible")
            os.write(1, f"{question.token}\\n".encode())
            n += 1
    os.waitpid(child, 0)
    os.write(1, b"dead\\n")
"""


def test_killing_the_process_at_any_moment_loses_no_answer(address: str) -> None:
    rng, stored = random.Random(1), list[str]()
    command = [sys.executable, "-c", ZYGOTE, address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as zygote:
        assert zygote.stdin
        assert zygote.stdout
        for n in range(20):
            zygote.stdin.write(f"{n}\n")
            zygote.stdin.flush()
            pid = int(zygote.stdout.readline().split()[1])
            stored += [zygote.stdout.readline().strip() for _ in range(rng.randrange(1, 4))]
            time.sleep(rng.uniform(0, 0.02))
            os.kill(pid, signal.SIGKILL)
            stored += iter(lambda: zygote.stdout.readline().strip(), "dead")  # type: ignore[union-attr]
        zygote.stdin.close()
    votes = Votes(address)
    counted = [token for rater in votes.raters.values() for token in rater.answers]
    assert len(stored) >= 20
    assert len(counted) == len(set(counted)) == len(votes.table())
    # what was stored and not yet said may be there; what was said must be
    assert set(stored) <= set(counted)
    assert len(counted) <= len(stored) + 20


def test_several_processes_write_one_chain(address: str) -> None:
    writers = [Votes(address) for _ in range(3)]
    names: list[Callable[..., None]] = [lambda w=w, n=n: rated(w, f"rater-{n}", 1) for n, w in enumerate(writers)]
    for turn in names:
        turn()
    assert sorted(Votes(address).table()["rater"]) == ["rater-0", "rater-1", "rater-2"]


def test_what_was_said_of_somebody_who_is_erased_goes_and_all_else_stays(file, tmp_path):
    votes = Votes(file, ledger=Ledger(tmp_path / "ledger.sqlite"))
    votes.admit("anna")
    for token, item in (("1", "noisy/sub-03_ses-01_task-a"), ("2", "noisy/sub-05_ses-01_task-a")):
        asked(votes, "anna", token, a=item)
        votes.answer("anna", token, "a")
        votes.alarm("anna", item)
    asked(votes, "anna", "3", b="noisy/sub-03_ses-01_task-b")
    votes.erase_items(re.compile("sub-03"))
    again = Votes(file, ledger=Ledger(tmp_path / "ledger.sqlite"))
    assert list(again.table()["a"]) == ["noisy/sub-05_ses-01_task-a"]
    assert again.alarmed == {"noisy/sub-05_ses-01_task-a"} and again.waiting("anna", "compare") is None
    assert b"sub-03" not in file.read_bytes()
