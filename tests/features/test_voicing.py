"""A voice out of a log-mel spectrogram: the same spectrogram can be read off it again."""

import numpy as np
import pytest
import soundfile

from personare.core.errors import DataError
from personare.core.types import Signal
from personare.features import audio
from personare.features.acoustics import logmel, track_pitch
from personare.features.audio import write
from personare.features.voicing import mel_of, voiced


def vowel(pitch_hz=150.0, seconds=1.0):
    t = np.arange(int(16000 * seconds)) / 16000
    swing = 1 + 0.1 * np.sin(2 * np.pi * 2 * t)
    phase = 2 * np.pi * np.cumsum(pitch_hz * swing) / 16000
    return np.asarray(0.05 * sum(np.sin(k * phase) / k for k in range(1, 30)))


def likeness(mel, again):
    frames = min(mel.shape[1], again.shape[1])
    return np.corrcoef(mel[:, :frames].ravel(), again[:, :frames].ravel())[0, 1]


@pytest.mark.parametrize("bands", [64, 128])
def test_the_sound_has_the_spectrogram_that_was_given(bands):
    mel = mel_of(vowel(), bands)
    sound = voiced(mel, rng=np.random.default_rng(0))
    assert sound.rate_hz == 16000 and np.abs(sound.values).max() < 1
    assert likeness(mel, mel_of(sound.values[:, 0], bands)) > 0.95
    assert likeness(mel, mel_of(vowel(400.0), bands)) < 0.9  # the measure tells voices apart


def test_the_own_kind_is_the_log_mel_view_and_keeps_the_level():
    samples = vowel()
    mel = mel_of(samples, 64)
    np.testing.assert_allclose(mel, 1 + logmel(samples).T / 100, atol=0.031)  # the view adds 3 dB at its floor
    again = voiced(mel, rng=np.random.default_rng(0)).values
    assert np.sqrt(np.mean(again**2)) == pytest.approx(np.sqrt(np.mean(samples**2)), rel=0.15)


def test_the_same_seed_gives_the_same_sound_and_silence_at_the_end_is_cut():
    mel = np.pad(mel_of(vowel(seconds=0.5), 128), ((0, 0), (0, 60)))
    first, second = (voiced(mel, rng=np.random.default_rng(7)).values for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert len(first) == np.flatnonzero(mel.max(axis=0) > 0.02)[-1] * 256 < 0.6 * 16000


@pytest.mark.parametrize(
    ("mel", "said"),
    [
        (np.zeros((64, 50)), "silent"),
        (np.ones((80, 50)), "64 or 128 bands"),
        (np.ones(64), "64 or 128 bands"),
        (np.full((64, 50), np.nan), "numbers only"),
    ],
)
def test_what_cannot_be_heard_is_refused(mel, said):
    with pytest.raises(DataError, match=said):
        voiced(mel, rng=np.random.default_rng(0))


def test_a_note_travels_in_the_file_itself(tmp_path):
    path = tmp_path / "a.wav"
    write(path, Signal(values=vowel()[:, None], rate_hz=16000), note="nobody said this")
    with soundfile.SoundFile(path) as file:
        assert file.comment == "nobody said this"
    audio.check(path)


@pytest.mark.real
@pytest.mark.parametrize("bands", [64, 128])
def test_real_speech_stays_recognizable(real_data, bands):
    files = sorted(real_data.glob("ravdess/speech/*.flac"))[::50]
    likenesses, pitches = [], []
    for file in files:
        samples = audio.read(file, rate_hz=16000).values[:, 0]
        mel = mel_of(samples, bands)
        again = voiced(mel, rng=np.random.default_rng(0)).values[:, 0]
        likenesses.append(likeness(mel, mel_of(again, bands)))
        pitches.append([np.nanmedian(track_pitch(part)[0]) for part in (samples, again)])
    assert min(likenesses) > 0.97
    before, after = np.log(np.array(pitches)).T
    assert np.abs(after - before).max() < 0.15


@pytest.mark.real
def test_published_spectrograms_of_real_speech_can_be_heard(real_data):
    with np.load(sorted(real_data.glob("crema-d/mel/*.npz"))[0]) as clips:
        mels = [clips[name] / 255 for name in sorted(clips)[::30]]
    for mel in mels:
        sound = voiced(mel, rng=np.random.default_rng(0)).values[:, 0]
        assert likeness(mel, mel_of(sound, 128)) > 0.97
