"""Explanations stay private unless the person may be shown, name nobody else, and say where they say nothing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import DataError, OptionError, PolicyError
from personare.data.cohort import open_cohort, remove_recording
from personare.data.runs import RunFolder, private_folder
from personare.govern.consent import consent_all
from personare.govern.ledger import Ledger
from personare.simulate.cohort import simulate_cohort
from personare.study.explaining import explain_item
from personare.study.lineage import remove_withdrawn, training_records
from personare.study.parallel import Workers
from personare.study.plan import load_plan
from personare.study.run import run_study

VOICES = """
attacks = ["voice_gmm"]
utilities = []
shadows = 0
disclosure = []
[[releases]]
name = "mcadams"
voice = "voice_mcadams"
[[models]]
name = "trees"
method = "forest"
options = { trees = 20 }
[[synthetic]]
name = "people"
method = "joint"
people = 4
recordings = 2
held_out = 0.0
media = false
"""
FACES = """
attacks = ["face_pixels"]
utilities = []
shadows = 0
disclosure = []
[[releases]]
name = "blur"
face = "face_blur"
[[models]]
name = "trees"
method = "forest"
options = { trees = 20 }
modalities = ["physio", "text"]
"""


def studied(cohort, text, root):
    (root / "study.toml").write_text(text)
    plan, text = load_plan(config=root / "study.toml")
    ledger = Ledger(cohort.root / "ledger.sqlite")
    return run_study(cohort, plan, text, root / "run", workers=Workers(jobs=1, quiet=True), ledger=ledger).parent


@pytest.fixture(scope="module")
def whole(speakers, tmp_path_factory):
    root = tmp_path_factory.mktemp("voices")
    studied(speakers(root / "cohort"), VOICES, root)
    return root


@pytest.fixture
def run(whole, tmp_path):
    """A run of eight people who hum, to be changed."""
    shutil.copytree(whole, tmp_path / "all")
    run = tmp_path / "all/run"
    note = private_folder(run) / "cohort.json"
    note.write_text(note.read_text().replace(str(whole), str(tmp_path / "all")))
    return run


def judged_by(run):
    plan, _ = load_plan(config=private_folder(run) / "study.toml")
    return training_records(private_folder(run), plan.models)[0][1]["result"]["test"]


def told(page):
    entries = json.loads((page.parent / "explanation.json").read_text())["explanations"]
    return {f"{one['release']}: {one['question']}": one for one in entries}


def ledger_of(run):
    return Ledger(run.parent / "cohort/ledger.sqlite").rows()


def test_a_clip_and_an_answer_are_explained_and_kept_beside_the_run(typed, run):
    item = judged_by(run)[0]
    answer = typed("explain", run, item)
    assert answer.status == 0 and "mcadams, what still points to the person: voice" in answer.out
    page = private_folder(run) / "explanations" / item / "explanation.html"
    one = told(page)["mcadams: What still points to the person: voice"]
    assert one["status"] == "ok" and "of 8 enrolled" in one["answer"] and 2 <= len(one["parts"]) <= 12
    assert one["parts"][-1]["end"] == pytest.approx(0.8, abs=0.05)
    shares = told(page)["trees: What moved its answer, by modality"]
    assert {part["name"] for part in shares["parts"]} == {"audio", "eda"}
    assert not (run / "explanations").exists()
    rows = ledger_of(run)
    last = rows[rows["action"] == "explained"]
    assert {*last["recording"]} == {item} and {*last["purpose"]} == {"evaluation"} and len(last) == len(told(page))


def test_guarantee_nobody_but_the_recording_s_own_person_is_named(run):
    item = judged_by(run)[0]
    others = {r.id for r in open_cohort(run.parent / "cohort").recordings} - {item}
    page = explain_item(run, item)
    text = "".join(path.read_text() for path in page.parent.glob("explanation.*"))
    assert item in text and not [name for name in others if name in text]


def test_guarantee_an_explanation_leaves_only_where_its_person_agreed_to_sharing(run, typed):
    item = judged_by(run)[0]
    answer = typed("explain", run, item, "--release")
    assert answer.status == 2 and "sharing" in answer.err
    assert not (run / "explanations").exists() and "explained" not in set(ledger_of(run)["action"])
    consent = consent_all([f"{n:02d}" for n in range(1, 9)], ["training", "evaluation", "sharing"])
    consent.to_csv(run.parent / "cohort/consent.tsv", sep="\t", index=False)
    page = explain_item(run, item, only=["mcadams"], release=True)
    assert page == run / "explanations" / item / "explanation.html"
    # and goes again with the consent
    consent[consent["subject"] != open_cohort(run.parent / "cohort").recordings[0].subject].to_csv(
        run.parent / "cohort/consent.tsv", sep="\t", index=False
    )
    cohort = open_cohort(run.parent / "cohort")
    remove_withdrawn(RunFolder(run), cohort, Ledger(cohort.root / "ledger.sqlite"))
    assert not page.exists()


def test_guarantee_whoever_withdrew_is_not_opened_for_an_explanation(run):
    item = judged_by(run)[0]
    path = run.parent / "cohort/consent.tsv"
    consent = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    consent.loc[consent["subject"] == item[4:6], "withdrawn_at"] = "2026-01-01"
    consent.to_csv(path, sep="\t", index=False)
    with pytest.raises(PolicyError, match="withdrew"):
        explain_item(run, item)
    assert ledger_of(run)["action"].iloc[-1] == "refused"
    assert not (private_folder(run) / "explanations").exists() or not any(
        (private_folder(run) / "explanations").iterdir()
    )


def test_what_cannot_be_explained_is_told(run, typed):
    item = judged_by(run)[0]
    learned = next(r.id for r in open_cohort(run.parent / "cohort").recordings if r.id not in judged_by(run))
    with pytest.raises(DataError, match="learned from it"):
        explain_item(run, learned, only=["trees"])
    with pytest.raises(DataError, match="knows no recording sub-99"):
        explain_item(run, "sub-99_ses-01_task-take0")
    with pytest.raises(OptionError, match="no release other"):
        explain_item(run, item, only=["other"])
    remove_recording(run.parent / "cohort", item)
    with pytest.raises(DataError, match="any more"):
        explain_item(run, item)
    shutil.rmtree(private_folder(run))
    answer = typed("explain", run, item)
    assert answer.status == 2 and "purged" in answer.err


@pytest.mark.parametrize("broken", ["another person", "too short", "not looked at"])
def test_where_the_attack_fails_the_explanation_says_nothing(run, broken):
    item, views = judged_by(run)[0], private_folder(run) / "views"
    kept = views / ("original" if broken == "another person" else "mcadams") / f"{item}.npz"
    if broken == "another person":
        other = next(i for i in [*judged_by(run), "sub-01_ses-01_task-take0"] if i[:6] != item[:6])
        shutil.copy(kept.with_name(f"{other}.npz"), kept)
    else:
        rows = np.load(kept)["mfcc"]
        np.savez(kept, **({"mfcc": rows[:15]} if broken == "too short" else {}))
    [one] = told(explain_item(run, item, only=["mcadams"])).values()
    status, why = {
        "another person": ("not_informative", "unprotected recording either"),
        "too short": ("not_measured", "too short"),
        "not looked at": ("not_measured", "under attacks"),
    }[broken]
    assert one["status"] == status and why in one["reason"] and one["parts"] == []


def test_guarantee_a_made_up_recording_is_explained_by_its_group_and_nobody_real_is_found(run):
    made = open_cohort(run / "releases/people").recordings[0]
    page = explain_item(run, made.id, release=True)
    [one] = told(page).values()
    assert f"being {made.labels['emotion']}" in json.dumps(one["parts"])
    text = "".join(path.read_text() for path in page.parent.glob("explanation.*"))
    real = {name for r in open_cohort(run.parent / "cohort").recordings for name in (r.id, f"sub-{r.subject}_")}
    assert not [name for name in real if name in text]
    row = ledger_of(run).iloc[-1]
    assert (row["action"], row["subject"], row["recording"]) == ("explained", "", made.id)


def test_the_report_of_made_up_people_explains_a_clip_and_an_answer(tmp_path):
    how = {"emotions": ("happiness", "anger"), "sentences": 1, "size": 96, "rate_hz": 8}
    run = studied(simulate_cohort(tmp_path / "cohort", people=4, **how), FACES, tmp_path)
    [page] = run.glob("explanations/*/explanation.html")
    views = [told(page)[f"blur: What still points to the person: {what}"] for what in ("face", "picture")]
    assert "ok" in [one["status"] for one in views]
    assert all(len(one["parts"]) == (64 if one["status"] == "ok" else 0) for one in views)
    assert "trees: What moved its answer, by parts of its physio" in told(page)
    report = (run / "report.html").read_text()
    assert "blur: what still points to the person: picture" in report and report.count("data:image/png") >= 3
    assert str(Path.home()) not in page.read_text()
