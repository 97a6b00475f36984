"""One study on a cluster that exists: a real scheduler and workers in processes of their own; fakes of what fails."""

import json
import os
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from personare import __version__
from personare.core.errors import ClusterError, DataError, OptionError
from personare.core.types import Cohort
from personare.govern.ledger import Ledger
from personare.govern.storage import lock_cohort
from personare.study.clusters import Cluster, check_workers
from personare.study.parallel import Workers
from personare.study.study import Outcome

STUDY = """
attacks = ["voice_prosody"]
utilities = ["prosody"]
shadows = 0
canaries = 0
[[releases]]
name = "mcadams"
voice = "voice_mcadams"
[[models]]
name = "trees"
method = "forest"
modalities = ["eda"]
options = { trees = 3 }
"""


def at_once(call: Any, *given: Any) -> Future[Any]:
    future = Future[Any]()
    future.set_result(call(*given))
    return future


def fake(ask: Any = None, submit: Any = at_once, alive: bool = True) -> Cluster:
    return Cluster(submit=submit, alive=lambda: alive, slots=lambda: 2, ask=ask or (lambda call: {"w1": call()}))


@contextmanager
def started(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def dask(workers: int, **environment: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Start a scheduler and workers, each a process."""
    pytest.importorskip("distributed", reason="needs the extra dask")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    place = ("--host", "127.0.0.1", "--no-dashboard")
    with started("distributed.cli.dask_scheduler", *place, "--port", str(port), **environment) as scheduler:
        alone = ("--nthreads", "1", "--no-nanny", *place)
        one = partial(started, "distributed.cli.dask_worker", address, *alone, **environment)
        with ExitStack() as stack:
            for _ in range(workers):
                stack.enter_context(one())
            yield address, scheduler


@contextmanager
def ray(nodes: int) -> Iterator[tuple[str, Any]]:
    """Start a cluster of several nodes, each processes of their own."""
    pytest.importorskip("ray", reason="needs the extra ray")
    from ray.cluster_utils import Cluster as Nodes

    cluster = Nodes()
    for _ in range(nodes):
        cluster.add_node(num_cpus=1, include_dashboard=False)
    try:
        yield cluster.address, cluster
    finally:
        cluster.shutdown()


@contextmanager
def slurm(jobs: int) -> Iterator[tuple[str, Path]]:
    """Put programs called as those of Slurm on the path, which run a job's script here."""
    pytest.importorskip("dask_jobqueue", reason="needs the extra slurm")
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        copy = f'[ $1 = --test-only ] && exit; cp "$1" {folder}/script; cp "$1" {folder}/$$'  # it is removed
        start = f"setsid sh {folder}/$$ > /dev/null 2>&1 & echo Submitted batch job $!"
        for name, line in (("sbatch", f"{copy}; {start}"), ("scancel", 'kill -- "-$1"')):
            (Path(folder) / name).write_text(f"#!/bin/sh\n{line}\n")
            (Path(folder) / name).chmod(0o700)
        patch.setenv("PATH", folder, prepend=os.pathsep)
        patch.setenv("HOME", folder)
        yield "partition=long,walltime=01:00:00,memory=2GB,qos=low", Path(folder)
        assert not [*Path(folder).glob(".personare*")], "the key is gone with the cluster"


@pytest.mark.slow
@pytest.mark.parametrize("engine", [dask, ray, slurm], ids=["dask", "ray", "slurm"])
def test_a_study_on_a_cluster_equals_a_serial_one_to_the_last_digit(
    engine: Any, speakers: Callable[..., Cohort], typed: Any, tmp_path: Path
) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    root = speakers(tmp_path / "cohort", people=4, each=2).root
    study = ("study", root, "--config", "study.toml")
    with engine(3 if engine is dask else 2) as (address, place):
        name = engine.__wrapped__.__name__
        jobs = ("--jobs", 2) if engine is slurm else ()
        there = typed(*study, "--out", "there", "--engine", name, "--address", address, *jobs)
        if engine is slurm:
            script = (place / "script").read_text()
            options = ("--partition=long", "-t 01:00:00", "--mem=2G", "--qos=low")
            assert all(f"#SBATCH {option}\n" in script for option in options) and "tls://" in script
    assert there.status == 0, there.err
    assert typed(*study, "--out", "here", "--jobs", 1).status == 0
    rows = [json.loads((tmp_path / run / "results.json").read_text()) for run in ("here", "there")]
    assert rows[0] == rows[1] and len(rows[0]) > 10
    assert Ledger(root / "ledger.sqlite").verify().ok


def test_what_sbatch_says_against_it_is_told_and_nothing_is_begun(numbers: Cohort, typed: Any) -> None:
    with slurm(2) as (address, folder):
        (folder / "sbatch").write_text("#!/bin/sh\necho invalid partition >&2\nexit 1\n")
        answer = typed("study", numbers.root, "--engine", "slurm", "--jobs", 2, "--address", address)
        assert answer.status == 2 and "invalid partition" in answer.err and "Nothing was begun" in answer.err
        for words in (("--address", "partition"), ()):
            answer = typed("study", numbers.root, "--engine", "slurm", *words)
            assert answer.status == 2 and "needs --jobs" in answer.err


def dies_of_poison() -> Callable[[Any], Any]:
    """Return work that is sent as it is: workers cannot import tests."""

    def work(item: Any) -> Any:
        if item == "poison":
            import os

            os._exit(1)
        return item * item

    return work


@pytest.mark.slow
def test_a_lost_worker_costs_its_item_and_a_lost_scheduler_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys, failed = dict.fromkeys("abcdefgh", "key"), lambda name, error: {"lost": str(error)}
    items = {**{name: number for number, name in enumerate("abcdefg")}, "h": "poison"}
    work, ledger = dies_of_poison(), Ledger(f"{tmp_path}/ledger.sqlite")
    with dask(3, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1") as (address, scheduler):
        workers = Workers(engine="dask", address=address, quiet=True)
        with workers.on_cluster(tmp_path, tmp_path, ledger) as there:
            made = dict(there.each("work", items, work, tmp_path / "done", keys, failed))
            assert {name: made[name] for name in "abcdefg"} == {n: i * i for n, i in items.items() if n != "h"}
            assert "No worker could finish it (KilledWorker" in made["h"]["lost"]
            scheduler.kill()
            monkeypatch.setattr("personare.study.parallel._SILENCE_S", 1)
            with pytest.raises(ClusterError, match="What was finished is kept"):
                list(there.run("more", {"a": 1}, work))
    again = dict(
        Workers(jobs=1, quiet=True).each("work", items, lambda _: "done again", tmp_path / "done", keys, failed)
    )
    assert {name for name, result in again.items() if result == "done again"} == {"h"}


@pytest.mark.slow
def test_ray_too_does_the_item_of_a_lost_worker_once_more_and_then_goes_on(tmp_path: Path) -> None:
    items, failed = {"a": 2, "b": "poison", "c": 3}, lambda name, error: str(error)
    with ray(2) as (address, _):
        workers = Workers(engine="ray", address=address, quiet=True)
        with workers.on_cluster(tmp_path, tmp_path, Ledger(tmp_path / "ledger.sqlite")) as there:
            made = dict(there.run("work", items, dies_of_poison(), failed))
    assert (made["a"], made["c"]) == (4, 9) and "No worker could finish it (WorkerCrashedError" in made["b"]


@pytest.mark.parametrize(("engine", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_scheduler_that_is_not_there_is_told_before_anything(
    engine: str, package: str, numbers: Cohort, typed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(package, reason=f"needs the extra {engine}")
    monkeypatch.setattr("personare.study.clusters._ANSWER_S", 0.3)
    address = {"dask": "tcp://127.0.0.1:1", "ray": "127.0.0.1:1"}[engine]
    answer = typed("study", numbers.root, "--engine", engine, "--scheduler", address)
    assert answer.status == 2
    assert f"must answer at {address} within 0.3 s" in answer.err and "Nothing was begun" in answer.err
    assert not Ledger(numbers.root / "ledger.sqlite").exists()


def test_guarantee_a_worker_that_cannot_do_the_work_is_refused_by_name(
    speakers: Callable[..., Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = speakers(tmp_path / "cohort", people=2, each=1).root
    on_disk, server = Ledger(tmp_path / "ledger"), Ledger("postgresql+psycopg://server/ledger")

    def check(ledger: Ledger = on_disk, **other: Any) -> None:
        check_workers(fake(lambda call: {"w1": call(), "w2": {**call(), **other}}), cohort, tmp_path, ledger)

    monkeypatch.delenv("PERSONARE_PASSPHRASE", raising=False)
    check()
    check(server, machine="another", host="far")
    with pytest.raises(ClusterError, match=r"workers are on far too: SQLite's .* URL of a PostgreSQL"):
        check(machine="another", host="far")
    with pytest.raises(ClusterError, match=f"w2 .* has no personare: install {__version__} there"):
        check(version="")
    with pytest.raises(ClusterError, match=r"w2 .* has personare 0.0.1"):
        check(version="0.0.1")
    with pytest.raises(ClusterError, match=r"w2 .* does not see .*dataset_description.json as it is here"):
        check(files=defaultdict(str))
    with pytest.raises(ClusterError, match=r"w2 .* may not write the run's folder"):
        check(writes=False)
    with pytest.raises(ClusterError, match="w2 could not be asked: ModuleNotFoundError: No module"):
        error = ModuleNotFoundError("No module named 'cloudpickle'")
        check_workers(fake(lambda call: {"w1": call(), "w2": error}), cohort, tmp_path, on_disk)
    with pytest.raises(ClusterError, match=r"install .* at the scheduler too: different environments"):
        broken = Future[Any]()
        broken.set_exception(RuntimeError("different environments"))
        check_workers(fake(submit=lambda *_: broken), cohort, tmp_path, on_disk)
    with pytest.raises(ClusterError, match="There is none"):
        check_workers(fake(lambda call: {}), cohort, tmp_path, on_disk)
    lock_cohort(cohort, "three little words")
    monkeypatch.setenv("PERSONARE_PASSPHRASE", "three little words")
    check()
    with pytest.raises(ClusterError, match=r"w2 .* never sent: set PERSONARE_PASSPHRASE there"):
        check(passphrase=False)
    assert not [*tmp_path.glob(".seen-*")]


def test_what_is_under_way_does_not_grow_with_the_items() -> None:
    waiting, most = list[Future[Any]](), list[int]()

    def submit(call: Any, *given: Any) -> Future[Any]:
        waiting.append(at_once(call, *given))
        most.append(len(waiting))
        return waiting[-1]

    items = {str(number): number for number in range(50)}
    for _ in Workers(engine="dask", cluster=fake(submit=submit), quiet=True).run("work", items, abs):
        waiting.pop()
    assert len(most) == 50 and max(most) <= 4
    alone = Workers(jobs=1, engine="dask", cluster=fake(submit=submit), quiet=True)
    waiting.clear()
    most.clear()
    for _ in alone.run("work", items, abs):
        waiting.pop()
    assert max(most) == 1, "what one release costs is in the ledger before the next"


def test_who_goes_silent_ends_the_study_and_not_a_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("personare.study.parallel._SILENCE_S", 0.01)
    silent = fake(submit=lambda *_: Future(), alive=False)
    with pytest.raises(ClusterError, match="is gone"):
        list(Workers(engine="ray", cluster=silent, quiet=True).run("work", {"a": 1}, abs))
    with pytest.raises(ClusterError):
        Outcome().missed("release", ClusterError("gone"))
    assert Outcome().missed("release", DataError("bad")).not_made


def test_an_address_needs_an_engine_that_has_clusters_and_is_installed(
    typed: Any, monkeypatch: pytest.MonkeyPatch, numbers: Cohort
) -> None:
    with pytest.raises(OptionError, match="needs --engine dask, ray or slurm"):
        Workers(address="tcp://host:8786")
    monkeypatch.setattr("personare.study.clusters.find_spec", lambda _: None)
    answer = typed("study", numbers.root, "--engine", "ray", "--out", "run")
    assert answer.status == 2 and "pip install 'personare[ray]'" in answer.err
