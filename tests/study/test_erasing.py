"""A person is erased from everything that came of them, and nothing of anybody else is."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from personare.cli import cli
from personare.core.errors import DataError, IncompleteError
from personare.core.randomness import part_of
from personare.core.state import load_weights
from personare.core.types import Cohort
from personare.data.cohort import open_cohort
from personare.data.pseudonyms import read_key, write_key
from personare.govern.ledger import Ledger
from personare.govern.storage import is_locked, open_plain
from personare.study import erasing
from personare.study.access import open_batch
from personare.study.holdings import Places, digest, expired, find_person, register
from personare.study.kinds.models import load_model
from personare.study.parallel import Workers
from personare.study.plan import read_plan
from personare.study.run import run_study

TEXT = """
shadows = 0
disclosure = []
[[representations]]
name = "shown"
method = "leace"
modalities = ["voice", "face"]
held_out = 0
[[models]]
name = "trees"
method = "forest"
options = { trees = 3 }
modalities = ["voice"]
[[models]]
name = "head"
method = "private_head"
options = { epsilon = 2.0, delta = 1e-2 }
modalities = ["voice"]
"""
PLAN = read_plan(TEXT, "")
QUIET = Workers(jobs=1, quiet=True)
WHO = "03"


@pytest.fixture(scope="module")
def done(written: Callable[..., Cohort], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cohort, its key, and a study of it."""
    root = tmp_path_factory.mktemp("done")
    cohort = written(root / "cohort", people=8, each=4, classes=("anger", "happiness"))
    (root / "cohort.key.tsv").write_text("subject\tpseudonym\nAnna Muster\t03\nBo Beispiel\t05\n")
    study(cohort, root)
    return root


def study(cohort: Cohort, root: Path) -> None:
    run_study(cohort, PLAN, TEXT, root / "run", workers=QUIET, ledger=Ledger(cohort.root / "ledger.sqlite"))


@pytest.fixture
def people(done: Path, tmp_path: Path) -> Cohort:
    """A copy of it; what the ledger notes lies there too."""
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    book = Ledger(tmp_path / "cohort/ledger.sqlite")
    book.erase(lambda row: {**row, "detail": row["detail"].replace(str(done), str(tmp_path))})
    return open_cohort(tmp_path / "cohort")


def book_of(cohort: Cohort) -> Ledger:
    return Ledger(cohort.root / "ledger.sqlite")


def erase(cohort: Cohort, subject: str = WHO, *, models: str = "bounded", **how) -> None:
    """Erase; unless the study is run again, which takes longest, what was learned with privacy stays."""
    places = Places.of(cohort, book_of(cohort), models=models, **how)
    erasing.erase(places, find_person(cohort, subject, (), book_of(cohort)), workers=QUIET)


def found(folder: Path, *needles: str) -> list[Path]:
    """Return the files whose name or bytes hold any of these: another search than the program's own."""
    hits = []
    for path in folder.rglob("*"):
        names = str(path.relative_to(folder))
        content = path.read_bytes() if path.is_file() else b""
        if path.suffix == ".parquet":
            content += pd.read_parquet(path).to_csv().encode()
        hits += [path] if any(needle in names or needle.encode() in content for needle in needles) else []
    return hits


def test_guarantee_no_file_is_named_after_the_person_names_them_or_is_their_recording(people, tmp_path):
    shutil.copytree(people.root, tmp_path / "backup/cohort")
    shutil.copytree(tmp_path / "run", tmp_path / "backup/run")
    shutil.copytree(tmp_path / "run.private", tmp_path / "backup/run.private")
    hidden = tmp_path / "backup/renamed.bin"
    shutil.copy(next(people.root.glob(f"sub-{WHO}/**/*_voice.npy")), hidden)
    keys = tmp_path / "cohort.keys"
    keys.mkdir()
    (keys / f"sub-{WHO}.key").write_bytes(b"k" * 32)
    (keys / "sub-05.key").write_bytes(b"k" * 32)
    register(book_of(people), people, "backup", tmp_path / "backup")
    person = find_person(people, WHO, (), book_of(people))
    assert person.names == ["Anna Muster"] and len(person.files) == 8
    before = found(tmp_path, f"sub-{WHO}", "Anna Muster")
    assert {"cohort", "run", "run.private", "backup", "cohort.key.tsv", "cohort.keys"} <= {
        path.relative_to(tmp_path).parts[0] for path in before
    }
    erase(people, models="retrain")
    assert not found(tmp_path, f"sub-{WHO}", "Anna Muster")
    assert not hidden.exists()
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and digest(p) in person.files]
    assert (keys / "sub-05.key").read_bytes() == b"k" * 32
    assert "Bo Beispiel\t05" in (tmp_path / "cohort.key.tsv").read_text()
    assert not list(tmp_path.glob("cohort.erased-*"))
    left = open_cohort(people.root)
    others = {r.id for r in people.recordings if r.subject != WHO}
    assert (
        {r.id for r in left.recordings} == others == {r.id for r in open_cohort(tmp_path / "backup/cohort").recordings}
    )
    assert WHO not in left.participants.index and len(left.participants) == 7
    made = json.loads((tmp_path / "run/releases.json").read_text())
    assert {release["name"] for release in made} == {*PLAN.names}
    assert len(open_cohort(tmp_path / "run/releases/shown").recordings) == 28


def test_guarantee_the_ledger_tells_what_was_done_of_somebody_whom_it_does_not_name(people):
    book = book_of(people)
    rows = book.rows()
    theirs = rows[rows["subject"] == WHO]["action"].value_counts().to_dict()
    times = list(rows[rows["subject"] == WHO]["time"])
    assert theirs["opened"] and theirs["spent"] == 1
    erase(people)
    assert book.verify().ok
    rows = book.rows()
    assert WHO not in set(rows["subject"]) and not rows["recording"].str.contains(f"sub-{WHO}").any()
    (mark,) = rows[rows["action"] == "erased_subject"]["subject"]
    kept = rows[(rows["subject"] == mark) & (rows["action"] != "erased_subject")]
    assert kept["action"].value_counts().to_dict() == theirs and list(kept["time"]) == times
    erase(people)  # whoever knows the pseudonym can have it searched for again
    assert (book.rows()["action"] == "erased_subject").sum() == 1
    with pytest.raises(DataError, match="Nobody"):
        erase(people, "99")


@pytest.mark.parametrize("at", ["_erase_made", "_make_again", "forget_in_ledger", "_note", "_delete"])
def test_guarantee_an_erasure_that_was_stopped_goes_on(people, tmp_path, monkeypatch, at):
    def stopped(*_args: object) -> None:
        raise KeyboardInterrupt

    models = "retrain" if at == "_make_again" else "bounded"
    with monkeypatch.context() as patch:
        patch.setattr(erasing, at, stopped)
        with pytest.raises(KeyboardInterrupt):
            erase(people, models=models)
    (journal,) = tmp_path.glob("cohort.erased-*")
    assert journal.stat().st_mode & 0o077 == 0
    erase(open_cohort(people.root), models=models)
    assert not found(tmp_path, f"sub-{WHO}", "Anna Muster") and not list(tmp_path.glob("cohort.erased-*"))
    assert (tmp_path / "run/releases/trees").exists() == (models == "retrain")
    assert book_of(people).verify().ok


def test_what_was_learned_with_privacy_for_whole_people_may_stay(people, tmp_path):
    model = tmp_path / "run/releases/head/model.safetensors"
    before = model.read_bytes()
    erase(people)
    assert model.read_bytes() == before
    assert not (tmp_path / "run/releases/trees").exists() and not found(tmp_path / "run.private", f"sub-{WHO}")
    detail = json.loads(book_of(people).rows().query("action == 'erased_subject'")["detail"].iloc[0])
    assert [(item["release"], item["costs"][0]["delta"]) for item in detail["bounded"]] == [("head", 1e-2)]


def test_after_erasure_membership_of_the_person_is_a_guess_and_one_shard_was_trained(tmp_path, written):
    cohort = written(tmp_path / "cohort", people=20, each=12)
    text = """
shadows = 0
disclosure = []
[[models]]
name = "shards"
method = "sharded"
options = { of = "forest", options = { trees = 60, leaf = 1 }, shards = 2 }
label = "sentence"
protocol = "person_hash"
"""

    def run(people: Cohort, name: str) -> Path:
        run_study(people, read_plan(text, ""), text, tmp_path / name, workers=QUIET, ledger=book_of(people))
        return tmp_path / name / "releases/shards/model.safetensors"

    model = run(cohort, "run")
    asked = open_batch(cohort, "sentence", (), book_of(cohort)).batch
    never = open_batch(written(tmp_path / "others", people=20, each=12, seed=9), "sentence", (), book_of(cohort)).batch

    def attacked(who: str) -> float:
        """Return how often their recordings are answered more surely than those of people who were never in."""
        predictor, _ = load_model(model)
        theirs, others = (predictor(b)[np.arange(len(b)), b.labels] for b in (asked.take(asked.subjects == who), never))
        return float((theirs[:, None] > others).mean() + (theirs[:, None] == others).mean() / 2)

    kept = {file: digest(file) for file in (tmp_path / "run.private/shards/shards").iterdir()}
    who = max((s for s in cohort.participants.index if part_of(s, 5, "person_hash") > 1), key=attacked)
    assert attacked(who) > 0.9
    erase(cohort, who, models="retrain")
    assert abs(attacked(who) - 0.5) < 0.2  # of twelve recordings the deviation is 0.08
    assert sum(digest(file) != before for file, before in kept.items()) == 1
    (again, _), (scratch, _) = (load_weights(m) for m in (model, run(open_cohort(cohort.root), "from-scratch")))
    assert all(np.array_equal(again[name], values) for name, values in scratch.items())


def test_a_backup_that_cannot_be_reached_is_told_and_done_later(people, tmp_path):
    away = tmp_path / "backup"
    shutil.copytree(people.root, away)
    register(book_of(people), people, "backup", away)
    away.rename(tmp_path / "elsewhere")
    with pytest.raises(IncompleteError, match="cannot be reached"):
        erase(people)
    assert not found(people.root, f"sub-{WHO}")
    (tmp_path / "elsewhere").rename(away)
    erase(people)
    assert not found(tmp_path, f"sub-{WHO}")
    away.rename(tmp_path / "elsewhere")
    with pytest.raises(IncompleteError):
        erase(people, "05")
    erase(people, "05", skip=[away])
    assert not list(tmp_path.glob("cohort.erased-*"))


def test_nothing_is_erased_of_others_and_by_a_pseudonym_that_begins_alike(tmp_path, people_of_numbers):
    cohort = people_of_numbers("many", people=12, each=2)
    erase(cohort, "01")
    assert {r.subject for r in open_cohort(cohort.root).recordings} == {f"{n:02d}" for n in range(2, 13)}
    assert len(open_cohort(cohort.root).recordings) == 22
    physio = next(cohort.root.glob("sub-04/**/beh")) / "sub-04_ses-01_task-r0_physio.tsv"
    physio.write_text("onset\teda\n01\t0.2\n02\t0.3\n")
    (tmp_path / "many/notes.md").write_text("sub-02 came late, sub-03 did not.")
    with pytest.raises(IncompleteError, match=r"notes\.md names the person"):  # what is no table is not cut
        erase(open_cohort(cohort.root), "02")
    assert physio.read_text().count("\n") == 3


def test_one_person_under_two_pseudonyms_is_asked_for(people, tmp_path):
    key = tmp_path / "cohort.key.tsv"
    key.write_text(key.read_text() + "Muster, Anna\t07\n")
    with pytest.raises(DataError, match="--also 07"):
        find_person(people, WHO, (), book_of(people))
    person = find_person(people, WHO, ("07",), book_of(people))
    erasing.erase(Places.of(people, book_of(people), models="bounded"), person, workers=QUIET)
    assert not found(tmp_path, "sub-03", "sub-07", "Muster")


def test_a_dry_run_changes_nothing_and_says_what_becomes_of_each(people, tmp_path, typed):
    def state() -> dict[Path, str]:
        return {p: digest(p) for p in tmp_path.rglob("*") if p.is_file()}

    before = state()
    answer = typed("erase", people.root, WHO, "--dry-run")
    assert answer.status == 0 and before == state()
    for said in ("is deleted", "stays, without the person", "made again without the person", "epsilon 2 at delta 0.01"):
        assert said in answer.out
    assert typed("erase", people.root, "99", "--dry-run").status == 2
    answer = typed("erase", people.root, WHO, "--yes", "--models", "bounded")
    assert answer.status == 0 and "finds nothing" in answer.out


def test_the_person_is_told_in_plain_words_and_takes_their_data_along(people, tmp_path, typed):
    answer = typed("my-data", people.root, WHO, "--out", "theirs")
    for said in (
        "4 recordings: face, voice",
        "4 recordings (face, voice) to train",
        "to train a model on the originals",
        "head, of 4 recordings; epsilon 2",
        str(tmp_path / "run"),
    ):
        assert said in answer.out
    theirs = open_cohort(tmp_path / "theirs")
    assert {r.subject for r in theirs.recordings} == {WHO} and len(theirs.recordings) == 4
    one, copy = people.recordings[8], theirs.recordings[0]
    assert one.labels == copy.labels and theirs.participants.loc[WHO, "sex"] == "F"
    assert digest(people.root / one.tracks["voice"]) == digest(theirs.root / copy.tracks["voice"])
    assert "Your rights" in (tmp_path / "theirs/README.md").read_text()
    assert (book_of(people).rows()["action"] == "handed_over").sum() == 8
    assert "Handed over" in typed("my-data", people.root, WHO).out


def test_a_withdrawal_in_the_middle_is_told_with_what_was_made(people, typed):
    table = pd.read_csv(people.root / "consent.tsv", sep="\t", dtype=str, keep_default_na=False)
    table.loc[table["subject"] == WHO, "withdrawn_at"] = "2020-01-01"
    table.to_csv(people.root / "consent.tsv", sep="\t", index=False)
    with pytest.raises(DataError, match="withdrew"):
        open_batch(replace(people, recordings=people.recordings[8:12]), "emotion", (), book_of(people))
    told = typed("my-data", people.root, WHO).out
    assert all(
        said in told for said in ("withdrawn on 2020-01-01", "Asked for and not opened", "trees, of 4 recordings")
    )


def test_people_who_may_be_kept_no_longer_are_listed_and_erased(people, typed):
    table = pd.read_csv(people.root / "consent.tsv", sep="\t", dtype=str, keep_default_na=False)
    table.loc[table["subject"] == WHO, "retention_until"] = "2020-01-01"
    table.loc[table["subject"] == "05", "retention_until"] = "2999-01-01"
    table.to_csv(people.root / "consent.tsv", sep="\t", index=False)
    assert expired(people) == [WHO]
    answer = typed("purge", "--expired", people.root, "--dry-run")
    assert answer.status == 0 and "1 people" in answer.out
    assert len(open_cohort(people.root).recordings) == 32
    assert typed("purge", "--expired", people.root, "--yes", "--models", "bounded").status == 0
    assert {r.subject for r in open_cohort(people.root).recordings} == {f"{n:02d}" for n in range(1, 9)} - {WHO}


def test_consent_lock_study_withdrawal_access_and_erasure_are_one_story(people, tmp_path, monkeypatch):
    """As its owner types it, on a locked cohort whose names are encrypted."""

    def typed(*words: str, status: int = 0) -> str:
        result = CliRunner().invoke(cli, [str(word) for word in words])
        assert (status == 0) == (result.exception is None), (result.output, result.exception)
        return result.output + str(result.exception or "")

    root, book = people.root, book_of(people)
    monkeypatch.setenv("PERSONARE_PASSPHRASE", "three little words")
    write_key(root, read_key(root))
    (tmp_path / "notice.txt").write_text("We record you.")
    agreed = ("--allow", "evaluation,training:all", "--controller", "Uni", "--language", "en")
    typed("consent", "grant", root, WHO, *agreed, "--notice", tmp_path / "notice.txt")
    typed("lock", root)
    (tmp_path / "study.toml").write_text(TEXT)
    again = ("study", root, "--config", tmp_path / "study.toml", "--out", tmp_path / "run", "--jobs", "1")
    typed(*again)
    shutil.copytree(root, tmp_path / "copy")  # which nobody noted
    typed("my-data", root, WHO, "--out", tmp_path / "theirs")
    assert len(open_cohort(tmp_path / "theirs").recordings) == 4
    assert not any(is_locked(path) for path in (tmp_path / "theirs").rglob("*") if path.is_file())
    shutil.rmtree(tmp_path / "theirs")
    assert "my-data" in typed("consent", "withdraw", root, WHO)
    assert "withdrawn on" in (told := typed("my-data", root, WHO)) and "evaluation" in told
    assert [name for name, number in read_key(root).items() if number == WHO] == ["Anna Muster"]
    typed("erase", root, WHO, "--yes", "--jobs", "1")
    places = [tmp_path / name for name in ("cohort", "run", "run.private", "cohort.keys")]
    assert not [hit for place in places for hit in found(place, f"sub-{WHO}", "Anna Muster")]
    assert read_key(root) == {"Bo Beispiel": "05"}
    assert "sub-" not in typed("consent", "show", root)
    copied = next((tmp_path / "copy").glob(f"sub-{WHO}/**/*_voice.npy"))
    shutil.copytree(tmp_path / "cohort.keys", tmp_path / "copy.keys")
    with pytest.raises(DataError, match="is gone"):  # of every copy
        open_plain(copied)
    typed(*again)
    assert book.verify().ok
    actions = [*book.rows()["action"]]
    assert {"consent", "opened", "released", "handed_over", "erased", "erased_subject"} <= {*actions}
