"""Noise: as loud as stated, and no protection."""

import numpy as np
import pytest
from voices import changed, made_up_voice, named, takes

from personare.anonymize.voice_noise import VoiceNoise


@pytest.mark.parametrize("snr_db", [-5, 5, 20])
def test_guarantee_the_noise_is_as_loud_as_stated(snr_db):
    voice = made_up_voice(seconds=2)
    new = VoiceNoise(snr_db=snr_db)(voice, rng=np.random.default_rng(0)).values[:, 0].astype(float)
    old = voice.values[:, 0].astype(float)
    kept = old * (new @ old / (old @ old))
    assert 10 * np.log10((kept @ kept) / np.sum((new - kept) ** 2)) == pytest.approx(snr_db, abs=0.3)


def test_one_who_retrains_still_names_people():
    enrolled, tested = takes(range(4)), takes(range(4, 7))
    assert named(changed(enrolled, VoiceNoise(), seed=1), changed(tested, VoiceNoise())) > 0.8
