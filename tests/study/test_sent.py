"""Every byte of a run folder may be sent: a search through all of it finds nobody; what may not be sent lies beside."""

import base64
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from personare.anonymize._recordings import Disguise
from personare.core.types import Cohort
from personare.data.cohort import open_cohort
from personare.data.runs import private_folder
from personare.govern.ledger import Ledger
from personare.study.parallel import Workers
from personare.study.plan import load_plan
from personare.study.run import run_study

STUDY = """
attacks = ["voice_prosody"]
utilities = ["prosody"]
shadows = 0
public = "{public}"
[[transfer]]
name = "elsewhere"
label = "emotion"
cohort = "{public}"
[[releases]]
name = "noisy"
voice = "voice_noise"
[[representations]]
name = "shown"
method = "leace"
[[synthetic]]
name = "people"
method = "joint"
people = 2
recordings = 2
[[models]]
name = "trees"
method = "forest"
options = {{ trees = 3 }}
"""
PLANTED = ("Beispiel", "1987-06-05", "F32.2", "vorname", "diagnosis")


@pytest.fixture(scope="module")
def studied(speakers: Callable[..., Cohort], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder named after a person, with a cohort that knows too much of its people, and a study of it."""
    root = tmp_path_factory.mktemp("Anna Beispiel")
    cohort = speakers(root / "cohort", diagnosis="F32.2", note="Beispiel, A., 1987-06-05")
    table = pd.read_csv(cohort.root / "participants.tsv", sep="\t", dtype=str)
    table.assign(vorname="Anna Beispiel", born="1987-06-05").to_csv(
        cohort.root / "participants.tsv", sep="\t", index=False
    )
    bad = cohort.recordings[0]
    (cohort.root / bad.tracks["audio"]).write_bytes(b"Beispiel")  # its error names the file
    speakers(root / "Beispiel public", people=4)
    config = root / "study.toml"
    config.write_text(STUDY.format(public=root / "Beispiel public"), encoding="utf-8")
    plan, text = load_plan(config=config)
    ledger = Ledger(cohort.root / "ledger.sqlite")
    run_study(open_cohort(cohort.root), plan, text, root / "run", workers=Workers(jobs=1, quiet=True), ledger=ledger)
    made = [release["name"] for release in json.loads((root / "run/releases.json").read_text())]
    assert made == plan.names
    return root


def unpacked(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a file's name and content, and what is packed in it."""
    yield name, content
    if name.endswith(".gz"):
        yield from unpacked(name[:-3], gzip.decompress(content))
    if name.endswith((".npz", ".zip")):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from unpacked(f"{name}/{member}", archive.read(member))
    if name.endswith(".parquet"):
        table = pd.read_parquet(io.BytesIO(content))
        yield f"{name}/rows", table.to_csv().encode()
    if name.endswith(".html"):
        for number, data in enumerate(re.findall(rb"base64,([A-Za-z0-9+/=]+)", content)):
            yield f"{name}/{number}", base64.b64decode(data)


def everything(folder: Path) -> list[tuple[str, bytes]]:
    files = [f for f in folder.rglob("*") if f.is_file()]
    return [pair for f in files for pair in unpacked(f.relative_to(folder).as_posix(), f.read_bytes())]


@pytest.mark.parametrize("planted", PLANTED)
def test_no_name_and_no_label_that_was_not_asked_for_is_in_what_may_be_sent(studied, planted):
    found = [name for name, content in everything(studied / "run") if planted.encode() in name.encode() + content]
    assert found == []
    assert any(planted.encode() in name.encode() + content for name, content in everything(studied / "cohort"))


@pytest.mark.parametrize("place", ["folder", "home", "temporary folder"])
def test_no_path_of_this_machine_is_in_what_may_be_sent(studied, place):
    path = {"folder": studied, "home": Path.home(), "temporary folder": studied.parent}[place]
    found = [name for name, content in everything(studied / "run") if f"{path}/".encode() in content]
    assert found == []


def test_originals_and_what_was_seen_in_them_lie_beside_where_only_the_owner_reads(studied):
    private = private_folder(studied / "run")
    assert private.stat().st_mode & 0o777 == 0o700
    assert "must not be sent" in (private / "README.txt").read_text()
    kept = [content for name, content in everything(private / "views/original") if name.endswith(".npy")]
    sounds = [path.read_bytes() for path in (studied / "cohort").rglob("*.wav")]
    assert len(kept) >= 31 and len(sounds) == 32
    sent = [content for _, content in everything(studied / "run")]
    assert not [one for one in kept + sounds if len(one) > 200 and any(one in content for content in sent)]
    assert not [name for name, _ in everything(studied / "run") if name.endswith(".npz")]


def test_recordings_of_a_representation_have_numbers_for_names(studied):
    released = open_cohort(studied / "run/releases/shown").recordings
    assert {r.id.partition("_task-")[2] for r in released} == {f"take{n:03d}" for n in (1, 2, 3, 4)}
    assert {label for r in released for label in r.labels} == {"emotion"}


def test_purging_removes_what_may_not_be_sent_and_nothing_else(studied, typed, tmp_path):
    import shutil

    shutil.copytree(studied / "run", tmp_path / "run")
    shutil.copytree(studied / "run.private", tmp_path / "run.private")
    before = everything(tmp_path / "run")
    answer = typed("purge", tmp_path / "run")
    assert answer.status == 0 and "begins anew" in answer.out
    assert not (tmp_path / "run.private").exists() and everything(tmp_path / "run") == before
    assert typed("purge", tmp_path / "run").status == 2
    for verb in ("evaluate", "audit"):
        answer = typed(verb, tmp_path / "run")
        assert answer.status == 2 and "run.private is not there" in answer.err
    assert typed("report", tmp_path / "run").status == 0


def test_faces_of_a_study_lie_beside_it(made_up, tmp_path):
    plan = replace(load_plan()[0], releases=(Disguise(name="blur", face="face_blur"),), models=(), synthetic=())
    plan = replace(plan, representations=(), attacks=("face_pixels",), utilities=())
    run_study(made_up, plan, "", tmp_path / "run", workers=Workers(jobs=1, quiet=True), ledger=Ledger(tmp_path / "l"))
    [first, *_] = (private_folder(tmp_path / "run") / "views/original").glob("*.npz")
    with np.load(first) as views:
        assert max(values.size for values in views.values()) > 10_000, "pictures of a face as recorded"
    sent = everything(tmp_path / "run")
    assert not [name for name, _ in sent if name.endswith((".npz", ".npy"))]
    originals = [path.read_bytes() for path in made_up.root.rglob("*.mp4")]
    assert not [name for name, content in sent for one in originals if one in content]


def test_nothing_but_the_label_leaves_with_models_and_made_up_people(studied):
    people = open_cohort(studied / "run/releases/people")
    assert {label for r in people.recordings for label in r.labels} == {"emotion", "synthetic"}
    assert list(people.participants.columns) == ["synthetic"]
