"""Measures and attacks on models of real voices (CREMA-D): what judges models must work where nothing is protected."""

import numpy as np
import pandas as pd
import pytest
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from personare.core.registry import create
from personare.core.types import Batch
from personare.evaluate.classification import judge_model
from personare.evaluate.membership import Signals, judge_membership, split_halves
from personare.learn.heads import HeadTraining, fit_head, predict

pytestmark = pytest.mark.real
FOLDER = "personare.evaluate.attacks"


def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def voices(real_data):
    """Forty people: standardized acoustic statistics, and a table with emotion, sentence, sex and age."""
    folder = real_data / "crema-d"
    if not (folder / "acoustic_features.csv.gz").exists():
        pytest.skip("CREMA-D's acoustic statistics are not there")
    clips = pd.read_csv(folder / "acoustic_features.csv.gz", index_col=0)
    clips = clips[clips["actor_id"] <= 1040].reset_index(drop=True)
    people = pd.read_csv(folder / "VideoDemographics.csv").set_index("ActorID").loc[clips["actor_id"]]
    table = pd.DataFrame(
        {
            "subject": clips["actor_id"].astype(str),
            "emotion": clips["emotion"],
            "sentence": clips["sentence"],
            "sex": people["Sex"].to_numpy(),
            "age": people["Age"].to_numpy(),
        }
    )
    table.index = pd.Index([f"r{i}" for i in range(len(table))])
    numbers = clips.select_dtypes("number").drop(columns=["actor_id", "sample_rate"]).to_numpy(dtype=float)
    return StandardScaler().fit_transform(numbers), table


def test_a_model_of_real_voices_is_judged_on_people_it_never_met(voices):
    rows, table = voices
    classes, labels = np.unique(table["emotion"], return_inverse=True)
    train = table["subject"].astype(int).to_numpy() <= 1030
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(rows[train], labels[train])
    test = table[~train]
    asked = Batch(
        ids=tuple(test.index),
        arrays={},
        present={},
        labels=labels[~train],
        classes=tuple(classes),
        subjects=test["subject"].to_numpy(),
    )
    found = {r.name: r for r in judge_model(model.predict_proba(rows[~train]), asked, test, rng=rng())}
    assert found["model.uar"].low > 0.35  # chance is 0.17
    assert found["model.uar"].value < 0.65
    assert found["model.ece"].value < 0.15
    assert found["model.largest_class"].reason == ""
    assert found["model.uar.sex_Female"].n + found["model.uar.sex_Male"].n == len(test)


def test_members_among_real_voices_are_found_where_a_head_remembers(voices):
    rows, table = voices
    some = rng().permutation(len(rows))[:800]
    wide = RBFSampler(gamma=0.02, n_components=1500, random_state=0).fit_transform(rows[some]).astype(np.float32)
    _, labels = np.unique(table["emotion"].iloc[some], return_inverse=True)
    inside = split_halves(some, 16, rng=rng())
    training = {"classes": 6, "training": HeadTraining(steps=150, learning_rate=4.0), "rng": rng()}
    answers = np.stack([predict(fit_head([wide[of]], [labels[of]], **training), wide) for of in inside])
    signals = Signals.of_probabilities(answers, inside, labels, table["subject"].iloc[some].to_numpy())
    attacks = {name: create(FOLDER, name) for name in ("membership_lira", "membership_rmia", "membership_loss")}
    found = {r.name: r for r in judge_membership(signals, attacks, rng=rng())}
    assert found["membership_lira.auc"].low >= 0.65
    assert found["membership_rmia.auc"].low >= 0.65
    assert found["membership_lira.tpr_fpr1"].low > 0.01


def test_real_people_and_their_sex_are_read_from_unprotected_statistics(voices):
    rows, table = voices
    some = table.groupby("subject").head(12).index
    few, kept = table.loc[some], rows[table.index.get_indexer(some)]
    noise = rng().standard_normal((len(few), 6))
    original, released = (
        Batch.of(few, {track: dict(zip(few.index, vectors, strict=True)) for track, vectors in tracks.items()})
        for tracks in ({"raw": kept}, {"raw": kept, "noise": noise})
    )
    named = create(FOLDER, "model_identity")(original, released, rng=rng())
    top1 = {r.name: r for r in named}
    assert top1["model_identity_raw.top1"].low > 3 / 40
    assert top1["model_identity_noise.top1"].value < 3 / 40
    read = create(FOLDER, "model_attributes")(original, released, rng=rng())
    sex = {r.method: r for r in read if r.subset == "sex"}
    assert sex["model_attributes_raw"].low > 0.7
    assert sex["model_attributes_noise"].value < 0.6
