"""Attacks on made-up voices that were learned from real ones (CREMA-D): what a generator gives away must be found."""

import numpy as np
import pandas as pd
import pytest

from personare.core.types import Batch
from personare.evaluate.synthetic import judge_synthetic_risk

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def voices(real_data):
    """Two groups of sixteen people each, at most forty recordings of each: acoustic statistics."""
    file = real_data / "crema-d" / "acoustic_features.csv.gz"
    if not file.exists():
        pytest.skip("CREMA-D's acoustic statistics are not there")
    clips = pd.read_csv(file, index_col=0).groupby("actor_id").head(40)
    people = np.random.default_rng(0).permutation(clips["actor_id"].unique())[:32]
    return [_batch(clips[clips["actor_id"].isin(half)]) for half in (people[:16], people[16:])]


def _batch(clips):
    classes = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
    values = clips.select_dtypes("number").drop(columns=["actor_id", "sample_rate"]).to_numpy(dtype=np.float32)
    labels = pd.Categorical(clips["emotion"].str[:3].str.upper()).codes.astype(np.int64)
    return _made(values, labels, clips["actor_id"].astype(str).to_numpy(), classes)


def _made(values, labels, subjects, classes):
    return Batch(
        ids=tuple(f"r{k}" for k in range(len(values))),
        arrays={"acoustics": np.asarray(values, dtype=np.float32)},
        present={"acoustics": np.ones(len(values), dtype=bool)},
        labels=labels,
        classes=classes,
        subjects=subjects,
    )


def _judged(values, labels, voices):
    train, control = voices
    subjects = np.array([f"synthetic-{k % 20:04d}" for k in range(len(values))])
    made = _made(values, labels, subjects, train.classes)
    return {row.name: row for row in judge_synthetic_risk(made, train, control, rng=np.random.default_rng(0))}


def test_copies_of_real_voices_are_found_by_every_attack(voices):
    train, rng = voices[0], np.random.default_rng(0)
    rows = rng.integers(len(train), size=600)
    spread = train.arrays["acoustics"].std(axis=0)
    found = _judged(
        train.arrays["acoustics"][rows] + 0.05 * spread * rng.standard_normal((600, len(spread))),
        train.labels[rows],
        voices,
    )
    for measure in ("synthetic_membership_neighbor.auc", "synthetic_singling_out.risk"):
        assert found[measure].value > 0.9
    for measure, row in found.items():
        if measure.endswith((".risk", ".auc", ".nearer", ".named")):
            assert row.low > row.control, measure


def test_averages_of_sixteen_voices_tell_whose_they_are(voices):
    # a normal distribution for each emotion copies nobody, and still its averages are those of just these people
    train, rng = voices[0], np.random.default_rng(0)
    values, labels = train.arrays["acoustics"].astype(float), rng.choice(train.labels, size=900)
    made = np.zeros((900, values.shape[1]))
    for label in np.unique(labels):
        own = values[train.labels == label]
        cover = np.cov(own.T) + 1e-3 * np.diag(values.var(axis=0))
        made[labels == label] = rng.multivariate_normal(own.mean(axis=0), cover, size=int((labels == label).sum()))
    found = _judged(made, labels, voices)
    assert found["synthetic_membership_normal.auc"].low > 0.6
    assert found["synthetic_singling_out.risk"].value < 0.2
    assert found["synthetic_copies.exact"].value == 0
