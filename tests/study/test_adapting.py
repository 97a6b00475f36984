"""A generator that experts adapted, as a release of a study: what it costs, what is claimed, what is said."""

import json
import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import DataError, OptionError, PersonareError
from personare.data.cohort import open_cohort
from personare.data.runs import RunFolder
from personare.data.votes import Question, Votes, votes_beside
from personare.govern.ledger import Ledger
from personare.simulate.raters import simulated_votes
from personare.study.adapting import rated_batch
from personare.study.kinds.synthetic import SyntheticPlan
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan, read_plan
from personare.study.run import adapt_run, run_study
from personare.study.study import Study

PEOPLE = SyntheticPlan(name="people", label="emotion", method="joint", people=12, recordings=8, held_out=0.3)
ADAPTED = SyntheticPlan(name="adapted", adapt={"of": "people", "method": "best_of_n"})
PLAN = StudyPlan(synthetic=(PEOPLE, ADAPTED), shadows=0)
TEXT = """
shadows = 0
[[synthetic]]
name = "people"
label = "emotion"
method = "joint"
people = 12
recordings = 8
held_out = 0.3
"""
QUIET = Workers(jobs=1, quiet=True)


def run(cohort, plan, out, text=""):
    ledger = Ledger(cohort.root.parent / "ledger.sqlite")
    run_study(cohort, plan, text, out, workers=QUIET, ledger=ledger)
    return results(out), ledger


def results(out):
    rows = json.loads((out / "results.json").read_text())
    return {(r["release"], r["method"], r["figure"], r["subset"]): r for r in rows}


def claim(out, name):
    return json.loads((out / "releases" / name / "croissant.json").read_text())["personare:privacy"]


def store(votes: Votes, table: pd.DataFrame) -> None:
    """Answer as a table of votes says."""
    for rater in sorted(set(table["rater"])):
        votes.admit(rater)
    for n, row in enumerate(table.to_dict("records")):
        shown = {side: row[side] for side in ("a", "b", "x")}
        question = votes.give(row["rater"], Question(token=f"t{n}", task=row["task"], **shown))
        votes.answer(row["rater"], question.token, row["answer"])


@pytest.fixture(scope="module")
def rated_once(written, tmp_path_factory):
    """A folder with a cohort, a run with people who were rated, and the votes on them."""
    root = tmp_path_factory.mktemp("rated")
    cohort, out, plan = written(root / "cohort"), root / "run", read_plan(TEXT, "here")
    run(cohort, plan, out, TEXT)
    study = Study(cohort=cohort, plan=plan, ledger=Ledger(out / "l"), run=RunFolder(out))
    table = simulated_votes(rated_batch(study, "people"), checks=40, rng=np.random.default_rng(0))
    store(Votes(votes_beside(out)), table)
    return root, table


@pytest.fixture
def rated(rated_once, tmp_path):
    """The same, to be changed, as its cohort, its run and the votes as a table."""
    root, table = rated_once
    shutil.copytree(root, tmp_path, dirs_exist_ok=True)
    return open_cohort(tmp_path / "cohort"), tmp_path / "run", table


def test_an_adapted_release_is_made_judged_and_told_of(numbers, tmp_path):
    rows, _ = run(numbers, PLAN, tmp_path / "run")
    assert not json.loads((tmp_path / "run" / "not_made.json").read_text())
    assert rows["adapted", "experts", "drift", ""]["value"] > 0
    won = rows["adapted", "experts", "win_rate", ""]
    assert won["low"] > won["control"] == 0.5, "raters who were never heard prefer what was adapted"
    failed = rows["adapted", "experts", "failures", ""]
    assert failed["value"] < failed["baseline"]
    before, after = (rows[name, "forest", "tstr_uar", ""] for name in ("people", "adapted"))
    assert before["n"] == after["n"], "both are judged by the same people"
    page = (tmp_path / "run" / "report.html").read_text()
    assert 'id="experts"' in page and "could not be made" not in page and "The raters are simulated" in page
    assert "No guarantee" in claim(tmp_path / "run", "adapted")["claim"]
    assert len(open_cohort(tmp_path / "run" / "releases" / "adapted").recordings) == 96


def test_the_epsilon_of_a_private_generator_stays_and_is_paid_once(numbers, people_of_numbers, tmp_path):
    public = people_of_numbers("public", seed=5)
    private = replace(PEOPLE, options={"epsilon": 30.0, "delta": 1e-3})
    plan = replace(PLAN, synthetic=(private, ADAPTED), public=str(public.root))
    _, ledger = run(numbers, plan, tmp_path / "run")
    before, after = (claim(tmp_path / "run", name) for name in ("people", "adapted"))
    assert after["spends"] == before["spends"] != []
    assert "post-processing" in after["claim"] and "ε = 30" in after["claim"]
    spent = ledger.rows()
    assert set(spent[spent.action == "spent"].subject.value_counts()) == {1}, "nobody paid twice"
    assert json.loads((tmp_path / "run.private/near/people.json").read_text()) == [], "who is near would cost more"


def test_no_epsilon_is_claimed_where_raters_also_saw_real_people(numbers, people_of_numbers, tmp_path):
    public = people_of_numbers("public", seed=5)
    private = replace(PEOPLE, options={"epsilon": 30.0, "delta": 1e-3})
    out = tmp_path / "run"
    plan = replace(PLAN, synthetic=(private,), public=str(public.root))
    run(numbers, plan, out)
    study = Study(cohort=numbers, plan=plan, ledger=Ledger(tmp_path / "l"), run=RunFolder(out))
    table = simulated_votes(rated_batch(study, "people"), checks=0, rng=np.random.default_rng(0))
    real = table[:1].assign(task="same", a="hidden/r1", b="hidden/r2", x="hidden/r3", answer="a")
    store(Votes(tmp_path / "votes.sqlite"), pd.concat([table, real]))
    adapted = replace(ADAPTED, adapt={**ADAPTED.adapt, "feedback": str(tmp_path / "votes.sqlite")})
    run(numbers, replace(plan, synthetic=(private, adapted)), out)
    told = claim(out, "adapted")
    assert told["spends"] == [] and "No epsilon is claimed" in told["claim"] and "hidden" in told["claim"]
    assert str(tmp_path) not in (out / "releases.json").read_text(), "no path of this machine is in the run"


def test_a_run_is_adapted_to_votes_and_anew_to_more_votes(rated):
    _, out, table = rated
    row = {"method": "best_of_n", "of": "", "options": {}, "feedback": str(votes_beside(out))}
    before = (out / "releases/people/participants.tsv").stat().st_mtime_ns
    assert adapt_run(out, row, "", ledger=None, workers=QUIET) == "people_best_of_n"
    assert results(out)["people_best_of_n", "experts", "drift", ""]["n"] == len(table)
    assert ("people_best_of_n", "experts", "win_rate", "") not in results(out), "nobody has compared the two yet"
    assert (out / "releases/people/participants.tsv").stat().st_mtime_ns == before, "what was made before stays"
    votes = Votes(votes_beside(out))
    votes.admit("late")
    item = table["a"][0]
    votes.answer("late", votes.give("late", Question(token="late", task="check", a=item)).token, "plausible")
    votes.alarm("late", item)
    adapt_run(out, row, "", ledger=None, workers=QUIET)
    rows = results(out)
    assert rows["people_best_of_n", "experts", "drift", ""]["n"] == len(table) + 1
    alarms = rows["people", "human_alarm", "alarms", ""]
    assert alarms["question"] == "identify" and alarms["attacker"] == "human" and alarms["value"] > 0
    assert "Human attackers" in (out / "report.html").read_text()


def test_votes_on_what_was_adapted_before_are_heard_too_but_never_those_on_the_release_itself(rated):
    cohort, out, _ = rated
    row = {"method": "best_of_n", "of": "", "options": {}, "feedback": str(votes_beside(out))}
    adapt_run(out, row, "first", ledger=None, workers=QUIET)
    study = Study(cohort=cohort, plan=PLAN, ledger=Ledger(out / "l"), run=RunFolder(out))
    votes, (old, new) = Votes(votes_beside(out)), (rated_batch(study, name).ids for name in ("people", "first"))
    votes.admit("late")
    votes.answer("late", votes.give("late", Question(token="l", task="compare", a=old[0], b=new[0])).token, "b")
    adapt_run(out, row, "first", ledger=None, workers=QUIET)
    adapt_run(out, row, "second", ledger=None, workers=QUIET)
    heard = {name: results(out)[name, "experts", "drift", ""]["n"] for name in ("first", "second")}
    assert heard["second"] == heard["first"] + 1
    assert results(out)["first", "experts", "win_rate", ""]["n"] == 1


def test_votes_from_before_a_release_was_made_anew_do_not_count(rated):
    cohort, out, _ = rated
    other = TEXT.replace("shadows = 0", "shadows = 0\nseed = 7")
    run(cohort, read_plan(other, "here"), out, other)
    row = {"method": "best_of_n", "of": "", "options": {}, "feedback": str(votes_beside(out))}
    with pytest.raises(DataError, match=r"Nobody has rated people as it is.* before it was made anew"):
        adapt_run(out, row, "", ledger=None, workers=QUIET)


def test_votes_on_an_adapted_release_that_was_made_anew_are_those_of_the_new_one(rated):
    cohort, out, _ = rated
    row = {"method": "best_of_n", "of": "", "options": {}, "feedback": str(votes_beside(out))}
    adapt_run(out, row, "first", ledger=None, workers=QUIET)
    study = Study(cohort=cohort, plan=PLAN, ledger=Ledger(out / "l"), run=RunFolder(out))
    votes, (old, new) = Votes(votes_beside(out)), (rated_batch(study, name).ids for name in ("people", "first"))
    votes.admit("late")
    for n, pair in enumerate(((old[0], new[0]), (old[1], old[2]))):  # the second has the first release made anew
        votes.answer(
            "late", votes.give("late", Question(token=f"l{n}", task="compare", a=pair[0], b=pair[1])).token, "b"
        )
    adapt_run(out, row, "first", ledger=None, workers=QUIET)
    assert ("first", "experts", "win_rate", "") not in results(out)


def test_votes_that_were_changed_cost_nobody_the_report(rated):
    cohort, out, _ = rated
    with sqlite3.connect(votes_beside(out)) as file:
        for verb in ("update", "delete"):
            file.execute(f"DROP TRIGGER IF EXISTS votes_no_{verb}")
        file.execute('UPDATE votes SET detail = replace(detail, \'"answer":"a"\', \'"answer":"b"\')')
    rows, _ = run(cohort, read_plan(TEXT, "here"), out, TEXT)
    assert ("people", "forest", "tstr_uar", "") in rows
    assert "were changed" in (out / "skipped.json").read_text()


def test_what_cannot_be_adapted_is_said_and_leaves_the_run_as_it_was(rated, tmp_path):
    _, out, _ = rated
    kept = results(out)
    row = {"method": "best_of_n", "of": "", "options": {}, "feedback": str(tmp_path / "none.sqlite")}
    with pytest.raises(DataError, match="no votes at"):
        adapt_run(out, row, "first", ledger=None, workers=QUIET)
    (tmp_path / "run.private/generators/people.safetensors").unlink()
    row["feedback"] = str(votes_beside(out))
    with pytest.raises(DataError, match="is not kept"):
        adapt_run(out, row, "second", ledger=None, workers=QUIET)
    with pytest.raises(OptionError, match=r"must be a \[\[synthetic\]\] release"):
        adapt_run(out, {**row, "of": "nobody"}, "third", ledger=None, workers=QUIET)
    with pytest.raises(DataError, match="no finished run"):
        adapt_run(tmp_path / "other", row, "", ledger=None, workers=QUIET)
    rows = {key for key in results(out) if key[1] != "human_alarm"}  # raters were heard since
    assert rows == kept.keys() and "first" not in (out / "study.toml").read_text()


@pytest.mark.parametrize(
    ("adapt", "message"),
    [
        ({"of": "adapted", "method": "best_of_n"}, "not adapted itself"),
        ({"of": "people", "method": "best_of_none"}, "There is no 'best_of_none'"),
        ({"of": "people", "method": "best_of_n", "votes": "x"}, "has no setting votes"),
        ({"of": "people", "method": "best_of_n", "raters": 1}, "2 raters"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_before_anything_is_done(adapt, message):
    with pytest.raises(PersonareError, match=message):
        StudyPlan(synthetic=(PEOPLE, SyntheticPlan(name="adapted", adapt=adapt)))


def test_recordings_too_near_to_a_real_one_are_noted_for_the_review(numbers, tmp_path):
    out = tmp_path / "run"
    run(numbers, replace(PLAN, synthetic=(replace(PEOPLE, method="copula"),)), out)
    near = json.loads((tmp_path / "run.private/near/people.json").read_text())
    ids = {r.id for r in open_cohort(out / "releases" / "people").recordings}
    assert set(near) < ids
