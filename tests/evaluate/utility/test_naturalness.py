"""A network hears real voices as natural, and with noise as less so."""

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import MissingModelError
from personare.core.types import Batch
from personare.evaluate.utility.naturalness import _WINDOW, Naturalness, _opinions
from personare.features import audio
from personare.features.functionals import describe
from personare.features.models import find_model


def opinions(voices):
    table = pd.DataFrame({"subject": [name[0] for name in voices]}, index=list(voices))
    batch = Batch.of(table, {"waveform": voices})
    rows = Naturalness()(batch, batch, rng=np.random.default_rng(0))
    assert {(row.unit, row.better, row.n) for row in rows} == {("MOS", "higher", len(voices))}
    return {row.figure: row.value for row in rows}


@pytest.mark.real
def test_noise_is_heard_in_real_voices(real_data):
    try:
        find_model("dnsmos")
    except MissingModelError:
        pytest.skip("needs the model file dnsmos: personare models fetch dnsmos")
    files = [next((real_data / "emodb").glob(f"{who}*.flac")) for who in ("03", "08")]
    voices = {f.stem: describe(audio.read(f), ["waveform"])["waveform"] for f in files}
    rng = np.random.default_rng(0)
    clean = opinions(voices)
    noisy = opinions({i: v + 0.3 * v.std() * rng.standard_normal(len(v)) for i, v in voices.items()})
    assert 2.5 < clean["mos_ovrl"] < clean["mos_sig"] < 5
    assert noisy["mos_bak"] < clean["mos_bak"] - 1
    assert noisy["mos_ovrl"] < clean["mos_ovrl"] - 0.5


def test_a_short_voice_fills_the_window_and_a_long_one_is_heard_second_by_second():
    heard = []

    class Network:
        def run(self, _, inputs):
            heard.append(inputs["input_1"])
            return [np.array([[3.0, 3.0, 2.0]])]

    sig, bak, ovrl = _opinions(Network(), np.arange(100_000.0))
    assert [sig, bak, ovrl] == pytest.approx([2.912, 3.246, 2.006], abs=0.001)
    _opinions(Network(), np.arange(11 * 16_000.0))
    assert [h.shape for h in heard] == [(1, _WINDOW)] * 5
    assert heard[0][0, 100_000] == 0 and heard[-1][0, 0] == 16_000
