import errno
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from personare.core.atomic import replacing, write_json
from personare.core.errors import DataError
from personare.data.runs import RunFolder, private_folder


class Work:
    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, object]:
        self.times += 1
        return {"uar": np.float64(0.5), "missing": float("nan"), "file": Path("a.wav")}


def test_a_finished_step_is_not_run_again(tmp_path: Path) -> None:
    work = Work()
    results = [
        RunFolder(tmp_path).step("judge/voice", inputs={"a": "1"}, options={"seed": 0, "x": (1, 2)}, work=work)
        for _ in range(3)
    ]
    assert work.times == 1
    assert results[0]["uar"] == results[2]["uar"] == 0.5
    assert math.isnan(results[0]["missing"])
    assert math.isnan(results[2]["missing"])
    record = json.loads((private_folder(tmp_path) / "steps/judge/voice.json").read_text())
    assert record["inputs"] == {"a": "1"}
    assert record["options"] == {"seed": 0, "x": [1, 2]}
    assert record["versions"]["numpy"] == np.__version__
    assert record["seconds"] >= 0


@pytest.mark.parametrize(("inputs", "options"), [({"a": "2"}, {"seed": 0}), ({"a": "1"}, {"seed": 1}), ({}, {})])
def test_changed_inputs_or_options_run_it_again(
    tmp_path: Path, inputs: dict[str, str], options: dict[str, int]
) -> None:
    work = Work()
    RunFolder(tmp_path).step("s", inputs={"a": "1"}, options={"seed": 0}, work=work)
    RunFolder(tmp_path).step("s", inputs=inputs, options=options, work=work)
    assert work.times == 2


def test_a_step_that_failed_leaves_no_record(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with pytest.raises(ZeroDivisionError):
        run.step("s", inputs={}, options={}, work=lambda: {"x": 1 / 0})
    assert list((private_folder(tmp_path) / "steps").iterdir()) == []
    assert run.step("s", inputs={}, options={}, work=lambda: {"x": 1}) == {"x": 1}


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"inputs": {}, "options": {}}'])
def test_a_damaged_record_is_done_again(tmp_path: Path, damage: str) -> None:
    run, work = RunFolder(tmp_path), Work()
    run.step("s", inputs={}, options={}, work=work)
    (private_folder(tmp_path) / "steps/s.json").write_text(damage)
    run.step("s", inputs={}, options={}, work=work)
    assert work.times == 2


KILLED = """
import os, sys, time
from pathlib import Path
from personare.data.runs import RunFolder
run = RunFolder(Path(sys.argv[1]))
def second():
    Path(sys.argv[1], "in second").touch()
    time.sleep(60)
    return {}
with run.lock():
    run.step("first", inputs={}, options={}, work=lambda: {"pid": os.getpid()})
    run.step("second", inputs={}, options={}, work=second)
"""


def test_a_killed_run_goes_on_where_it_stopped_and_its_lock_is_gone(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)])
    try:
        end = time.monotonic() + 60
        while not (tmp_path / "in second").exists():
            assert process.poll() is None, "the other process failed"
            assert time.monotonic() < end
            time.sleep(0.02)
        with pytest.raises(DataError, match=f"process {process.pid} does"), RunFolder(tmp_path).lock():
            pass
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    run, work = RunFolder(tmp_path), Work()
    with run.lock():
        assert run.step("first", inputs={}, options={}, work=work) == {"pid": process.pid}
        run.step("second", inputs={}, options={}, work=work)
    assert work.times == 1


def test_the_same_run_twice_at_once_is_refused_and_then_possible(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with run.lock(), pytest.raises(DataError, match=str(os.getpid())), RunFolder(tmp_path).lock():
        pass
    with run.lock():
        pass


def _fill(path: Path) -> None:
    with replacing(path) as part:
        part.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_a_data_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "results.json", [1])
    with pytest.raises(DataError, match="No space left"):
        _fill(tmp_path / "results.json")
    assert json.loads((tmp_path / "results.json").read_text()) == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_is_really_full_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"), replacing(tmp_path / "results.json") as part:
        part.symlink_to("/dev/full")
        part.write_text("[1]")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_should_be_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("x")
    with pytest.raises(DataError, match="cannot be made"):
        RunFolder(tmp_path / "run")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write read-only folders")
def test_a_read_only_folder_is_a_data_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DataError):
            RunFolder(tmp_path / "run")
    finally:
        tmp_path.chmod(0o700)


@dataclass(frozen=True)
class Row:
    value: float
    where: Path


def test_json_is_readable_by_every_program(tmp_path: Path) -> None:
    rows = [Row(float("nan"), Path("Über uns/a b.wav")), Row(float("inf"), Path("b"))]
    write_json(tmp_path / "r.json", {"rows": rows, "array": np.arange(3), "set": {"b", "a"}, "flag": np.bool_(True)})

    def refuse(name: str) -> None:
        raise AssertionError(name)

    content = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert content["rows"][0] == {"value": None, "where": "Über uns/a b.wav"}
    assert content["rows"][1]["value"] is None
    assert content["array"] == [0, 1, 2]
    assert content["set"] == ["a", "b"]
    assert content["flag"] is True
