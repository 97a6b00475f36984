"""The same work for every recording, on several cores, with progress, never done twice after a kill."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from tqdm import tqdm

from personare.core.errors import OptionError
from personare.data.atomic import write_json

__all__ = ["Workers"]


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Who does the work.

    Attributes:
        jobs: Processes; -1 for one a core.
        engine: ``loky`` (this machine), ``dask`` or ``ray`` (a cluster; their packages must be installed).
        quiet: No progress bar.
    """

    jobs: int = -1
    engine: str = "loky"
    quiet: bool = False

    def __post_init__(self) -> None:
        """Check the options."""
        if self.engine not in ("loky", "dask", "ray"):
            raise OptionError(f"The engine must be loky, dask or ray, not '{self.engine}'.")
        if self.jobs == 0:
            raise OptionError("The number of jobs cannot be 0; give -1 for one a core.")

    def bar(self, label: str) -> Callable[[Iterable[Any]], Iterable[Any]]:
        """Return what shows the progress of an iteration."""
        return lambda items: tqdm(items, desc=label, disable=self.quiet)

    def each(
        self, label: str, items: Mapping[str, Any], work: Callable[[Any], Mapping[str, Any]], done: Path, key: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (name, what ``work`` returned) for each item, in any order.

        Args:
            label: What the progress bar says.
            items: What to work on, by a name that can be a file's.
            work: Called with an item in some process; returns what JSON can hold.
            done: Folder that remembers finished items.
            key: What the work depends on; when it changed, nothing is remembered.
        """
        if _read(done / "_key.json") != {"key": key}:
            shutil.rmtree(done, ignore_errors=True)
            done.mkdir(parents=True)
            write_json(done / "_key.json", {"key": key})
        known = {name: found for name in items if (found := _read(done / f"{name}.json")) is not None}
        yield from known.items()
        left = {name: item for name, item in items.items() if name not in known}
        for name, result in self.run(label, left, work):
            write_json(done / f"{name}.json", result)
            yield name, result

    def run(self, label: str, items: Mapping[str, Any], work: Callable[[Any], Any]) -> Iterator[tuple[str, Any]]:
        """Yield (name, what ``work`` returned) for each item, in any order; nothing is remembered."""
        with _engine(self.engine), tqdm(total=len(items), desc=label, disable=self.quiet or not items) as bar:
            parallel = joblib.Parallel(n_jobs=self.jobs, return_as="generator_unordered", batch_size=1)
            for name, result in parallel(joblib.delayed(_named)(name, item, work) for name, item in items.items()):
                bar.update()
                yield name, result


def _named(name: str, item: Any, work: Callable[[Any], Any]) -> tuple[str, Any]:
    return name, work(item)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        return None


@contextmanager
def _engine(name: str) -> Iterator[None]:
    try:
        if name == "dask":
            from distributed import Client

            with Client(processes=True, threads_per_worker=1), joblib.parallel_config(backend="dask"):
                yield
        elif name == "ray":
            from ray.util.joblib import register_ray

            register_ray()
            with joblib.parallel_config(backend="ray"):
                yield
        else:
            with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
                yield
    except ImportError as error:
        raise OptionError(f"The engine {name} is not installed. Run: pip install 'personare[{name}]'.") from error
