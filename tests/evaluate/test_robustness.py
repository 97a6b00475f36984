"""Disturbances are as large as they say, and a model that leans on one modality is found out."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import softmax

from personare.core.errors import OptionError
from personare.core.types import Batch
from personare.evaluate.classification import (
    judge_robustness,
    modality_shapley,
    weights_by_class,
    with_missing,
    with_noise,
)


def rng():
    return np.random.default_rng(0)


def recordings(n=400):
    draw, labels = rng(), np.arange(n) % 2
    sound = (2.0 * labels - 1)[:, None] + 0.3 * draw.standard_normal((n, 3))
    return Batch(
        ids=tuple(map(str, range(n))),
        arrays={
            "audio": sound.astype(np.float32),
            "video": draw.standard_normal((n, 1, 4, 6)).astype(np.float32),
            "text": np.full(n, "well"),
        },
        present={name: np.ones(n, dtype=bool) for name in ("audio", "video", "text")},
        labels=labels,
        classes=("low", "high"),
        subjects=np.array([str(i % 10) for i in range(n)]),
    )


@dataclass(frozen=True)
class Listens:
    """Answers from the sound, a little from the picture, never from the text."""

    picture: float = 0.1

    def __call__(self, batch):
        score = 3 * batch.arrays["audio"].mean(axis=1) + self.picture * batch.arrays["video"].mean(axis=(1, 2, 3))
        return softmax(np.stack([-score, score], axis=1), axis=1)


def test_so_many_recordings_lose_the_modality_and_no_other():
    found = with_missing(recordings(), "audio", 0.2, rng=rng())
    assert (~found.present["audio"]).sum() == 80
    assert (found.arrays["audio"] == 0).all(axis=1).sum() == 80
    assert found.present["video"].all()
    assert (with_missing(recordings(), "text", 0.5, rng=rng()).arrays["text"] == "").sum() == 200
    with pytest.raises(OptionError, match="share"):
        with_missing(recordings(), "audio", 1.2, rng=rng())


@pytest.mark.parametrize("modality", ["audio", "video"])
@pytest.mark.parametrize("snr_db", [20.0, 0.0])
def test_noise_has_the_ratio_it_says(modality, snr_db):
    before = recordings(4000)
    after = with_noise(before, modality, snr_db, rng=rng())
    noise = after.arrays[modality] - before.arrays[modality]
    axis = 0 if modality == "audio" else (1, 2, 3)
    power = (before.arrays[modality].var(axis=axis) / (noise**2).mean(axis=axis)).mean()
    expected = 10 ** (snr_db / 10)
    assert power == pytest.approx(expected, rel=0.2)


def test_noise_leaves_what_is_missing_alone():
    lost = with_missing(recordings(), "audio", 0.5, rng=rng())
    noisy = with_noise(lost, "audio", 0, rng=rng())
    assert (noisy.arrays["audio"][~lost.present["audio"]] == 0).all()


def test_curves_fall_where_the_model_leans_and_nowhere_else():
    rows = {r.name: r for r in judge_robustness(Listens(), recordings(), rng=rng())}
    accuracy = [rows[f"robustness.accuracy.audio_missing{s}"].value for s in (0, 20, 50)]
    assert accuracy == pytest.approx([1, 0.9, 0.75], abs=0.06)
    noisy = [rows[f"robustness.uar.audio_snr{s}db"].value for s in (20, 10, 0)]
    assert noisy[0] >= noisy[1] >= noisy[2]
    assert rows["robustness.accuracy.video_missing50"].value == 1
    assert rows["robustness.accuracy.audio_missing50"].baseline == 1
    assert "robustness.accuracy.text_snr0db" not in rows


def test_shapley_values_add_up_and_are_right_for_two_players():
    batch = recordings(20).only("audio", "video")
    model = Listens(picture=2.0)
    found = modality_shapley(model, batch)
    whole, nothing = model(batch).max(axis=1), 0.5
    assert found["audio"] + found["video"] == pytest.approx(whole - nothing)
    said = model(batch).argmax(axis=1)
    rows = np.arange(20)
    empty = with_missing(batch, "video", 1.0, rng=rng())
    only_audio = model(empty)[rows, said]
    only_video = model(with_missing(batch, "audio", 1.0, rng=rng()))[rows, said]
    by_hand = ((only_audio - 0.5) + (model(batch)[rows, said] - only_video)) / 2
    assert found["audio"] == pytest.approx(by_hand)


def test_a_modality_that_is_missing_or_ignored_adds_nothing():
    batch = with_missing(recordings(50), "audio", 0.5, rng=rng())
    found = modality_shapley(Listens(), batch)
    assert (found["audio"][~batch.present["audio"]] == 0).all()
    assert found["text"] == pytest.approx(np.zeros(50))
    assert np.abs(found["audio"][batch.present["audio"]]).min() > 0.1


def test_too_many_modalities_are_told():
    one = recordings(3).only("audio")
    many = {f"m{i}": one.arrays["audio"] for i in range(6)}
    seen = {name: one.present["audio"] for name in many}
    crowd = Batch(ids=one.ids, arrays=many, present=seen, labels=one.labels, classes=one.classes, subjects=one.subjects)
    with pytest.raises(OptionError, match="1 to 5"):
        modality_shapley(Listens(), crowd)


def test_weights_by_class_by_hand():
    table = weights_by_class({"audio": np.array([0.2, 0.4, 0.9])}, np.array([0, 0, 2]), ("a", "b", "c"))
    assert table.loc["a", "audio"] == pytest.approx(0.3)
    assert np.isnan(table.loc["b", "audio"])
    assert table.loc["all", "audio"] == pytest.approx(0.5)
