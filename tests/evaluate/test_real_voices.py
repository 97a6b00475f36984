"""The attacks and readers on real people: they must work where nothing is hidden, or they prove nothing elsewhere."""

import numpy as np
import pandas as pd
import pytest

from personare.core.types import Batch
from personare.evaluate.judging import judge
from personare.features import audio
from personare.features.functionals import describe

EMOTIONS = dict(W="anger", L="boredom", N="neutral", F="happiness", A="fear", T="sadness", E="disgust")


@pytest.fixture(scope="module")
def emodb(real_data):
    """Every other clip of EmoDB: 5 people, 10 sentences, 7 emotions."""
    rows, views = [], {"mfcc": {}, "logmel": {}, "functionals": {}, "prosody": {}}
    for file in sorted((real_data / "emodb").glob("*.flac"))[::2]:
        name = file.stem
        rows.append({"id": name, "subject": name[:2], "emotion": EMOTIONS[name[5]], "sentence": name[2:5]})
        for view, array in describe(audio.read(file), list(views)).items():
            views[view][name] = array
    return Batch.of(pd.DataFrame(rows).set_index("id"), views)


@pytest.mark.real
@pytest.mark.slow
def test_voices_are_named_and_emotions_are_read_on_originals(emodb):
    rows = judge(
        emodb,
        emodb,
        modality="audio",
        seed=0,
        attacks=["voice_gmm", "voice_prosody", "fusion"],
        utilities=["voice_emotion", "sentence", "prosody"],
    )
    value = {r.name: r.value for r in rows if r.attacker in ("semi_informed", "retrained_reader", "")}
    assert value["voice_gmm.top1"] >= 0.9
    assert value["voice_gmm.eer"] <= 0.06
    assert value["strongest.top1"] >= 0.9
    assert value["voice_emotion_svm.uar"] >= 0.45
    assert value["sentence.accuracy"] >= 0.85
    assert value["prosody.rho_f0"] == pytest.approx(1)
    assert not any(r.status == "not_informative" for r in rows)


@pytest.mark.real
@pytest.mark.slow
def test_a_changed_voice_fools_the_ignorant_attacker_and_not_the_one_who_retrains(emodb):
    # everybody's spectrum is turned in the same way: nothing is hidden from who learns the new voices
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((38, 38)))[0]
    turned = {i: (clip @ turn).astype(np.float32) for i, clip in emodb.clips("mfcc").items()}
    released = Batch.of(emodb.table, {"mfcc": turned})
    rows = judge(emodb, released, modality="audio", seed=0, attacks=["voice_gmm"], utilities=[])
    value = {r.attacker: r.value for r in rows if r.name == "voice_gmm.top1"}
    assert value["ignorant"] < 0.5
    assert value["semi_informed"] >= 0.85
