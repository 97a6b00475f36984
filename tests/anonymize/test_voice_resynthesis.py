"""Understudy: how people differ is erased, how one person moves is kept, and nothing is released unfitted."""

import numpy as np
import pytest
from scipy.fft import dct
from voices import changed, made_up_voice, named, takes

from personare.anonymize.voice_resynthesis import VoiceResynthesis, _eraser, _speaker_statistics, _take
from personare.core.errors import DataError, OptionError
from personare.core.types import Signal
from personare.features import audio
from personare.features.functionals import describe
from personare.features.resynthesis import mel_bands, taken_apart


def pitch(speech: Signal) -> float:
    return float(np.nanmedian(describe(speech, ["prosody"])["prosody"][:, 0]))


@pytest.fixture(scope="module")
def background():
    return takes(range(5))


def test_it_must_be_fitted_first():
    with pytest.raises(OptionError, match="fitted on several people first"):
        VoiceResynthesis()(made_up_voice(), rng=np.random.default_rng(0))


def test_fitting_takes_two_people():
    with pytest.raises(DataError, match="two people"):
        VoiceResynthesis().fit([("1", made_up_voice())], rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    "options", [{"codes": 1}, {"erase": -1}, {"filler": 4}, {"tempo": 1}, {"policy": "nobody"}, {"codes": float("nan")}]
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        VoiceResynthesis(**options)


def test_guarantee_a_direction_is_damped_by_how_much_people_differ_along_it():
    # worked by hand: two people at +-4 in the first number, each moving by +-1 in both: between = 2 * 16, within = 8/6
    moves = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=float)
    apart = np.array([4.0, 0.0])
    manners = np.concatenate([moves + apart, moves - apart])
    mean, keep, fill = _eraser(manners, np.repeat(["a", "b"], 4), 3.0)
    within, between = 8 / 6, 32.0
    ratio = between / (within + 1e-6) - 2 / 8
    assert mean == pytest.approx([0, 0])
    assert keep == pytest.approx(np.diag([1 / (1 + 3 * ratio), 1]), abs=1e-6)
    filled = np.sqrt(np.square(fill).sum(axis=0))
    assert filled == pytest.approx([np.sqrt(ratio * within) * (1 - keep[0, 0]), 0], abs=1e-3)


def test_speaker_statistics_are_a_persons_mean_and_their_spread_against_everybodys():
    # worked by hand: "a" moves by +-1 around 5, "b" by +-3 around -1, four takes each: everybody's variance is 40 / 6
    manners = np.array([[6.0], [4.0], [6.0], [4.0], [2.0], [-4.0], [2.0], [-4.0]])
    statistics = _speaker_statistics(manners, np.repeat(["a", "b"], 4))
    assert [mean for mean, _ in statistics.values()] == [[5.0], [-1.0]]
    common = 40 / 6  # 8 takes' worth of it is believed of anybody, beside 3 of their own
    stretch = np.sqrt([common * 11 / (4 + 8 * common), common * 11 / (36 + 8 * common)])
    assert [float(s[0]) for _, s in statistics.values()] == pytest.approx(stretch)


def test_guarantee_the_spectrum_is_decorrelated_within_the_recording(background):
    take = _take(background[0][1].values[:, 0])
    together = np.abs(np.corrcoef(take.shapes[take.spoken].T) - np.eye(11))
    assert together.max() < 0.4  # 0.85 as it was spoken
    assert take.shapes[take.spoken].std(axis=0) == pytest.approx(np.ones(11), abs=0.1)


@pytest.mark.parametrize("fitted_on", [3, 2])
def test_guarantee_people_whom_it_knows_have_the_same_mean(background, fitted_on):
    three = [(p, s) for p, s in background if p in "012"]
    hide = VoiceResynthesis(erase=0, filler=0, tempo=0).fit(three[: 5 * fitted_on], rng=np.random.default_rng(0))
    known = hide if fitted_on == 3 else hide.adapt_to(three)  # the third is a stranger
    ours = [(p, known.by_subject[p](s, rng=np.random.default_rng(0))) for p, s in three]
    spread = [np.log([pitch(s) for _, s in some]).reshape(3, 5).mean(axis=1).std() for some in (three, ours)]
    assert spread[1] < 0.25 * spread[0]  # though nothing is erased


def test_guarantee_the_pitch_of_people_meets_and_that_of_takes_stays(background):
    hide = VoiceResynthesis(erase=1000, filler=0, tempo=0).fit(background, rng=np.random.default_rng(0))
    before = np.array([pitch(s) for _, s in background]).reshape(5, 5)
    after = np.array([pitch(s) for _, s in changed(background, hide)]).reshape(5, 5)
    spread = [np.log(p).mean(axis=1).std() for p in (before, after)]  # between people
    assert spread[1] < 0.25 * spread[0]
    moves = [np.log(p) - np.log(p).mean(axis=1, keepdims=True) for p in (before, after)]
    assert np.corrcoef(moves[0].ravel(), moves[1].ravel())[0, 1] > 0.4


def test_guarantee_the_spectrum_moves_among_the_codes(background):
    hide = VoiceResynthesis(codes=4).fit(background, rng=np.random.default_rng(0))
    assert hide.codes.shape == (4, 11)
    samples = background[0][1].values[:, 0]
    take = _take(samples)
    timbre = hide._timbre(take, hide.mean)
    inside = take.spoken & np.roll(take.spoken, 1) & np.roll(take.spoken, -1) & np.roll(take.spoken, 2)
    fine = timbre[inside][:, 11:]  # beyond the coded cepstra there is nothing but two common means
    power = taken_apart(samples, frame_ms=10.0, low_hz=60.0, high_hz=600.0)[1]
    own = dct(np.log(power @ mel_bands(32, 60, 7800)[0] + 1e-10), norm="ortho", axis=1)[inside][:, 12:]
    assert fine.std(axis=0).mean() < 0.5 * own.std(axis=0).mean()


def test_every_draw_is_another_pseudo_speaker_and_the_same_draw_the_same(background):
    hide = VoiceResynthesis().fit(background, rng=np.random.default_rng(0))
    one, same, other = (hide(background[0][1], rng=np.random.default_rng(s)).values for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert np.abs(np.corrcoef(one[:, 0], other[:, 0])[0, 1]) < 0.9


def test_channels_get_the_same_pseudo_speaker(background):
    hide = VoiceResynthesis().fit(background, rng=np.random.default_rng(0))
    both = Signal(values=np.repeat(background[0][1].values, 2, axis=1), rate_hz=16000)
    new = hide(both, rng=np.random.default_rng(0)).values
    assert np.array_equal(new[:, 0], new[:, 1])


def test_the_attack_names_the_person_before_and_hardly_after(background):
    later = takes(range(5, 8))
    hide = VoiceResynthesis().fit(background + later, rng=np.random.default_rng(0))
    assert named(background, later) > 0.8
    assert named(changed(background, hide), changed(later, hide, 1)) < 0.5


@pytest.mark.real
@pytest.mark.slow
def test_real_voices_are_named_before_and_hardly_after(real_data):
    files = sorted((real_data / "emodb").glob("*.flac"))[::3]
    if not files:
        pytest.skip("no EmoDB in the real data")
    clips = [(f.stem[:2], f.stem[2], audio.read(f)) for f in files]
    hide = VoiceResynthesis().fit([(who, s) for who, _, s in clips], rng=np.random.default_rng(0))
    enrolled, tested = ([(who, s) for who, text, s in clips if text == part] for part in ("a", "b"))
    before = named(enrolled, tested)
    after = named(changed(enrolled, hide), changed(tested, hide, 1))
    assert before > 0.8
    assert after < 0.45
