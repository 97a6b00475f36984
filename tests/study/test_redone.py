"""A study can be done again: what changed is made anew, who withdrew is gone before anything else is done."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from personare.anonymize._recordings import Disguise
from personare.core.types import Cohort
from personare.data.cohort import open_cohort
from personare.data.runs import private_folder
from personare.govern.ledger import Ledger
from personare.simulate.cohort import simulate_cohort
from personare.study import run as running
from personare.study.kinds.models import ModelPlan
from personare.study.kinds.representations import RepresentationPlan
from personare.study.kinds.synthetic import SyntheticPlan
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan
from personare.study.run import made_up_cohort, run_study

TRACKS = ("eda", "audio")
PLAN = StudyPlan(
    releases=(Disguise(name="noisy", voice="voice_noise"), Disguise(name="mcadams", voice="voice_mcadams")),
    representations=(RepresentationPlan(name="shown", method="noise", modalities=TRACKS),),
    synthetic=(SyntheticPlan(name="people", method="joint", people=2, recordings=2, modalities=("eda",)),),
    models=(ModelPlan(name="trees", method="forest", options={"trees": 3}, modalities=TRACKS),),
    attacks=("voice_prosody",),
    utilities=("prosody",),
    shadows=0,
    disclosure=(),
)
NAMES = ["noisy", "mcadams", "shown", "people", "trees"]


@pytest.fixture(scope="module")
def done(speakers: Callable[..., Cohort], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a cohort and a study of it."""
    root = tmp_path_factory.mktemp("done")
    assert list(study(speakers(root / "cohort"), PLAN, root / "run")) == NAMES
    return root


@pytest.fixture
def people(done: Path, tmp_path: Path) -> Cohort:
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    return open_cohort(tmp_path / "cohort")


def study(cohort: Cohort, plan: StudyPlan, out: Path) -> dict[str, dict]:
    ledger = Ledger(out.parent / "ledger.sqlite")
    run_study(open_cohort(cohort.root), plan, "", out, workers=Workers(jobs=1, quiet=True), ledger=ledger)
    return {release["name"]: release for release in json.loads((out / "releases.json").read_text())}


def withdraw(cohort: Cohort, subject: str, modality: str = "all") -> None:
    path = cohort.root / "consent.tsv"
    consent = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    row = consent[consent.subject == subject].assign(modalities=modality, withdrawn_at="2020-01-01")
    pd.concat([consent, row]).to_csv(path, sep="\t", index=False)


def traces(folder: Path, subject: str) -> list[Path]:
    """Return the files that are named after a person or name one."""
    name = f"sub-{subject}"
    return [f for f in folder.rglob("*") if name in str(f) or (f.is_file() and name.encode() in f.read_bytes())]


def test_who_withdrew_is_gone_before_anything_else_is_done_and_all_is_made_anew(people, tmp_path, monkeypatch):
    out, (gone, *others) = tmp_path / "run", sorted({r.subject for r in people.recordings})
    assert traces(out, gone) and traces(private_folder(out), gone)
    withdraw(people, gone)

    def stopped(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(running, "kinds", stopped)
        with pytest.raises(KeyboardInterrupt):
            study(people, PLAN, out)
    assert not traces(out, gone) and not list(out.glob("releases/*")) and not (out / "report.html").exists()
    assert not (out / "papers").exists()
    assert not [f for f in traces(private_folder(out) / "views", gone) + traces(private_folder(out) / "steps", gone)]
    made = study(people, PLAN, out)
    assert list(made) == NAMES
    assert not traces(out, gone)
    assert {r.subject for r in open_cohort(out / "releases/noisy").recordings} == {*others}


@pytest.mark.parametrize("how", ["one modality", "left the cohort"])
def test_part_of_a_withdrawal_removes_what_was_made_of_it(people, tmp_path, how):
    plan = replace(PLAN, releases=(), synthetic=(), models=())
    plan = replace(
        plan,
        representations=(*plan.representations, replace(PLAN.representations[0], name="heard", modalities=("audio",))),
    )
    out, gone = tmp_path / "run", people.recordings[0]
    study(people, plan, out)
    if how == "one modality":
        withdraw(people, gone.subject, "physio")
    else:
        for path in gone.tracks.values():
            (people.root / path).unlink()
    before = (out / "releases/heard/dataset_description.json").stat().st_mtime_ns
    study(people, plan, out)
    kept = (out / "releases/heard/dataset_description.json").stat().st_mtime_ns == before
    assert kept == (how == "one modality")
    assert len(open_cohort(out / "releases/heard").recordings) == 32 - (how != "one modality")


def relabel(cohort: Cohort) -> None:
    path = next(cohort.root.glob("sub-*/ses-*/beh/*take0_beh.json"))
    content = json.loads(path.read_text())
    content["Labels"]["emotion"] = "happiness"
    path.write_text(json.dumps(content))


def resound(cohort: Cohort) -> None:
    one, other = (cohort.root / r.tracks["audio"] for r in cohort.recordings[:2])
    shutil.copy(other, one)


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (lambda cohort, plan: (relabel(cohort), plan)[1], {"noisy", "mcadams", "shown", "trees", "people"}),
        (lambda cohort, plan: (resound(cohort), plan)[1], {"noisy", "mcadams", "shown", "trees"}),
        (lambda _cohort, plan: replace(plan, seed=5), {*NAMES}),
        (
            lambda _cohort, plan: replace(
                plan, releases=(replace(plan.releases[0], voice_options={"snr_db": 3.0}), plan.releases[1])
            ),
            {"noisy"},
        ),
        (lambda _cohort, plan: plan, set()),
    ],
    ids=["label", "content", "seed", "option", "nothing"],
)
def test_what_depends_on_a_change_is_made_anew_and_only_that(people, tmp_path, change: Callable, again):
    out = tmp_path / "run"
    stamps = {name: (out / "releases" / name).stat().st_ino for name in NAMES}
    second = study(people, change(people, PLAN), out)
    assert list(second) == NAMES
    assert {name for name in NAMES if (out / "releases" / name).stat().st_ino != stamps[name]} == again
    assert json.loads((out / "not_made.json").read_text()) == []


def test_a_release_that_the_plan_names_no_more_is_removed_and_one_that_was_deleted_is_made_again(people, tmp_path):
    out = tmp_path / "run"
    shutil.rmtree(out / "releases/mcadams")
    (out / "reference.json").write_text('[{"row": "of a plan that compared with a paper"}]')
    (private_folder(out) / "steps/release-mcadams.json").touch()
    made = study(people, replace(PLAN, releases=PLAN.releases[1:], models=()), out)
    assert sorted(f.name for f in (out / "releases").iterdir()) == sorted(made) == ["mcadams", "people", "shown"]
    assert not [f for f in private_folder(out).rglob("*noisy*")]
    assert json.loads((out / "reference.json").read_text()) == []


@pytest.mark.parametrize(("seed", "people", "anew"), [(0, 2, False), (1, 2, True), (0, 1, True)])
def test_made_up_people_are_made_anew_only_where_others_are_asked_for(tmp_path, monkeypatch, seed, people, anew):
    small = partial(simulate_cohort, emotions=("anger",), sentences=1, size=96)
    monkeypatch.setattr("personare.study.run.simulate_cohort", small)
    workers = Workers(jobs=1, quiet=True)
    first = made_up_cohort(tmp_path / "cohort", replace(PLAN, seed=0, people=2), workers)
    (tmp_path / "cohort/ledger.sqlite").write_bytes(b"book")
    film = first.root / first.recordings[0].tracks["video"]
    before, content = film.stat().st_mtime_ns, film.read_bytes()
    second = made_up_cohort(tmp_path / "cohort", replace(PLAN, seed=seed, people=people), workers)
    assert len(second.recordings) == people
    assert (film.stat().st_mtime_ns != before) is anew
    assert (film.read_bytes() == content) is (seed == 0)
    assert (tmp_path / "cohort/ledger.sqlite").read_bytes() == b"book"
