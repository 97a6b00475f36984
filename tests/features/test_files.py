"""Pieces of sound and film: together they are the whole, and none holds what belongs to another."""

from pathlib import Path

import numpy as np
import pytest

from personare.core.errors import DataError
from personare.core.types import Signal
from personare.data.cohort import open_cohort
from personare.data.importing import import_cohort
from personare.features import audio, video
from personare.features.files import Cutter, check

RATE_HZ = 16000


def sound(seconds: float) -> Signal:
    rng = np.random.default_rng(3)
    return Signal(values=rng.uniform(-0.5, 0.5, (round(seconds * RATE_HZ), 1)).astype(np.float32), rate_hz=RATE_HZ)


def film(path: Path, *, seconds: float = 2.0, with_sound: bool = True) -> Path:
    """A film of 10 frames a second whose n-th frame is 12 * n bright."""
    with video.VideoWriter(path, width=32, height=32, rate_hz=10) as writer:
        if with_sound:
            writer.write_sound(sound(seconds))
        for n in range(round(seconds * 10)):
            writer.write(np.full((32, 32, 3), 12 * n, np.uint8))
    return path


@pytest.mark.parametrize("at_s", [0.5, 0.33333, 31.00007])
def test_pieces_of_a_sound_are_the_whole_sample_by_sample(tmp_path: Path, at_s: float) -> None:
    audio.write(tmp_path / "a.wav", sound(32))
    cut = Cutter()
    for name, start_s, end_s in (("1", 0, at_s), ("2", at_s, 32.5)):
        assert cut(tmp_path / "a.wav", tmp_path / f"{name}.wav", start_s, end_s)
    parts = [audio.read(tmp_path / f"{name}.wav").values for name in "12"]
    assert len(parts[0]) == round(at_s * RATE_HZ)
    assert np.array_equal(np.concatenate(parts), audio.read(tmp_path / "a.wav").values)


@pytest.mark.parametrize(("start_s", "end_s", "first", "count"), [(0, 0.5, 0, 5), (0.5, 1.25, 5, 8), (1.25, 2, 13, 7)])
def test_a_piece_of_a_film_holds_its_frames_and_no_others(
    tmp_path: Path, start_s: float, end_s: float, first: int, count: int
) -> None:
    Cutter()(film(tmp_path / "a.mp4"), tmp_path / "b.mp4", start_s, end_s)
    brightness = [image.mean() for _, _, image in video.read(tmp_path / "b.mp4")]
    assert len(brightness) == count
    assert np.allclose(brightness, 12 * np.arange(first, first + count), atol=4)
    assert audio.read(tmp_path / "b.mp4").values.size


@pytest.mark.parametrize(("order", "passes"), [((0, 1, 2, 3), 1), ((0, 2, 3), 1), ((2, 0, 1), 2), ((1, 1), 2)])
def test_pieces_in_order_cost_one_pass_and_any_order_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...], passes: int
) -> None:
    films, begun = film(tmp_path / "a.mp4"), list[Path]()
    read = video.read
    monkeypatch.setattr(video, "read", lambda path: (begun.append(path), read(path))[1])
    cut = Cutter()
    for n, at in enumerate(order):
        assert cut(films, tmp_path / f"{n}.mp4", at / 2, at / 2 + 0.5)
        assert cut(films, tmp_path / f"{n}.wav", at / 2, at / 2 + 0.5)
    assert len(begun) == passes
    for n, at in enumerate(order):
        brightness = [image.mean() for _, _, image in read(tmp_path / f"{n}.mp4")]
        assert np.allclose(brightness, 12 * np.arange(5 * at, 5 * at + 5), atol=4)
        assert len(audio.read(tmp_path / f"{n}.wav").values) == RATE_HZ / 2


@pytest.mark.parametrize("span_s", [(3, 4), (1.5, 9), (2.5, 2.75)])
@pytest.mark.parametrize("name", ["a.wav", "a.mp4"])
def test_a_piece_beyond_the_end_is_refused_and_leaves_nothing(
    tmp_path: Path, span_s: tuple[float, float], name: str
) -> None:
    audio.write(tmp_path / "a.wav", sound(2))
    film(tmp_path / "a.mp4")
    with pytest.raises(DataError, match="ends before this piece"):
        Cutter()(tmp_path / name, tmp_path / f"b.{name[2:]}", *span_s)
    assert not list(tmp_path.glob("*b.*"))


def test_rows_with_start_and_end_become_recordings_with_picture_and_sound(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    film(tmp_path / "s/talk.mp4")
    film(tmp_path / "s/mute.mp4", with_sound=False)
    (tmp_path / "s/labels.csv").write_text(
        "file,subject,start,end,mood\ntalk.mp4,P1,0,0.75,low\ntalk.mp4,P2,0.75,2,high\nmute.mp4,P1,0.5,1,low\n"
        "talk.mp4,P1,2,5,low\n"
    )
    _, skipped = import_cohort(
        tmp_path / "s", tmp_path / "c", reader="folder", check=check, extract_sound=audio.extract_sound, cut=Cutter()
    )
    cohort = open_cohort(tmp_path / "c")
    assert [(r.id, sorted(r.tracks), r.labels["mood"]) for r in cohort.recordings] == [
        ("sub-P1_ses-01_task-take01", ["audio", "video"], "low"),
        ("sub-P1_ses-01_task-take02", ["video"], "low"),
        ("sub-P2_ses-01_task-take01", ["audio", "video"], "high"),
    ]
    lengths = [
        len(audio.read(cohort.root / r.tracks["audio"]).values) for r in cohort.recordings if "audio" in r.tracks
    ]
    assert lengths == [12000, 20000]
    assert [withheld.item for withheld in skipped] == ["talk.mp4#t=2,5"]
