import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from personare.core.errors import DataError, PolicyError
from personare.core.types import Cohort
from personare.data.vault import Vault
from personare.govern.consent import consent_all
from personare.govern.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite", clock=lambda: datetime(2026, 4, 30, tzinfo=UTC))


def _vault(cohort: Cohort, ledger: Ledger, purpose: str = "evaluation", day: date = date(2026, 5, 1)) -> Vault:
    return Vault(cohort, purpose=purpose, ledger=ledger, today=lambda: day)


def _agree(cohort: Cohort, **changes: str) -> None:
    table = consent_all(["01", "02"], ["evaluation"])
    for column, value in changes.items():
        table.loc[table["subject"] == "02", column] = value
    table.to_csv(cohort.root / "consent.tsv", sep="\t", index=False)


def test_only_consenting_people_are_admitted(small_cohort: Cohort, ledger: Ledger) -> None:
    opened, refused = _vault(small_cohort, ledger).admit(small_cohort.recordings, "audio")
    assert sorted(opened) == ["sub-01_ses-01_task-anger01", "sub-01_ses-01_task-calm01"]
    assert all(path.is_file() for path in opened.values())
    assert [withheld.item for withheld in refused] == ["sub-02_ses-01_task-anger01", "sub-02_ses-01_task-calm01"]
    assert "no consent" in refused[0].problem


def test_every_opening_and_every_refusal_is_a_row(small_cohort: Cohort, ledger: Ledger) -> None:
    _vault(small_cohort, ledger).admit(small_cohort.recordings, "audio")
    rows = ledger.rows()
    assert rows["action"].tolist() == ["opened", "opened", "refused", "refused"]
    assert rows["purpose"].unique().tolist() == ["evaluation"]
    assert rows["recording"].tolist() == [r.id for r in small_cohort.recordings]
    assert "no consent" in json.loads(rows["detail"].iloc[-1])["reason"]
    assert ledger.verify().ok


def test_a_purpose_not_agreed_to_is_refused(small_cohort: Cohort, ledger: Ledger) -> None:
    opened, refused = _vault(small_cohort, ledger, "sharing").admit(small_cohort.recordings[:1], "audio")
    assert not opened and "did not consent to sharing" in refused[0].problem
    assert ledger.rows()["action"].tolist() == ["refused"]


def test_a_made_up_purpose_is_refused(small_cohort: Cohort, ledger: Ledger) -> None:
    with pytest.raises(PolicyError, match="curiosity"):
        _vault(small_cohort, ledger, "curiosity")


def test_withdrawal_counts_from_the_next_opening_on(small_cohort: Cohort, ledger: Ledger) -> None:
    _agree(small_cohort)
    vault = _vault(small_cohort, ledger)
    opened, _ = vault.admit(small_cohort.recordings[-1:], "audio")
    assert all(path.is_file() for path in opened.values()) and opened
    _agree(small_cohort, withdrawn_at="2026-04-30")
    opened, refused = vault.admit(small_cohort.recordings[-1:], "audio")
    assert not opened and "withdrew" in refused[0].problem


@pytest.mark.parametrize(("day", "open_"), [(date(2026, 5, 1), True), (date(2026, 5, 2), False)])
def test_consent_holds_through_its_last_day(small_cohort: Cohort, ledger: Ledger, day: date, open_: bool) -> None:
    _agree(small_cohort, retention_until="2026-05-01")
    opened, _ = _vault(small_cohort, ledger, day=day).admit(small_cohort.recordings[-1:], "audio")
    assert bool(opened) == open_


def test_consent_to_film_does_not_open_sound(small_cohort: Cohort, ledger: Ledger) -> None:
    _agree(small_cohort, modalities="video")
    _, refused = _vault(small_cohort, ledger).admit(small_cohort.recordings[-1:], "audio")
    assert "did not consent to evaluation with audio" in refused[0].problem


@pytest.mark.parametrize(
    ("track", "modality"),
    [("logmel", "audio"), ("acoustics", "audio"), ("face", "video"), ("words", "text"), ("eda", "physio")],
)
def test_features_count_as_what_they_come_from(small_cohort: Cohort, ledger: Ledger, track: str, modality: str) -> None:
    recording = replace(small_cohort.recordings[-1], tracks={track: f"sub-02/x_{track}.npy"})
    _agree(small_cohort, modalities=modality)
    assert _vault(small_cohort, ledger).admit([recording], track)[0]
    _agree(small_cohort, modalities="picture")
    assert not _vault(small_cohort, ledger).admit([recording], track)[0]


def test_no_consent_table_opens_nothing(small_cohort: Cohort, ledger: Ledger) -> None:
    (small_cohort.root / "consent.tsv").unlink()
    assert _vault(small_cohort, ledger).admit(small_cohort.recordings, "audio")[0] == {}


def test_damaged_consent_table_opens_nothing(small_cohort: Cohort, ledger: Ledger) -> None:
    (small_cohort.root / "consent.tsv").write_text("subject\tpurposes\n01\tevaluation\n")
    with pytest.raises(DataError, match="columns"):
        _vault(small_cohort, ledger).admit(small_cohort.recordings, "audio")


def test_releases_need_no_consent_but_are_written_down(small_cohort: Cohort, ledger: Ledger) -> None:
    (small_cohort.root / "dataset_description.json").write_text('{"Name": "r", "Personare": {"Kind": "release"}}')
    (small_cohort.root / "consent.tsv").unlink()
    opened, refused = _vault(small_cohort, ledger).admit(small_cohort.recordings, "audio")
    assert len(opened) == 4
    assert not refused
    assert ledger.rows()["action"].tolist() == ["opened"] * 4


def test_nothing_is_opened_without_a_ledger(small_cohort: Cohort, tmp_path: Path) -> None:
    (tmp_path / "dir.sqlite").mkdir()
    with pytest.raises(DataError, match="Nothing is opened"):
        _vault(small_cohort, Ledger(tmp_path / "dir.sqlite")).admit(small_cohort.recordings, "audio")


@pytest.mark.parametrize("path", ["../secret.wav", "/etc/passwd", "sub-01/../../secret.wav"])
def test_files_outside_the_cohort_stay_closed(small_cohort: Cohort, ledger: Ledger, path: str) -> None:
    recording = replace(small_cohort.recordings[0], tracks={"audio": path})
    opened, refused = _vault(small_cohort, ledger).admit([recording], "audio")
    assert not opened and "outside" in refused[0].problem


def test_a_track_that_is_not_there_is_passed_over(small_cohort: Cohort, ledger: Ledger) -> None:
    assert _vault(small_cohort, ledger).admit(small_cohort.recordings, "video") == ({}, [])
    assert not ledger.exists()


def test_a_clock_set_back_opens_nothing(small_cohort: Cohort, ledger: Ledger) -> None:
    _vault(small_cohort, ledger).admit(small_cohort.recordings, "audio")
    before = len(ledger.rows())
    for ask in ("admit", "permitted"):
        with pytest.raises(PolicyError, match="The clock says 2026-04-29, but the ledger has a row of 2026-04-30"):
            getattr(_vault(small_cohort, ledger, day=date(2026, 4, 29)), ask)(small_cohort.recordings, "audio")
    assert len(ledger.rows()) == before
