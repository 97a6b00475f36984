import hashlib

import pytest

from personare.core.errors import DataError, MissingModelError
from personare.features import models
from personare.features.models import MODELS, Model, fetch_model, find_model


@pytest.fixture
def small_model(tmp_path, monkeypatch):
    """A published model of 5 bytes, its folder, and a cache of its own."""
    published = tmp_path / "published.task"
    published.write_bytes(b"model")
    small = Model(
        name="small",
        file="small.task",
        url=published.as_uri(),
        sha256=hashlib.sha256(b"model").hexdigest(),
        license="MIT",
        purpose="tests",
    )
    monkeypatch.setitem(MODELS, "small", small)
    monkeypatch.delenv("PERSONARE_MODELS", raising=False)
    monkeypatch.setattr(models.platformdirs, "user_cache_path", lambda _: tmp_path / "cache")
    return tmp_path


def test_a_missing_model_says_how_to_get_it(small_model):
    with pytest.raises(MissingModelError, match=r"personare models fetch small.*PERSONARE_MODELS"):
        find_model("small")


def test_fetched_once_found_after(small_model):
    path = fetch_model("small")
    assert path.read_bytes() == b"model"
    assert find_model("small") == path
    assert [f.name for f in path.parent.iterdir()] == ["small.task"]


def test_the_named_folder_comes_before_the_cache(small_model, monkeypatch):
    fetch_model("small")
    folder = small_model / "mine"
    fetch_model("small", folder=folder)
    monkeypatch.setenv("PERSONARE_MODELS", str(folder))
    assert find_model("small") == folder / "small.task"


def test_a_wrong_download_is_not_kept(small_model):
    wrong = small_model / "wrong.task"
    wrong.write_bytes(b"other")
    with pytest.raises(MissingModelError, match="not the published"):
        fetch_model("small", url=wrong.as_uri())
    assert not (small_model / "cache").exists()


def test_a_damaged_file_is_refused(small_model):
    fetch_model("small").write_bytes(b"mod")
    with pytest.raises(MissingModelError, match="checksum differs"):
        find_model("small")


def test_an_address_that_cannot_be_read(small_model):
    with pytest.raises(MissingModelError, match="could not be read"):
        fetch_model("small", url=(small_model / "absent").as_uri())
    with pytest.raises(MissingModelError, match="could not be read"):
        fetch_model("small", url="no address")


def test_a_folder_that_cannot_be_written(small_model):
    (small_model / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        fetch_model("small", folder=small_model / "file")


def test_only_listed_models_are_fetched():
    with pytest.raises(MissingModelError, match="Choose one of"):
        fetch_model("unlisted")


def test_a_file_the_user_brought_is_found(tmp_path, monkeypatch):
    (tmp_path / "identifier.onnx").write_bytes(b"x")
    monkeypatch.setenv("PERSONARE_MODELS", str(tmp_path))
    assert find_model("identifier.onnx") == tmp_path / "identifier.onnx"
