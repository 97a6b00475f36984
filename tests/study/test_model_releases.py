"""Models as releases of a study: restored alike, carded, charged, refused past the budget, resumed."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from personare.core import registry
from personare.core.errors import DataError, OptionError, UnknownMethodError
from personare.data.runs import RunFolder
from personare.data.splits import Split, check_apart
from personare.govern.budget import Budget
from personare.govern.ledger import Ledger
from personare.study.access import open_batch
from personare.study.kinds.models import Model, ModelPlan, load_model, split_people
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan, as_toml, load_plan
from personare.study.run import run_study
from personare.study.study import Study

HEAD = ModelPlan(
    name="head",
    label="emotion",
    method="private_head",
    options={"epsilon": 1.0, "delta": 1e-3, "unit": "recording", "steps": 5},
)
TREES = ModelPlan(name="trees", label="emotion", method="forest", options={"trees": 5})
BARE = StudyPlan(models=(HEAD,), shadows=0, disclosure=())


def run(cohort, plan, out):
    ledger = Ledger(cohort.root.parent / "ledger.sqlite")
    run_study(cohort, plan, as_toml(plan), out, workers=Workers(jobs=1, quiet=True), ledger=ledger)
    return ledger


def work(cohort, plan, model, out):
    study = Study(cohort=cohort, plan=plan, run=RunFolder(out), ledger=Ledger(cohort.root.parent / "ledger.sqlite"))
    return Model(study=study, row=model, batch=open_batch(cohort, model.label, model.modalities, study.ledger).batch)


@pytest.mark.parametrize("model", [HEAD, TREES], ids=lambda m: m.method)
def test_the_released_file_answers_as_the_model_that_was_trained(numbers, tmp_path, model, monkeypatch):
    plan, real, fitted = replace(BARE, models=(model,)), Model.fit, []
    monkeypatch.setattr(Model, "fit", lambda *args, **how: fitted.append(real(*args, **how)) or fitted[-1])
    made = work(numbers, plan, model, tmp_path / "run")
    made.train(tmp_path / "made")
    restored, said = load_model(tmp_path / "made/model.safetensors")
    assert as_toml(replace(plan, models=(said,))) == as_toml(plan)
    np.testing.assert_allclose(restored(made.parts.test), fitted[0](made.parts.test), atol=1e-6)


def test_the_noise_of_a_private_model_does_not_follow_from_the_seed(numbers, tmp_path):
    answers: dict[str, list[np.ndarray]] = {"head": [], "trees": []}
    for out in ("first", "second"):
        for model in (HEAD, TREES):
            made = work(numbers, replace(BARE, models=(model,)), model, tmp_path / out)
            made.train(tmp_path / out / model.name)
            restored, _ = load_model(tmp_path / out / model.name / "model.safetensors")
            answers[model.name].append(restored(made.parts.test))
    assert np.array_equal(*answers["trees"])
    assert not np.allclose(*answers["head"])


def test_card_results_and_ledger_say_what_was_released(numbers, tmp_path):
    ledger = run(numbers, replace(BARE, shadows=4, membership=("membership_loss",)), tmp_path / "run")
    card = (tmp_path / "run/releases/head/README.md").read_text(encoding="utf-8")
    for said in (
        "ε = 1 at δ = 1.0e-03",
        "one recording of 72 (add or remove one), accountant pld",
        "membership_loss.auc",
    ):
        assert said in card
    for said in ("## Allowed use", "## Prohibited use", "from face, voice", "outside it", "person_folds"):
        assert said in card
    rows = pd.DataFrame(json.loads((tmp_path / "run/results.json").read_text()))
    assert set(rows.kind) == {"model"} and set(rows.question) == {"read", "member"}
    assert set(rows.release) == {"head"}
    assert set(ledger.rows()["action"]) == {"run", "opened", "spent", "released"}
    spent = ledger.rows()[ledger.rows()["action"] == "spent"]
    assert len(spent) == 6, "those who were learned from, and nobody else"
    assert json.loads(spent["detail"].iloc[0])["recordings"] == 12


def test_a_budget_is_kept_over_runs_and_a_refused_run_leaves_no_model(typed, numbers, tmp_path):
    person = {"epsilon": 1.0, "delta": 1e-3, "unit": "person", "steps": 2}
    budget = Budget(epsilon=1.2, delta=1e-3)
    plan = replace(BARE, budget=budget, models=(replace(HEAD, options=person),))
    (tmp_path / "study.toml").write_text(as_toml(plan), encoding="utf-8")
    words = ("study", numbers.root, "--config", "study.toml", "--jobs", 1, "--out")
    assert typed(*words, "first").status == 0
    before = Ledger(numbers.root / "ledger.sqlite").rows()
    answer = typed(*words, "second")
    assert answer.status == 2
    assert "privacy budget" in answer.err
    assert [f for f in (tmp_path / "second").rglob("*") if f.is_file()] == []
    new = Ledger(numbers.root / "ledger.sqlite").rows().iloc[len(before) :]
    assert set(new["action"]) == {"run", "opened"}
    assert typed(*words, "first").status == 0, "what is done is not charged again"


def test_a_killed_run_goes_on_and_trains_nothing_twice(numbers, tmp_path, monkeypatch):
    plan = replace(BARE, models=(TREES, HEAD))
    calls, real = [], Model.fit

    def fit(self, *args, **how):
        calls.append(self.row.name)
        if calls == ["trees", "head"]:
            raise KeyboardInterrupt
        return real(self, *args, **how)

    monkeypatch.setattr(Model, "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        run(numbers, plan, tmp_path / "run")
    run(numbers, plan, tmp_path / "run")
    assert calls == ["trees", "head", "head"]
    run(numbers, plan, tmp_path / "run")
    assert len(calls) == 3
    first = numbers.recordings[0]
    np.save(numbers.root / first.tracks["voice"], np.ones(5, np.float32))
    run(numbers, plan, tmp_path / "run")
    assert calls[3:] == ["trees", "head"], "changed recordings are learned anew"


def test_other_attacks_judge_a_model_again_and_neither_train_nor_charge(numbers, tmp_path):
    spent = []
    for disclosure in ((), ("model_identity",)):
        ledger = run(numbers, replace(BARE, disclosure=disclosure), tmp_path / "run")
        spent.append((ledger.rows()["action"] == "spent").sum())
    assert spent[0] == spent[1] > 0
    rows = json.loads((tmp_path / "run/results.json").read_text())
    assert any(row["method"] == "model_identity_answers" for row in rows)
    # a model that is made anew is another one, and is judged anew
    (tmp_path / "run/releases/head/model.safetensors").unlink()
    (tmp_path / "run/releases/head/README.md").unlink()
    (tmp_path / "run/releases/head").rmdir()
    before = [row["value"] for row in rows if row["method"] == "model"]
    run(numbers, replace(BARE, disclosure=("model_identity",)), tmp_path / "run")
    rows = json.loads((tmp_path / "run/results.json").read_text())
    assert [row["value"] for row in rows if row["method"] == "model"] != before


def test_a_refused_plan_leaves_the_last_one_in_its_run(numbers, tmp_path):
    run(numbers, replace(BARE, models=(TREES,)), tmp_path / "run")
    before = (tmp_path / "run/study.toml").read_text()
    broken = replace(TREES, label="weather")
    with pytest.raises(DataError, match="weather"):
        run(numbers, replace(BARE, models=(broken,)), tmp_path / "run")
    assert (tmp_path / "run/study.toml").read_text() == before


def test_one_model_that_cannot_be_made_never_stops_the_others(numbers, tmp_path):
    run(numbers, replace(BARE, models=(replace(TREES, name="bad", modalities=("smell",)), TREES)), tmp_path / "run")
    assert [r["name"] for r in json.loads((tmp_path / "run/releases.json").read_text())] == ["trees"]
    assert "smell" in json.loads((tmp_path / "run/not_made.json").read_text())[0]["problem"]


@pytest.mark.parametrize("verb", ["study", "train", "represent"])
def test_what_was_planned_and_not_made_is_said_last_and_is_status_3(typed, numbers, tmp_path, verb):
    lost = numbers.recordings[0]
    for track in lost.tracks.values():
        (numbers.root / track).write_bytes(b"no numbers")
    plan = replace(BARE, models=(replace(TREES, name="bad", modalities=("smell",)), TREES))
    (tmp_path / "study.toml").write_text(as_toml(plan), encoding="utf-8")
    out = tmp_path / "out"
    words = {
        "study": ("study", numbers.root, "--config", "study.toml", "--jobs", 1, "--out", out),
        "train": ("train", numbers.root, "--method", "forest", "-o", "trees=3", "--shadows", 0, "--out", out),
        "represent": ("represent", numbers.root, out, "--method", "leace"),
    }[verb]
    answer = typed(*words)
    said = {"study": "smell", "train": "", "represent": lost.id}[verb]
    assert answer.status == (0 if verb == "train" else 3), answer.err  # a model can be made of the others
    if said:
        assert said in answer.err.partition("planned and not made")[2]
    if verb == "study":
        assert "<li>bad: " in (out / "report.html").read_text().partition("<main>")[0]


@pytest.mark.parametrize("protocol", ["person_folds", "unseen_sentences", "leaky_random_9_1"])
def test_people_are_apart_by_every_protocol_but_the_leaky_one(numbers, tmp_path, protocol):
    model = replace(TREES, protocol=protocol)
    made = work(numbers, replace(BARE, models=(model,)), model, tmp_path / "run")
    parts = split_people(made.batch, model.protocol, made.table, rng=np.random.default_rng(0))
    shared = set(parts.train.subjects) & set(parts.test.subjects)
    assert bool(shared) == (protocol == "leaky_random_9_1")
    if protocol == "unseen_sentences":
        sentence = made.table.sentence
        assert not set(sentence[list(parts.train.ids)]) & set(sentence[list(parts.test.ids)])


def test_a_person_in_two_parts_is_a_leak():
    split = Split(train=("a1", "b1"), validation=(), test=("a2",), protocol="person_folds")
    with pytest.raises(DataError, match="a"):
        check_apart(split, {"a1": "a", "a2": "a", "b1": "b"})


def test_a_plan_of_models_is_the_same_after_its_file(tmp_path):
    options = {"epsilon": 0.5, "delta": 1e-05, "encoders": {"voice": "table"}}
    model = ModelPlan(name="a \"b\" 'c' é", method="pamrl", options=options, modalities=("voice",))
    plan = StudyPlan(models=(model, HEAD), seed=3, shadows=4, budget=Budget(epsilon=2.0, delta=1e-4))
    (tmp_path / "study.toml").write_text(as_toml(plan), encoding="utf-8")
    again = load_plan(config=tmp_path / "study.toml")[0]
    assert as_toml(again) == as_toml(plan)
    assert (again.seed, again.shadows, again.budget) == (3, 4, plan.budget)
    assert again.models[0].options == options


@pytest.mark.parametrize("shadows", [-2, 1, 3])
def test_shadow_models_come_in_pairs(shadows):
    with pytest.raises(OptionError, match="even"):
        replace(BARE, shadows=shadows)


def test_an_option_of_the_wrong_kind_is_a_sentence():
    with pytest.raises(OptionError, match="forest cannot be made with trees = 'many'"):
        registry.create("personare.train", "forest", {"trees": "many"})


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(DataError, match="cannot be read"):
        load_model(tmp_path / "model.safetensors")


SITES = replace(HEAD, options={}, sites=3, rounds=2, secure=True)


def test_a_model_learned_over_sites_is_carded_and_read_again(numbers, tmp_path):
    made = work(numbers, BARE, SITES, tmp_path / "run")
    about = made.train(tmp_path / "made")
    assert about["federation"].startswith(
        "Learned over 3 sites in 2 rounds by `fedavg`; the server saw updates in one sum"
    )
    assert about["notices"] == []
    restored, said = load_model(tmp_path / "made/model.safetensors")
    assert (said.sites, said.secure) == (3, True)
    pooled = work(numbers, BARE, replace(HEAD, options={}), tmp_path / "run")
    right = (restored(made.parts.test).argmax(axis=1) == made.parts.test.labels).mean()
    pooled.train(tmp_path / "pooled")
    again = load_model(tmp_path / "pooled/model.safetensors")[0]
    assert right >= (again(made.parts.test).argmax(axis=1) == made.parts.test.labels).mean() - 0.1


def test_a_site_that_sat_out_is_told_where_nobody_can_miss_it(numbers, tmp_path):
    """Six people are in training: two of four sites have one person."""
    run(numbers, replace(BARE, models=(replace(SITES, sites=4, secure=False),)), tmp_path / "run")
    missed = json.loads((tmp_path / "run/not_made.json").read_text())
    assert ["sat out: it must have 2 people" in item["problem"] for item in missed] == [True, True]
    card = (tmp_path / "run/releases/head/README.md").read_text()
    assert "over 4 sites in 2 rounds by `fedavg`; the server saw updates one by one" in card
    assert "Site 3 sat out" in card


def test_the_server_of_the_sites_is_an_attacker_tried_without_protection_too(numbers, tmp_path):
    plain = replace(SITES, name="plain", secure=False)
    run(numbers, replace(BARE, models=(SITES, plain), shadows=2, membership=()), tmp_path / "run")
    rows = [row for row in json.loads((tmp_path / "run/results.json").read_text()) if row["attacker"] == "server"]
    assert {row["method"] for row in rows} == {"update_inversion", "update_membership", "update_site"}
    found = {(row["release"], row["method"]): row for row in rows}
    secure, alone = (found[name, "update_site"] for name in ("head", "plain"))
    assert alone["value"] == alone["baseline"] == secure["baseline"] > secure["value"]
    assert secure["value"] == pytest.approx(1 / 3)
    page = (tmp_path / "run/report.html").read_text()
    assert "Learned over 3 sites in 2 rounds" in page.partition('<section id="sites">')[2].partition("</section>")[0]


def test_several_networks_are_not_attacked_as_one(numbers, tmp_path):
    late = replace(SITES, method="late_fusion", options={"epochs": 2, "width": 8})
    with pytest.raises(DataError, match="sends several networks"):
        work(numbers, replace(BARE, shadows=2), late, tmp_path / "run").updates()


def test_sites_are_read_from_a_column_in_which_nobody_moves(numbers, tmp_path):
    places = {r.subject: "north" if int(r.subject) % 2 else "south" for r in numbers.recordings}
    by_column = replace(SITES, sites=1, secure=False, site_column="ward")

    def at(places):
        labels = [replace(r, labels={**r.labels, "ward": places(r)}) for r in numbers.recordings]
        return work(replace(numbers, recordings=tuple(labels)), BARE, by_column, tmp_path / "run")

    assert at(lambda r: places[r.subject]).learner.federation.site_of == places
    with pytest.raises(DataError, match="at several sites"):
        _ = at(lambda r: r.id[-2:]).learner
    with pytest.raises(DataError, match="a site in the column 'ward'"):
        _ = work(numbers, BARE, by_column, tmp_path / "run").learner


def test_sites_are_made_to_differ_and_whoever_judges_stays_as_recorded(numbers, tmp_path):
    protocol = {"wrong_labels": 0.5, "missing": 0.5, "poisoned": 1, "poison": "update"}
    plain = work(numbers, BARE, SITES, tmp_path / "run")
    made = work(numbers, BARE, replace(SITES, site_protocol=protocol), tmp_path / "run")
    assert made.parts.test.digest() == plain.parts.test.digest()
    assert made.parts.validation.digest() == plain.parts.validation.digest()
    assert (made.parts.train.labels != plain.parts.train.labels).any()
    assert not made.parts.train.present["voice"].all()
    assert made.learner.federation.poisoned == 1
    assert [len(part) for part in made.learner.federation.deal(made.parts.train.subjects)] == [24, 24, 24]
    assert "wrong_labels = 0.5, missing = 0.5" in made.train(tmp_path / "made")["federation"]


def test_noise_is_shared_by_all_sites_and_said(numbers, tmp_path):
    shared = replace(SITES, options={"epsilon": 8.0, "delta": 1e-3, "steps": 2}, noise="shared")
    about = work(numbers, BARE, shared, tmp_path / "run").train(tmp_path / "made")
    assert "in steps under shared noise" in about["federation"]
    assert about["spends"][0]["units"] == 6
    rows = work(numbers, replace(BARE, models=(shared,), shadows=2), shared, tmp_path / "run").updates()
    assert {"ok"} <= {row.status for row in rows}


def test_updates_of_a_learner_that_knows_no_privacy_are_attacked(numbers, tmp_path):
    mla = replace(SITES, method="mla", options={"epochs": 4, "width": 8})
    assert work(numbers, replace(BARE, models=(mla,), shadows=2), mla, tmp_path / "run").updates()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "forest", "options": {}}, "cannot be trained over sites"),
        ({"sites": 0}, "at least 1"),
        ({"federation": "magic"}, "There is no 'magic'"),
        ({"federation": "fedprox", "federation_options": {"proximal": 0}}, "above 0"),
        ({"federation": "personalized"}, "cannot stay"),
        ({"options": {"federation": 4}}, "beside a model's options"),
        ({"federation": "trimmed_mean"}, "secure aggregation hides it"),
        ({"noise": "shared"}, "needs an epsilon, and fedavg"),
        ({"noise": "none"}, "noise must be"),
        ({"site_protocol": {"skew": 1}}, "site_protocol has no setting skew"),
        ({"site_protocol": {"missing": 1.5}}, "missing must be a share"),
        ({"sites": 1, "site_protocol": {"missing": 0.5}}, "need sites"),
    ],
)
def test_sites_that_cannot_be_are_refused(given, said):
    with pytest.raises((OptionError, UnknownMethodError), match=said):
        replace(SITES, **given)
