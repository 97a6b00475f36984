"""Files of one's own: none is lost, none keeps its name, each that was not taken is named."""

import os
import stat
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from personare.anonymize._recordings import Disguise, Masks
from personare.core.errors import DataError
from personare.core.types import Signal
from personare.data.media_files import SUFFIXES, media_files, track_of
from personare.features import audio, video
from personare.study.anonymizing import anonymize_path, key_of, passed_over
from personare.study.parallel import Workers

VOICE = Disguise(name="voice", voice="voice_mcadams")
FACE = Disguise(name="face", face="face_solid")
ALONE = Workers(jobs=1, quiet=True)


def buzz(seconds: float = 0.4, pitch_hz: float = 130) -> Signal:
    t = np.arange(int(16000 * seconds)) / 16000
    values = 0.1 * np.asarray(sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 20)))
    return Signal(values=values[:, None].astype(np.float32), rate_hz=16000)


def sound(path: Path, pitch_hz: float = 130) -> Path:
    """Write a sound in the format that the name says."""
    signal = buzz(pitch_hz=pitch_hz)
    soundfile.write(os.fsencode(path), signal.values, 16000, format={".flac": "FLAC"}.get(path.suffix, "WAV"))
    return path


def film(path: Path, frames: int = 3) -> Path:
    """Write a film in which nobody is seen."""
    with video.VideoWriter(path, width=64, height=48, rate_hz=25) as writer:
        for level in range(frames):
            writer.write(np.full((48, 64, 3), 90 + level, np.uint8))
    return path


def state(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("given", "target", "disguise"),
    [
        ("talk.mp4", "talk.mov", FACE),
        ("talk.mp4", "./talk", FACE),
        ("talk.mp4", "talk.mp4", FACE),
        ("v.wav", "v.flac", VOICE),
        ("v.flac", "v.flac", VOICE),  # v.wav is written, and is there
        ("v.flac", "hard.mp3", VOICE),
        ("v.flac", "soft.wav", VOICE),
        ("v.flac", "dangling.wav", VOICE),
        ("v.flac", "sub/../v.wav", VOICE),
        ("talk.mp4", "v.ogg", VOICE),
    ],
)
def test_no_file_that_was_there_is_touched(tmp_path, monkeypatch, given, target, disguise):
    monkeypatch.chdir(tmp_path)
    film(Path("talk.mp4"))
    sound(Path("v.wav"))
    sound(Path("v.flac"))
    Path("sub").mkdir()
    Path("hard.wav").hardlink_to("v.wav")
    Path("soft.wav").symlink_to("v.wav")
    Path("dangling.wav").symlink_to("nowhere")
    before = state(tmp_path)
    with pytest.raises(DataError, match="exists already"):
        anonymize_path(Path(given), Path(target), disguise, workers=ALONE)
    assert state(tmp_path) == before


@pytest.mark.parametrize("target", ["out.mov", "out", "deep/out.mp4"])
def test_what_is_withheld_leaves_no_file_and_the_others_as_they_were(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    film(Path("talk.mp4"))
    before = state(tmp_path)
    release = anonymize_path(Path("talk.mp4"), target, FACE, workers=ALONE)
    assert release.withheld[0].item == "talk.mp4 (video)"
    assert release.counts["recordings"] == 0
    assert state(tmp_path) == before


@pytest.mark.parametrize(
    ("target", "written"),
    [("out.flac", "out.wav"), ("out", "out.wav"), ("Dr. No", "Dr. No.wav"), ("new/a.b.WAV", "new/a.b.wav")],
)
def test_the_name_that_is_said_is_the_file_that_is_there(tmp_path, monkeypatch, target, written):
    monkeypatch.chdir(tmp_path)
    sound(Path("v.flac"))
    release = anonymize_path(Path("v.flac"), target, VOICE, workers=ALONE)
    assert (release.root, release.counts["recordings"]) == (Path(written), 1)
    assert audio.read(Path(written)).duration_s == pytest.approx(0.4)
    assert not list(tmp_path.rglob("*.tsv"))  # she named it herself


@pytest.mark.parametrize("target", ["ed/", "there", "there/"])
def test_a_folder_is_a_folder_for_one_file_too(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    sound(Path("Anna_Beispiel.flac"))
    anonymize_path(Path("Anna_Beispiel.flac"), target, VOICE, workers=ALONE)
    assert list(state(Path(target))) == ["recording-001.wav"]
    assert "Anna_Beispiel.flac" in key_of(Path(target)).read_text()


def test_files_are_counted_named_by_number_and_their_names_stay_in_a_key(tmp_path):
    folder = tmp_path / "in"
    (folder / "Anna").mkdir(parents=True)
    for n, name in enumerate(("talk.wav", "talk.flac", "Anna/Anna_Beispiel_1.wav", "Anna/same.wav")):
        sound(folder / name, pitch_hz=100 + 20 * min(n, 2))
    (folder / "broken.wav").write_bytes(b"RIFF")
    release = anonymize_path(folder, tmp_path / "out", VOICE, workers=ALONE)
    assert release.counts["recordings"] == len(state(tmp_path / "out")) == 4
    assert [w.item for w in release.withheld] == ["broken.wav (audio)"]
    assert all(name.startswith("recording-") and "/" not in name for name in state(tmp_path / "out"))
    key = key_of(tmp_path / "out")
    assert key.parent == tmp_path
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    originals = dict(line.split("\t")[:2] for line in key.read_text().splitlines()[1:])
    for released in state(tmp_path / "out"):
        heard, was = (audio.read(p).values for p in (tmp_path / "out" / released, folder / originals[released]))
        assert heard.shape == was.shape


def test_an_interrupted_folder_is_finished_by_the_same_call_only(tmp_path, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    for n in range(3):
        sound(folder / f"{n}.wav", pitch_hz=100 + 20 * n)
    anonymize_path(folder, tmp_path / "whole", VOICE, workers=ALONE)
    real = Masks.__call__
    calls: list[str] = []

    def stops(masks, work, locate, corrections):
        calls.append(work[0].id)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(masks, work, locate, corrections)

    monkeypatch.setattr(Masks, "__call__", stops)
    with pytest.raises(KeyboardInterrupt):
        anonymize_path(folder, tmp_path / "out", VOICE, workers=ALONE)
    with pytest.raises(DataError, match="another release"):
        anonymize_path(folder, tmp_path / "out", FACE, workers=ALONE)
    release = anonymize_path(folder, tmp_path / "out", VOICE, workers=ALONE)
    assert release.counts["recordings"] == 3
    assert len(calls) == 4  # the first one is not done again
    assert state(tmp_path / "out") == state(tmp_path / "whole")


def test_each_file_that_is_not_taken_has_its_line(tmp_path):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    sound(folder / "taken.wav")
    for name in ("labels.csv", "deep/notes.doc", ".hidden.wav", "face.jpg"):
        (folder / name).write_bytes(b"x")
    (folder / "nowhere.wav").symlink_to("absent.wav")
    (folder / "elsewhere").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.wav")
    lines = passed_over(folder, folder / "out")
    assert sorted(line.item for line in lines) == sorted(
        ["labels.csv", "deep/notes.doc", ".hidden.wav", "face.jpg", "nowhere.wav", "elsewhere", "pipe.wav"]
    )
    anonymize_path(folder, folder / "out", VOICE, workers=ALONE)
    assert len(passed_over(folder, folder / "out")) == len(lines)  # what was made is no source


def test_seconds_of_sound_and_frames_of_film_are_shown_as_they_are_done(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("personare.features.resynthesis.BLOCK_S", 1.0)
    monkeypatch.setattr("personare.study.anonymizing._LINE_S", 0)
    film(tmp_path / "talk.mp4", frames=50)
    twice = np.tile(buzz(3.2).values, (1, 2))
    audio.write(tmp_path / "talk.wav", Signal(values=twice, rate_hz=16000))
    monkeypatch.setattr("tqdm.std.tqdm.__init__", _without_delay(tqdm.__init__))
    anonymize_path(tmp_path / "talk.wav", tmp_path / "out.wav", VOICE, workers=Workers(jobs=1))
    said = capsys.readouterr().err
    assert [f"{n} of 6 s of sound" in said for n in (1, 4, 6)] == [True] * 3
    anonymize_path(tmp_path / "talk.mp4", tmp_path / "out.mp4", FACE, workers=Workers(jobs=1))
    assert "50 of 50 frames" in capsys.readouterr().err
    anonymize_path(tmp_path / "talk.wav", tmp_path / "again.wav", VOICE, workers=ALONE)
    assert capsys.readouterr().err == ""


def _without_delay(init):
    return lambda self, *given, **how: init(self, *given, **how | {"delay": 0})


NAMES = [
    b"caf\xe9.wav",
    b"a:b.wav",
    b"http:x.wav",
    b"-v.wav",
    b"q\"'.wav",
    b"new\nline.wav",
    b" %03d .wav",
    b"\xff\xfe.wav",
]


@pytest.mark.parametrize("name", NAMES)
def test_one_file_of_any_name_is_hidden(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    source = sound(Path(os.fsdecode(name)))
    release = anonymize_path(source, "out.wav", VOICE, workers=ALONE)
    assert release.counts["recordings"] == 1
    audio.check(source)
    named_alike = anonymize_path(source, Path("to") / source.name, VOICE, workers=ALONE)
    assert named_alike.root.exists()


def test_a_folder_of_such_names_is_hidden_on_several_cores(tmp_path):
    folder = tmp_path / os.fsdecode(b'caf\xe9: "x"')
    folder.mkdir()
    for n, name in enumerate(NAMES):
        sound(folder / os.fsdecode(name), pitch_hz=100 + 10 * n)
    film(folder / os.fsdecode(b"f:\xe9.mkv"))
    release = anonymize_path(folder, tmp_path / "out", VOICE, workers=Workers(jobs=2, quiet=True))
    assert release.counts["recordings"] == len(NAMES)
    assert [os.fsencode(w.item) for w in release.withheld] == [b"f:\xe9.mkv (audio)"]
    key = key_of(tmp_path / "out").read_bytes()
    assert all(name in key for name in (b"caf\xe9.wav", b"a:b.wav", b"new\nline.wav"))


FORMATS = {
    ".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".avi": "avi", ".3gp": "3gp", ".mts": "mpegts", ".m2ts": "mpegts",
    ".ts": "mpegts", ".flv": "flv", ".mpg": "mpeg", ".wmv": "asf", ".asf": "asf", ".webm": "webm", ".ogv": "ogg",
    ".mka": "matroska", ".aac": "adts", ".opus": "ogg", ".wma": "asf", ".m4a": "ipod", ".mp3": "mp3", ".oga": "ogg",
    ".aif": "aiff", ".aiff": "aiff", ".au": "au", ".caf": "caf", ".w64": "w64", ".wv": "wv", ".tta": "tta",
    ".ac3": "ac3", ".mp2": "mp2", ".flac": "flac", ".wav": "wav",
}  # fmt: skip
CODECS = {
    "avi": "mp2", "mpegts": "mp2", "mpeg": "mp2", "asf": "wmav2", "webm": "libopus", "ogg": "libopus",
    "mp3": "libmp3lame", "aiff": "pcm_s16be", "au": "pcm_s16be", "caf": "pcm_s16be", "w64": "pcm_s16le",
    "wv": "wavpack", "tta": "tta", "ac3": "ac3", "mp2": "mp2", "flac": "flac", "wav": "pcm_s16le",
}  # fmt: skip


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_kind_is_on_the_one_list_and_really_read(tmp_path, suffix):
    path = tmp_path / f"talk{suffix}"
    with av.open(str(path), "w", format=FORMATS[suffix]) as container:
        codec = CODECS.get(FORMATS[suffix], "aac")
        rate = 48000 if codec == "libopus" else 44100
        stream = container.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = 96_000
        convert = av.AudioResampler(
            format=stream.format, layout="mono", rate=rate, frame_size=stream.frame_size or 1152
        )
        frame = av.AudioFrame.from_ndarray(buzz().values.T.copy(), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        for part in [*convert.resample(frame), *convert.resample(None), None]:
            container.mux(stream.encode(part))
    assert media_files(tmp_path) == [path.name]
    assert passed_over(tmp_path, tmp_path / "out") == []
    release = anonymize_path(tmp_path, tmp_path / "out", VOICE, workers=ALONE)
    assert release.counts["recordings"] == 1, release.withheld


def test_the_page_lists_every_kind_that_is_read():
    page = (Path(__file__).parents[2] / "docs/anonymize.md").read_text(encoding="utf-8").replace("`", " ")
    assert {suffix for suffixes in SUFFIXES.values() for suffix in suffixes} <= set(page.split())


def test_names_that_end_in_capitals_are_of_a_kind_too():
    assert {track_of(f"X{suffix.upper()}") for suffix in SUFFIXES["video"]} == {"video"}


def test_a_release_does_not_hang_on_the_threads_of_linear_algebra(tmp_path):
    """Typical sounds found on two threads differed in their last digits, and so did each voice built from them."""
    (tmp_path / "in").mkdir()
    rng, made = np.random.default_rng(0), []
    for number in range(6):
        soundfile.write(tmp_path / "in" / f"{number}.wav", 0.1 * rng.standard_normal(48_000), 16_000)
    codebook = Disguise(name="voice", voice="voice_codebook", voice_options={"rounds": 1})
    for threads in (1, 2):
        with threadpool_limits(limits=threads, user_api="blas"):
            anonymize_path(tmp_path / "in", tmp_path / f"out{threads}", codebook, workers=ALONE)
        made.append(state(tmp_path / f"out{threads}"))
    assert made[0] == made[1]
    assert len(made[0]) == 6
