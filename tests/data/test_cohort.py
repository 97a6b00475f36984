import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from personare.core.errors import DataError
from personare.core.types import Cohort, Recording
from personare.data.cohort import (
    INDEX,
    UNFINISHED,
    CohortWriter,
    cohort_kind,
    open_cohort,
    recording_id,
    remove_recording,
)
from personare.govern.consent import consent_all, read_consent


def _add(writer: CohortWriter, subject: str, task: str, labels: dict[str, str] | None = None) -> Recording:
    path = writer.path((subject, "01", task), "audio", ".wav")
    path.write_bytes(b"sound")
    recording = Recording(
        id=recording_id(subject, "01", task),
        subject=subject,
        session="01",
        tracks={"audio": path.relative_to(writer.root).as_posix()},
        labels=labels or {"emotion": "anger", "sentence": "Überall Äpfel"},
    )
    writer.add(recording)
    return recording


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    writer = CohortWriter(tmp_path / "Über uns", name="demo", description={"License": "CC0", "method": "none"})
    for subject in ("01", "02"):
        _add(writer, subject, "angry01")
    people = pd.DataFrame({"sex": ["F", "M"], "age": [31.5, float("nan")]}, index=["01", "02"])
    return writer.finish(people, consent_all(["01"], ["research"]))


def test_what_is_written_is_read(cohort: Cohort) -> None:
    again = open_cohort(cohort.root)
    assert again.recordings == cohort.recordings
    assert [r.id for r in again.recordings] == ["sub-01_ses-01_task-angry01", "sub-02_ses-01_task-angry01"]
    assert again.recordings[0].labels["sentence"] == "Überall Äpfel"
    assert again.participants.loc["01", "age"] == 31.5
    assert list(again.participants["sex"]) == ["F", "M"]
    assert again.participants["age"].isna().tolist() == [False, True]
    assert (cohort.root / "sub-01/ses-01/beh/sub-01_ses-01_task-angry01_audio.wav").is_file()
    assert cohort_kind(cohort.root) == "identifiable"
    assert json.loads((cohort.root / "dataset_description.json").read_text())["License"] == "CC0"


def test_index_is_rebuilt_from_the_folder_alone(cohort: Cohort) -> None:
    (cohort.root / INDEX).unlink()
    assert open_cohort(cohort.root).recordings == cohort.recordings
    assert (cohort.root / INDEX).is_file()
    (cohort.root / INDEX).write_bytes(b"not parquet")
    assert open_cohort(cohort.root).recordings == cohort.recordings


def test_index_follows_edits_of_labels_and_files(cohort: Cohort) -> None:
    folder = cohort.root / "sub-01/ses-01/beh"
    sidecar = folder / "sub-01_ses-01_task-angry01_beh.json"
    sidecar.write_text(json.dumps({"Labels": {"emotion": "calm"}}))
    assert open_cohort(cohort.root).recordings[0].labels == {"emotion": "calm"}
    (folder / "sub-01_ses-01_task-angry02_audio.wav").write_bytes(b"x")
    assert len(open_cohort(cohort.root).recordings) == 3
    shutil.rmtree(cohort.root / "sub-02")
    assert len(open_cohort(cohort.root).recordings) == 2


def test_unchanged_folder_is_read_from_its_index(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_scan(_: Path) -> None:
        raise AssertionError("scanned")

    monkeypatch.setattr("personare.data.cohort.scan", no_scan)
    assert open_cohort(cohort.root).recordings == cohort.recordings


def test_labels_may_come_from_events(cohort: Cohort) -> None:
    folder = cohort.root / "sub-01/ses-01/beh"
    (folder / "sub-01_ses-01_task-film_audio.wav").write_bytes(b"x")
    (folder / "sub-01_ses-01_task-film_events.tsv").write_text(
        "onset\tduration\ttrial_type\tsentence\n0\t1\tAngry\tA\n1\t1\tangry\tB\n"
    )
    film = next(r for r in open_cohort(cohort.root).recordings if r.id.endswith("film"))
    assert film.labels == {"emotion": "anger"}  # the two sentences differ, so none is the recording's
    assert set(film.tracks) == {"audio", "events"}


def test_plain_bids_names_are_read(tmp_path: Path) -> None:
    (tmp_path / "dataset_description.json").write_text('{"Name": "plain"}')
    (tmp_path / "sub-x/beh").mkdir(parents=True)
    (tmp_path / "sub-x/beh/sub-x_task-rest_run-2_physio.tsv.gz").write_bytes(b"")
    (recording,) = open_cohort(tmp_path).recordings
    assert recording.id == "sub-x_ses-01_task-restrun2"
    assert recording.tracks == {"physio": "sub-x/beh/sub-x_task-rest_run-2_physio.tsv.gz"}


def test_unfinished_folder_is_no_cohort(tmp_path: Path) -> None:
    writer = CohortWriter(tmp_path / "new", name="demo")
    _add(writer, "01", "a")
    with pytest.raises(DataError, match="unfinished"):
        open_cohort(tmp_path / "new")


def test_leftovers_of_a_killed_attempt_are_gone(tmp_path: Path) -> None:
    root = tmp_path / "new"
    _add(CohortWriter(root, name="demo"), "01", "killed")
    (root / "sub-01/ses-01/beh/.killed_half.part").write_bytes(b"x")
    writer = CohortWriter(root, name="demo")
    _add(writer, "02", "a")
    cohort = writer.finish(pd.DataFrame(index=["02"]))
    assert [r.subject for r in cohort.recordings] == ["02"]
    assert not list(root.rglob("*killed*"))
    assert not (root / UNFINISHED).exists()


def test_writer_refuses_other_peoples_folders(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="finished cohort"):
        CohortWriter(cohort.root, name="x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.doc").write_text("x")
    with pytest.raises(DataError, match="empty folder"):
        CohortWriter(tmp_path / "full", name="x")


def test_writer_refuses_bad_recordings(tmp_path: Path) -> None:
    writer = CohortWriter(tmp_path / "new", name="demo")
    first = _add(writer, "01", "a")
    with pytest.raises(DataError, match="added before"):
        writer.add(first)
    with pytest.raises(DataError, match="no file"):
        writer.add(
            Recording(id=recording_id("01", "01", "b"), subject="01", session="01", tracks={"audio": "nope.wav"})
        )
    with pytest.raises(DataError, match="recording_id"):
        writer.add(Recording(id="take 1", subject="01", session="01", tracks=first.tracks))
    with pytest.raises(DataError, match="letters"):
        writer.path(("Zoë M.", "01", "a"), "audio", ".wav")


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_damaged_description_says_what_to_do(cohort: Cohort, content: str) -> None:
    (cohort.root / "dataset_description.json").write_text(content)
    with pytest.raises(DataError, match="Correct the file"):
        open_cohort(cohort.root)


def test_absent_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no cohort"):
        open_cohort(tmp_path / "nowhere")


def test_full_disk_is_a_data_error(tmp_path: Path) -> None:
    writer = CohortWriter(tmp_path / "new", name="demo")
    _add(writer, "01", "a")
    (tmp_path / "new" / "participants.tsv").mkdir()  # stands in for a disk that takes nothing more
    with pytest.raises(DataError, match="cannot be written"):
        writer.finish(pd.DataFrame(index=["01"]))
    with pytest.raises(DataError, match="unfinished"):
        open_cohort(tmp_path / "new")


def test_kind_is_identifiable_unless_said_otherwise(tmp_path: Path) -> None:
    writer = CohortWriter(tmp_path / "r", name="demo", kind="release")
    _add(writer, "01", "a")
    assert cohort_kind(writer.finish(pd.DataFrame(index=["01"])).root) == "release"
    (tmp_path / "p").mkdir()
    (tmp_path / "p/dataset_description.json").write_text('{"Name": "x", "Personare": {"Kind": "whatever"}}')
    assert cohort_kind(tmp_path / "p") == "identifiable"


def test_numbers_as_pseudonyms_keep_their_rows(tmp_path: Path) -> None:
    writer = CohortWriter(tmp_path / "n", name="demo")
    _add(writer, "1001", "a")
    cohort = writer.finish(pd.DataFrame({"age": [40]}, index=[1001]))
    assert cohort.participants["age"].to_dict() == {"1001": 40.0}


def test_hidden_files_and_stray_names_do_not_break_reading(cohort: Cohort) -> None:
    (cohort.root / "sub-01/ses-01/beh/.DS_Store").write_bytes(b"x")
    (cohort.root / "sub-01/notes.txt").write_text("x")
    assert len(open_cohort(cohort.root).recordings) == 2


def test_a_recording_that_is_removed_is_gone_from_files_index_and_tables(numbers) -> None:
    last, *others = [r.id for r in numbers.recordings if r.subject == "02"]
    for name in others:
        cohort = remove_recording(numbers.root, name)
        assert "02" in cohort.participants.index
    cohort = remove_recording(numbers.root, last)
    assert len(cohort.recordings) == len(numbers.recordings) - 12
    assert not [path for path in numbers.root.rglob("sub-02*") if path.is_file()]
    assert cohort.participants.index.tolist() == [f"{n:02d}" for n in range(1, 11) if n != 2]
    assert set(read_consent(numbers.root / "consent.tsv")["subject"]) == set(cohort.participants.index)
    assert remove_recording(numbers.root, last).recordings == cohort.recordings  # asked again after a kill
