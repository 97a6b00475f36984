"""The local app as a program: its door, its address, and what a browser makes of its pages."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from personare.core.errors import DataError
from personare.core.types import Cohort
from personare.serve.app import make_private

from .released import write_released

TINY = """\
label = "emotion"
shadows = 0
membership = []
disclosure = []
[[models]]
name = "reader"
method = "forest"
"""


class Program:
    """``personare serve``, or another verb, in a process of its own."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.output = folder.parent / f"output{time.monotonic_ns()}.txt"
        words = (*(words or ("serve", "--folder", str(folder))), "--no-browser")
        where = {**os.environ, "XDG_DATA_HOME": str(folder.parent / "data")}
        with self.output.open("w") as output:
            command = [sys.executable, "-m", "personare", *words]
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=where)
        for _ in range(1200):
            if match := re.search(r"(http://127\.0\.0\.1:(\d+))/enter\?token=(\S+)", self.said()):
                self.home, self.port, self.token = match[1], int(match[2]), match[3]
                return
            time.sleep(0.05)
        raise AssertionError(self.said())

    def said(self) -> str:
        return self.output.read_text()

    def end(self) -> None:
        self.process.kill()
        self.process.wait(30)

    @contextmanager
    def entered(self) -> Iterator[httpx.Client]:
        headers = {"origin": self.home, "sec-fetch-site": "same-origin"}
        with httpx.Client(base_url=self.home, headers=headers, timeout=60, follow_redirects=True) as client:
            page = client.get(f"/enter?token={self.token}")
            client.headers["x-csrf"] = re.findall(r'name="csrf" content="([\w-]{43})"', page.text)[0]
            yield client


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path / "app")
    yield program
    if program.process.poll() is None:
        program.end()


def test_the_apps_folder_is_private(tmp_path: Path) -> None:
    assert make_private(tmp_path / "new").stat().st_mode & 0o777 == 0o700
    make_private(tmp_path / "new")
    (tmp_path / "shared").mkdir(mode=0o755)
    (tmp_path / "shared").chmod(0o755)
    (tmp_path / "file").touch()
    for name in ("shared", "file"):
        with pytest.raises(DataError, match="that nobody else may open"):
            make_private(tmp_path / name)


def test_a_port_that_is_taken_is_said(typed: Callable[..., Any], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = typed("serve", "--no-browser", "--folder", tmp_path / "app", "--port", port)
    assert answer.status == 2 and f"Port {port} must be free" in answer.err and "Leave --port out" in answer.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--backend", "oracle"), "There is no 'oracle' in assist/backends"),
        (("--backend", "template", "-o", "height=3"), "template has no option height"),
        (("--backend", "loopback", "-o", "url=http://example.org"), "127.0.0.1"),
        (("--facts", "missing.txt"), "missing.txt cannot be read"),
    ],
)
def test_what_the_assistant_cannot_use_is_said_before_anything_opens(
    typed: Callable[..., Any], tmp_path: Path, words: tuple[str, ...], problem: str
) -> None:
    answer = typed("serve", "--no-browser", "--folder", tmp_path / "app", *words)
    assert answer.status == 2 and problem in answer.err


@pytest.mark.slow
def test_it_answers_this_machine_alone_and_no_secret_is_logged(program: Program, tmp_path: Path) -> None:
    with program.entered() as client:
        assert client.get(f"/enter?token={program.token}").status_code == 403
        assert client.get("/nowhere").status_code == 404
        secrets = [program.token, next(iter(client.cookies.values())), client.headers["x-csrf"]]
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", program.port), timeout=5):
        pass
    with socket.create_connection(("127.0.0.1", program.port)) as odd:
        odd.sendall(f"GET /enter?token={program.token} HTTP/9\r\n\r\n".encode())
        odd.recv(1000)
    program.process.send_signal(signal.SIGINT)
    assert program.process.wait(30) in (0, 130)  # as the signal finds it waiting, or answering
    assert [program.said().count(secret) for secret in secrets] == [1, 0, 0]
    files = [path.read_bytes() for path in (tmp_path / "app").rglob("*") if path.is_file()]
    assert not any(secret.encode() in content for content in files for secret in secrets)


@pytest.mark.slow
def test_from_a_cohort_to_its_report_though_the_program_is_killed(
    program: Program, people_of_numbers: Callable[..., Cohort], tmp_path: Path
) -> None:
    root, config = people_of_numbers("cohort", people=6, each=6).root, tmp_path / "tiny.toml"
    config.write_text(TINY)
    asked = {"path": str(root), "config": str(config)}
    with program.entered() as client:
        contents = client.get("/study/contents", params=asked).text
        assert "6 of 6 people" in contents and "0 of 6 people" in contents
        assert "voice (36)" in contents and "anger (12)" in contents
        plan = client.get("/study/plan", params=asked).text
        assert "reader" in plan and 'value="numbers-tiny"' in plan
        job = client.post("/study/start", data={**asked, "name": "first"}).url.path
        again = client.post("/study/start", data={**asked, "name": "first"})
        assert again.status_code == 400 and "There is a study first already" in again.text
        busy = client.post(f"{job}/again", data={"x": ""})
        assert busy.status_code == 400 and "being done already" in busy.text
        assert "You can close this page" in client.get(job).text
    program.end()
    later, states = Program(tmp_path / "app"), ["running"]
    with later.entered() as client:
        while states[-1] == "running":
            states.append(client.get(f"{job}/state").json()["state"])
            time.sleep(0.1)
        assert len(states) > 2 and states[-1] == "done"
        assert "Open the report" in client.get(job).text and "first" in client.get("/study").text
        report = client.get(f"{job}/run/report.html")
        assert "reader" in report.text and "script-src 'sha256-" in report.headers["content-security-policy"]
        private = tmp_path / "app" / "runs" / "first.private"
        assert (private / "study.toml").is_file()
        for name in ("../first.private/study.toml", "..%2ffirst.private%2fstudy.toml", f"/{private}/study.toml"):
            assert client.get(f"{job}/run/{name}").status_code == 404
    later.end()


@pytest.mark.slow
def test_a_review_opens_in_its_room_and_its_answers_go_out(typed: Callable[..., Any], tmp_path: Path) -> None:
    write_released(tmp_path / "made-up")
    program = Program(tmp_path / "app", "review", str(tmp_path / "made-up"))
    with program.entered() as client:
        assert client.get("/").url.path == "/review"
        assert client.get("/study").status_code == 404
    program.end()
    answer = typed("review", tmp_path / "made-up", "--export", tmp_path / "votes.csv")
    assert answer.status == 0 and "votes.csv: 0 answers" in answer.out
    assert typed("review", tmp_path / "made-up", "--import", tmp_path / "votes.csv").status == 0
    answer = typed("review", tmp_path / "made-up", "--import", tmp_path / "votes.txt")
    assert answer.status == 2 and ".csv or .json" in answer.err


@pytest.mark.slow
def test_every_page_is_quiet_and_can_be_used_without_a_mouse(
    program: Program, browser: Any, numbers: Cohort, tmp_path: Path
) -> None:
    from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get_log("performance")
    browser.get(f"{program.home}/enter?token={program.token}")
    assert "token" not in browser.current_url
    path = quote(str(numbers.root))
    pages = (
        "",
        "/folder",
        f"/folder?path={path}",
        f"/contents?path={path}",
        f"/plan?path={path}",
        "/contents?path=/no",
    )
    for page in pages:
        browser.get(f"{program.home}/study{page}")
        goals = browser.find_elements(By.CSS_SELECTOR, "a, button, select, summary, input:not([type=hidden])")
        reached = set()
        for _ in range(2 * len(goals)):
            browser.switch_to.active_element.send_keys(Keys.TAB)
            active = browser.switch_to.active_element
            reached.add(active.id)
        shown = [goal for goal in goals if goal.is_displayed()]
        assert shown and {goal.id for goal in shown} <= reached, page
        unnamed = (
            "return [...document.querySelectorAll('input:not([type=hidden]), select')].filter(e => !e.labels.length)"
        )
        assert not browser.execute_script(unnamed), page
    browser.get(f"{program.home}/study/folder")
    field = browser.find_element(By.ID, "path")
    field.clear()
    field.send_keys(str(numbers.root), Keys.ENTER)
    between_pages = (NoSuchElementException, StaleElementReferenceException)  # a key does not wait for what it asks for
    WebDriverWait(browser, 30, ignored_exceptions=between_pages).until(
        lambda _: numbers.root.name in browser.find_element(By.CSS_SELECTOR, ".buttons a").text
    )
    errors = [one for one in browser.get_log("browser") if "status of 400" not in one["message"]]
    events = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
    sent = [one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"]
    assert not errors
    sent = [url for url in sent if not url.startswith("chrome://")]  # of the browser's own first page
    assert len(sent) > 6 and all(url.startswith((program.home, "data:")) for url in sent)
