"""Where real recordings and model files are found, and what the examples in the docs stand on."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

SHARED = Path(__file__).resolve().parents[1] / "shared"


def _folder(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable, default))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; set {variable} to a folder that has it")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings; a test that needs it skips where it is absent."""
    return _folder("PERSONARE_DATA", SHARED / "data")


@pytest.fixture(scope="session")
def models_dir() -> Iterator[Path]:
    """The folder of model files, known to the program too; a test that needs it skips where it is absent."""
    folder = _folder("PERSONARE_MODELS", SHARED / "models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERSONARE_MODELS", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def _one_core_and_no_waiting() -> Iterator[None]:
    """A test has a core, where others run beside it, and outlives no power cut: it need not wait for the disk."""

    def connected(raw: Any, _record: object) -> None:
        if isinstance(raw, sqlite3.Connection):
            raw.execute("PRAGMA synchronous = OFF")

    sa.event.listen(sa.Engine, "connect", connected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOKY_MAX_CPU_COUNT", "1")  # else each program starts processes, which import everything
        patch.setattr(os, "fsync", lambda _handle: None)
        yield


@pytest.fixture(autouse=True)
def _example_folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run examples of the docs in a folder of their own that has the recording they speak of."""
    if isinstance(request.node, pytest.DoctestItem):
        from personare.core.types import Signal
        from personare.features.audio import write

        monkeypatch.chdir(tmp_path)
        t = np.arange(16000) / 16000
        buzz = 0.1 * sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 20))
        write(tmp_path / "interview.wav", Signal(values=np.asarray(buzz)[:, None].astype(np.float32), rate_hz=16000))
