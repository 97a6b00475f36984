"""Log-mel spectrograms described by fixed arithmetic, and varied."""

import numpy as np
import pytest

from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.features.mel_statistics import harmonics, mel_statistics, modulation, vary_mel

FRAME_HZ = 62.5
BANDS, FRAMES = 128, 120


def band_hz(bands: int = BANDS) -> np.ndarray:
    """Centers of Slaney's mel bands up to 8 kHz, written out anew."""
    mel = np.linspace(0, 15 + 27 * np.log(8) / np.log(6.4), bands + 2)[1:-1]
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))


def voice(pitch_hz: float) -> np.ndarray:
    """Harmonics of a pitch below 1.3 kHz, as a comb over the bands, (1, F, T)."""
    hz = band_hz()
    comb = 0.5 + 0.3 * np.cos(2 * np.pi * hz / pitch_hz) * (hz < 1300)
    return np.repeat(comb[None, :, None], FRAMES, axis=2).astype(np.float32)


def noise(seed: int, count: int = 3) -> np.ndarray:
    return generator(seed, "mel").random((count, 1, BANDS, FRAMES)).astype(np.float32)


@pytest.mark.parametrize("pitch_hz", [120.0, 220.0, 330.0])
def test_the_pitch_that_is_there_is_the_one_found(pitch_hz):
    pitches = np.geomspace(75, 500, 40)
    found = harmonics(voice(pitch_hz), np.ones((1, FRAMES)))[0]
    assert abs(np.log2(pitches[found[40:80].argmax()] / pitch_hz)) < 0.06
    assert abs(found[80] - np.log2(pitch_hz / 100)) < 0.06  # mean, in octaves over 100 Hz


@pytest.mark.parametrize("rate_hz", [1.5, 6.0, 22.0])
def test_ripples_are_found_at_their_rate(rate_hz):
    beat = 0.5 + 0.3 * np.sin(2 * np.pi * rate_hz * np.arange(FRAMES) / FRAME_HZ)
    x = np.broadcast_to(beat, (1, BANDS, FRAMES)).astype(np.float32)
    plain = modulation(x, np.ones((1, FRAMES)))[0, :40].reshape(8, 5)  # by region, then rate
    assert (plain.argmax(axis=1) == [1.5, 3, 6, 12, 22].index(rate_hz)).all()


def test_a_glide_upwards_is_told_from_one_downwards():
    t, f = np.arange(FRAMES) / FRAME_HZ, np.arange(BANDS)[:, None]
    glides = [0.5 + 0.3 * np.cos(2 * np.pi * (0.045 * f - sign * 6 * t)) for sign in (1, -1)]
    up, down = modulation(np.array(glides, np.float32), np.ones((2, FRAMES)))
    assert np.abs(up - down).max() > 5 * np.abs(up - down).mean()
    flipped = modulation(np.array(glides, np.float32)[:, :, ::-1], np.ones((2, FRAMES)))[1]
    assert np.allclose(flipped.sum(), up.sum(), rtol=0.02)


def test_a_row_depends_on_its_own_spectrogram_alone():
    x = noise(0, 140)  # more than are described at a time
    rows = mel_statistics(x)
    assert np.allclose(rows[[3, 139]], mel_statistics(x[[3, 139]]), atol=1e-5)


def test_silence_and_padding_are_numbers():
    x = noise(1)
    x[0] = 0
    x[1, :, :, 60:] = 0
    assert np.isfinite(mel_statistics(x)).all()


def test_more_padding_changes_little():
    x = noise(2, 1) * (np.arange(FRAMES) < 80)
    longer = np.concatenate([x, np.zeros_like(x)], axis=3)
    short, long = mel_statistics(x)[0], mel_statistics(longer)[0]
    spoken = np.r_[128 : 128 + 78]  # cepstra look at speech only
    assert np.allclose(short[spoken], long[spoken], atol=0.01)


@pytest.mark.parametrize("shape", [(2, 128, 60), (2, 3, 128, 60), (2, 1, 16, 60), (2, 1, 128, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(DataError, match="at least 32 bands"):
        mel_statistics(np.zeros(shape, np.float32))


def test_variations_differ_are_repeatable_and_keep_the_padding():
    x = np.repeat(voice(200)[:, None], 2, axis=0) * (np.arange(FRAMES) < 60)
    one, same = (vary_mel(x, rng=generator(5, "vary")) for _ in range(2))
    assert np.array_equal(one, same)
    assert np.abs(one[0] - one[1]).max() > 0.1
    assert one.min() == 0
    assert np.isclose(one.max(axis=(1, 2, 3)), 1).all()
    assert (one[:, :, :, 75:] == 0).all()  # 60 frames at the slowest pace are 71


def test_silence_stays_silence_when_varied():
    assert not vary_mel(np.zeros((1, 1, 40, 20), np.float32), rng=generator(0, "vary")).any()
