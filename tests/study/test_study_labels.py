"""The label that a study reads: asked for, the only one, or refused with those there are."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import OptionError
from personare.core.types import Cohort, Recording
from personare.study.kinds.models import ModelPlan
from personare.study.labels import choose_label
from personare.study.needs import lacking_of, private_need
from personare.study.plan import StudyPlan, load_plan, with_setting
from personare.train.private_head import PrivateHead

TREES = ModelPlan(name="trees", method="forest")
PLAN = StudyPlan(models=(TREES,), shadows=8)


def cohort(tmp_path, *, people=6, each=4, **columns):
    """Recordings whose labels are what the functions say of person and take; ``of_*`` are columns of the people."""
    own = {name: of for name, of in columns.items() if not name.startswith("of_")}
    whole = {name.removeprefix("of_"): of for name, of in columns.items() if name.startswith("of_")}
    recordings = tuple(
        Recording(
            id=f"s{p}-{t}", subject=f"{p:02d}", session="01", tracks={}, labels={n: of(p, t) for n, of in own.items()}
        )
        for p in range(people)
        for t in range(each)
    )
    table = pd.DataFrame({name: [of(p) for p in range(people)] for name, of in whole.items()})
    table.index = pd.Index([f"{p:02d}" for p in range(people)])
    return Cohort(root=tmp_path, name="mine", recordings=recordings, participants=table)


@pytest.mark.parametrize(
    ("columns", "label", "kind"),
    [
        ({"emotion": lambda p, t: "ab"[t % 2], "other": lambda p, t: "xy"[t % 2]}, "emotion", "nominal"),
        ({"depressed": lambda p, t: ["no", "yes"][p % 2], "sentence": lambda p, t: f"s{t}"}, "depressed", "nominal"),
        ({"stress": lambda p, t: str(1 + t)}, "stress", "ordinal"),
        ({"valence": lambda p, t: f"{(p * 4 + t) / 24 - 0.5:.3f}"}, "valence", "continuous"),
        ({"of_diagnosis": lambda p: ["none", "MDD"][p % 2], "of_sex": lambda p: "FM"[p % 2]}, "diagnosis", "nominal"),
        ({"note": lambda p, t: f"free text {p} {t}", "task": lambda p, t: "ab"[t % 2]}, "task", "nominal"),
    ],
)
def test_the_label_is_the_emotion_or_the_only_one_and_its_kind_is_told(tmp_path, columns, label, kind):
    plan = choose_label(cohort(tmp_path, **columns), PLAN)
    assert (plan.label, plan.kind, plan.models[0].label) == (label, kind, label)


@pytest.mark.parametrize(
    ("plan", "columns", "said"),
    [
        (PLAN, {"a": lambda p, t: "xy"[t % 2], "b": lambda p, t: "xy"[t % 2]}, "Say what is to be read.*--label a"),
        (
            replace(PLAN, label="mood"),
            {"a": lambda p, t: "xy"[t % 2], "of_sex": lambda p: "F"},
            "a, sex .of the person",
        ),
        (
            replace(PLAN, label="valence", kind="nominal"),
            {"valence": lambda p, t: f"{(p * 4 + t) / 24:.3f}"},
            "24 different numbers.*continuous",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_there_is(tmp_path, plan, columns, said):
    with pytest.raises(OptionError, match=said):
        choose_label(cohort(tmp_path, **columns), plan)


def test_a_release_that_names_its_own_label_keeps_it(tmp_path):
    plan = StudyPlan(models=(TREES, ModelPlan(name="own", method="forest", label="sex")), label="stress")
    assert [model.label for model in plan.models] == ["stress", "sex"]


def test_a_purpose_stands_in_for_the_study_files(tmp_path):
    (tmp_path / "own.toml").write_text('purpose = "research"\n[[models]]\nname = "m"\nmethod = "forest"\n')
    plan, text = load_plan(config=tmp_path / "own.toml", purpose="anonymization")
    assert plan.purpose == "anonymization" and text.startswith('purpose = "anonymization"\n[[models]]')


@pytest.mark.parametrize("text", ["seed = 3\n", 'seed = 3\nlabel = "old"\n', ""])
def test_the_command_lines_label_stands_in_the_runs_study_file(tmp_path, text):
    file = tmp_path / "study.toml"
    file.write_text(text + '[[models]]\nname = "m"\nmethod = "forest"\n')
    plan, said = load_plan(config=file, label="depressed")
    assert (plan.label, plan.models[0].label) == ("depressed", "depressed")
    (tmp_path / "again.toml").write_text(with_setting(said, "label", "depressed"))
    assert load_plan(config=tmp_path / "again.toml")[0] == plan


@pytest.mark.parametrize(("people", "lacks"), [(4, True), (6, True), (8, False), (12, False)])
def test_membership_attacks_say_how_many_people_they_need(tmp_path, people, lacks):
    said = lacking_of(cohort(tmp_path, people=people), PLAN)
    assert any("membership attacks on trees: too few people: 4 people in training" in line for line in said) == lacks
    assert not any("two people" in line for line in said)


@pytest.mark.parametrize(("epsilon", "delta", "people"), [(8.0, 1e-3, 2), (1.0, 1e-3, 6), (0.1, 1e-5, 62)])
def test_a_private_model_says_how_many_people_its_noise_needs(epsilon, delta, people):
    need = private_need(PrivateHead(epsilon=epsilon, delta=delta))
    assert need.people == people
    if people > 2:
        assert f"{people - 1} there" in need.lacking(np.arange(people - 1))
    assert need.lacking(np.arange(people)) == ""
