"""A cluster that exists: what its workers must have before a study is given to them, and how work gets there."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from personare import __version__
from personare.core.errors import ClusterError, OptionError
from personare.govern.storage import PASSPHRASE, is_locked

if TYPE_CHECKING:  # the database takes a moment to import, and one file does not wait for it
    from personare.govern.ledger import Ledger

_ANSWER_S = 20  # how long a scheduler, and the first of its workers, may take to answer
_FACTS = ("dataset_description.json", "participants.tsv")  # of a cohort, small and in every one


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Workers on machines that somebody else started."""

    submit: Callable[..., Future[Any]]  # has some worker do a call; lost with its worker, it is done again elsewhere
    alive: Callable[[], bool]  # whether anybody is there who can finish what was submitted
    slots: Callable[[], int]  # how many calls are done at the same time
    ask: Callable[[Callable[[], Any]], Mapping[str, Any]]  # has each worker do a call; its name, and the error it met


def connected(engine: str, address: str, jobs: int) -> AbstractContextManager[Cluster]:
    """Give the cluster whose scheduler is at an address; without one, of so many processes started here.

    With ``slurm``, of so many jobs that are submitted; its address says what for: ``partition=long,walltime=24:00:00``.
    """
    engines = {"dask": ("distributed", _dask), "ray": ("ray", _ray), "slurm": ("dask_jobqueue", _slurm)}
    package, reach = engines[engine]
    if not find_spec(package):
        raise OptionError(f"The engine {engine} is not installed. Run: pip install 'personare[{engine}]'.")
    return reach(address, jobs if jobs > 0 else None)


def check_workers(cluster: Cluster, root: Path, private: Path, ledger: "Ledger") -> None:
    """Ask each worker, before any work, whether it can do what this process would do.

    **Guarantee**: refused, by the worker's name, are one without this version of personare, one that does not see the
    cohort ``root`` and the run's folder ``private`` as they are here, one without the passphrase of a locked cohort,
    which is never sent, and a ledger in a file that more than one machine would write.
    """
    mark = private / f".seen-{uuid4().hex}"  # of a new name, so that no worker remembers another one
    mark.write_text(mark.name, encoding="utf-8")
    try:
        look = _looking([*(str(root / name) for name in _FACTS), str(mark)])
        found, here = cluster.ask(look), look()
    finally:
        mark.unlink()
    locked = is_locked(root)
    wrong = [f"{name} {said}" for name, seen in sorted(found.items()) if (said := _lacking(seen, here, locked))]
    if wrong or not found:
        raise ClusterError(f"Every worker must be able to do the work. {'; '.join(wrong) or 'There is none'}.")
    try:
        cluster.submit(is_locked, root).result(_ANSWER_S)
    except Exception as error:  # of the engine's, which are many
        raise ClusterError(
            f"Work must reach the workers; install {__version__} at the scheduler too: {error}"
        ) from error
    elsewhere = sorted({seen["host"] for seen in found.values() if seen["machine"] != here["machine"]})
    if elsewhere and ledger.is_file:
        raise ClusterError(
            f"The ledger must be a database that several machines can write, and workers are on {elsewhere[0]} too: "
            "SQLite's locks do not hold on storage that machines share, and its chain would break. Give --ledger the "
            "URL of a PostgreSQL database."
        )


def _lacking(seen: Any, here: Mapping[str, Any], locked: bool) -> str:
    if isinstance(seen, BaseException):
        return f"could not be asked: {type(seen).__name__}: {seen}"
    at = f"(on {seen['host']})"
    if seen["version"] != __version__:
        given = f"has personare {seen['version']}" if seen["version"] else "has no personare"
        return f"{at} {given}: install {__version__} there, as here"
    for file, content in here["files"].items():
        if seen["files"][file] != content:
            return f"{at} does not see {file} as it is here: put cohort and run on storage that all see at this path"
    if not seen["writes"]:
        return f"{at} may not write the run's folder: start it as a user who may"
    if locked and not seen["passphrase"]:
        return f"{at} has no passphrase for the locked cohort, and it is never sent: set {PASSPHRASE} there"
    return ""


def _looking(files: Sequence[str]) -> Callable[[], dict[str, Any]]:
    """Return what a worker is asked; it is sent as it is, for where it goes there may be no personare."""
    variable = str(PASSPHRASE)

    def look() -> dict[str, Any]:
        import hashlib
        import os
        import socket
        from pathlib import Path

        def read(file: str) -> bytes:
            try:
                return Path(file).read_bytes()
            except OSError:
                return b""

        try:
            import personare

            version = personare.__version__
        except ImportError:
            version = ""
        host = socket.gethostname()
        return {
            "host": host,
            # machines that were copied have one name; containers of one machine share its locks
            "machine": read("/proc/sys/kernel/random/boot_id").decode() or host,
            "version": version,
            "files": {file: hashlib.sha256(read(file)).hexdigest() for file in files},
            "writes": os.access(Path(files[-1]).parent, os.W_OK),
            "passphrase": bool(os.environ.get(variable)),
        }

    return look


def _unreachable(engine: str, address: str, error: Exception) -> ClusterError:
    return ClusterError(
        f"A {engine} scheduler must answer at {address} within {_ANSWER_S} s and have a worker; there was "
        f"{type(error).__name__}: {error}. Nothing was begun. Start it, or mend the address."
    )


@contextmanager
def _slurm(address: str, jobs: int | None) -> Iterator[Cluster]:
    from dask_jobqueue import SLURMCluster
    from distributed.security import Security

    asked = {"memory": "4GB"} | dict(pair.partition("=")[::2] for pair in address.split(",") if pair)
    if jobs is None or not all(asked.values()):
        raise OptionError(
            f"The engine slurm needs --jobs, how many are submitted, and options of sbatch as name=value, given "
            f"'{address}'. Give e.g. --jobs 8 --address partition=long,walltime=24:00:00,memory=8GB."
        )
    known = {name: asked.pop(name) for name in ("memory", "walltime") if name in asked}
    others = [f"--{name}={value}" for name, value in asked.items()]
    with ExitStack() as stack:
        # who reaches a scheduler runs programs: it takes only who has its key, which jobs find at the user's home
        folder = stack.enter_context(TemporaryDirectory(prefix=".personare-", dir=Path.home()))
        made, files = Security.temporary(), {what: f"{folder}/{what}.pem" for what in ("key", "cert")}
        for what, file in files.items():
            Path(file).write_text(getattr(made, f"tls_worker_{what}"), encoding="ascii")
        roles = {f"tls_{r}_{what}": file for r in ("client", "scheduler", "worker") for what, file in files.items()}
        tls = Security(require_encryption=True, tls_ca_file=files["cert"], **roles)
        one = {"cores": 1, "processes": 1, "protocol": "tls://", "security": tls, "job_extra_directives": others}
        try:
            cluster = stack.enter_context(SLURMCluster(**one, **known))
            script = cluster.job_script()  # tried first: of one that is submitted later nobody would hear what is wrong
            subprocess.run(["sbatch", "--test-only"], input=script, check=True, capture_output=True, text=True)
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            said = str(getattr(error, "stderr", error)).strip()
            raise ClusterError(f"Slurm must take jobs with '{address}', but: {said}. Nothing was begun.") from error
        cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)  # one whose time is over is submitted again
        yield stack.enter_context(_dask(cluster, None, queued=True))


@contextmanager
def _dask(address: Any, jobs: int | None, queued: bool = False) -> Iterator[Cluster]:
    from distributed import Client

    client = None
    local = {"processes": True, "threads_per_worker": 1, "n_workers": jobs, "dashboard_address": None}
    try:
        client = Client(**({"address": address} if address else local), timeout=_ANSWER_S, set_as_default=False)
        client.wait_for_workers(1, timeout=None if queued else _ANSWER_S)
    except Exception as error:  # of many kinds, by what is wrong with the address
        if client is not None:
            client.close()
        raise _unreachable("dask", address, error) from error
    if busy := [name for name, threads in client.nthreads().items() if threads > 1]:
        client.close()
        raise ClusterError(f"A worker must do one item at a time; start {busy[0]} anew with --nthreads 1.")

    def slots() -> int:
        with suppress(OSError):  # it is gone
            return len(client.nthreads())
        return 0

    with client:
        yield Cluster(
            submit=client.get_executor(pure=False).submit,
            alive=lambda: client.status == "running" and (queued or slots() > 0),
            slots=slots,
            ask=lambda call: dict(client.run(call, on_error="return")),
        )


@contextmanager
def _ray(address: str, jobs: int | None) -> Iterator[Cluster]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to its makers
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    try:
        if ":" in address:  # ray itself tries for minutes
            place = urlsplit(address if "//" in address else f"//{address}")
            socket.create_connection((place.hostname or "", place.port or 0), _ANSWER_S).close()
        local = {"address": "local", "num_cpus": jobs, "include_dashboard": False}
        ray.init(**({"address": address} if address else local), log_to_driver=False, logging_level="ERROR")
    except Exception as error:
        raise _unreachable("ray", address, error) from error

    def nodes() -> dict[str, str]:
        there = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        return {f"{node['NodeManagerAddress']} {node['NodeID'][:8]}": node["NodeID"] for node in there}

    def asked(call: Callable[[], Any], node: str) -> Any:
        only = NodeAffinitySchedulingStrategy(node, soft=False)
        try:
            return ray.get(ray.remote(num_cpus=0, scheduling_strategy=only)(call).remote(), timeout=_ANSWER_S)
        except Exception as error:
            return error

    def do(call: Callable[..., Any], *given: Any) -> Any:
        return call(*given)

    task = ray.remote(num_cpus=1, max_retries=1)(do)
    try:
        yield Cluster(
            submit=lambda call, *given: task.remote(call, *given).future(),
            alive=lambda: bool(nodes()),
            slots=lambda: int(ray.cluster_resources().get("CPU", 1)),
            ask=lambda call: {name: asked(call, node) for name, node in nodes().items()},
        )
    finally:
        ray.shutdown()
