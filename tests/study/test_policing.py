"""What the policy forbids is refused before anything is opened; an exception is said on every output."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from personare.anonymize._recordings import Disguise
from personare.core.errors import PolicyError
from personare.core.types import Cohort
from personare.govern.ledger import Ledger
from personare.study.kinds.models import ModelPlan
from personare.study.kinds.representations import RepresentationPlan
from personare.study.plan import StudyPlan, TransferPlan, load_plan, read_plan
from personare.study.policing import check_plan

WHY = "Patients of the company physician asked for it in writing, see file 12."
LEACE = RepresentationPlan(name="r", method="leace", label="sentence")
FOREST = ModelPlan(name="trees", method="forest", options={"trees": 5}, label="emotion")
MODELS = '[[models]]\nname = "trees"\nmethod = "forest"\noptions = { trees = 5 }\n'


def nothing_opened(cohort: Cohort) -> bool:
    book = Ledger(cohort.root / "ledger.sqlite")
    return not book.exists() or book.rows().empty


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ("workplace", ("train", "--method", "forest", "--out", "run")),
        ("education", ("represent", "out", "--method", "leace")),
        ("workplace", ("synthesize", "out", "--method", "joint")),
        ("education", ("study", "--out", "run")),
    ],
)
def test_guarantee_emotions_at_work_are_refused_on_the_command_line_before_anything_is_opened(
    typed, numbers, context, words
):
    answer = typed(words[0], numbers.root, *words[1:], "--context", context)
    assert answer.status == 2 and "5(1)(f)" in answer.err and context in answer.err
    assert nothing_opened(numbers)


def test_guarantee_a_study_file_is_refused_before_anything_is_opened(typed, numbers, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(f'context = "education"\nshadows = 0\n{MODELS}')
    answer = typed("study", numbers.root, "--config", file)
    assert answer.status == 2 and "5(1)(f)" in answer.err and nothing_opened(numbers)
    file.write_text(f'context = "education"\nexception = "safety"\njustification = "well"\n{MODELS}')
    answer = typed("study", numbers.root, "--config", file)
    assert answer.status == 2 and "40 characters" in answer.err and nothing_opened(numbers)


def test_an_exception_is_said_on_every_output_and_holds_when_the_run_is_looked_at_again(
    typed, people_of_numbers, tmp_path
):
    run, quick = tmp_path / "run", ("--method", "forest", "-o", "trees=5", "--shadows", 0, "--out", tmp_path / "run")
    numbers = people_of_numbers("few", people=5, each=6)
    words = ("--context", "workplace", "--exception", "medical", "--justification", WHY)
    answer = typed("train", numbers.root, *quick, *words)
    assert answer.status == 0 and WHY in answer.out, answer.err
    assert json.loads((run / "cohort.json").read_text())["use"]["context"] == "workplace"
    for file in ("report.html", "releases/forest/README.md", "study.toml"):
        assert WHY in (run / file).read_text()
    assert load_plan(config=run / "study.toml")[0].exception == "medical"
    private = tmp_path / "run.private" / "study.toml"
    private.write_text(private.read_text().replace('"medical"', '""').replace(WHY, ""))
    again = typed("evaluate", run)
    assert again.status == 2 and "5(1)(f)" in again.err


def test_cards_of_cohorts_say_an_exception(typed, numbers, tmp_path):
    words = ("--context", "workplace", "--exception", "medical", "--justification", WHY)
    assert typed("represent", numbers.root, tmp_path / "out", "--method", "leace", *words).status == 0
    assert WHY in (tmp_path / "out/README.md").read_text() and WHY in (tmp_path / "out/croissant.json").read_text()


def test_what_is_stated_stands_in_for_the_study_file_even_where_it_has_several_lines(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(f'exception = "safety"\njustification = """\nNot this,\nbut the other."""\nseed = 3\n{MODELS}')
    plan, text = load_plan(config=file, context="workplace", justification=WHY)
    assert (plan.context, plan.exception, plan.justification, plan.seed) == ("workplace", "safety", WHY, 3)
    assert read_plan(text, "again") == plan


def test_other_tracks_labels_and_tasks_are_seen(people_of_numbers: Callable[..., Cohort], tmp_path: Path) -> None:
    cohort = people_of_numbers("words", tracks=("voice", "text"))
    at_work = StudyPlan(models=(FOREST,), context="workplace")
    with pytest.raises(PolicyError, match="voice"):
        check_plan(cohort, at_work)
    check_plan(cohort, replace(at_work, models=(replace(FOREST, modalities=("text",)),)))
    check_plan(cohort, replace(at_work, models=(replace(FOREST, label="sentence"),)))
    represented = StudyPlan(representations=(LEACE,))
    check_plan(cohort, replace(represented, context="workplace"))
    stress = (TransferPlan(name="t", label="stress"),)
    with pytest.raises(PolicyError, match="stress"):
        check_plan(cohort, replace(represented, transfer=stress, context="workplace"))
    with pytest.raises(PolicyError, match="race"):
        check_plan(cohort, StudyPlan(models=(replace(FOREST, label="race"),)))


def test_hiding_people_at_work_is_no_inference_but_reading_their_emotion_afterwards_is(numbers: Cohort) -> None:
    hidden = StudyPlan(
        releases=(Disguise(name="blur", face="face_blur"),),
        label="emotion",
        context="workplace",
        attacks=("voice_gmm",),
    )
    check_plan(numbers, hidden)
    with pytest.raises(PolicyError, match="video"):
        check_plan(numbers, replace(hidden, utilities=("face_emotion",)))


def test_people_are_named_for_the_purpose_evaluation_alone(numbers: Cohort) -> None:
    hidden = StudyPlan(releases=(Disguise(name="blur", face="face_blur"),), attacks=("face_pixels",))
    check_plan(numbers, hidden)
    for plan in (hidden, StudyPlan(models=(FOREST,)), StudyPlan(representations=(LEACE,))):
        with pytest.raises(PolicyError, match=r"identify.*evaluation"):
            check_plan(numbers, replace(plan, purpose="anonymization"))
    check_plan(numbers, replace(hidden, purpose="anonymization", attacks=()))
    check_plan(numbers, replace(hidden, purpose="anonymization", attacks=("attributes",)))
