"""What a user types to keep a cohort encrypted: lock it, work with it, unlock it."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from personare.core.types import Cohort
from personare.data.cohort import open_cohort
from personare.govern.storage import is_locked, not_locked

PHRASE = "three little words"
STUDY = """
attacks = ["voice_prosody"]
utilities = ["prosody"]
shadows = 0
canaries = 0
[[releases]]
name = "mcadams"
voice = "voice_mcadams"
[[models]]
name = "trees"
method = "forest"
modalities = ["eda"]
options = { trees = 3 }
"""
pytestmark = pytest.mark.filterwarnings("ignore")  # a fit to few samples warns


@pytest.fixture
def cohort(speakers: Callable[..., Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERSONARE_PASSPHRASE", "")  # so that what a prompt puts there is taken away again
    (tmp_path / "study.toml").write_text(STUDY)
    return speakers(tmp_path / "cohort", people=4, each=2).root


def results(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((out / "results.json").read_text())
    return [row for row in rows if row["unit"] not in ("s", "seconds")]


def test_a_study_of_a_locked_cohort_ends_as_that_of_a_plain_one(
    cohort: Path, typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = ("study", cohort, "--config", "study.toml", "--jobs", 1)
    plain = typed(*study, "--out", "plain")
    recordings = open_cohort(cohort).recordings
    monkeypatch.setenv("PERSONARE_PASSPHRASE", PHRASE)
    cohort.with_name("cohort.key.tsv").write_text("subject\tpseudonym\n")
    answer = typed("lock", cohort)
    assert "cohort.key.tsv tells who is who and is not encrypted" in answer.out
    assert answer.status == 0 and "is locked. Its keys lie in" in answer.out
    assert is_locked(cohort) and not not_locked(cohort)
    assert open_cohort(cohort).recordings == recordings
    locked = typed(*study, "--out", "locked")
    assert (locked.status, plain.status) == (0, 0), locked.err
    folder = cohort.parent
    assert results(folder / "locked") == results(folder / "plain")
    for given, why in (("", "Give its passphrase"), ("three little wards", "not the passphrase")):
        monkeypatch.setenv("PERSONARE_PASSPHRASE", given)
        refused = typed(*study, "--out", f"refused-{bool(given)}")
        assert refused.status == 2 and why in refused.err
    assert typed("validate", cohort).status == 2
    monkeypatch.setenv("PERSONARE_PASSPHRASE", PHRASE)
    imported = typed("import", cohort, "elsewhere", "--reader", "bids")
    assert imported.status == 2 and "unlock its cohort first" in imported.err
    answer = typed("unlock", cohort)
    assert answer.status == 0 and not is_locked(cohort)
    assert open_cohort(cohort).recordings == recordings


def test_at_a_terminal_the_passphrase_is_asked_for(cohort: Path, typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = typed("lock", cohort)
    assert answer.status == 2 and "variable PERSONARE_PASSPHRASE" in answer.err
    asked = list[tuple[str, bool]]()

    def prompt(text: str, *, hide_input: bool, confirmation_prompt: bool) -> str:
        assert hide_input
        asked.append((text.partition(" of ")[0], confirmation_prompt))
        return PHRASE

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.prompt", prompt)
    for words in (("lock", cohort), ("validate", cohort), ("unlock", cohort)):
        monkeypatch.setenv("PERSONARE_PASSPHRASE", "")
        assert "Traceback" not in typed(*words).err
    assert asked == [("New passphrase", True), ("Passphrase", False), ("Passphrase", False)]
    assert not is_locked(cohort)
    monkeypatch.setenv("PERSONARE_PASSPHRASE", "")
    typed("validate", cohort)
    assert len(asked) == 3  # an unlocked cohort needs none


def test_files_that_stay_locked_are_told_at_the_end(cohort: Path, typed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSONARE_PASSPHRASE", PHRASE)
    typed("lock", cohort)
    (cohort.with_name("cohort.keys") / "sub-01.key").unlink()
    answer = typed("unlock", cohort)
    assert answer.status == 3 and "the person was erased" in answer.err
    shutil.rmtree(cohort)
    answer = typed("lock", cohort)
    assert answer.status == 2 and "There is no cohort" in answer.err
