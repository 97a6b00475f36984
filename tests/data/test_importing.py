import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import DataError, OptionError, PolicyError, UnknownMethodError
from personare.data.cohort import open_cohort
from personare.data.importing import import_cohort
from personare.data.validate import validate
from personare.govern.consent import permits, read_consent

Tone = Callable[..., Path]


@pytest.fixture
def source(tmp_path: Path, tone: Tone) -> Path:
    """Four clips of two people, in a folder whose path has spaces and accents."""
    folder = tmp_path / "Données à moi"
    for name in ("03a01Fa", "03a02Wa", "08a01Fa", "08a02Na"):
        tone(folder / f"{name}.wav")
    return folder


def check_is_wav(path: Path, track: str) -> None:
    if track == "audio" and path.read_bytes()[:4] != b"RIFF":
        raise DataError(f"{path.name} is no sound. Get it again.")


def test_everything_arrives_and_the_bytes_are_the_same(source: Path, tmp_path: Path) -> None:
    cohort, skipped = import_cohort(source, tmp_path / "c", reader="emodb", consent_purposes=["evaluation"])
    assert not skipped
    assert [r.id for r in cohort.recordings] == [r.id for r in open_cohort(tmp_path / "c").recordings]
    copy = cohort.root / cohort.recordings[0].tracks["audio"]
    assert copy.read_bytes() == (source / "03a01Fa.wav").read_bytes()
    assert pd.read_json(copy.with_suffix(".json"), typ="series").to_dict() == {
        "SamplingFrequency": 16000,
        "Channels": 1,
        "Duration": 0.2,
    }
    assert cohort.participants["sex"].to_dict() == {"03": "M", "08": "F"}
    assert validate(cohort.root) == []
    origins = pd.read_csv(cohort.root / "imported.tsv", sep="\t")
    assert sorted(origins["source"]) == ["03a01Fa.wav", "03a02Wa.wav", "08a01Fa.wav", "08a02Na.wav"]


def test_bad_files_are_listed_and_the_rest_goes_on(source: Path, tmp_path: Path) -> None:
    (source / "03a04Fa.wav").write_bytes(b"")
    (source / "03a05Fa.wav").write_text("this is text")
    (source / "03a07Fa.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    (source / "03b01Fa.wav").symlink_to(source / "gone.wav")
    (source / "holiday.wav").write_bytes(b"RIFF")
    cohort, skipped = import_cohort(source, tmp_path / "c", reader="emodb", check=check_is_wav)
    assert len(cohort.recordings) == 4
    told = {withheld.item: withheld.problem for withheld in skipped}
    assert sorted(told) == ["03a04Fa.wav", "03a05Fa.wav", "03a07Fa.wav", "03b01Fa.wav", "holiday.wav"]
    assert "empty" in told["03a04Fa.wav"]
    assert "no sound" in told["03a05Fa.wav"]
    assert "Git LFS pointer" in told["03a07Fa.wav"]
    assert all(withheld.fix for withheld in skipped)
    table = pd.read_csv(cohort.root / "skipped.tsv", sep="\t")
    assert sorted(table["item"]) == sorted(told)
    assert not list(cohort.root.rglob("*a05Fa*"))


@pytest.mark.parametrize("error", [ValueError("odd"), MemoryError(), OSError(errno.EIO, "I/O error"), KeyError("x")])
def test_a_decoder_may_fail_in_any_way(source: Path, tmp_path: Path, error: Exception) -> None:
    def check(path: Path, _track: str) -> None:
        if path.name == "03a01Fa.wav":
            raise error

    cohort, skipped = import_cohort(source, tmp_path / "c", reader="emodb", check=check)
    assert len(cohort.recordings) == 3
    assert [withheld.item for withheld in skipped] == ["03a01Fa.wav"]


def films(root: Path) -> Path:
    root.mkdir()
    for name in ("a", "b", "c"):
        (root / f"{name}.mp4").write_bytes(name.encode())
    (root / "labels.csv").write_text("file,subject\na.mp4,01\nb.mp4,01\nc.mp4,02\n")
    return root


def test_sound_is_taken_out_of_films(tmp_path: Path, tone: Tone) -> None:
    def extract(film: Path, sound: Path) -> bool:
        content = film.read_bytes()
        if content == b"b":
            return False
        tone(sound)
        if content == b"c":
            raise DataError("the sound is cut off. Get it again.")
        return True

    cohort, skipped = import_cohort(films(tmp_path / "f"), tmp_path / "c", reader="folder", extract_sound=extract)
    assert [sorted(r.tracks) for r in cohort.recordings] == [["audio", "video"], ["video"], ["video"]]
    assert [(w.item, w.problem, w.fix) for w in skipped] == [
        ("c.mp4 (its sound)", "the sound is cut off", "Get it again."),
    ]
    assert len(list(cohort.root.rglob("*.wav"))) == 1


def test_ids_that_differ_in_capitals_only_are_listed(tmp_path: Path, tone: Tone) -> None:
    for name in ("a", "b"):
        tone(tmp_path / f"s/{name}.wav")
    (tmp_path / "s/labels.csv").write_text("file,subject,task\na.wav,P1,Rest\nb.wav,P1,rest\n")
    cohort, skipped = import_cohort(tmp_path / "s", tmp_path / "c", reader="folder")
    assert [r.id for r in cohort.recordings] == ["sub-P1_ses-01_task-Rest"]
    assert [w.item for w in skipped] == ["b.wav"] and "another recording has the id" in skipped[0].problem


def test_spectrograms_become_one_file_a_recording(tmp_path: Path) -> None:
    good = np.arange(6, dtype=np.uint8).reshape(2, 3)
    arrays = {"1001_DFA_ANG_XX": good, "1001_DFA_SAD_XX": good * np.nan, "1001_DFA_FEA_XX": np.array(["x"])}
    (tmp_path / "s/mel").mkdir(parents=True)
    np.savez(tmp_path / "s/mel/1001.npz", **arrays)
    cohort, skipped = import_cohort(tmp_path / "s", tmp_path / "c", reader="crema_d")
    (recording,) = cohort.recordings
    assert np.array_equal(np.load(cohort.root / recording.tracks["logmel"]), good)
    assert [withheld.item[-15:] for withheld in skipped] == ["1001_DFA_FEA_XX", "1001_DFA_SAD_XX"]


def test_a_cohort_imported_again_is_the_same(source: Path, tmp_path: Path) -> None:
    first, _ = import_cohort(source, tmp_path / "one", reader="emodb", consent_purposes=["research"])
    second, skipped = import_cohort(first.root, tmp_path / "two", reader="bids")
    assert not skipped
    assert second.recordings == first.recordings
    pd.testing.assert_frame_equal(second.participants, first.participants)
    pd.testing.assert_frame_equal(read_consent(second.root / "consent.tsv"), read_consent(first.root / "consent.tsv"))


def test_consent_to_all_does_not_undo_a_withdrawal(source: Path, tmp_path: Path) -> None:
    (source / "consent.tsv").write_text(
        "subject\tscope\tpurposes\tmodalities\tretention_until\twithdrawn_at\n"
        "03\tDUO:0000042\tevaluation\tall\t\t2026-01-01\n99\tDUO:0000042\tevaluation\tall\t\t\n"
    )
    cohort, _ = import_cohort(source, tmp_path / "c", reader="emodb", consent_purposes=["evaluation"])
    consent = read_consent(cohort.root / "consent.tsv")
    assert list(consent["subject"]) == ["03", "08"]
    assert "withdrew" in permits(consent, "03", "evaluation", "audio", date(2026, 5, 1))
    assert permits(consent, "08", "evaluation", "audio", date(2026, 5, 1)) == ""


def test_without_consent_nothing_is_agreed(source: Path, tmp_path: Path) -> None:
    cohort, _ = import_cohort(source, tmp_path / "c", reader="emodb")
    assert read_consent(cohort.root / "consent.tsv").empty


def test_a_folder_with_files_is_refused_and_left_alone(source: Path, tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c/thesis.doc").write_text("x")
    with pytest.raises(DataError, match="empty folder"):
        import_cohort(source, tmp_path / "c", reader="emodb")
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["thesis.doc"]


def test_nothing_usable_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s/03a01Fa.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"no usable recording.*03a01Fa\.wav"):
        import_cohort(tmp_path / "s", tmp_path / "c", reader="emodb")
    assert not (tmp_path / "c").exists()


def test_a_full_disk_ends_the_import_and_leaves_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_from: Path, to: Path) -> None:
        to.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("personare.data.importing.shutil.copyfile", full)
    with pytest.raises(DataError, match="Free the disk"):
        import_cohort(source, tmp_path / "c", reader="emodb")
    assert not (tmp_path / "c").exists()


def test_a_full_disk_met_while_extracting_ends_the_import(tmp_path: Path) -> None:
    def extract(_film: Path, sound: Path) -> bool:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise DataError(f"{sound} cannot be written. Free the disk.") from error

    with pytest.raises(DataError, match="No space left"):
        import_cohort(films(tmp_path / "f"), tmp_path / "c", reader="folder", extract_sound=extract)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"reader": "nope"}, UnknownMethodError),
        ({"options": {"colour": 1}}, OptionError),
        ({"consent_purposes": ["fun"]}, PolicyError),
    ],
)
def test_wrong_requests_are_refused_before_anything_is_written(
    source: Path, tmp_path: Path, changes: dict[str, object], error: type[Exception]
) -> None:
    arguments: dict[str, object] = {"reader": "emodb", **changes}
    with pytest.raises(error):
        import_cohort(source, tmp_path / "c", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "c").exists()


KILLED = """
import sys, time
from pathlib import Path
from personare.data.importing import import_cohort
def check(path, track):
    if path.name.startswith("08"):
        Path(sys.argv[3]).touch()
        time.sleep(60)
import_cohort(Path(sys.argv[1]), Path(sys.argv[2]), reader="emodb", check=check)
"""


def _wait_for(path: Path, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, "the import failed"
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_killed_import_is_no_cohort_and_says_so(source: Path, tmp_path: Path) -> None:
    target, sign = tmp_path / "c", tmp_path / "sign"
    process = subprocess.Popen([sys.executable, "-c", KILLED, *map(os.fspath, (source, target, sign))])
    try:
        _wait_for(sign, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert list(target.rglob("*.wav"))
    with pytest.raises(DataError, match="unfinished"):
        open_cohort(target)
    with pytest.raises(DataError, match="Delete the folder"):
        import_cohort(source, target, reader="emodb")


def test_an_interrupted_import_leaves_nothing(source: Path, tmp_path: Path) -> None:
    def check(path: Path, _track: str) -> None:
        if path.name.startswith("08"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_cohort(source, tmp_path / "c", reader="emodb", check=check)
    assert not (tmp_path / "c").exists()


def test_progress_sees_every_recording(source: Path, tmp_path: Path) -> None:
    seen: list[str] = []

    def progress(recordings: object) -> object:
        for recording in recordings:  # type: ignore[attr-defined]
            seen.append(recording.id)
            yield recording

    import_cohort(source, tmp_path / "c", reader="emodb", progress=progress)  # type: ignore[arg-type]
    assert len(seen) == 4
