"""The same work for every recording, on several cores, with progress, never done twice after a kill."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
from tqdm import tqdm

from personare.core.atomic import write_json
from personare.core.errors import ClusterError, DataError, OptionError, PersonareError, reason
from personare.core.interrupt import check_interrupt
from personare.study.clusters import Cluster, check_workers, connected

if TYPE_CHECKING:  # the database takes a moment to import, and one file does not wait for it
    from personare.govern.ledger import Ledger

_SILENCE_S = 30  # after which a cluster of which nothing came is asked whether it is still there


class Progress:
    """One bar for all stages of a piece of work, redrawn on one line; where it goes to a file, a line a stage."""

    def __init__(self, stages: int, *, quiet: bool = False) -> None:
        self._stages, self._stage, self._quiet = stages, 0, quiet
        shape = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left"
        hidden = quiet or not sys.stderr.isatty()
        self._bar = tqdm(total=stages, bar_format=shape, disable=hidden, dynamic_ncols=True)

    def stage(self, label: str) -> Callable[[float], object]:
        """Begin a stage and return what is told the share of it that is done."""
        start, self._stage = self._stage, self._stage + 1
        self._bar.update(start - self._bar.n)
        text = f"{label} ({self._stage} of {max(self._stages, self._stage)})"
        self._bar.set_description(text)
        if self._bar.disable and not self._quiet:
            sys.stderr.write(f"{text}\n")
        return lambda share: self._bar.update(max(start + share - self._bar.n, 0))

    def close(self) -> None:
        """End the bar."""
        self._bar.close()


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Who does the work."""

    jobs: int = -1  # processes; -1 for one a core
    engine: str = "loky"  # loky (this machine), dask, ray or slurm (their packages must be installed)
    address: str = (
        ""  # of a cluster of dask or ray that exists, else they start processes here; what slurm is asked for
    )
    quiet: bool = False  # nothing is shown
    # of the whole work, of which each piece done here is a stage; None: a bar for each
    progress: Progress | None = None
    cluster: Cluster | None = None  # once it was reached

    def __post_init__(self) -> None:
        """Check the options."""
        if self.engine not in ("loky", "dask", "ray", "slurm"):
            raise OptionError(f"The engine must be loky, dask, ray or slurm, not '{self.engine}'.")
        if self.address and self.engine == "loky":
            raise OptionError(
                "The address of a cluster needs --engine dask, ray or slurm; without one all is done here."
            )
        if self.jobs == 0:
            raise OptionError("The number of jobs cannot be 0; give -1 for one a core.")

    @contextmanager
    def stages(self, count: int) -> Iterator["Workers"]:
        """Give workers that show all they do in one bar of this many stages."""
        if self.progress is not None:
            yield self
            return
        with closing(Progress(count, quiet=self.quiet)) as progress:
            yield replace(self, progress=progress)

    @contextmanager
    def on_cluster(self, root: Path, private: Path, ledger: "Ledger") -> Iterator["Workers"]:
        """Give the workers of a cluster, where the engine has one, once they were checked for this work."""
        if self.engine == "loky":
            yield self
            return
        with connected(self.engine, self.address, self.jobs) as cluster:
            check_workers(cluster, root, private, ledger)
            yield replace(self, cluster=cluster)

    def bar(self, label: str) -> Callable[[Iterable[Any]], Iterable[Any]]:
        """Return what shows the progress of an iteration."""
        return lambda items: self._shown(label, every := list(items), len(every))

    def _shown(self, label: str, items: Iterable[Any], count: int) -> Iterator[Any]:
        bar = tqdm(items, desc=label, total=count, disable=self.progress is not None or self.quiet or not count)
        done = self.progress.stage(label) if self.progress is not None else lambda _share: None
        for number, item in enumerate(bar, start=1):
            check_interrupt()  # before anything is kept of work during which a library swallowed one
            yield item
            done(number / count)

    def each(
        self,
        label: str,
        items: Mapping[str, Any],
        work: Callable[[Any], Mapping[str, Any]],
        done: Path,
        keys: Mapping[str, str],
        failed: Callable[[str, Exception], Mapping[str, Any]],
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield (name, what ``work`` returned) for each item, in any order; its name can be a file's.

        The folder ``done`` remembers what JSON can hold of finished items; an item that was done with another of the
        ``keys``, on which its work depends, is done again. ``failed`` says what an item comes to whose work raises.
        """
        done.mkdir(parents=True, exist_ok=True)
        left = {}
        for name, item in items.items():
            before: dict[str, Any] = {}
            with suppress(OSError, ValueError):  # none, or one that cannot be read: then the work is done again
                before = json.loads((done / f"{name}.json").read_text(encoding="utf-8"))
            if before.get("key") == keys[name]:
                yield name, before["result"]
            else:
                left[name] = item
        for name, result, error in self._tried(label, left, work):
            if error is None:
                write_json(done / f"{name}.json", {"key": keys[name], "result": result})
            yield name, result if error is None else failed(name, error)

    def run(
        self,
        label: str,
        items: Mapping[str, Any],
        work: Callable[[Any], Any],
        failed: Callable[[str, Exception], Any] | None = None,
    ) -> Iterator[tuple[str, Any]]:
        """Do as ``each``, but remember nothing; where ``failed`` is None, an error ends everything."""
        for name, result, error in self._tried(label, items, work):
            if error is not None and failed is None:
                raise error
            yield name, failed(name, error) if error is not None and failed else result

    def _tried(
        self, label: str, items: Mapping[str, Any], work: Callable[[Any], Any]
    ) -> Iterator[tuple[str, Any, Exception | None]]:
        if self.engine != "loky":
            reached = nullcontext(self.cluster) if self.cluster else connected(self.engine, self.address, self.jobs)
            with reached as cluster:
                yield from self._shown(label, _elsewhere(cluster, self.jobs, items, work), len(items))
            return
        left = dict(items)
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            parallel = joblib.Parallel(n_jobs=self.jobs, return_as="generator_unordered", batch_size=1)
            made = parallel(joblib.delayed(_named)(name, item, work) for name, item in items.items())
            try:
                for name, result, error in self._shown(label, made, len(items)):
                    del left[name]
                    yield name, result, error
            except Exception as error:  # a process died; what it was at cannot be told from what waited
                for name in [*left]:
                    yield name, None, error


def _named(name: str, item: Any, work: Callable[[Any], Any]) -> tuple[str, Any, Exception | None]:
    try:
        return name, work(item), None
    except Exception as error:  # not every one can be sent to another process
        return name, None, error if isinstance(error, PersonareError) else DataError(reason(error))


def _elsewhere(
    cluster: Cluster, jobs: int, items: Mapping[str, Any], work: Callable[[Any], Any]
) -> Iterator[tuple[str, Any, Exception | None]]:
    # two a worker, so that none waits; the next is sent when a result was taken, so that memory does not grow
    most = jobs if jobs > 0 else 2 * max(cluster.slots(), 1)
    waiting, left = dict[Future[Any], str](), iter(items.items())
    try:
        while True:
            for name, item in islice(left, most - len(waiting)):
                waiting[cluster.submit(_named, name, item, work)] = name
            if not waiting:
                return
            finished, _ = wait(waiting, timeout=_SILENCE_S, return_when=FIRST_COMPLETED)
            if not finished and not cluster.alive():
                raise CancelledError
            for future in finished:
                yield _taken(waiting.pop(future), future)
    except CancelledError as error:
        raise ClusterError(
            "The scheduler or the last worker of the cluster is gone. What was finished is kept: start it, then run "
            "again."
        ) from error
    finally:
        for future in waiting:
            future.cancel()


def _taken(name: str, future: Future[Any]) -> tuple[str, Any, Exception | None]:
    try:
        made: tuple[str, Any, Exception | None] = future.result()
        return made
    except CancelledError:
        raise
    except Exception as error:
        return name, None, DataError(f"No worker could finish it ({type(error).__name__}: {error})")
