"""What an answer rests on is found where it was planted, and told only where deletion bears it out."""

import numpy as np
import pytest

from personare.core.errors import DataError
from personare.core.types import Batch
from personare.evaluate.attribution import Attribution, fields, occlude, training_mean, traits, windows, words
from personare.train.forest import Forest

ABOUT = Attribution(release="model", question="What moved its answer")


def rng():
    return np.random.default_rng(0)


def signals(n=60, length=48):
    """Two classes that differ in samples 20 to 23 alone."""
    draw, labels = rng(), np.arange(n) % 2
    values = draw.normal(0, 0.2, (n, length, 1)).astype(np.float32)
    values[:, 20:24, 0] += 4 * labels[:, None]
    return Batch(
        ids=tuple(f"r{i}" for i in range(n)),
        arrays={"eda": values},
        present={"eda": np.ones(n, bool)},
        labels=labels,
        classes=("calm", "stressed"),
        subjects=np.array([f"p{i // 6}" for i in range(n)]),
        columns={"eda": ("eda_us",)},
    )


def test_a_trained_model_s_answer_is_found_to_rest_on_the_window_that_was_planted_and_deletion_bears_it_out():
    batch = signals()
    model = Forest(trees=20).fit(batch.take(np.arange(40)), validation=batch.take(np.arange(40, 50)), rng=rng())
    one = batch.arrays["eda"][51]
    parted = windows(one, 0, training_mean(batch.arrays["eda"][:40]), rate_hz=4.0, begin_s=1.0)

    def ask(variants):
        rows = batch.take(np.full(len(variants), 51))
        return model(Batch(**{**vars(rows), "arrays": {"eda": np.stack(variants)}}))[:, 1]

    found = occlude(ABOUT, parted, ask, rng=rng())
    assert found.status == "ok" and found.deletion > found.control + 0.1
    assert (found.most[0].begin, found.most[0].end, found.most[0].name) == (6.0, 7.0, "6.00 to 7.00 s")
    nothing = occlude(ABOUT, parted, lambda variants: np.ones(len(variants)), rng=rng())
    assert nothing.status == "not_informative" and nothing.most == []


def test_a_field_and_a_word_are_found_and_the_rest_counts_nothing():
    picture = np.zeros((3, 16, 16), np.float32)
    picture[:, 4:6, 10:12] = 1
    found = occlude(ABOUT, fields(picture, np.zeros(1)), lambda vs: [v.sum() for v in vs], rng=rng())
    assert [(part.name, part.value) for part in found.parts if part.value] == [("row 3, column 6", 12.0)]
    said = occlude(ABOUT, words("I am so happy today"), lambda vs: ["happy" in v for v in vs], rng=rng())
    assert [part.name for part in said.parts if part.value] == ["happy"]


def test_what_is_too_short_is_told():
    with pytest.raises(DataError, match="too short"):
        windows(np.ones((12, 3)), 0, 0.0, rate_hz=100.0)
    with pytest.raises(DataError, match="two words"):
        words("hello")


def test_zeros_that_fill_up_a_batch_are_no_window_and_no_part_of_the_mean():
    values = np.zeros((2, 1, 3, 20), np.float32)
    values[0, ..., :10], values[1, ..., :5] = 1, 4
    assert training_mean(values).shape == (1, 3, 1)
    assert training_mean(values) == pytest.approx(np.full((1, 3, 1), 2.0))
    assert windows(values[0], 2, 0.0).parts[-1].end == 10


def test_class_person_and_recording_add_up_to_what_a_made_up_recording_is():
    batch = signals()
    everything = traits(batch, 7)
    rows = batch.arrays["eda"].mean(axis=(1, 2), dtype=float)
    assert sum(part.value for part in everything) == pytest.approx((rows[7] - rows.mean()) / rows.std())
    assert everything[0].name == "eda_us, being stressed" and everything[0].value == pytest.approx(1, abs=0.1)
