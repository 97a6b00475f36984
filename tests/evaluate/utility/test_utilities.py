"""Every measure finds what was planted, and each Guarantee is a test."""

import math

import numpy as np
import pandas as pd
import pytest
from naming import tracks

from personare.core.errors import OptionError
from personare.core.registry import create, find
from personare.core.types import Batch
from personare.features.physio import FEATURES

FOLDER = "personare.evaluate.utility"
READERS = {
    "voice_emotion": ({"trees": 50}, ["voice_emotion_svm", "voice_emotion_rf", "voice_emotion_adapted"]),
    "face_emotion": ({}, ["face_emotion_motion", "face_emotion_adapted", "face_emotion_pixels"]),
    "fused_emotion": ({}, ["fused_emotion_60_40", "fused_emotion_stacked"]),
    "voice_emotion_cnn": ({"steps": 40, "folds": 2}, ["voice_emotion_cnn"]),
    "face_emotion_cnn": ({"steps": 40, "folds": 2}, ["face_emotion_cnn"]),
    "sentence": ({}, ["sentence"]),
}


def rows_of(name, original, released, options=None):
    options = READERS.get(name, ({},))[0] if options is None else options
    rows = create(FOLDER, name, options)(original, released, rng=np.random.default_rng(0))
    return {(r.name, r.attacker): r for r in rows}


@pytest.fixture(scope="module")
def moved(plant):
    """Ten people, so that folds of several people are made."""
    return plant(people=10, identity=1.0, emotion=3.0)


@pytest.mark.parametrize("name", READERS)
def test_what_was_planted_is_read(name, moved):
    rows = rows_of(name, moved, moved)
    for measure in READERS[name][1]:
        for reader in ("fixed_reader", "retrained_reader"):
            row = rows[f"{measure}.uar", reader]
            assert row.value > 0.75, measure
            assert row.low <= row.value <= row.high
            assert row.n == 60
            assert np.sum(row.detail["confusion"]) == 60
            assert (f"{measure}.accuracy", reader) in rows


@pytest.mark.parametrize("name", ["voice_emotion", "face_emotion", "fused_emotion"])
def test_what_is_gone_is_not_read(name, moved, plant):
    gone = plant(people=10, identity=1.0, emotion=0.0, noise=4)
    rows = rows_of(name, moved, gone)
    for measure in READERS[name][1]:
        assert rows[f"{measure}.uar", "retrained_reader"].value < 0.55


@pytest.mark.parametrize("name", READERS)
def test_a_missing_view_is_nan_with_a_reason_never_zero(name, moved):
    blind = Batch.of(moved.table, {})
    rows = rows_of(name, moved, blind)
    assert {m for m, _ in rows} >= {f"{measure}.uar" for measure in READERS[name][1]}
    assert all(math.isnan(r.value) and "not measured" in r.reason for r in rows.values())


def test_sentences_that_do_not_repeat_are_said(moved):
    one = Batch.of(moved.table.assign(sentence="DFA"), tracks(moved))
    assert "DFA (recordings: 60, people: 10)" in rows_of("sentence", one, one)["sentence.uar", "fixed_reader"].reason


def test_the_fixed_vote_gives_the_face_its_share(moved):
    face_only = rows_of("fused_emotion", moved, moved, {"face_share": 1.0})["fused_emotion_60_40.uar", "fixed_reader"]
    motion = rows_of("face_emotion", moved, moved)["face_emotion_motion.uar", "fixed_reader"]
    assert face_only.value == pytest.approx(motion.value, abs=0.1)


def _contours(people, change):
    views = {i: change(np.asarray(rows, dtype=float), k) for k, (i, rows) in enumerate(people.clips("prosody").items())}
    return Batch.of(people.table, {"prosody": views})


def _rho(original, released, figure="rho_f0"):
    return rows_of("prosody", original, released)[f"prosody.{figure}", ""]


def test_prosody_kept_is_one_and_another_pitch_level_changes_nothing(people):
    def higher(rows, _):
        return rows * [1.4, 1.0]

    assert _rho(people, people).value == pytest.approx(1)
    assert _rho(people, _contours(people, higher)).value == pytest.approx(1)
    assert _rho(people, people).control < 0.8


def test_prosody_survives_a_shift_and_another_length(people):
    def late(rows, _):
        return np.roll(rows, 4, axis=0)

    def slower(rows, _):
        return np.repeat(rows, 2, axis=0)

    assert _rho(people, _contours(people, late)).value > 0.95
    assert _rho(people, _contours(people, slower)).value > 0.95


def test_prosody_lost_is_near_zero(people):
    rng = np.random.default_rng(0)

    def flat(rows, _):
        return np.column_stack([np.full(len(rows), 120.0), rows[:, 1]])

    def random(rows, _):
        return np.column_stack([rng.uniform(100, 200, len(rows)), rows[:, 1]])

    assert _rho(people, _contours(people, flat)).value == 0
    assert abs(_rho(people, _contours(people, random)).value) < 0.1
    assert _rho(people, _contours(people, flat), "rho_level").value == pytest.approx(1)


def test_recordings_without_a_melody_are_left_out_never_zero(people):
    def whispered(rows, k):
        return np.column_stack([np.full(len(rows), np.nan), rows[:, 1]]) if k < 10 else rows

    row = _rho(people, _contours(people, whispered))
    assert row.value == pytest.approx(1)
    assert row.n == 38
    assert "10 recordings" in row.reason


def test_no_melody_at_all_is_nan_with_a_reason(people):
    def whispered(rows, _):
        return np.column_stack([np.full(len(rows), np.nan), rows[:, 1]])

    row = _rho(people, _contours(people, whispered))
    assert math.isnan(row.value)
    assert "only 0 of 48" in row.reason


def _faces(people, change):
    views = {
        i: change(np.array(rows, dtype=float), k) for k, (i, rows) in enumerate(people.clips("blendshapes").items())
    }
    return Batch.of(people.table, {"blendshapes": views})


def _expression(original, released, figure="correlation"):
    return rows_of("expression", original, released)[f"expression.{figure}", ""]


def test_expression_kept_is_one_whatever_the_scale(people):
    assert _expression(people, people).value == pytest.approx(1)
    assert _expression(people, _faces(people, lambda rows, _: 0.2 + 0.3 * rows)).value == pytest.approx(1)


def test_a_face_that_no_longer_moves_keeps_nothing(people):
    still = _faces(people, lambda rows, _: np.repeat(rows[:1], len(rows), axis=0))
    assert _expression(people, still).value == 0


def test_expression_by_hand(people):
    def half_turned(rows, _):
        rows[:, ::2] = -rows[:, ::2]
        return rows

    # every blendshape moves: half correlate 1, half -1
    assert abs(_expression(people, _faces(people, half_turned)).value) < 0.1


def test_faces_not_seen_are_left_out_and_counted(people):
    def hidden(rows, k):
        rows[:] = np.nan if k < 6 else rows
        return rows

    released = _faces(people, hidden)
    row = _expression(people, released)
    assert row.value == pytest.approx(1)
    assert "6 recordings" in row.reason
    assert _expression(people, released, "face_detected").value == pytest.approx(42 / 48)


def test_no_face_at_all_is_nan_and_nobody_is_seen(people):
    gone = _faces(people, lambda rows, _: np.full_like(rows, np.nan))
    assert math.isnan(_expression(people, gone).value)
    assert _expression(people, gone, "face_detected").value == 0


def test_guarantee_errors_of_the_heart_are_worked_by_hand_and_no_pulse_is_left_out():
    def hearts(rates, rmssd):
        views = {f"{n // 2}-{n % 2}": np.full((3, len(FEATURES)), np.nan) for n in range(6)}
        for view, rate in zip(views.values(), rates, strict=True):
            view[:, [FEATURES.index("rate_bpm"), FEATURES.index("rmssd_ms")]] = rate, rmssd
            view[:, FEATURES.index("skin_c")] = 33
        facts = pd.DataFrame({"subject": [i[0] for i in views]}, index=[*views])
        return Batch.of(facts, {"physio": views})

    before, after = hearts([60, 60, 70, 70, 80, 80], 40), hearts([61, 59, 72, 70, np.nan, 80], 30)
    rows = rows_of("physio_rate", before, after)
    rate, rmssd = rows["physio_rate.rate_error", ""], rows["physio_rate.rmssd_error", ""]
    assert rate.value == pytest.approx((1 + 1 + 2 + 0 + 0) / 5) and rate.n == 5 and "1 recordings" in rate.reason
    assert rmssd.value == 10 and (rmssd.unit, rmssd.better) == ("ms", "lower")
    assert rate.control > 2 * rate.value
    assert rows_of("physio_rate", before, before)["physio_rate.rate_error", ""].value == 0
    assert math.isnan(rows_of("physio_rate", before, hearts([np.nan] * 6, 40))["physio_rate.rate_error", ""].value)


def test_every_file_says_what_it_needs():
    for name in find(FOLDER):
        measure = create(FOLDER, name)
        if "synthetic" not in getattr(measure, "kinds", ()):
            assert measure.modality in ("audio", "video", "audio+video", "physio", "text", "phone")
            assert measure.views


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("voice_emotion", {"trees": 0}),
        ("face_emotion", {"pictures": 0}),
        ("fused_emotion", {"face_share": 2}),
        ("voice_emotion_cnn", {"steps": 0}),
        ("face_emotion_cnn", {"folds": 1}),
        ("sentence", {"folds": 1}),
        ("phone_label", {"trees": 0}),
        ("prosody", {"lag_s": -1}),
        ("expression", {"moving": 0}),
    ],
)
def test_impossible_options_are_refused(name, options):
    with pytest.raises(OptionError):
        create(FOLDER, name, options)
