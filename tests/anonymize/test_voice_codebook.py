"""Codebook: what is left of the voice when it is spelled with a few sounds, everybody's or one's own."""

import dataclasses

import numpy as np
import pytest
from voices import changed, made_up_voice, named, takes

from personare.anonymize.voice_codebook import VoiceCodebook, _cepstra, _magnitudes
from personare.core.errors import DataError, OptionError
from personare.core.types import Signal
from personare.features.functionals import describe
from personare.features.resynthesis import nearest


def fitted(**options):
    return VoiceCodebook(**options).fit(takes(range(1)), rng=np.random.default_rng(0))


def test_a_shared_codebook_must_be_fitted_first():
    with pytest.raises(OptionError, match=r"fit\(background.*scope='clip'"):
        VoiceCodebook()(made_up_voice(), rng=np.random.default_rng(0))


def test_who_fits_it_is_said():
    assert VoiceCodebook().fit_on == "everyone"
    assert VoiceCodebook(scope="clip").fit_on == "nothing"
    clip = VoiceCodebook(scope="clip")
    assert clip.fit([], rng=np.random.default_rng(0)) is clip


def test_fitting_returns_something_frozen():
    hide = fitted(size=8)
    assert hide.spectra.shape == (8, 20)
    with pytest.raises(dataclasses.FrozenInstanceError):
        hide.rounds = 3


def test_fitting_needs_speech():
    with pytest.raises(DataError, match="none was given"):
        VoiceCodebook().fit([], rng=np.random.default_rng(0))
    short = Signal(values=made_up_voice().values[:1600], rate_hz=16000)
    with pytest.raises(DataError, match="at least as many frames"):
        VoiceCodebook(size=64).fit([("1", short)], rng=np.random.default_rng(0))


def test_cepstra_and_magnitudes_undo_each_other():
    noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    cepstra = _cepstra(noise)[5:-5].mean(axis=0, keepdims=True)
    # white noise under a Hann window of 1024 has the expected power 1024 * 0.375 * variance in every bin
    assert _magnitudes(cepstra)[0, 20:-20] == pytest.approx(np.sqrt(1024 * 0.375 * 0.01), rel=0.25)


def test_guarantee_the_sound_is_spelled_with_the_codebook():
    hide, voice = fitted(), made_up_voice(4, 9)
    new = hide(voice, rng=np.random.default_rng(0))
    gain = np.log(np.mean(voice.values**2) / np.mean(new.values**2))
    heard, spectra = _cepstra(new.values[:, 0]), hide.spectra
    written = spectra[nearest(_cepstra(voice.values[:, 0]), spectra)]
    # what is heard lies at the spelled spectra (up to overlap of frames and one gain), not at the speaker's own
    offset = (heard - written)[:, :1].mean() + gain
    away = np.linalg.norm((heard - written)[:, 1:], axis=1)
    own = np.linalg.norm((heard - _cepstra(voice.values[:, 0]))[:, 1:], axis=1)
    assert np.isfinite(offset)
    assert np.median(away) < np.median(own)


def test_guarantee_pitch_is_not_used():
    voice = made_up_voice(1)
    before, after = (
        np.isfinite(describe(s, ["prosody"])["prosody"][:, 0]).mean()
        for s in (voice, fitted()(voice, rng=np.random.default_rng(0)))
    )
    assert before > 0.5
    assert after < before / 2


def test_a_larger_codebook_keeps_more():
    voice = made_up_voice(2, 5)
    original = describe(voice, ["mfcc"])["mfcc"][:, :12]
    errors = []
    for size in (2, 64):
        new = describe(fitted(size=size)(voice, rng=np.random.default_rng(0)), ["mfcc"])["mfcc"][:, :12]
        errors.append(np.median(np.linalg.norm(new - original, axis=1)))
    assert errors[1] < 0.8 * errors[0]


def test_pair_shared_hides_where_per_clip_does_not_from_one_who_retrains():
    enrolled, tested = takes(range(4)), takes(range(4, 7))
    assert named(enrolled, tested) > 0.9
    rates = {}
    for scope in ("shared", "clip"):
        hide = VoiceCodebook(scope=scope).fit(takes(range(1)), rng=np.random.default_rng(0))
        rates[scope] = named(changed(enrolled, hide, seed=1), changed(tested, hide))
    assert rates["clip"] > 0.8
    assert rates["shared"] < rates["clip"] - 0.1
