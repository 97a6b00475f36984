"""Representations and made-up people as releases of a study: judged, remembered, made anew when people change."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from personare.core.errors import OptionError, PersonareError
from personare.core.state import load_weights
from personare.data.cohort import open_cohort
from personare.govern.ledger import Ledger
from personare.study.kinds.representations import RepresentationPlan
from personare.study.kinds.synthetic import SyntheticPlan
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan, TransferPlan, load_plan, presets
from personare.study.run import run_study

SHOWN = RepresentationPlan(
    name="shown", label="emotion", method="noise", then=({"method": "bottleneck", "options": {"epochs": 3}},)
)
PEOPLE = SyntheticPlan(name="people", label="emotion", method="copula", people=3, recordings=4, held_out=0.5)
PLAN = StudyPlan(
    representations=(SHOWN,),
    synthetic=(PEOPLE,),
    transfer=(TransferPlan(name="sex of the speaker", label="sex"),),
    shadows=4,
    canaries=3,
)


def run(cohort, plan, out):
    ledger = Ledger(cohort.root.parent / "ledger.sqlite")
    run_study(cohort, plan, "", out, workers=Workers(jobs=1, quiet=True), ledger=ledger)
    return {
        (row["release"], f"{row['method']}.{row['figure']}"): row
        for row in json.loads((out / "results.json").read_text())
    }, ledger


def test_both_kinds_are_made_judged_and_reported(numbers, tmp_path):
    rows, ledger = run(numbers, PLAN, tmp_path / "run")
    assert rows["shown", "strongest.top1"]["kind"] == "representations"
    assert rows["shown", "transfer.uar"]["subset"] == "sex of the speaker"
    assert rows["shown", "transfer.uar"]["control"] == 0.5
    assert rows["people", "linear.tstr_uar"]["kind"] == "synthetic"
    assert {"synthetic_shadow_normal.auc", "synthetic_canaries_normal.auc"} <= {m for r, m in rows if r == "people"}
    kinds = {r["name"]: r["kind"] for r in json.loads((tmp_path / "run" / "releases.json").read_text())}
    assert kinds == {"shown": "representations", "people": "synthetic"}
    assert len(open_cohort(tmp_path / "run" / "releases" / "people").recordings) == 12
    spent = ledger.rows()
    spent = spent[spent.action == "spent"]  # local privacy is paid by everybody whose recordings are shown
    assert set(spent.subject) == {r.subject for r in numbers.recordings}
    assert json.loads(spent.detail.iloc[0])["spends"][0]["unit"] == "recording"
    assert sorted(spent.subject.value_counts()) == [1] * 5 + [2] * 5, "who was also learned from behind the noise pays"
    page = (tmp_path / "run" / "report.html").read_text()
    assert "shown" in page and "people" in page


def test_noise_that_a_later_step_learns_behind_does_not_follow_from_the_seed(numbers, tmp_path):
    plan = replace(PLAN, transfer=(), synthetic=(), representations=(replace(SHOWN, then=({"method": "leace"},)),))
    for out in ("first", "second"):
        run(numbers, plan, tmp_path / out)
    first, second = (
        load_weights(tmp_path / out / "releases/shown/transform.safetensors")[0] for out in ("first", "second")
    )
    later = [name for name in first if name.startswith("1/") and first[name].dtype.kind == "f"]
    assert any(not np.array_equal(first[name], second[name]) for name in later)


def test_a_second_run_makes_nothing_again_and_another_setting_does(numbers, tmp_path):
    plan = replace(PLAN, transfer=(), synthetic=(), representations=(replace(SHOWN, then=()),))
    _, ledger = run(numbers, plan, tmp_path / "run")
    before = open_cohort(tmp_path / "run" / "releases" / "shown").recordings[0]
    path = tmp_path / "run" / "releases" / "shown" / before.tracks["representation"]
    first, released = np.load(path), (ledger.rows().action == "released").sum()
    run(numbers, plan, tmp_path / "run")
    assert np.array_equal(np.load(path), first) and (ledger.rows().action == "released").sum() == released
    other = replace(plan, representations=(replace(SHOWN, then=(), options={"epsilon": 1.0}),))
    run(numbers, other, tmp_path / "run")
    assert not np.array_equal(np.load(path), first)


def test_what_cannot_be_made_is_said_and_stops_nothing(numbers, tmp_path):
    impossible = TransferPlan(name="mood", label="mood")
    plan = replace(
        PLAN, transfer=(impossible,), synthetic=(replace(PEOPLE, label="mood"), replace(PEOPLE, name="others"))
    )
    rows, _ = run(numbers, plan, tmp_path / "run")
    assert {release for release, _ in rows} == {"shown", "others"}
    assert rows["shown", "transfer.uar"]["value"] is None and "mood" in rows["shown", "transfer.uar"]["reason"]
    skipped = json.loads((tmp_path / "run" / "not_made.json").read_text())
    assert any(item["item"] == "people" and "mood" in item["problem"] for item in skipped)


def test_every_preset_names_methods_that_are_there():
    for name in presets():
        load_plan(name)
    with pytest.raises(OptionError, match="a name of its own"):
        StudyPlan(synthetic=(PEOPLE, PEOPLE))


def test_the_study_file_of_the_documentation_is_one(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "study-file.md").read_text(encoding="utf-8")
    said = tmp_path / "study.toml"
    said.write_text(page.split("```toml")[1].split("```")[0], encoding="utf-8")
    plan, _ = load_plan(config=said)
    kinds = ("releases", "representations", "synthetic", "models", "transfer")
    assert [len(getattr(plan, kind)) for kind in kinds] == [1, 1, 2, 1, 1]
    assert plan.synthetic[1].adapt["of"] == plan.synthetic[0].name


@pytest.mark.parametrize("kind", ["models", "representations", "synthetic"])
def test_unknown_methods_and_options_are_refused_before_anything_is_done(tmp_path, kind):
    said = tmp_path / "study.toml"
    for line, error in (
        ('method = "nobody"', "Choose one of"),
        ('method = "METHOD"\noptions = { magic = 1 }', "magic"),
    ):
        method = {"models": "forest", "representations": "noise", "synthetic": "copula"}[kind]
        said.write_text(f'[[{kind}]]\nname = "a"\n{line}'.replace("METHOD", method))
        with pytest.raises(PersonareError, match=error):
            load_plan(config=said)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('attacks = ["membership_lira"]', "membership_lira attacks releases of the kind model"),
        ('membership = ["voice_gmm"]', "voice_gmm attacks releases of the kind recordings"),
        ('disclosure = ["membership_loss"]', "membership_loss asks to member"),
        ('utilities = ["synthetic_learning"]', "synthetic_learning measures synthetic"),
        ('disclosure = ["synthetic_copies"]', "synthetic_copies attacks releases of the kind synthetic"),
    ],
)
def test_an_attack_of_another_question_is_refused_and_not_passed_over(tmp_path, line, told):
    said = tmp_path / "study.toml"
    said.write_text(f'{line}\n[[models]]\nname = "a"\nmethod = "forest"\n')
    with pytest.raises(OptionError, match=told):
        load_plan(config=said)
