"""A watermark is found after re-encoding and not in what has none; it is hardly there to be heard."""

import io
from typing import Any

import av
import numpy as np
import pytest

from personare.core.errors import DataError
from personare.core.types import Signal
from personare.features.audio import mono, resample
from personare.features.watermark import embed_watermark, find_watermark
from personare.simulate.people import person
from personare.simulate.take import perform


@pytest.fixture(scope="module")
def speech() -> Signal:
    """About two seconds of a made-up voice: the least that must do."""
    return perform(person(3, 1), "anger", "S1", seed=3).sound


@pytest.fixture(scope="module")
def marked(speech: Signal) -> Signal:
    return embed_watermark(speech)


def coded(signal: Signal, codec: str, form: str) -> Signal:
    """Encode at 64 kbit/s and decode again."""
    file: Any = io.BytesIO()
    rate = round(signal.rate_hz)
    with av.open(file, "w", format=form) as target:
        stream: Any = target.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = 64_000
        convert = av.AudioResampler(format="fltp", layout="mono", rate=rate, frame_size=stream.codec_context.frame_size)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(signal.values.T), format="fltp", layout="mono")
        frame.sample_rate = rate
        for part in (*convert.resample(frame), *convert.resample(None), None):
            target.mux(stream.encode(part))
    file.seek(0)
    with av.open(file) as source:
        values = np.concatenate([frame.to_ndarray() for frame in source.decode(audio=0)], axis=1)
    return Signal(values=values.T.astype(np.float32), rate_hz=rate)


def later(signal: Signal) -> Signal:
    """Cut a piece off the beginning, which falls into no step of the pattern."""
    return Signal(values=signal.values[3333:], rate_hz=signal.rate_hz)


CHANGES = {
    "nothing": lambda signal: signal,
    "MP3 at 64 kbit/s": lambda signal: coded(signal, "mp3", "mp3"),
    "AAC at 64 kbit/s": lambda signal: coded(signal, "aac", "adts"),
    "resampled": lambda signal: resample(signal, 22050),
    "cut": later,
    "louder": lambda signal: Signal(values=0.3 * signal.values, rate_hz=signal.rate_hz),
    "noisy": lambda signal: Signal(
        values=signal.values + 0.003 * np.random.default_rng(0).standard_normal(signal.values.shape).astype(np.float32),
        rate_hz=signal.rate_hz,
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_guarantee_a_watermark_outlives_re_encoding_and_is_not_in_what_has_none(speech, marked, name):
    after, without = (find_watermark(CHANGES[name](signal)) for signal in (marked, speech))
    assert after.is_there and after.z > 6, (name, after)
    assert not without.is_there and without.false_positive_rate > 1e-3, (name, without)


def test_guarantee_the_same_sound_and_key_give_the_same_samples(speech, marked):
    again = embed_watermark(speech)
    assert np.array_equal(again.values, marked.values) and again.values.shape == speech.values.shape
    assert not find_watermark(marked, key="another").is_there
    assert find_watermark(embed_watermark(speech, key="another"), key="another").is_there


def test_what_it_adds_is_far_below_the_sound(speech, marked):
    difference = float((speech.values**2).sum() / ((marked.values - speech.values) ** 2).sum())
    assert 10 * np.log10(difference) > 12, "SNR in dB at the greatest depth; 22 where the sound is long"


def test_unmarked_sound_is_not_taken_for_marked(speech):
    z = [find_watermark(speech, key=f"key {number}").z for number in range(200)]
    assert max(z) < 5 and np.median(z) < 3.5


def test_stereo_silence_and_what_is_too_short(speech):
    stereo = Signal(values=np.repeat(speech.values, 2, axis=1), rate_hz=speech.rate_hz)
    assert find_watermark(embed_watermark(stereo)).is_there
    for values in (np.zeros((32000, 1), np.float32), mono(speech).values[:3000], np.zeros((0, 1), np.float32)):
        quiet = Signal(values=values, rate_hz=16000)
        assert not find_watermark(quiet).is_there
        with pytest.raises(DataError, match="too short"):
            embed_watermark(quiet)
