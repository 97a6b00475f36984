"""What tests share: typing a command, a cohort of people given as numbers, a PostgreSQL server."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from personare.core.randomness import generator
from personare.core.types import Cohort, Recording
from personare.data.cohort import CohortWriter, recording_id
from personare.govern.consent import consent_all

CLASSES = ("anger", "happiness", "sadness")


class Answer(NamedTuple):
    """What a command answered."""

    status: int
    out: str
    err: str


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Answer]:
    """Type a command in a folder of its own."""
    from personare.cli import main

    def type_(*words: object) -> Answer:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["personare", *map(str, words)])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        return Answer(status, *capsys.readouterr())

    return type_


def write_people(
    root: Path,
    *,
    people: int = 10,
    each: int = 12,
    classes: Sequence[str] = CLASSES,
    purposes: Sequence[str] = ("training", "evaluation"),
    seed: int = 1,
    tracks: Sequence[str] = ("voice", "face"),
) -> Cohort:
    """Write a cohort of two feature tracks in which the class shows, and the person too."""
    rng, names = generator(seed, "people"), [f"{p + 1:02d}" for p in range(people)]
    writer = CohortWriter(root, name="numbers")
    for person in names:
        own = {track: rng.standard_normal(5) for track in tracks}
        for i in range(each):
            kind = i % len(classes)
            task = recording_id(person, "01", f"r{i}")
            files = {}
            for track in tracks:
                values = own[track] + 2.5 * np.eye(5)[kind] + 0.7 * rng.standard_normal(5)
                path = writer.path((person, "01", f"r{i}"), track, ".npy")
                np.save(path, values.astype(np.float32))
                files[track] = path.relative_to(root).as_posix()
            labels = {"emotion": classes[kind], "sentence": f"s{i % 4}"}
            writer.add(Recording(id=task, subject=person, session="01", tracks=files, labels=labels))
    known = pd.DataFrame({"sex": ["F", "M"] * (people // 2) + ["F"] * (people % 2), "age": 30.0}, index=names)
    return writer.finish(known, consent_all(names, purposes))


@pytest.fixture(scope="session")
def written() -> Callable[..., Cohort]:
    """Write such a cohort into any folder."""
    return write_people


@pytest.fixture
def numbers(tmp_path: Path) -> Cohort:
    """Ten people, twelve recordings each, three classes."""
    return write_people(tmp_path / "cohort")


@pytest.fixture
def people_of_numbers(tmp_path: Path) -> Callable[..., Cohort]:
    """Write other cohorts like it; the first word is the folder's name."""
    return lambda name, **how: write_people(tmp_path / name, **how)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Path]:
    """Start a PostgreSQL server that only its socket's folder leads to, as a user who may; skip where there is none."""
    pytest.importorskip("psycopg", reason="needs the extra postgresql")
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), *filter(None, [shutil.which("pg_ctl")])]
    programs = [p if p.is_dir() else p.resolve().parent for p in map(Path, places)]
    if not programs:
        pytest.skip("needs a PostgreSQL server: apt install postgresql")
    who = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}  # never root
    with tempfile.TemporaryDirectory() as folder:
        if who:
            shutil.chown(folder, "nobody", "nogroup")

        def run(program: str, *words: str) -> None:
            command = [str(programs[0] / program), "-D", f"{folder}/data", *words]
            done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **who)
            assert done.returncode == 0, done.stderr.decode()

        run("initdb", "-A", "trust", "-U", "tests", "--no-sync", "-E", "UTF8", "--locale", "C")
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", f"-k {folder} -c listen_addresses=''", "start")
        yield Path(folder)
        run("pg_ctl", "-w", "-m", "immediate", "stop")


_databases = count()


@pytest.fixture
def postgresql(postgresql_server: Path) -> str:
    """The URL of an empty database."""
    import psycopg

    name = f"d{next(_databases)}"
    with psycopg.connect(host=str(postgresql_server), user="tests", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql+psycopg://tests@/{name}?host={postgresql_server}"
