import json
import math
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from personare.anonymize._recordings import Masks
from personare.core.errors import DataError, OptionError, PolicyError
from personare.core.types import RISKS, Result
from personare.data.cohort import open_cohort
from personare.govern.ledger import Ledger
from personare.study.parallel import Workers
from personare.study.plan import load_plan, presets
from personare.study.run import run_study

COLUMNS = set(Result.__dataclass_fields__) - {"detail"}
ALONE = Workers(jobs=1, quiet=True)


def study(cohort, plan_file, out, ledger=None):
    plan, text = load_plan(config=plan_file)
    return run_study(cohort, plan, text, out, workers=ALONE, ledger=ledger or Ledger(out.parent / "ledger.sqlite"))


@pytest.mark.slow
def test_a_study_ends_with_results_and_a_report_and_the_same_again_does_nothing_again(
    made_up, small_plan, tmp_path, monkeypatch
):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    report = study(made_up, small_plan, tmp_path / "run", ledger)
    assert report.is_file()
    rows = json.loads((tmp_path / "run/results.json").read_text())
    assert set(rows[0]) == COLUMNS
    assert {row["release"] for row in rows} == {"original", "noisy", "mcadams"}
    assert {row["attacker"] for row in rows if row["question"] in RISKS} >= {
        "ignorant",
        "lazy_informed",
        "semi_informed",
    }
    measured = [row for row in rows if row["value"] is not None]
    assert all(row["low"] <= row["value"] <= row["high"] for row in measured if row["low"] is not None)
    assert ledger.verify().ok
    assert set(ledger.rows()["action"]) >= {"opened", "released"}
    first = (tmp_path / "run/results.json").read_text()
    monkeypatch.setattr(Masks, "__call__", None)
    monkeypatch.setattr("personare.features.tracks.voice_views", None)
    study(made_up, small_plan, tmp_path / "run")
    assert (tmp_path / "run/results.json").read_text() == first


@pytest.mark.slow
def test_a_killed_study_goes_on_where_it_stopped(made_up, small_plan, tmp_path, monkeypatch):
    real, calls = Masks.__call__, []

    def dies(masks, work, locate):
        calls.append(work[0].id)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(masks, work, locate)

    monkeypatch.setattr(Masks, "__call__", dies)
    with pytest.raises(KeyboardInterrupt):
        study(made_up, small_plan, tmp_path / "run")
    study(made_up, small_plan, tmp_path / "run")
    assert len(calls) == 2 * len(made_up.recordings) + 1, "only the recording under way was done again"


@pytest.mark.slow
def test_one_bad_recording_never_stops_a_study(made_up, small_plan, tmp_path):
    root = tmp_path / "cohort"
    shutil.copytree(made_up.root, root)
    cohort = open_cohort(root)
    bad = cohort.recordings[0]
    (root / bad.tracks["audio"]).write_bytes(b"not sound at all")
    study(cohort, small_plan, tmp_path / "run")
    releases = json.loads((tmp_path / "run/releases.json").read_text())
    assert all(bad.id in release["withheld"][0]["item"] for release in releases)
    assert bad.id not in {r.id for r in open_cohort(tmp_path / "run/releases/noisy").recordings}


def test_of_many_people_some_are_drawn_to_judge_by_and_every_row_says_so(speakers, tmp_path, monkeypatch):
    for bound in ("_FEWEST", "_MOST"):
        monkeypatch.setattr(f"personare.data.splits.{bound}", 3)
    (tmp_path / "study.toml").write_text(
        'attacks = ["voice_prosody"]\nutilities = ["prosody"]\n[[releases]]\nname = "noisy"\nvoice = "voice_noise"\n'
        '[[representations]]\nname = "shown"\nmethod = "noise"\nmodalities = ["eda"]\nheld_out = 0.5\n'
    )
    study(speakers(tmp_path / "cohort"), tmp_path / "study.toml", tmp_path / "run")
    rows = json.loads((tmp_path / "run/results.json").read_text())
    said = {row["release"]: row["reason"].rpartition("measured on ")[2] for row in rows}
    assert said == dict.fromkeys(("original", "noisy"), "3 of 8 people, drawn at random") | {
        "shown": "6 of 8 people, drawn at random"
    }
    named = [row for row in rows if row["figure"] == "top1"]
    assert {(row["n"], round(row["control"], 3)) for row in named} == {(12, 0.333)}


def test_a_cohort_of_one_person_is_told_that_naming_needs_two(made_up, small_plan, tmp_path):
    one = replace(
        made_up, recordings=tuple(r for r in made_up.recordings if r.subject == made_up.recordings[0].subject)
    )
    study(one, small_plan, tmp_path / "run")
    rows = json.loads((tmp_path / "run/results.json").read_text())
    risks = [row for row in rows if row["question"] in RISKS]
    assert risks
    assert all(row["value"] is None and row["reason"] for row in risks)


def test_nothing_is_studied_without_consent(made_up, small_plan, tmp_path):
    root = tmp_path / "cohort"
    shutil.copytree(made_up.root, root)
    description = json.loads((root / "dataset_description.json").read_text())
    text = json.dumps(description).replace('"synthetic"', '"identifiable"')
    (root / "dataset_description.json").write_text(text)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    with pytest.raises((DataError, PolicyError), match="consent"):
        study(open_cohort(root), small_plan, tmp_path / "run", ledger)
    assert set(ledger.rows()["action"]) == {"run", "refused"}


def test_linear_algebra_keeps_to_one_thread_while_a_study_runs(made_up, small_plan, tmp_path, monkeypatch):
    seen = []

    def look(*_):
        seen.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        raise DataError("Seen enough.")

    monkeypatch.setattr("personare.study.run.register", look)
    with threadpool_limits(limits=2, user_api="blas"), pytest.raises(DataError, match="Seen enough"):
        study(made_up, small_plan, tmp_path / "run")
    assert set(seen) == {1}


def test_the_same_run_twice_at_once_is_refused(made_up, small_plan, tmp_path):
    from personare.data.runs import RunFolder

    with RunFolder(tmp_path / "run").lock(), pytest.raises(DataError):
        study(made_up, small_plan, tmp_path / "run")


@pytest.mark.parametrize("preset", presets())
def test_every_preset_can_be_read_and_names_methods_that_exist(preset):
    from personare.core import registry

    plan, text = load_plan(preset)
    assert text
    assert set(plan.attacks) <= set(registry.find("personare.evaluate.attacks"))
    assert set(plan.utilities) <= set(registry.find("personare.evaluate.utility"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[releases]]\nname = 'x'\n", "hides nothing"),
        ("[[releases]]\nname = 'x'\nvoice = 'voice_magic'\n", "voice_mcadams"),
        ("[[releases]]\nname = 'x'\nvoice = 'face_blur'\n", "not a voice method"),
        ("[[releases]]\nname = 'x'\nvoice = 'voice_noise'\nvoice_options = { magic = 1 }\n", "no option magic"),
        ("colour = 1\n[[releases]]\nname = 'x'\nvoice = 'voice_noise'\n", "no setting colour"),
        ("[[releases]\n", "not valid TOML"),
        ("", "at least one"),
    ],
)
def test_a_study_file_with_a_mistake_is_told_what_to_do(tmp_path, text, said):
    (tmp_path / "study.toml").write_text(text)
    with pytest.raises((OptionError, Exception), match=said):
        load_plan(config=tmp_path / "study.toml")


@pytest.mark.slow
def test_dropping_in_a_file_is_enough_to_have_it_listed_configured_and_judged(tmp_path, made_up):
    """The file is the one printed in docs/adding-a-method.md, put into a copy of the package."""
    here = Path(__file__).resolve().parents[2]
    shutil.copytree(here / "personare", tmp_path / "personare", ignore=shutil.ignore_patterns("__pycache__"))
    doc = (here / "docs/adding-a-method.md").read_text(encoding="utf-8")
    code = doc.split("```python\n")[1].split("```")[0]
    toml = doc.split("```toml\n")[1].split("```")[0]
    (tmp_path / "personare/anonymize/voice_reverse.py").write_text(code, encoding="utf-8")
    (tmp_path / "study.toml").write_text(toml, encoding="utf-8")

    def call(*words):
        return subprocess.run(
            [sys.executable, "-m", "personare", *words], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    assert "voice_reverse" in call("methods")
    call("study", str(made_up.root), "--config", "study.toml", "--out", "run", "--jobs", "1", "--ledger", "l.sqlite")
    rows = json.loads((tmp_path / "run/results.json").read_text())
    named = [r for r in rows if r["release"] == "backwards" and (r["method"], r["figure"]) == ("voice_gmm", "top1")]
    assert named
    assert not any(math.isnan(r["value"]) for r in named if r["value"] is not None)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["observe-original", "hide-noisy", "observe-mcadams"])
def test_after_an_interrupt_the_same_command_goes_on(speakers, small_plan, typed, tmp_path, stage):
    """The file that tells of the first recording of a stage is when the key is pressed."""
    cohort = speakers(tmp_path / "cohort", people=4, tracks=("audio",))
    words = ["study", cohort.root, "--config", small_plan, "--out", tmp_path / "run", "--jobs", "1"]
    command = [sys.executable, "-m", "personare", *map(str, words)]
    first = tmp_path / "run.private/steps" / stage
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # also where whoever runs the tests ignores the key
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], preexec_fn=heard
    ) as process:
        while not list(first.glob("*.json")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert process.returncode == 130 and "The same command goes on" in said and "Traceback" not in said
    assert "look at original (1 of 7)" in said, "a line a stage where the output is no terminal"
    before = {f: f.stat().st_mtime_ns for f in first.glob("*.json")}
    again = typed(*words)
    assert again.status == 0, again.err
    assert before and all(not f.exists() or f.stat().st_mtime_ns == at for f, at in before.items())
    assert "Report:" in again.out and "purge" in again.out
