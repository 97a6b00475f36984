"""What each learner does that the others do not, against answers worked by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from people import recordings
from sklearn.ensemble import RandomForestClassifier

from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.state import state_of
from personare.core.types import Batch
from personare.learn.describing import describe_batch
from personare.learn.multimodal import Encoding, Network
from personare.train.forest import Forest
from personare.train.joint import Joint
from personare.train.late_fusion import LateFusion
from personare.train.mla import Mla, projection
from personare.train.ogm_ge import gradient_factors
from personare.train.pamrl import Pamrl
from personare.train.personal import Personal
from personare.train.unimodal import Unimodal

SMALL = {"epochs": 15, "width": 16, "learning_rate": 0.01}


def fit(learner, train=None, validation=None, public=None):
    train = recordings(0) if train is None else train
    validation = recordings(1, 8) if validation is None else validation
    return learner.fit(train, validation=validation, rng=generator(0, "fit"), public=public)


def right(predict, batch):
    return (predict(batch).argmax(axis=1) == batch.labels).mean()


def weak(batch, modality):
    """The same recordings with noise in one modality."""
    noise = generator(7, "noise").standard_normal(batch.arrays[modality].shape).astype(np.float32)
    return replace(batch, arrays={**batch.arrays, modality: noise})


def test_unimodal_takes_the_modality_that_reads_validation_people_best():
    made = fit(Unimodal(**SMALL), weak(recordings(0), "voice"), weak(recordings(1, 8), "voice"))
    assert list(made.encodings) == ["face"]


@pytest.mark.parametrize("options", [{"epsilon": 1.0, "delta": 1e-3}, {"modality": "smell"}])
def test_unimodal_must_name_its_modality_under_privacy_and_one_there_is(options):
    with pytest.raises(OptionError, match=r"Name one modality|modality must be one of"):
        fit(Unimodal(**SMALL, **options))


def test_fused_answers_read_better_than_either_modality():
    train, validation, new = (recordings(s, p, strength=1.2) for s, p in ((0, 40), (1, 20), (9, 100)))
    alone = [right(fit(Unimodal(modality=m, **SMALL), train, validation), new) for m in ("voice", "face")]
    for learner in (LateFusion(**SMALL), Pamrl(**SMALL), Mla(**SMALL)):
        assert right(fit(learner, train, validation), new) > max(alone) + 0.03


def test_stacked_weights_trust_what_validation_people_show():
    made = fit(LateFusion(weights="stacked", **SMALL), weak(recordings(0), "voice"), weak(recordings(1, 8), "voice"))
    weights = made.weights(recordings(9, 4))
    assert (weights["face"] > 0.7).all()


def test_stacked_weights_need_somebody_to_fit_them_on():
    with pytest.raises(OptionError, match="validation people"):
        fit(LateFusion(weights="stacked", **SMALL), validation=recordings(1, 8).take(np.arange(0)))


@pytest.mark.parametrize("shares", [{"voice": 1.0}, {"voice": 0.5, "smell": 0.5}])
def test_fixed_shares_must_name_every_modality(shares):
    with pytest.raises(OptionError, match="shares must name"):
        fit(LateFusion(weights="fixed", shares=shares, **SMALL))


OTHER = {"uncertainty": "kl", "alpha": 0.9, "entropy_scale": "sum", "kl_scale": "none", "pool": "log"}


@pytest.mark.parametrize("option", OTHER)
def test_every_option_of_pamrl_changes_its_answers(option):
    new, short = recordings(9), {**SMALL, "epochs": 2}
    usual, other = (fit(Pamrl(**short, **given))(new) for given in ({}, {option: OTHER[option]}))
    assert not np.allclose(usual, other, atol=1e-4)


def test_mla_as_released_weighs_as_its_code_does():
    weights = fit(Mla(variant="code", **SMALL)).weights(recordings(9, 2))
    assert weights["voice"] == pytest.approx(0.55)
    assert weights["face"] == pytest.approx(0.45)


def _two(shape, width):
    """A network whose encoders give back what they get."""
    torch.manual_seed(0)
    table = Encoding(kind="table", shape=(width,))
    net = Network({"voice": table, "face": table}, shape, width=width, classes=2)
    net.encoders = torch.nn.ModuleList([torch.nn.Identity(), torch.nn.Identity()])
    return net


def test_mla_takes_out_of_a_gradient_what_the_previous_modality_spans():
    net = _two("shared", 3)
    data = {
        "input voice": torch.tensor([[1.0, 0, 0]]),
        "input face": torch.tensor([[0.0, 1, 0]]),
        "present": torch.ones(1, 2, dtype=torch.bool),
    }
    project = projection(3, own=False)
    gradient = torch.ones(2, 3)
    net.head(0).weight.grad = gradient.clone()
    project(net, data, 0, 0.0)
    assert torch.equal(net.head(0).weight.grad, gradient)  # nobody came before
    net.head(0).weight.grad = gradient.clone()
    project(net, data, 1, 0.0)
    # P = I - h h' / (0.1 + 1): along the voice's feature 1 - 1 / 1.1 is left, elsewhere everything
    assert net.head(0).weight.grad[0].tolist() == pytest.approx([0.1 / 1.1, 1, 1])


def test_owm_self_takes_out_what_the_modality_itself_spans():
    net, project = _two("shared", 3), projection(3, own=True)
    data = {
        "input voice": torch.tensor([[1.0, 0, 0]]),
        "input face": torch.zeros(1, 3),
        "present": torch.tensor([[True, False]]),
    }
    net.head(0).weight.grad = torch.ones(2, 3)
    project(net, data, 0, 0.0)
    assert net.head(0).weight.grad[0].tolist() == pytest.approx([0.1 / 1.1, 1, 1])


def test_ogm_slows_the_modality_that_runs_ahead_alone():
    net = _two("joined", 2)
    with torch.no_grad():
        net.head(0).weight.copy_(torch.tensor([[4.0, 0, 0, 0, 0, 0], [0, 4, 0, 0, 0, 0]]))  # the second says nothing
        net.head(0).bias.zero_()
    x = torch.tensor([[1.0, 0], [0, 1]])
    present = torch.ones(2, 2, dtype=torch.bool)
    data = {"input voice": x, "input face": x, "present": present, "labels": torch.tensor([0, 1])}
    ahead = 1 / (1 + np.exp(-4)) / 0.5
    assert gradient_factors(net, data, 0.3).tolist() == pytest.approx([1 - np.tanh(0.3 * ahead), 1.0], abs=1e-6)


def test_the_forest_answers_as_scikit_learn_does():
    train, new = recordings(0, missing=0.2), recordings(9, missing=0.2)
    made = fit(Forest(trees=20), train, validation=train.take(np.arange(0)))
    seed = int(generator(0, "fit").integers(2**31))
    theirs = RandomForestClassifier(20, min_samples_leaf=2, random_state=seed)
    names = ("voice", "face")
    theirs.fit(describe_batch(train, names), train.labels)
    votes = theirs.predict_proba(describe_batch(new, names))
    assert np.allclose(np.exp(made.logits(new)), votes + 1e-3, atol=1e-6)


def test_a_personal_head_reads_its_person_better_and_never_leaves():
    made = fit(Personal(pull=1.0, **SMALL))
    odd = recordings(5, 1, each=60)
    odd = replace(odd, labels=(odd.labels + 1) % 3)  # this person means something else by every expression
    few, rest = odd.take(np.arange(15)), odd.take(np.arange(15, 60))
    own = made.adapt(few)
    assert right(made, rest) < 0.3
    assert right(own, rest) > 0.8
    shared, adapted = state_of(made), state_of(own)
    assert shared[1] == adapted[1]
    assert all(np.array_equal(shared[0][name], adapted[0][name]) for name in shared[0])


def test_a_personal_head_is_of_one_person():
    with pytest.raises(DataError, match="one person"):
        fit(Personal(**SMALL)).adapt(recordings(5, 2))


def test_class_weights_under_privacy_need_public_people():
    learner = Pamrl(**{**SMALL, "epochs": 1}, class_weights=True, epsilon=1.0, delta=1e-3)
    with pytest.raises(OptionError, match="public"):
        fit(learner)
    assert fit(learner, public=recordings(2, 5)).spends


def test_turns_of_a_private_batch_cost_as_one_joint_release():
    """Two modalities learn from one batch: each release is noisier, and the price is that of one modality."""
    options = {"epochs": 1, "width": 8, "epsilon": 1.0, "delta": 1e-3, "unit": "recording"}
    both = fit(Pamrl(**options)).spends
    one = fit(Unimodal(modality="voice", **options)).spends
    assert both == one


KINDS = {
    "signal": np.zeros((24, 12, 2), dtype=np.float32),
    "mel": np.zeros((24, 1, 16, 20), dtype=np.float32),
    "picture": np.zeros((24, 3, 16, 16), dtype=np.float32),
}


@pytest.mark.parametrize("unit", ["person", "recording"])
@pytest.mark.parametrize("kind", [*KINDS, "ngrams", "transformer"])
def test_every_encoder_learns_under_privacy(kind, unit):
    rng = generator(0, kind)
    values = KINDS.get(kind, np.array(["so happy", "too sad"] * 12))
    if kind in KINDS:
        values = values + rng.standard_normal(values.shape).astype(np.float32)
    batch = recordings(0, 4)
    batch = replace(batch, arrays={"it": values}, present={"it": rng.random(24) > 0.2})
    encoders = {"it": "transformer"} if kind == "transformer" else {}
    learner = Joint(epochs=1, width=8, encoders=encoders, epsilon=5.0, delta=1e-3, unit=unit)
    made = fit(learner, batch, batch.take(np.arange(0)))
    assert np.isfinite(made(batch)).all()
    assert made.spends[0].unit == unit


@pytest.mark.parametrize("learner", [Pamrl, Joint, LateFusion])
def test_learns_well_above_chance_under_privacy(learner):
    options = {"epochs": 10, "width": 16, "learning_rate": 0.01, "batch_size": 300}
    made = fit(learner(**options, epsilon=2.0, delta=1e-4, unit="recording"), recordings(0, 150))
    assert right(made, recordings(9, 60)) > 0.75


def test_scaling_under_privacy_is_not_that_of_private_people():
    options = {"epochs": 1, "width": 8, "epsilon": 1.0, "delta": 1e-3}
    alone = state_of(fit(Pamrl(**options)))[0]
    assert not alone["net.encoders.0.scaling.center"].any()
    public = recordings(2, 10)
    told = state_of(fit(Pamrl(**options), public=public))[0]
    assert told["net.encoders.0.scaling.center"] == pytest.approx(public.arrays["voice"].mean(axis=0), abs=1e-5)


@pytest.mark.parametrize("options", [{"alpha": 2.0}, {"uncertainty": "fixed"}, {"epochs": 0}, {"learning_rate": 0.0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(OptionError):
        Pamrl(**options)


@pytest.mark.real
@pytest.mark.slow
def test_fused_faces_and_voices_of_actors_read_better_than_faces(real_data):
    """RAVDESS tables, actors of the test never in training: one split of 9, 2 and 3 actors, two seeds."""
    batch = ravdess(real_data)
    order = np.unique(batch.subjects)
    found = {"face": [], "fused": []}
    for start in (0, 5):
        groups = np.split(np.roll(order, start), [9, 11])
        train, validation, new = (batch.take(np.isin(batch.subjects, group)) for group in groups)
        for name, learner in (("face", Unimodal(modality="face")), ("fused", Pamrl(pool="log"))):
            made = learner.fit(train, validation=validation, rng=generator(start, name))
            found[name].append(right(made, new))
    assert np.mean(found["fused"]) > np.mean(found["face"]) > 0.3  # chance is 0.13


def ravdess(folder):
    """The tables of voices and faces, rows of the same performance side by side."""
    tables = {}
    for name, file in (("voice", "audio_summary.csv"), ("face", "video_summary.csv")):
        table = pd.read_csv(folder / "ravdess" / file)
        tables[name] = table.assign(take=table.file.str[:20]).set_index("take").sort_index()
    about, arrays = tables["face"], {}
    for name, table in tables.items():
        numbers = table.drop(columns=["file", "emotion", "intensity", "actor", "gender"]).reindex(about.index)
        usable = numbers.loc[:, numbers.isna().mean() < 0.2]
        arrays[name] = usable.fillna(usable.median()).to_numpy(np.float32)
    classes = tuple(sorted(about.emotion.unique()))
    return Batch(
        ids=tuple(about.index),
        arrays=arrays,
        present={name: np.ones(len(about), dtype=bool) for name in arrays},
        labels=np.array([classes.index(e) for e in about.emotion]),
        classes=classes,
        subjects=about.actor.astype(str).to_numpy(),
    )
