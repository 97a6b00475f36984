"""A generator that experts adapted, as a release of a study: what it costs, what is claimed, what is said."""

import json

from personare.govern.ledger import Ledger
from personare.study.kinds.synthetic import SyntheticPlan
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan
from personare.study.run import run_study

PEOPLE = SyntheticPlan(name="people", label="emotion", method="joint", people=12, recordings=8, held_out=0.3)
ADAPTED = SyntheticPlan(name="adapted", adapt={"of": "people", "method": "best_of_n"})
PLAN = StudyPlan(synthetic=(PEOPLE, ADAPTED), shadows=0)


def run(cohort, plan, out):
    ledger = Ledger(cohort.root.parent / "ledger.sqlite")
    run_study(cohort, plan, "", out, workers=Workers(jobs=1, quiet=True), ledger=ledger)
    rows = json.loads((out / "results.json").read_text())
    return {(r["release"], r["method"], r["figure"], r["subset"]): r for r in rows}, ledger


def test_an_adapted_release_is_made_judged_and_told_of(numbers, tmp_path):
    rows, _ = run(numbers, PLAN, tmp_path / "run")
    assert rows["adapted", "experts", "drift", ""]["value"] > 0
    assert not json.loads((tmp_path / "run" / "not_made.json").read_text())
    page = (tmp_path / "run" / "report.html").read_text()
    assert 'id="experts"' in page and "could not be made" not in page
