"""The folder of a run: steps that are done once, go on after a kill, and never run twice at the same time."""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from personare import __version__
from personare.core.atomic import make_folder, plain, write_json, write_text
from personare.core.errors import DataError, data_errors

_PRIVATE = """\
This folder must not be sent to anybody. It belongs to the run folder beside it and holds what the run worked with:
pictures of faces and features of voices as they were recorded, where faces are, names of recordings and where they
lie on this machine, half-made releases. With it a stopped run goes on, and models are evaluated and audited.
Remove it with: personare purge RUN
"""


def fingerprint(what: Any) -> str:
    """Return a short hash of what JSON can say, the same in every process."""
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:16]


def private_folder(run: Path) -> Path:
    """Return the folder beside a run that holds what may not be sent."""
    whole = run.resolve()
    return whole.with_name(f"{whole.name}.private")


class RunFolder:
    """A run's folder, which may be sent, and beside it ``<run>.private``, which may not, with its finished steps.

    **Guarantee**: a step's record, ``steps/<name>.json`` of the private folder, appears only after its work ended well,
    so a killed run does again what was not finished, and only that. Only the owner can read the private folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = make_folder(root)
        self.private = make_folder(private_folder(root))
        self._steps = make_folder(self.private / "steps")
        if not (os.access(root, os.W_OK) and os.access(self._steps, os.W_OK)):
            raise DataError(f"The run folder {root} must be writable; choose another one with --out.")
        self.private.chmod(0o700)
        write_text(self.private / "README.txt", _PRIVATE)

    def step(
        self,
        name: str,
        *,
        inputs: Mapping[str, str],
        options: Mapping[str, Any],
        work: Callable[[], Mapping[str, Any]],
        product: Path | None = None,
    ) -> Mapping[str, Any]:
        """Do a piece of work, unless this version did it before with the same inputs and options.

        Inputs are what it reads, a hash by name; options everything else it depends on, the seed among it. The work
        returns a summary that JSON can hold (NaN is kept); that of an earlier run counts. Where the product, a file or
        folder that it makes, is gone, the work is done again. A ``/`` in a name groups steps in folders.
        """
        path = self._steps / f"{name}.json"
        asked = _as_read({"inputs": inputs, "options": options, "version": __version__})
        try:
            done = json.loads(path.read_text(encoding="utf-8"))
            if {key: done[key] for key in asked} == asked and (product is None or product.exists()):
                return dict(done["result"])
        except (OSError, ValueError, KeyError, TypeError):  # no record, or a damaged one: the work is done again
            pass
        started = time.monotonic()
        result = _as_read(work())
        seconds = round(time.monotonic() - started, 3)
        versions = {"personare": __version__, "python": platform.python_version()}
        versions |= {"numpy": np.__version__, "pandas": pd.__version__}
        record = {"step": name, **asked, "seconds": seconds, "versions": versions, "result": result}
        write_json(path, record, allow_nan=True)
        return dict(result)

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """Give a folder, out of sight, that becomes ``releases/<name>`` when the block ends well.

        **Guarantee**: a release is there whole or not at all. Where a new one fails, the one of an earlier run is gone
        too: it was made of other people, labels or settings. What a stopped block left can be gone on with.
        """
        part, target = self.private / "unfinished" / name, self.root / "releases" / name
        make_folder(target.parent)
        make_folder(part.parent)
        try:
            yield part
        except Exception:
            shutil.rmtree(target, ignore_errors=True)
            raise
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)

    def forget(self, name: str) -> None:
        """Remove the records of a step, and of what was remembered of single recordings for it."""
        (self._steps / f"{name}.json").unlink(missing_ok=True)
        shutil.rmtree(self._steps / name, ignore_errors=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process; the lock ends with it, so a run that was killed can go on at once."""
        path = self.private / ".lock"
        with data_errors(f"{path} cannot be written", "Choose a folder that you may write."):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                raise DataError(
                    f"Only one process may work in {self.root} at a time, and process {holder} does. "
                    "Wait until it has ended, or choose another folder with --out."
                ) from error
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)


def _as_read(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return content as it comes back from its file, so that a first and a resumed run see the same."""
    return dict(json.loads(json.dumps(plain(content, allow_nan=True))))
