"""What a user types to train, judge, attack and price models; every mistake ends with a sentence and status 2."""

import json
from pathlib import Path

import numpy as np
import pytest

from personare.core.state import load_weights
from personare.data.runs import private_folder
from personare.govern.ledger import Ledger

QUICK = ("-o", "trees=5", "--shadows", "0")
PRIVATE = ("--method", "private_head", "--epsilon", 1, "--delta", 1e-3, "--unit", "recording", "--shadows", "0")


def rows(file: Path) -> dict[str, dict]:
    return {
        f"{row['method']}.{row['figure']}{row['subset'] and '_'}{row['subset']}": row
        for row in json.loads(file.read_text())
    }


def test_a_forest_is_trained_judged_attacked_and_looked_at_again(typed, numbers, people_of_numbers, tmp_path):
    run = tmp_path / "run"
    answer = typed(
        "train", numbers.root, "--method", "forest", "-o", "trees=20", "-o", "leaf=1", "--shadows", 4, "--out", run
    )
    assert answer.status == 0, answer.err
    assert "Membership AUC" in answer.out
    found = rows(run / "results.json")
    assert found["model.accuracy"]["value"] > found["model.accuracy"]["control"] + 0.2
    assert found["membership_loss.person_auc"]["value"] > 0.65, "a forest without privacy remembers its people"
    assert "No guarantee" in (run / "releases/forest/README.md").read_text()

    assert typed("evaluate", run).status == 0
    again = rows(run / "evaluation.json")
    assert again["model.accuracy"]["value"] == found["model.accuracy"]["value"]
    assert again["robustness.accuracy_voice_missing50"]["n"] == 24
    assert any(measure.startswith("model.uar_sex") for measure in again)
    assert (private_folder(run) / "explanations/forest.csv").is_file()

    other = people_of_numbers("other", people=4, seed=2, purposes=("evaluation",))
    assert typed("evaluate", run, "--cohort", other.root).status == 0
    assert rows(run / "evaluation.json")["model.accuracy"]["n"] == 48
    assert set(Ledger(other.root / "ledger.sqlite").rows()["purpose"]) == {"evaluation"}


def test_a_private_model_keeps_its_claim_and_an_over_claimed_one_is_refused(typed, numbers, tmp_path):
    run = tmp_path / "run"
    assert typed("train", numbers.root, *PRIVATE, "--out", run).status == 0
    answer = typed("audit", run, "--shadows", 4, "--canaries", 60)
    assert answer.status == 0, answer.err
    assert "does not contradict the claimed epsilon 1" in rows(run / "audit.json")["audit.epsilon"]["reason"]

    # A record with a claim that its model does not keep: trained without noise, epsilon 0.01 written by hand.
    careless = tmp_path / "careless"
    words = ("--method", "forest", "-o", "trees=20", "-o", "leaf=1", "--shadows", 0, "--out", careless)
    assert typed("train", numbers.root, *words).status == 0
    step, honest = (private_folder(f) / "steps" for f in (careless, run))
    spend = json.loads((honest / "release-private_head.json").read_text())["result"]["spends"][0]
    record = json.loads((step / "release-forest.json").read_text())
    record["result"]["spends"] = [{**spend, "epsilon": 0.01}]
    (step / "release-forest.json").write_text(json.dumps(record))
    answer = typed("audit", careless, "--shadows", 0, "--canaries", 60)
    assert answer.status == 2
    assert "do not release" in answer.err
    assert rows(careless / "audit.json")["audit.epsilon"]["value"] > 0.01


def test_privacy_is_priced_before_anything_is_trained(typed):
    words = ("privacy", "plan", "--people", 91, "--recordings", 1820, "--unit", "recording", "--delta", 1e-5)
    answer = typed(*words, "--epsilon", 1, "--steps", 20)
    assert answer.status == 0
    assert "20 steps" in answer.out
    assert "Noise" in answer.out
    prices = [float(line.split()[1]) for line in answer.out.splitlines() if line.startswith("epsilon")]
    assert len(prices) == 4, "both accountants, people with 5 recordings and with 20"
    assert prices[0] == pytest.approx(prices[1], rel=0.02)
    assert prices[0] < prices[2] < prices[3]
    assert "a person with 20 recordings" in answer.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--epsilon", 0), "epsilon must be above 0"),
        (("--epsilon", -1), "epsilon must be above 0"),
        (("--epsilon", 1, "--delta", 0.02), "delta must be below 1 / 91"),
        (("--epsilon", 1, "--delta", 0), "delta"),
        (("--epsilon", 1, "--batch", 100), "batch"),
        (("--epsilon", 1, "--batch", 0), "batch"),
        (("--epsilon", 1, "--steps", 0), "steps"),
    ],
)
def test_a_price_that_cannot_be_is_refused(typed, words, said):
    answer = typed("privacy", "plan", "--people", 91, "--recordings", 1820, *words)
    assert answer.status == 2
    assert said in answer.err
    assert not answer.out


@pytest.mark.parametrize("words", [("--people", 0, "--recordings", 5), ("--people", 5, "--recordings", 4)])
def test_a_price_for_nobody_is_refused(typed, words):
    answer = typed("privacy", "plan", "--epsilon", 1, *words)
    assert answer.status == 2
    assert "people" in answer.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--method", "magic"), "There is no 'magic' in train"),
        (("--method", "forest", "--epsilon", 1), "forest has no option epsilon"),
        (("--method", "forest", "-o", "trees"), "NAME=VALUE"),
        (("--method", "forest", "-o", "trees=0"), "at least 1"),
        (("--method", "forest", "-o", "trees=many"), "trees"),
        (("--method", "private_head", "--epsilon", 0), "must be above 0"),
        (("--method", "private_head", "--epsilon", 1, "--delta", 0.5, "--shadows", 0), "delta must be below 1 /"),
        (("--method", "forest", "--label", "weather", *QUICK), "weather"),
        (("--method", "forest", "--modality", "smell", *QUICK), "smell"),
        (("--method", "forest", "--protocol", "magic", *QUICK), "The protocol must be one of"),
        (("--method", "forest", "--protocol", "published", *QUICK), "needs the label 'split'"),
        (("--method", "forest", "-o", "trees=5", "--shadows", 3), "shadow"),
    ],
)
def test_a_mistake_trains_nothing(typed, numbers, tmp_path, words, said):
    answer = typed("train", numbers.root, *words, "--out", tmp_path / "run")
    assert answer.status == 2, answer.out
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert not (tmp_path / "run/results.json").exists()
    assert not list((tmp_path / "run").glob("releases/*"))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"classes": ("anger",)}, "class"),
        ({"people": 1}, "people"),
        ({"purposes": ("evaluation",)}, "consent"),
    ],
)
def test_people_that_cannot_be_learned_from_are_refused(typed, people_of_numbers, tmp_path, how, said):
    cohort = people_of_numbers("people", **how)
    answer = typed("train", cohort.root, "--method", "forest", *QUICK, "--out", tmp_path / "run")
    assert answer.status == 2, answer.out
    assert said in answer.err
    assert not list((tmp_path / "run").glob("releases/*"))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_do_not_reach_a_model(typed, numbers, tmp_path, value):
    for recording in numbers.recordings[::5]:
        np.save(numbers.root / recording.tracks["voice"], np.full(5, value, np.float32))
    run = tmp_path / "run"
    answer = typed("train", numbers.root, *PRIVATE, "--out", run)
    assert answer.status == 0, answer.err
    weights, _ = load_weights(run / "releases/private_head/model.safetensors")
    assert all(np.isfinite(w).all() for w in weights.values() if w.dtype.kind == "f")
    assert rows(run / "results.json")["model.nll"]["value"] is not None


def test_a_model_that_is_not_there_cannot_be_looked_at(typed, tmp_path):
    for verb in ("evaluate", "audit"):
        answer = typed(verb, tmp_path / "absent")
        assert answer.status == 2
        assert "no study file" in answer.err


def test_people_of_other_classes_or_numbers_are_refused(typed, numbers, people_of_numbers, tmp_path):
    run = tmp_path / "run"
    assert typed("train", numbers.root, "--method", "forest", *QUICK, "--out", run).status == 0
    others = people_of_numbers("others", people=3, classes=("joy", "fear"))
    assert "nothing in common" in typed("evaluate", run, "--cohort", others.root).err
    half = people_of_numbers("half", people=3, tracks=("voice",))
    answer = typed("evaluate", run, "--cohort", half.root)
    assert answer.status == 2
    assert "face" in answer.err


def test_a_method_that_cannot_be_trained_over_sites_is_told(typed, numbers):
    answer = typed("train", numbers.root, "--method", "forest", "--sites", 3)
    assert answer.status == 2
    assert "cannot be trained over sites" in answer.err


def test_sites_that_are_made_to_differ_are_typed(typed, numbers):
    words = ("train", numbers.root, "--method", "private_head", "--sites", 3, "--site-protocol")
    assert "site_protocol has no setting skew" in typed(*words, "skew=0.3").err
    assert "label_skew must be" in typed(*words, "label_skew=-1").err
    assert "NAME=VALUE, e.g. label_skew=0.3" in typed(*words, "much").err
