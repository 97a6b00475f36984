"""Every attack finds planted identity and finds nothing where nothing is; each Guarantee is a test."""

from itertools import product

import cv2
import numpy as np
import pandas as pd
import pytest
from naming import tracks

from personare.core.channels import CHANNELS
from personare.core.errors import DataError, MissingModelError, OptionError
from personare.core.registry import create, find
from personare.core.types import Batch
from personare.data.splits import content_halves
from personare.evaluate.identification import identify, measure_trials
from personare.evaluate.unmeasured import answers
from personare.features import audio
from personare.features.functionals import describe
from personare.features.models import MODELS, find_model

FOLDER = "personare.evaluate.attacks"
QUICK = {
    "voice_gmm": {"components": 16},
    "voice_prosody": {},
    "face_pixels": {},
    "face_motion": {},
    "voice_ecapa": {"steps": 40, "batch": 16, "channels": 16, "chunk_s": 0.4},
    "face_cnn": {"steps": 40, "size": 32, "width": 8},
}


def top1(name, original, released, options=None):
    enroll, test, *_ = content_halves(original.table, rng=np.random.default_rng(0))
    attack = create(FOLDER, name, QUICK.get(name) if options is None else options)
    halves = [(enroll, test), (test, enroll)]
    trials = identify(attack, original, released, name=name, halves=halves, seed=0)
    rows = [measure_trials(t, rng=np.random.default_rng(0))[0] for t in trials]
    return {row.attacker: row for row in rows}


@pytest.mark.parametrize("name", QUICK)
def test_it_works_before_and_fails_after(name, people, nobody):
    before, after = top1(name, people, people)["semi_informed"], top1(name, people, nobody)["semi_informed"]
    assert before.value > 0.8
    assert after.value < 0.4
    assert after.low < 0.3


@pytest.mark.parametrize("name", QUICK)
def test_the_retrained_attacker_sees_through_a_swap(name, people, plant):
    found = top1(name, people, plant(shift=1, noise=3))
    assert found["ignorant"].value < 0.2
    assert found["semi_informed"].value > 0.7


@pytest.mark.parametrize("name", QUICK)
def test_a_score_depends_on_that_recording_alone(name, people):
    attack = create(FOLDER, name, QUICK[name])
    clips = dict(list(people.clips(attack.views[0]).items()))
    subjects = people.table["subject"].to_dict()
    known = dict(list(clips.items())[::2])
    who = {i: subjects[i] for i in known}
    score = attack.fit(known, who, rng=np.random.default_rng(0)).enroll(known, who, rng=np.random.default_rng(0))
    asked = dict(list(clips.items())[1::2][:4])
    alone = np.concatenate([score({i: clip}) for i, clip in asked.items()])
    assert np.allclose(score(asked), alone, atol=1e-4)


def test_every_file_says_what_it_needs():
    for name in find(FOLDER):
        attack = create(FOLDER, name)
        assert answers(attack, "recordings") == hasattr(attack, "modality")
        assert getattr(attack, "modality", "any") in ("any", *(channel.track for channel in CHANNELS))
        assert hasattr(attack, "fit") != callable(attack), "it names people, or it is called with what others found"


def test_fusion_is_no_weaker_than_its_parts_and_takes_weights_from_others(people, plant):
    weak = plant(identity=0.5, noise=2)
    enroll, test, *_ = content_halves(weak.table, rng=np.random.default_rng(0))
    halves = [(enroll, test), (test, enroll)]
    parts = ("voice_prosody", "voice_gmm", "face_motion", "face_pixels")
    trials = [
        t
        for name in parts
        for t in identify(create(FOLDER, name, QUICK[name]), weak, weak, name=name, halves=halves, seed=0)
    ]
    joint = create(FOLDER, "fusion")(weak, weak, trials=trials, rng=np.random.default_rng(0))
    named = {t.attack: np.mean(t.scores.argmax(axis=1) == t.truth) for t in [*trials, *joint]}
    assert named["fusion"] >= max(named[p] for p in parts) - 0.03
    assert named["fusion"] > np.mean([named[p] for p in parts])


def test_fusion_weights_of_a_person_come_from_others(people):
    enroll, test, *_ = content_halves(people.table, rng=np.random.default_rng(0))
    halves = [(enroll, test), (test, enroll)]
    trials = [
        t
        for name in ("voice_prosody", "face_motion")
        for t in identify(create(FOLDER, name), people, people, name=name, halves=halves, seed=0)
    ]
    fuse = create(FOLDER, "fusion", {"folds": 8})  # everybody alone
    own = np.array(trials[0].subjects) == "00"
    changed = [type(t)(**{**vars(t), "scores": np.where(own[:, None], 3 * t.scores, t.scores)}) for t in trials]
    first, second = (fuse(people, people, trials=t, rng=np.random.default_rng(0))[2] for t in (trials, changed))
    assert np.allclose(first.scores[own], second.scores[own]), "scaling one's own trials does not change one's weights"


def test_fusion_needs_two(people):
    with pytest.raises(DataError, match="two attacks"):
        create(FOLDER, "fusion")(people, people, trials=[], rng=np.random.default_rng(0))


def test_sex_is_read_before_and_not_after(plant):
    original = plant(people=12)
    for name, row in original.table.iterrows():
        place = original.ids.index(name)
        original.arrays["functionals"][place] = original.arrays["functionals"][place] + 4 * (row["sex"] == "F")
    released = plant(people=12, identity=0.0, noise=9)
    attack = create(FOLDER, "attributes")

    def sex(evidence):
        rows = attack(original, evidence, trials=[], rng=np.random.default_rng(0))
        return {r.attacker: r for r in rows if r.name == "attributes.uar.sex"}

    before, after = sex(original)["semi_informed"], sex(released)["semi_informed"]
    assert before.low > 0.5
    assert before.control == 0.5
    assert after.low < 0.5 or after.value < 0.65


def test_unknown_attributes_are_nan_with_a_reason(people):
    table = people.table.drop(columns=["age"]).assign(sex="F")
    bare = Batch.of(table, tracks(people))
    rows = create(FOLDER, "attributes")(bare, bare, trials=[], rng=np.random.default_rng(0))
    assert len(rows) == 4
    assert all(np.isnan(r.value) and "not measured" in r.reason for r in rows)


def test_a_pretrained_encoder_that_is_absent_is_said(tmp_path, monkeypatch, people):
    monkeypatch.setenv("PERSONARE_MODELS", str(tmp_path))
    with pytest.raises(MissingModelError, match="PERSONARE_MODELS"):
        create(FOLDER, "face_encoder", {"model": "absent.onnx"}).fit({}, {}, rng=np.random.default_rng(0))
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no network")
    with pytest.raises(MissingModelError, match="cannot be loaded"):
        create(FOLDER, "face_encoder", {"model": str(bad)}).fit({}, {}, rng=np.random.default_rng(0))


def test_the_speaker_encoder_names_people_and_gives_r1_and_r2(monkeypatch, people):
    class Fake:
        def __init__(self, device, verbose):
            assert (device, verbose) == ("cpu", False)

        def embed_utterance(self, samples):
            assert len(samples) >= 16_000
            return np.abs(np.fft.rfft(samples[:400]))[:40]

    module = type("resemblyzer", (), {"VoiceEncoder": Fake})
    monkeypatch.setitem(__import__("sys").modules, "resemblyzer", module)
    tones = {
        name: (np.sin(np.arange(400) * (0.1 + 0.3 * int(name[4:6]))) + 0.1).astype(np.float16)
        for name in people.table.index
    }
    voices = Batch.of(people.table, {"waveform": tones})
    assert top1("voice_encoder", voices, voices)["semi_informed"].value == 1.0
    attack = create(FOLDER, "voice_encoder")
    r1, r2 = attack.compare(voices, voices, rng=np.random.default_rng(0))
    assert (r1.name, r2.name) == ("voice_encoder.r1", "voice_encoder.r2")
    assert r1.value == pytest.approx(1.0, abs=0.01)
    assert r2.value == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("face_dlib", "dlib", "face-attack"),
        ("voice_dvector", "librosa", "speaker-encoder"),
        ("text_minilm", "transformers", "pretrained"),
    ],
)
def test_a_pretrained_network_names_the_extra_that_brings_it_and_refuses_other_content(
    name, package, extra, tmp_path, monkeypatch
):
    attack, modules = create(FOLDER, name), __import__("sys").modules
    parts = ("face_recognition_model_v1", "melspectrogram", "BertConfig", "BertModel")
    for module in (package, f"{package}.feature"):
        monkeypatch.setitem(modules, module, None)
    with pytest.raises(MissingModelError, match=rf"personare\[{extra}\]"):
        attack.fit({}, {}, rng=np.random.default_rng(0))
    for module in (package, f"{package}.feature"):
        monkeypatch.setitem(modules, module, type("Module", (), {part: None for part in parts}))
    monkeypatch.setenv("PERSONARE_MODELS", str(tmp_path))
    for model in ("dlib_face", "dvector", "minilm"):
        (tmp_path / MODELS[model].file).write_bytes(b"another network")
    with pytest.raises(MissingModelError, match="checksum differs"):
        attack.fit({}, {}, rng=np.random.default_rng(0))


@pytest.mark.real
def test_dlib_names_people_by_clear_faces_and_nobody_by_black_ones(real_data):
    pytest.importorskip("dlib", reason="needs the extra face-attack")
    found = {}
    for person, picture in product(range(1, 5), range(1, 3)):
        image = cv2.imread(str(real_data / f"orl-faces/s{person}/{picture}.pgm"))[10:, :]
        found[f"{person}_{picture}"] = cv2.resize(image, (112, 112))[None]
    table = pd.DataFrame({"subject": [i[0] for i in found]}, index=list(found))
    clear, black = (Batch.of(table, {"faces112": {i: f * k for i, f in found.items()}}) for k in (1, 0))
    assert top1("face_dlib", clear, clear)["semi_informed"].value == 1.0
    assert top1("face_dlib", clear, black)["semi_informed"].value < 0.5


@pytest.mark.real
def test_dvectors_name_people_by_their_voice_and_nobody_by_silence(real_data):
    pytest.importorskip("librosa", reason="needs the extra speaker-encoder")
    files = [f for who in ("03", "08", "11") for f in sorted((real_data / "emodb").glob(f"{who}*.flac"))[:16:4]]
    table = pd.DataFrame({"subject": [f.stem[:2] for f in files]}, index=[f.stem for f in files])
    spoken = {f.stem: describe(audio.read(f), ["waveform"])["waveform"] for f in files}
    voices, silence = (Batch.of(table, {"waveform": {i: s * k for i, s in spoken.items()}}) for k in (1, 0))
    assert top1("voice_dvector", voices, voices)["semi_informed"].value > 0.8
    assert top1("voice_dvector", voices, silence)["semi_informed"].value < 0.5


def test_minilm_names_people_by_what_they_write_about_and_nobody_by_the_same_lines():
    for model in ("minilm", "minilm_words"):
        try:
            find_model(model)
        except MissingModelError:
            pytest.skip(f"needs: personare models fetch {model}")
    about = {
        "garden": "The roses need water. I cut the hedge. Tulips bloom again. We raked fallen leaves. Weeds grow fast. "
        "Plant beans in May. The lawn is dry. My tomatoes ripened.",
        "court": "The judge was late. He denied the charge. A witness lied. Her lawyer objected. The jury left. We "
        "sued the landlord. Both parties settled. The verdict came.",
        "sea": "Waves hit our boat. The tide was low. Sails tore at noon. We fished for cod. A storm came up. The "
        "harbor froze. Gulls followed us. Land was in sight.",
    }
    lines = {f"{who}-{n}": line for who, text in about.items() for n, line in enumerate(text.split(". "))}
    table = pd.DataFrame({"subject": [name.partition("-")[0] for name in lines]}, index=list(lines))
    told, silent = (
        Batch.of(table, {"text": {name: np.array([said or line]) for name, line in lines.items()}})
        for said in ("", "Nothing happened today.")
    )
    assert top1("text_minilm", told, told)["semi_informed"].value > 0.8
    assert top1("text_minilm", told, silent)["semi_informed"].value < 0.5


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("voice_gmm", {"components": 1}),
        ("voice_gmm", {"relevance": 0}),
        ("face_pixels", {"pictures": 0}),
        ("voice_ecapa", {"channels": 12}),
        ("voice_ecapa", {"steps": 1}),
        ("face_cnn", {"size": 4}),
        ("fusion", {"folds": 1}),
        ("attributes", {"fewest": 0}),
        ("face_encoder", {"model": ""}),
    ],
)
def test_impossible_options_are_refused(name, options):
    with pytest.raises(OptionError):
        create(FOLDER, name, options)
