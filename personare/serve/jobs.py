"""Work that goes on when the page, or the whole app, is closed: a command in a process of its own, and its record."""

import fcntl
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from starlette.exceptions import HTTPException

from personare.core.atomic import make_folder, write_json
from personare.core.errors import data_errors

_TAIL = 20_000  # bytes of what a job said
_END_S = 5.0  # to end by itself when it is stopped


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command that was started: its words, and the file that is there when it ended well."""

    id: str
    pid: int
    command: tuple[str, ...]  # of personare
    product: str
    started: float  # seconds since 1970
    about: Mapping[str, Any]  # what it is called, what it is planned to make
    stopped: bool = False  # by the user


@dataclass(frozen=True, kw_only=True)
class State:
    """How far a job is."""

    name: Literal["running", "done", "failed", "stopped"]
    elapsed_s: float
    said: str  # the end of it


class Jobs:
    """The jobs of the app, each in a folder with its record and what it said.

    **Guarantee**: a job does not end with the app, and an app that is started later sees whether it still runs: the job
    holds a lock that ends with it, so no other process can be taken for it.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._started = root, dict[str, subprocess.Popen[bytes]]()

    def start(self, command: Sequence[str], *, product: Path, about: Mapping[str, Any]) -> Job:
        """Start ``personare`` with these words."""
        name = secrets.token_hex(8)
        folder = make_folder(self._root / name)
        started = time.time()
        with (
            data_errors("The work cannot be started", "Free the disk, or stop other programs."),
            (folder / "log.txt").open("wb") as log,
            (folder / "lock").open("wb") as lock,
        ):
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = self._started[name] = subprocess.Popen(
                [sys.executable, "-m", "personare", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[lock.fileno()],
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        job = Job(
            id=name, pid=process.pid, command=(*command,), product=str(product), started=started, about=dict(about)
        )
        write_json(folder / "job.json", job)
        return job

    def all(self) -> list[Job]:
        """Return every job, the last one first."""
        jobs = [self.find(path.parent.name) for path in self._root.glob("*/job.json")]
        return sorted(jobs, key=lambda job: job.started, reverse=True)

    def find(self, name: str) -> Job:
        """Return a job by its id."""
        path = self._root / name / "job.json"
        if not (re.fullmatch("[0-9a-f]{16}", name) and path.is_file()):
            raise HTTPException(404, "There is no such work here.")
        with data_errors(f"{path} cannot be read", "Remove its folder, and start the work again."):
            record = json.loads(path.read_text(encoding="utf-8"))
            return Job(**{**record, "command": (*record["command"],)})

    def state(self, job: Job) -> State:
        """Look how far a job is."""
        log, product = self._root / job.id / "log.txt", Path(job.product)
        running = self.is_running(job)  # before the product is looked for, which comes last
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL))
            text = file.read().decode("utf-8", "replace")
        made = product.is_file() and product.stat().st_mtime >= job.started
        end = time.time() if running else log.stat().st_mtime
        return State(
            name="running" if running else "done" if made else "stopped" if job.stopped else "failed",
            elapsed_s=max(0.0, end - job.started),
            said=re.sub(r"[^\n]*\r(?=[^\n])", "", text).strip(),  # as a terminal shows a line that is redrawn
        )

    def is_running(self, job: Job) -> bool:
        """Whether a job has not ended."""
        if job.id in self._started:
            self._started[job.id].poll()  # else it would stay as a zombie
        with (self._root / job.id / "lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def stop(self, job: Job) -> None:
        """End a job and its workers; what it has finished stays."""
        write_json(self._root / job.id / "job.json", {**vars(job), "stopped": True})
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + _END_S
            with suppress(ProcessLookupError):
                if self.is_running(job):
                    os.killpg(job.pid, number)
            while self.is_running(job) and time.monotonic() < deadline:
                time.sleep(0.05)
