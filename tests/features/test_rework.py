"""Long, short and odd recordings through a rule for 16 kHz."""

import numpy as np
import pytest

from personare.core.types import Signal
from personare.features.rework import rework


def hum(seconds, rate_hz, channels=1):
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    values = 0.2 * np.sin(2 * np.pi * 200 * time_s) * (1 + 0.5 * np.sin(2 * np.pi * 0.7 * time_s))
    return Signal(values=np.repeat(values[:, None], channels, axis=1).astype(np.float32), rate_hz=rate_hz)


@pytest.mark.parametrize("seconds", [0.05, 1, 59.9, 60, 60.1, 60.3, 130])
def test_a_rule_that_changes_nothing_changes_nothing(seconds):
    signal = hum(seconds, 8000)
    same = rework(signal, lambda samples: samples)
    assert np.allclose(same.values[20:-20], signal.values[20:-20], atol=0.01)


def test_guarantee_the_rule_never_sees_more_than_a_minute():
    seen = []

    def note(samples):
        seen.append(len(samples))
        return samples

    rework(hum(200, 16000, 2), note)
    assert max(seen) <= 60.2 * 16000
    assert len(seen) == 8


def test_the_rule_sees_at_least_half_a_second_at_16_khz():
    seen = []
    rework(hum(0.1, 44100), lambda samples: (seen.append(len(samples)), samples)[1])
    assert seen == [8000]


def test_a_rule_that_breaks_gives_finite_sound():
    broken = rework(hum(1, 16000), lambda samples: np.where(np.arange(len(samples)) % 7, samples, np.nan))
    assert np.isfinite(broken.values).all()


def test_guarantee_what_nobody_can_hear_is_not_passed_on():
    whisper = Signal(values=hum(1, 16000).values * 2e-4, rate_hz=16000)
    assert not rework(whisper, lambda samples: samples).values.any()
    left = Signal(values=np.column_stack([hum(1, 16000).values, whisper.values]), rate_hz=16000)
    right = rework(left, lambda samples: samples).values
    assert right[:, 0].any()
    assert not right[:, 1].any()
