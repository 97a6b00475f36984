"""Every kind of file that is decoded, read from a locked cohort as from a plain one."""

import gzip
import shutil
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from personare.core.errors import DataError, PolicyError
from personare.core.types import Cohort, Recording, Signal
from personare.data.cohort import CohortWriter, open_cohort, recording_id
from personare.data.texts import read_text
from personare.data.validate import validate
from personare.features import audio, files, video
from personare.features.tracks import read_track
from personare.govern import storage
from personare.govern.storage import is_locked, lock_cohort
from personare.study.anonymizing import content_digest

PHRASE = "three little words"
PARTS = ("01", "01", "a")


def film(path: Path) -> None:
    """A film whose pictures hardly compress, so that they are found where they lie."""
    rng = np.random.default_rng(0)
    with video.VideoWriter(path, width=64, height=48, rate_hz=25, crf=1) as writer:
        writer.write_sound(Signal(values=rng.uniform(-0.3, 0.3, (16000, 1)).astype(np.float32), rate_hz=16000))
        for _ in range(25):
            writer.write(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))


def sound(path: Path) -> None:
    values = np.random.default_rng(1).uniform(-0.3, 0.3, (24000, 2)).astype(np.float32)
    if path.suffix == ".wav":
        audio.write(path, Signal(values=values, rate_hz=16000))
    else:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("flac", rate=16000, layout="stereo")
            frame = av.AudioFrame.from_ndarray((values.T * 32767).astype(np.int16).copy(), "s16p", "stereo")
            frame.sample_rate = 16000
            resampler = av.AudioResampler("s16", "stereo", 16000, frame_size=4096)
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))


def table(path: Path) -> None:
    rows = pd.DataFrame(np.random.default_rng(2).standard_normal((3000, 2)), columns=["eda", "hr"])
    if path.suffix == ".parquet":
        rows.to_parquet(path)
    else:
        sep = "," if ".csv" in path.name else "\t"
        content = rows.to_csv(sep=sep, index=False).encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def picture(path: Path) -> None:
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (80, 80, 4), dtype=np.uint8)).save(path)


FILES: dict[tuple[str, str], Callable[[Path], object]] = {
    ("audio", ".wav"): sound,
    ("voice", ".flac"): sound,
    ("video", ".mp4"): film,
    ("film", ".mkv"): film,
    ("picture", ".png"): picture,
    ("text", ".txt"): lambda path: path.write_text("Guten Morgen, " * 1000, encoding="utf-8"),
    ("features", ".npy"): lambda path: np.save(path, np.random.default_rng(4).standard_normal((9, 400))),
    ("physio", ".tsv.gz"): table,
    ("watch", ".csv.gz"): table,
    ("phone", ".tsv"): table,
    ("stats", ".parquet"): table,
    ("events", ".tsv"): lambda path: path.write_text("onset\ttrial_type\n0\tanger\n"),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cohort and the same one locked, in small chunks; every test takes a copy."""
    folder = tmp_path_factory.mktemp("written")
    writer = CohortWriter(folder / "plain", name="everything")
    paths = {}
    for (track, suffix), write in FILES.items():
        path = writer.path(PARTS, track, suffix)
        write(path)
        paths[track] = path.relative_to(writer.root).as_posix()
    writer.add(Recording(id=recording_id(*PARTS), subject="01", session="01", tracks=paths))
    writer.finish(pd.DataFrame(index=["01"]))
    (writer.root / paths["events"]).with_name("sub-01_ses-01_task-a_beh.json").unlink()  # labels are in the events
    open_cohort(writer.root)
    shutil.copytree(folder / "plain", folder / "cohort")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "_CHUNK", 1 << 12)
        assert lock_cohort(folder / "cohort", PHRASE) == []
    return folder


@pytest.fixture
def plain(written: Path, tmp_path: Path) -> Cohort:
    shutil.copytree(written / "plain", tmp_path / "plain")
    return open_cohort(tmp_path / "plain")


@pytest.fixture
def locked(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cohort:
    monkeypatch.setenv("PERSONARE_PASSPHRASE", PHRASE)
    for name in ("cohort", "cohort.keys"):
        shutil.copytree(written / name, tmp_path / name)
    return open_cohort(tmp_path / "cohort")


def everything(cohort: Cohort) -> dict[str, Any]:
    """Read each file in every way it is read."""
    seen: dict[str, Any] = {}
    for track, name in cohort.recordings[0].tracks.items():
        path = cohort.root / name
        seen[f"{track} digest"] = content_digest(path)
        if track in ("audio", "voice", "video", "film"):
            seen[f"{track} tracks"] = files.tracks(path)
            seen[f"{track} remarks"] = files.remarks(path)
            seen[f"{track} sound"] = audio.read(path).values
            files.check(path, "audio")
        if track in ("video", "film"):
            seen[f"{track} info"] = video.probe(path)
            seen[f"{track} pictures"] = np.stack([image for _, _, image in video.read(path)])
            files.check(path, "video")
        elif track == "text":
            seen[track] = read_text(path)
        elif track not in ("events", "audio", "voice"):
            seen[track] = read_track(path).values
    return seen


def same(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one, other)) if isinstance(one, np.ndarray) else bool(one == other)


def test_a_locked_cohort_reads_as_a_plain_one(plain: Cohort, locked: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plain.recordings[0].labels == {"emotion": "anger"}
    assert all(is_locked(locked.root / path) for path in locked.recordings[0].tracks.values())
    before, after = everything(plain), everything(locked)
    assert before.keys() == after.keys()
    assert [name for name in before if not same(before[name], after[name])] == []
    index = (locked.root / "index.parquet").read_bytes()
    assert index == (plain.root / "index.parquet").read_bytes()
    monkeypatch.delenv("PERSONARE_PASSPHRASE")  # the index tells labels without it
    assert open_cohort(locked.root).recordings == plain.recordings
    monkeypatch.setenv("PERSONARE_PASSPHRASE", PHRASE)
    (locked.root / "index.parquet").unlink()
    assert open_cohort(locked.root).recordings == plain.recordings


def test_what_is_locked_is_refused_without_its_passphrase(locked: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PERSONARE_PASSPHRASE")
    for name in locked.recordings[0].tracks.values():
        reader: Callable[[Path], object] = video.probe if name.endswith((".mp4", ".mkv")) else read_track
        with pytest.raises(PolicyError, match="Give its passphrase"):
            reader(locked.root / name)
    (locked.root / "index.parquet").unlink()  # labels would be lost without anybody's knowing
    with pytest.raises(PolicyError, match="Give its passphrase"):
        open_cohort(locked.root)
    assert not (locked.root / "index.parquet").exists()


@pytest.mark.parametrize("track", [track for track, _ in FILES if track != "events"])
def test_a_changed_piece_is_an_error_and_never_the_end_of_a_recording(locked: Cohort, track: str) -> None:
    path = locked.root / locked.recordings[0].tracks[track]
    content = bytearray(path.read_bytes())
    assert len(content) > 3 * 4096
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    readers: list[Callable[[Path], object]] = [read_track]
    if track in ("audio", "voice", "video", "film"):
        readers = [audio.read]
    if track in ("video", "film"):
        readers += [lambda path: list(video.read(path)), lambda path: files.check(path, "video")]
    for read in readers:
        with pytest.raises(DataError, match="was locked, and then changed"):
            read(path)


def test_guarantee_what_is_decrypted_never_lies_on_the_disk(
    plain: Cohort, locked: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracks = plain.recordings[0].tracks
    pieces = {track: (plain.root / tracks[track]).read_bytes()[-9000:-8900] for track in ("audio", "video", "film")}

    def on_disk() -> set[str]:
        places = [path for folder in (tmp_path, temporary) for path in folder.rglob("*") if path.is_file()]
        contents = [path.read_bytes() for path in places]
        return {track for track, piece in pieces.items() if any(piece in content for content in contents)}

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert on_disk() == {"audio", "video", "film"}  # they are found where they lie open
    shutil.rmtree(plain.root)
    for track in ("video", "film"):
        for _ in islice(video.read(locked.root / tracks[track]), 0, None, 8):
            assert on_disk() == set()
    for track in pieces:
        for _ in audio.blocks(locked.root / tracks[track], block_s=0.4):
            assert on_disk() == set()


def test_validate_tells_of_files_that_are_not_locked(plain: Cohort, locked: Cohort) -> None:
    def told(cohort: Cohort) -> list[str]:
        return [problem.item for problem in validate(cohort.root, check=files.check) if "encrypted" in problem.problem]

    assert told(plain) == told(locked) == []
    later = locked.root / "sub-01/ses-01/beh/sub-01_ses-01_task-b_audio.wav"
    sound(later)
    assert told(locked) == [later.relative_to(locked.root).as_posix()]
