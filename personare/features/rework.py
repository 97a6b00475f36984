"""Change a voice of any rate, length and number of channels with a rule written for 16 kHz and one channel."""

import math
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Signal
from personare.features.acoustics import RATE_HZ
from personare.features.audio import SILENT_DBFS, match_loudness, resample

watched: ContextVar[Callable[[float, float], None]] = ContextVar("watched", default=lambda _done_s, _total_s: None)
"""Is told how many seconds of sound are done, of how many, by whoever waits for them."""

BLOCK_S = 60.0
OVERLAP_S = 0.2
SHORTEST_S = 0.5


def rework(speech: Signal, change: Callable[[Array], Array]) -> Signal:
    """Run each channel of a recording through a rule and give it back its rate, length and loudness.

    Recordings longer than a minute go minute by minute, with 0.2 s faded into each other, so that what the rule needs
    in memory does not grow with their length. Nothing above 8 kHz is passed on, nor what is silent (below -80 dBFS);
    nothing is above 0.99.

    ``change`` takes (N,) float32 at 16 kHz, at least half a second (shorter speech is filled up with silence), and
    returns (N,). It is called once for each minute and channel and must treat them alike.
    """
    if len(speech.values) == 0:
        raise DataError("A recording without samples cannot be changed. Leave it out.")
    values, silence = np.asarray(speech.values, np.float32), 10 ** (SILENT_DBFS / 20)
    changed = np.zeros_like(values)
    if np.abs(values).max() < silence:
        return replace(speech, values=changed)
    tell, rate_hz, total_s = watched.get(), speech.rate_hz, values.size / speech.rate_hz
    size, fade = round(BLOCK_S * rate_hz), round(OVERLAP_S * rate_hz)
    for channel, (samples, total) in enumerate(zip(values.T, changed.T, strict=True)):
        if np.abs(samples).max() < silence:
            continue
        for start in range(0, len(samples), size):
            if start and len(samples) - start <= fade:
                break  # the block before has covered this rest
            part = samples[start : start + size + fade]
            low = resample(Signal(values=part[:, None], rate_hz=rate_hz), RATE_HZ).values[:, 0]
            filled = np.pad(low, (0, max(0, math.ceil(SHORTEST_S * RATE_HZ) - len(low))))
            new = np.nan_to_num(np.asarray(change(filled), np.float32))[: len(low)]
            back = resample(Signal(values=new[:, None], rate_hz=RATE_HZ), rate_hz).values[: len(part), 0]
            new = np.pad(back, (0, len(part) - len(back)))
            if start:
                new[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
            if start + size + fade < len(samples):
                new[size:] *= np.linspace(1, 0, fade, dtype=np.float32)
            total[start : start + len(new)] += new
            tell(channel * speech.duration_s + min(start + size, len(samples)) / rate_hz, total_s)
    return match_loudness(replace(speech, values=changed), speech)
