"""The Study room: from a folder to a report, with the work in processes of its own."""

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from personare.core.types import Cohort
from personare.serve.pages import Pages
from personare.serve.study import study_room

Browser = Callable[..., TestClient]

TINY = """
label = "emotion"
shadows = 0
[[models]]
name = "reader"
method = "forest"
"""


@pytest.fixture
def study(inside: Browser, tmp_path: Path) -> TestClient:
    """A browser in the Study room."""
    return inside(study_room(Pages(), tmp_path / "app"))


def ended(study: TestClient, job: str) -> dict[str, object]:
    """Wait for the end of a job, as the page does."""
    for _ in range(600):
        now = study.get(f"{job}/state").json()
        if now["state"] != "running":
            return dict(now)
        time.sleep(0.1)
    raise AssertionError(now)


@pytest.mark.slow
def test_from_a_cohort_to_its_report(study: TestClient, numbers: Cohort, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    assert "10 of 10 people" in (contents := study.get(f"/study/contents?path={quote(str(numbers.root))}").text)
    assert "voice (120)" in contents and "anger (40)" in contents and "0 of 10 people" in contents
    address = f"/study/plan?path={quote(str(numbers.root))}&config={quote(str(tmp_path / 'tiny.toml'))}"
    plan = study.get(address).text
    assert "reader" in plan and 'value="numbers-tiny"' in plan
    asked = {"path": str(numbers.root), "config": str(tmp_path / "tiny.toml"), "name": "first"}
    answer = study.post("/study/start", data=asked, follow_redirects=False)
    assert answer.status_code == 303
    job = answer.headers["location"]
    again = study.post("/study/start", data=asked)
    assert again.status_code == 400 and "There is a study first already" in again.text
    busy = study.post(f"{job}/again", data={"x": ""})
    assert busy.status_code == 400 and "being done already" in busy.text
    assert "You can close this page" in study.get(job).text
    now = ended(study, job)
    assert now["state"] == "done", now
    assert "Open the report" in study.get(job).text and "first" in study.get("/study").text
    report = study.get(f"{job}/run/report.html")
    assert "reader" in report.text and "script-src 'sha256-" in report.headers["content-security-policy"]
    private = tmp_path / "app" / "runs" / "first.private"
    assert (private / "study.toml").is_file()
    for name in ("../first.private/study.toml", "..%2ffirst.private%2fstudy.toml", str(private / "study.toml")):
        assert study.get(f"{job}/run/{name}").status_code == 404
