"""Every preset is run whole, small: twelve people of three clips each, networks that train for a moment.

The preset ``standard`` takes minutes even so: it is run where ``PERSONARE_ALL_PRESETS`` is set.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from personare.core import registry
from personare.core.types import RISKS, Cohort
from personare.data.cohort import open_cohort
from personare.govern.ledger import Ledger
from personare.simulate.cohort import simulate_cohort
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan, load_plan, presets
from personare.study.run import run_study

_MOMENT = {"steps": 2, "epochs": 2, "trees": 10, "rounds": 2}


def _short(folder: str, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    if not name:
        return {}
    known = {f.name for f in fields(registry.load(f"personare.{folder}", name))}
    return {**options, **{key: value for key, value in _MOMENT.items() if key in known}}


def shortened(plan: StudyPlan) -> StudyPlan:
    """Return the same plan with networks that learn next to nothing: that all is made and judged is asked for here."""
    judged = {
        name: _short(folder, name, plan.options.get(name, {}))
        for folder, names in (("evaluate.attacks", plan.attacks), ("evaluate.utility", plan.utilities))
        for name in names
    }
    hidden = [
        replace(
            one,
            voice_options=_short("anonymize", one.voice, one.voice_options),
            face_options=_short("anonymize", one.face, one.face_options),
        )
        for one in plan.releases
    ]
    learned = {
        kind: tuple(replace(one, options=_short(folder, one.method, one.options)) for one in getattr(plan, kind))
        for kind, folder in (("models", "train"), ("representations", "represent"), ("synthetic", "synthesize"))
    }
    learned["synthetic"] = tuple(replace(one, recordings=3) for one in learned["synthetic"])
    return replace(plan, options=judged, releases=tuple(hidden), shadows=2, canaries=2, **learned)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    root = tmp_path_factory.mktemp("presets") / "cohort"
    return simulate_cohort(
        root, people=12, emotions=("happiness", "anger", "neutral"), sentences=1, seed=1, size=96, rate_hz=5, workers=1
    )


@pytest.mark.slow
@pytest.mark.parametrize("preset", presets())
def test_all_that_a_preset_plans_is_made_and_judged(people: Cohort, tmp_path: Path, preset: str) -> None:
    if preset == "standard" and not os.environ.get("PERSONARE_ALL_PRESETS"):
        pytest.skip("takes minutes; set PERSONARE_ALL_PRESETS to run it")
    plan, text = load_plan(preset)
    out, ledger = tmp_path / "run", Ledger(tmp_path / "ledger.sqlite")
    run_study(people, shortened(plan), text, out, workers=Workers(jobs=1, quiet=True), ledger=ledger)
    assert json.loads((out / "not_made.json").read_text()) == []
    made = {release["name"]: release for release in json.loads((out / "releases.json").read_text())}
    assert list(made) == list(plan.names)
    rows = json.loads((out / "results.json").read_text())
    for name in plan.names:
        own = [row for row in rows if row["release"] == name]
        assert any(row["status"] == "ok" and row["question"] not in RISKS for row in own), name
        risks = [row for row in own if row["question"] in RISKS]
        measured = any(row["status"] != "not_measured" for row in risks)
        # shadow generators would learn from halves of eight people, and need six: that is said, not attacked
        assert measured or (risks and made[name]["kind"] == "synthetic"), name
        assert all(row["reason"] for row in own if row["status"] == "not_measured"), name
        assert not [row for row in own if "unexpected" in row["reason"]], name
    searched = (tmp_path / "run.private" / "locations-face_avatar").is_dir()  # not where the original's face was
    assert searched == ("face_avatar" in plan.names)
    assert (out / "report.html").stat().st_size > 100_000
    assert len(open_cohort(out / "releases" / plan.releases[0].name).recordings) == len(people.recordings)
