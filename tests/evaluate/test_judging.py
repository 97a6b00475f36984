"""A release judged as a whole: before and after, self-tests, the strongest attack, bad input."""

import math
from dataclasses import replace

import numpy as np
import pytest
from naming import tracks

from personare.core.errors import OptionError, UnknownMethodError
from personare.core.strongest import lower_bounds
from personare.core.types import Batch, Result
from personare.evaluate.judging import applies, check_attacks, judge
from personare.evaluate.selftest import marked, needed, strongest

CHEAP = ["voice_prosody", "face_pixels", "fusion"]


def find(rows, measure, attacker="semi_informed"):
    return next(r for r in rows if r.name == measure and r.attacker == attacker)


def _judge(original, released, **options):
    few = {"voice_emotion": {"trees": 20}}
    options = {"attacks": CHEAP, "utilities": ["voice_emotion"], "options": few, "seed": 1} | options
    return judge(original, released, modality="audio+video", **options)


@pytest.fixture(scope="module")
def before(people):
    return _judge(people, people)


def test_the_attacks_work_before_and_fail_after(people, nobody, before):
    after = _judge(people, nobody, baseline=before)
    for measure in ("voice_prosody.top1", "face_pixels.top1", "fusion.top1", "strongest.top1"):
        row = find(after, measure)
        assert row.baseline == find(before, measure).value > 0.8
        assert row.value < 0.4
        assert row.status == "ok"
    assert find(after, "voice_emotion_svm.uar", "retrained_reader").value > 0.9, "what is left stays readable"


def test_the_retrained_attacker_sees_what_the_ignorant_misses(people, plant, before):
    after = _judge(people, plant(shift=1, noise=3), baseline=before)
    assert find(after, "strongest.top1", "ignorant").value < 0.2
    assert find(after, "strongest.top1", "semi_informed").value > 0.8
    assert find(after, "strongest.eer", "semi_informed").value < 0.2


def test_unprotected_data_are_recognized_even_as_a_copy(people, before):
    copy = Batch.of(people.table.copy(), {v: dict(a) for v, a in tracks(people).items()})
    assert [r.value for r in _judge(people, copy, baseline=[])] == pytest.approx([r.value for r in before], nan_ok=True)
    assert {r.release for r in before} == {"original"}
    same = [find(before, "strongest.top1", a).value for a in ("ignorant", "lazy_informed", "semi_informed")]
    assert len(set(same)) == 1


def test_a_lower_bound_is_said_of_the_strongest_attack_and_nothing_of_one_that_has_enough(people, plant, before):
    masked = _judge(people, plant(identity=0.7, noise=5), baseline=before, attacks=["voice_prosody"], utilities=[])
    assert lower_bounds(masked) == [find(masked, "voice_prosody.top1")]
    assert "a lower bound: with more recordings to learn from" in find(masked, "strongest.top1").reason
    assert "a lower bound" not in find(masked, "strongest.top1", "ignorant").reason
    assert not lower_bounds(before) and "lower bound" not in find(before, "strongest.top1").reason


def test_without_a_baseline_it_is_measured(people, nobody):
    rows = _judge(people, nobody, attacks=["voice_prosody"], utilities=[])
    assert find(rows, "voice_prosody.top1").baseline > 0.8


def test_an_attack_that_fails_its_self_test_is_not_informative(plant):
    blind = plant(identity=0.0)
    rows = _judge(blind, plant(identity=0.0, noise=2), attacks=["voice_prosody"], utilities=[])
    row = find(rows, "voice_prosody.top1")
    assert row.status == find(rows, "strongest.top1").status == "not_informative"
    assert "self-test" in row.reason


def test_equal_arguments_give_equal_rows(people, before):
    again = _judge(people, people)
    assert [r.name for r in again] == [r.name for r in before]
    for one, other in zip(again, before, strict=True):
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high), abs=0, nan_ok=True)


def test_every_row_carries_an_interval_a_control_and_n(before):
    for row in (r for r in before if not r.name.endswith(("top1_5", "person_top1"))):
        assert row.low <= row.value <= row.high
        assert not math.isnan(row.control)
        assert row.n == 48


def test_a_missing_view_is_nan_with_a_reason(people):
    blind = Batch.of(people.table, {k: v for k, v in tracks(people).items() if k != "functionals"})
    rows = _judge(people, blind)
    for measure, who in (("voice_prosody.top1", "semi_informed"), ("voice_emotion_svm.uar", "retrained_reader")):
        assert math.isnan(find(rows, measure, who).value)
        assert "0 of 48" in find(rows, measure, who).reason
    assert "face_pixels" in find(rows, "strongest.top1").reason, "what could be measured still counts"


def test_a_person_alone_cannot_be_told_from_others(plant):
    rows = _judge(plant(people=1), plant(people=1))
    assert all(math.isnan(r.value) and "too few people" in r.reason for r in rows)
    assert {r.status for r in rows} == {"not_measured"}


def test_a_subject_with_one_clip_is_said(people):
    table = people.table.iloc[5:]  # the first person keeps one recording
    few = Batch.of(table, tracks(people))
    rows = _judge(few, few, attacks=["voice_prosody"], utilities=[])
    assert "single recording" in find(rows, "voice_prosody.top1").reason
    assert find(rows, "voice_prosody.top1").n == 42


def test_people_with_one_clip_each_cannot_be_attacked(people):
    table = people.table.groupby("subject").head(1)
    one = Batch.of(table, tracks(people))
    rows = _judge(one, one, attacks=["voice_prosody"], utilities=[])
    assert all(math.isnan(r.value) and "with 2 recordings each needed, 0 there (of 8 people)" in r.reason for r in rows)


def test_an_optional_package_that_is_absent_is_a_reason(people, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "resemblyzer", None)
    rows = _judge(people, people, attacks=["voice_encoder"], utilities=[])
    assert "personare[speaker-encoder]" in find(rows, "voice_encoder.top1").reason


def test_an_attack_on_another_kind_of_release_is_refused(people):
    with pytest.raises(OptionError, match=r"membership_lira attacks releases of the kind model, not recordings"):
        _judge(people, people, attacks=["voice_prosody", "membership_lira"])
    check_attacks(["membership_lira"], "model", ["member"])
    with pytest.raises(OptionError, match="model_identity asks to identify, and here is asked to member"):
        check_attacks(["membership_lira", "model_identity"], "model", ["member"])


def test_a_reader_of_another_label_is_no_choice(people):
    options = {"voice_emotion": {"trees": 5, "label": "sentence"}, "face_emotion": {"label": "emotion"}}
    rows = judge(
        people, people, modality="audio+video", seed=1, attacks=[], utilities=["voice_emotion", "face_emotion"],
        options=options,
    )  # fmt: skip
    assert find(rows, "voice_emotion_svm.uar", "fixed_reader").control == 1 / 2, "it reads which of two sentences"
    reason = find(rows, "reader.uar", "fixed_reader").reason
    assert "face_emotion" in reason and "voice_emotion" not in reason


def test_unknown_names_and_options_are_said(people):
    with pytest.raises(UnknownMethodError, match="no_such"):
        _judge(people, people, attacks=["no_such"])
    with pytest.raises(OptionError, match="folds"):
        _judge(people, people, utilities=["voice_emotion"], options={"voice_emotion": {"folds": 1}})


@pytest.mark.parametrize(
    ("wanted", "given", "fits"),
    [("audio", "audio", True), ("audio", "audio+video", True), ("audio+video", "video", False), ("any", "video", True)],
)
def test_methods_are_used_where_they_apply(wanted, given, fits):
    assert applies(type("Method", (), {"modality": wanted}), given) is fits


def test_what_is_asked_of_synthetic_people_alone_is_left_out_unasked(people):
    few = {"face_emotion_cnn": {"steps": 2, "folds": 2}}
    rows = judge(people, people, modality="video", seed=1, attacks=["face_pixels"], options=few)
    assert {r.method for r in rows if r.question == "read"} >= {"expression", "face_emotion_pixels"}
    assert not any(r.method.startswith("synthetic") for r in rows)


def _row(measure, value, low, *, control=0.1):
    method, _, figure = measure.partition(".")
    return Result(
        modality="audio", question="identify", method=method, figure=figure, better="lower", attacker="semi_informed",
        value=value, low=low, high=1.0, control=control,
    )  # fmt: skip


def test_the_strongest_informative_attack_counts():
    base = [_row("good.top1", 0.9, 0.8), _row("bad.top1", 0.2, 0.1)]
    rows = marked([_row("good.top1", 0.4, 0.3), _row("bad.top1", 0.6, 0.5)], base)
    best = strongest(rows)[0]
    assert best.value == 0.4
    assert best.detail == {"strongest": "good"}
    assert "good" in best.reason
    assert [r.status for r in rows] == ["ok", "not_informative"]


@pytest.mark.parametrize(
    ("value", "status", "kept"),
    [(0.6, "ok", "not_informative"), (math.nan, "ok", "not_measured"), (0.9, "claim_broken", "claim_broken")],
)
def test_a_failed_self_test_hides_neither_a_missing_figure_nor_a_broken_claim(value, status, kept):
    base = [_row("bad.top1", 0.2, 0.1)]
    row = marked([replace(_row("bad.top1", value, value), status=status, reason="its own")], base)[0]
    assert row.status == kept and row.reason.endswith("its own")


@pytest.mark.parametrize("figure", ["top1", "top1_5", "person_top1"])
def test_the_strongest_is_found_for_one_and_for_several_recordings(figure):
    rows = [_row("a.top1", 0.5, 0.4), _row("b.top1", 0.3, 0.2), _row("a.top1_5", 0.6, 0.5), _row("b.top1_5", 0.7, 0.6)]
    rows += [_row("a.person_top1", 0.6, 0.5), _row("b.person_top1", 0.9, 0.6)]
    best = {r.name: r for r in strongest(rows)}[f"strongest.{figure}"]
    assert best.value == {"top1": 0.5, "top1_5": 0.7, "person_top1": 0.9}[figure]


@pytest.mark.parametrize(("people", "limit"), [(100, 0.03), (24, 0.125), (10, 0.3), (6, 0.5), (5, 0.6), (2, 0.75)])
def test_what_a_self_test_demands(people, limit):
    assert needed(1 / people) == pytest.approx(limit)


def test_strangers_to_numpy_do_not_slip_in(before):
    assert all(isinstance(r.value, float) for r in before)
    assert all(isinstance(x, int | float) for r in before for x in np.ravel(r.detail.get("confusion", [])).tolist())
