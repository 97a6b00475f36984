"""Assistants in a study: taught in three stages, judged on people never met, attacked, and told in the report."""

import json
from dataclasses import replace

import pandas as pd
import pytest

pytest.importorskip("transformers", reason="needs the extra assistant")
import torch
from click.testing import CliRunner
from tiny_models import tiny_llama, tiny_tokenizer, write_gguf

import personare
from personare.assist import prefer
from personare.assist.language import Language
from personare.cli import cli
from personare.core.errors import DataError, OptionError
from personare.core.types import Spend
from personare.data.cohort import open_cohort
from personare.features import models
from personare.learn.accounting import compose
from personare.report.run import read_run
from personare.simulate.portraits import simulate_portraits
from personare.study.kinds import assistants
from personare.study.kinds.assistants import AssistantPlan
from personare.study.plan import load_benchmark, read_plan
from personare.study.study import Study

PLAN = """
label = "emotion"
shadows = 2
membership = ["membership_loss"]
[[assistants]]
name = "rules"
method = "template"
public_people = 2
epochs = 1
test_dialogues = 1
[[assistants]]
name = "private"
cues = ["expression"]
adversary = 1.0
epsilon = 8.0
delta = 1e-3
sites = 2
rounds = 1
public_people = 2
epochs = 1
align_steps = 1
instruct_steps = 1
prefer_steps = 1
train_dialogues = 1
test_dialogues = 1
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A study of two assistants with a language model of two layers."""
    root = tmp_path_factory.mktemp("assistants")
    cohort = simulate_portraits(root / "cohort", people=15, sentences=1, size=48)
    tokenizer = tiny_tokenizer()
    net = tiny_llama(tokenizer)
    gguf = write_gguf(root / "tiny.gguf", net, tokenizer)
    language = Language(net, tokenizer)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assistants, "_language", lambda: language)
        patch.setattr(assistants, "find_model", lambda name: gguf)
        patch.setattr(assistants, "_MOST_TOKENS", 4)
        tests, learned = assistants.vignettes(test=True), assistants.vignettes(test=False)
        patch.setattr(assistants, "vignettes", lambda test, each: tests[:3] + tests[-10:])
        patch.setattr(prefer, "vignettes", lambda test: learned[:4])
        plan = read_plan(PLAN, "here")
        ledger = personare.open_ledger(None, cohort.root)
        workers = personare.Workers(jobs=1, quiet=True)
        personare.run_study(cohort, plan, PLAN, root / "run", workers=workers, ledger=ledger)
    torch.set_num_threads(threads)
    return root


def test_every_figure_of_the_benchmark_is_there(made):
    assert json.loads((made / "run/not_made.json").read_text()) == []
    rows = pd.read_parquet(made / "run/results.parquet")
    rows = rows[rows.release == "private"]
    assert set(rows.kind) == {"assistant"}
    there = {(q, f) for q, f in zip(rows.question, rows.figure, strict=True)}
    assert {("read", f) for f in ("rules", "rouge1", "similarity", "helpfulness", "exact_expression")} <= there
    assert {("identify", "top1"), ("infer", "volunteered"), ("infer", "told_another"), ("member", "auc")} <= there
    assert {"visual", "profile", "none", "direct"} <= set(rows.subset)
    seen = set(rows.method)
    assert {f"model_identity_{track}" for track in ("visual_tokens", "profile", "update")} <= seen
    lost = rows[
        (rows.status == "not_measured") & ~rows.reason.str.contains("people|recordings|outcome|there is no|too few")
    ]
    assert lost.empty, lost[["method", "figure", "reason"]].to_string()


def test_a_release_holds_what_was_learned_and_nobodys_face(made):
    folder = made / "run/releases/private"
    assert {p.name for p in folder.iterdir()} >= {
        "aligned_encoder.safetensors",
        "lora.safetensors",
        "README.md",
        "assistant.gguf",
    }
    assert "ε" in (folder / "README.md").read_text()
    answers = pd.read_csv(folder / "answers.csv")
    assert {"profile", "request", "answer"} <= set(answers)
    page = (made / "run/report.html").read_text()
    assert "private" in page and "user-aware assistant" in page


def test_guarantee_all_stages_together_cost_no_more_than_was_asked_for(made):
    spends = json.loads(next((made / "run.private/steps").glob("release-private.json")).read_text())["result"]["spends"]
    assert len(spends) == 3
    assert all(s["unit"] == "person" and s["epsilon"] < 8 for s in spends)
    total = compose([Spend(**s) for s in spends], spends[0]["delta"])
    assert 6 < total <= 8


def test_the_report_states_what_all_stages_cost_together(made):
    """Three stages are one claim, by composition; who claims nothing says so."""
    record = read_run(made / "run")
    assert not record.missing
    assert 6 < record.claim("private").epsilon <= 8
    assert record.claim("private").unit == "person"
    assert record.claim("rules").words == "none"
    page = (made / "run/report.html").read_text()
    assert f"all stages together ε = {record.claim('private').epsilon:.3g}" in page


def test_a_private_assistants_membership_is_tried_on_the_same_without_privacy(made):
    rows = pd.read_parquet(made / "run/results.parquet")
    auc = rows[(rows.release == "private") & (rows.method == "membership_loss") & (rows.figure == "auc")]
    assert auc.baseline.notna().all()


def test_expressions_that_no_answer_knows_are_refused_in_words(made):
    cohort = open_cohort(made / "cohort")
    odd = replace(
        cohort, recordings=[replace(r, labels={"emotion": f"{r.labels['emotion']}!"}) for r in cohort.recordings]
    )
    study = Study(cohort=odd, plan=read_plan(PLAN, "here"), ledger=personare.open_ledger(None, cohort.root))
    with pytest.raises(DataError, match=r"Expressions must be neutral.*anger!.*leave expression out"):
        assistants._made(study, AssistantPlan(name="a"))


def test_race_is_no_cue_and_a_plan_that_asks_for_it_is_refused():
    with pytest.raises(OptionError, match="never race"):
        AssistantPlan(name="a", cues=["race"])


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_the_benchmarks_that_come_with_personare_are_plans(preset):
    plan, _ = load_benchmark(f"assistant_{preset}")
    assert [row.name for row in plan.rows("assistants")]


def test_without_the_model_the_benchmark_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PERSONARE_MODELS", str(tmp_path))
    monkeypatch.setattr(models, "_cache", lambda: tmp_path / "none")
    monkeypatch.setattr(models, "installed", lambda member: [])
    result = CliRunner().invoke(cli, ["benchmark", "assistant", "--out", str(tmp_path / "run")])
    assert "personare models fetch smollm2" in str(result.exception)
    assert not (tmp_path / "run").exists()
