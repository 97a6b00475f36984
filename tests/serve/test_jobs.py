"""Work in processes of its own, which outlives the app that started it."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.exceptions import HTTPException

from personare.core.errors import DataError
from personare.serve.jobs import Job, Jobs, State

pytestmark = pytest.mark.slow  # each starts a program


def until(holds: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("It never came.")


def ended(jobs: Jobs, job: Job) -> State:
    """Wait for the end of a job."""
    until(lambda: not jobs.is_running(job))
    return jobs.state(job)


def test_a_job_goes_on_and_is_seen_by_an_app_that_starts_later(tmp_path: Path) -> None:
    people = tmp_path / "people"
    command = ["simulate", str(people), "--people", "500", "--jobs", "1"]
    first, later = Jobs(tmp_path / "jobs"), Jobs(tmp_path / "jobs")
    job = first.start(command, product=people / "dataset_description.json", about={"title": "x"})
    assert later.all() == [job] and later.state(job).name == "running"
    until(people.exists)
    later.stop(job)
    assert not first.is_running(job)
    assert later.state(later.find(job.id)).name == "stopped"


def test_an_end_without_the_product_is_a_failure(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / "jobs")
    older = tmp_path / "report.html"
    older.write_text("of an earlier run")
    job = jobs.start(["validate", str(tmp_path / "absent")], product=older, about={})
    os.utime(older, (job.started - 60, job.started - 60))
    state = ended(jobs, job)
    assert state.name == "failed" and state.said.startswith("personare: There is no cohort at")


def test_a_product_of_now_is_success(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / "jobs")
    job = jobs.start(["methods"], product=tmp_path / "made", about={})
    (tmp_path / "made").touch()
    state = ended(jobs, job)
    assert state.name == "done" and "voice_mcadams" in state.said and state.elapsed_s >= 0


def test_a_name_that_is_no_job_and_a_broken_record(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / "jobs")
    for name in ("..", "0" * 16, "../jobs", ""):
        with pytest.raises(HTTPException):
            jobs.find(name)
    (tmp_path / "jobs" / ("0" * 16)).mkdir(parents=True)
    (tmp_path / "jobs" / ("0" * 16) / "job.json").write_text(json.dumps({})[:1])
    with pytest.raises(DataError, match="cannot be read"):
        jobs.find("0" * 16)
