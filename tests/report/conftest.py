import shutil
from pathlib import Path

import pytest

from .fake_models import write_fake_models
from .fake_run import REFERENCE, write, write_fake_run
from .made_run import write_made_run


@pytest.fixture
def fake_run(tmp_path: Path) -> Path:
    """A whole run folder with invented numbers and without media."""
    return write_fake_run(tmp_path / "run", media=False)


@pytest.fixture(scope="session")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with media and published figures; only for tests that leave it as it is."""
    root = write_fake_run(tmp_path_factory.mktemp("full") / "run")
    write(root, "reference", REFERENCE)
    return root


@pytest.fixture
def model_run(tmp_path: Path) -> Path:
    """A run that released three models and no recordings: one without privacy, two with."""
    return write_fake_models(tmp_path / "models")


@pytest.fixture(scope="session")
def whole_made_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two representations and two synthetic cohorts as a study makes it; only for tests that leave it."""
    return write_made_run(tmp_path_factory.mktemp("made"))


@pytest.fixture
def made_run(whole_made_run: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(whole_made_run, tmp_path / "run"))
