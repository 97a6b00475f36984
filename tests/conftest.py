"""Where real recordings and model files are found; tests that need them skip with a reason where they are absent."""

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _folder(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable, default))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; set {variable} to a folder that has it")
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings."""
    return _folder("PERSONARE_DATA", SHARED / "data")


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The folder of model files."""
    return _folder("PERSONARE_MODELS", SHARED / "models")
