"""The Study room: from a folder to a report, with the work in processes of its own."""

import fcntl
import json
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from starlette.testclient import TestClient

from personare.core.types import Cohort
from personare.data.cohort import UNFINISHED
from personare.govern.consent import read_consent
from personare.serve.pages import Pages
from personare.serve.study import study_room


@pytest.fixture
def study(inside: Callable[..., TestClient], tmp_path: Path) -> TestClient:
    """A browser in the Study room."""
    return inside(study_room(Pages(), tmp_path / "app"))


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """A folder of six short sounds, which nothing says anything about yet."""
    folder = tmp_path / "My sounds"
    (folder / "day 1").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(6):
        with wave.open(str(folder / "day 1" / f"take {number}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes((3000 * rng.standard_normal(4000)).astype("<i2").tobytes())
    return folder


def ended(study: TestClient, job: str) -> dict[str, Any]:
    """Wait for the end of a job, as the page does."""
    for _ in range(600):
        now: dict[str, Any] = study.get(f"{job}/state").json()
        if now["state"] != "running":
            return now
        time.sleep(0.1)
    raise AssertionError(now)


def begun(study: TestClient, deed: str, **asked: str) -> str:
    answer = study.post(f"/study/{deed}", data=asked, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_folders_are_walked_by_name(study: TestClient, sounds: Path) -> None:
    page = study.get(f"/study/folder?path={quote(str(sounds.parent))}").text
    assert "My sounds" in page and quote(str(sounds)) in page and "take 0.wav" not in page
    for path in (str(sounds / "absent"), "relative", "", "a\0b"):
        answer = study.get("/study/folder", params={"path": path})
        assert answer.status_code == 400 and "There is no folder" in answer.text
    home = study.get("/study/contents", params={"path": str(Path.home())})
    assert home.status_code == 400 and "Choose the folder in which the recordings are" in home.text


def test_a_folder_without_labels_gives_the_table_to_fill_in(study: TestClient, sounds: Path) -> None:
    address = f"/study/contents?path={quote(str(sounds))}"
    page = study.get(address).text
    assert "6 audio files" in page and "Nothing here says who is who" in page
    table = study.get(f"/study/labels.csv?path={quote(str(sounds))}").content.decode("utf-8-sig")
    assert table.splitlines()[:2] == ["file,subject,emotion", "day 1/take 0.wav,,"]
    rows = [f"{line[:-2]},{1 + i % 2},calm" for i, line in enumerate(table.splitlines()[1:])]
    (sounds / "labels.csv").write_text("\n".join(["file,subject,emotion", *rows]))
    assert "6 recordings of 2 people" in study.get(address).text


@pytest.mark.slow
def test_a_folder_becomes_a_cohort_with_the_consent_that_was_ticked(study: TestClient, sounds: Path) -> None:
    rows = [f"day 1/take {i}.wav,{1 + i % 2},{'calm' if i < 3 else 'anger'}" for i in range(6)]
    (sounds / "labels.csv").write_text("\n".join(["file,subject,emotion", *rows]))
    asked = {"path": str(sounds), "reader": "folder", "purposes": ["evaluation", "training"]}
    job = begun(study, "import", **asked)  # type: ignore[arg-type]
    now = ended(study, job)
    assert now["state"] == "done" and now["share"] == 1, now
    cohort = next((sounds.parent / "app" / "cohorts").glob("My-sounds-*"))
    assert set(read_consent(cohort / "consent.tsv")["purposes"]) == {"evaluation,training"}
    contents = study.get(f"/study/contents?path={quote(str(cohort))}").text
    assert "2 of 2 people" in contents and "0 of 2 people" in contents and "calm (3), anger (3)" in contents
    assert cohort.name in study.get("/study").text
    sound = next(cohort.rglob("*_audio.wav")).relative_to(cohort)
    assert study.get(f"{job}/run/{sound}").status_code == 404  # originals are not shown
    assert begun(study, "import", **asked) != job  # type: ignore[arg-type]


def test_a_plan_says_what_is_left_out_and_what_is_missing(study: TestClient, numbers: Cohort, tmp_path: Path) -> None:
    page = study.get("/study/plan", params={"path": str(numbers.root), "preset": "quick"}).text
    assert "model_forest" in page and "Left out" in page and "voice_mcadams" in page
    unclear = study.get("/study/plan", params={"path": str(numbers.root), "label": "mood"})
    assert "has no label" in unclear.text and ">Start<" not in unclear.text
    (tmp_path / "odd.toml").write_text("[[releases]\n")
    for config, words in (("odd.toml", "not valid TOML"), ("absent.toml", "There is no study file")):
        answer = study.get("/study/plan", params={"path": str(numbers.root), "config": str(tmp_path / config)})
        assert answer.status_code == 400 and words in answer.text


@pytest.mark.slow
def test_what_fails_says_why_and_leaves_no_half_copy(study: TestClient, sounds: Path) -> None:
    job = begun(study, "import", path=str(sounds), reader="emodb")
    now = ended(study, job)
    assert now["state"] == "failed" and "found no usable recording" in now["sentence"], now
    page = study.get(job).text
    assert "found no usable recording" in page and "Start it again" in page
    cohorts = sounds.parent / "app" / "cohorts"
    assert not list(cohorts.glob("*/sub-*"))
    target = Path(json.loads(next((cohorts.parent / "jobs").glob("*/job.json")).read_text())["product"]).parent
    for part in (target, target.with_name(f".{target.name}.import"), cohorts / "other"):  # as a kill leaves them
        (part / "sub-01").mkdir(parents=True)
        (part / UNFINISHED).touch()
    begun(study, f"{job.removeprefix('/study/')}/stop", x="")
    assert [path.name for path in cohorts.iterdir()] == ["other"]


@pytest.mark.parametrize(
    ("said", "share", "remaining"),
    [
        ("", 0, "not known yet"),
        ("voice_noise (1 of 14)", 0, "not known yet"),
        ("note\nlook at voice_noise (6 of 11)\na warning", 0.417, "about 2 min"),
        ("learn from people (11 of 11)", 0.917, "about less than a minute"),
        ("import:  25%|##    | 5/20 [00:01<00:03]", 0.25, "about 5 min"),
    ],
)
def test_what_is_left_is_told_from_the_share_that_is_done(
    study: TestClient, tmp_path: Path, said: str, share: float, remaining: str
) -> None:
    folder = tmp_path / "app" / "jobs" / ("a" * 16)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text(said)
    about = {"kind": "study", "title": "x", "place": str(tmp_path / "run"), "learned": ["one", "two"]}
    job = {"id": "a" * 16, "pid": 0, "command": [], "product": "absent", "started": time.time() - 100, "about": about}
    (folder / "job.json").write_text(json.dumps(job))
    (tmp_path / "run" / "releases" / "one").mkdir(parents=True)
    with (folder / "lock").open("wb") as lock:  # as a process that works holds it
        fcntl.flock(lock, fcntl.LOCK_EX)
        now = study.get(f"/study/jobs/{'a' * 16}/state").json()
    assert (now["state"], now["share"], now["remaining"]) == ("running", share, remaining)


def test_guarantee_the_page_refuses_what_the_policy_forbids_before_anything_is_opened(
    study: TestClient, numbers: Cohort
) -> None:
    asked = {"path": str(numbers.root), "preset": "quick", "context": "workplace"}
    page = study.get("/study/plan", params=asked).text
    assert "5(1)(f)" in page and ">Start<" not in page
    answer = study.post("/study/start", data={**asked, "name": "work", "label": "emotion"}, follow_redirects=False)
    assert answer.status_code == 400 and "5(1)(f)" in answer.text
    assert not (numbers.root / "ledger.sqlite").exists() and "work" not in study.get("/study").text
    short = study.get("/study/plan", params={**asked, "exception": "medical", "justification": "health"})
    assert short.status_code == 400 and "40 characters" in short.text
    why = "Patients of the company physician asked for it in writing."
    stated = study.get("/study/plan", params={**asked, "exception": "medical", "justification": why}).text
    assert ">Start<" in stated and stated.count(why) == 2
