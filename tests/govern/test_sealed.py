import shutil
from pathlib import Path

import pytest

from personare.core.errors import DataError, OptionError, PolicyError
from personare.govern.sealed import Sealed

PHRASE = "three little words"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sealed]:
    """Two files of Ana, one of Ben; every test takes a copy, for a key takes long to make of a passphrase."""
    folder = tmp_path_factory.mktemp("kept") / "Grüße"
    store = Sealed(folder, PHRASE)
    store.write("Ana Oliveira", "profile.json", b"Ana sleeps badly")
    store.write("Ana Oliveira", "history", b"")
    store.write("Ben", "profile.json", b"Ben sleeps well")
    return folder, store


@pytest.fixture
def store(kept: tuple[Path, Sealed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sealed:
    copy = tmp_path / "copy"
    shutil.copytree(kept[0], copy)
    monkeypatch.setattr(kept[1], "_folder", copy)
    return kept[1]


def folder_of(store: Sealed) -> Path:
    return store._folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_what_was_kept_is_read_again(store: Sealed) -> None:
    again = Sealed(folder_of(store), PHRASE)
    assert again.read("Ana Oliveira", "profile.json") == b"Ana sleeps badly"
    assert again.read("Ana Oliveira", "history") == b""
    assert again.names("Ana Oliveira") == ["history", "profile.json"]
    assert again.names("Cem") == []
    again.write("Ana Oliveira", "history", b"x" * 100_000)
    assert store.read("Ana Oliveira", "history") == b"x" * 100_000


def test_guarantee_nothing_on_disk_can_be_read_without_the_passphrase(store: Sealed) -> None:
    everything = b"".join(name.encode() + content for name, content in contents(folder_of(store)).items())
    assert len(everything) > 200
    for word in (b"Ana", b"Oliveira", b"Ben", b"sleeps", b"profile", b"history"):
        assert word not in everything
    with pytest.raises(PolicyError, match="not the passphrase"):
        Sealed(folder_of(store), PHRASE + "!")
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder_of(store).rglob("*"))


def test_equal_contents_and_names_look_different(store: Sealed) -> None:
    for name in ("01", "02"):
        store.write(name, "same", b"the same content of both")
    files = contents(folder_of(store))
    assert len(set(files.values())) == len(files)
    assert len({Path(name).name for name in files if name.startswith("files")}) == 5


def test_guarantee_a_file_that_was_changed_is_an_error(store: Sealed) -> None:
    for path in sorted((folder_of(store) / "files").rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            for broken in (content[:-1] + bytes([content[-1] ^ 1]), content[:5], b"", content + b"0"):
                path.write_bytes(broken)
                with pytest.raises(DataError, match="changed or damaged"):
                    [store.read(s, n) for s in ("Ana Oliveira", "Ben") for n in store.names(s)]
            path.write_bytes(content)
    assert store.read("Ben", "profile.json") == b"Ben sleeps well"


def test_guarantee_a_file_in_the_place_of_another_is_an_error(store: Sealed) -> None:
    ana, ben = (store._files(s) / store._hidden(s, "profile.json") for s in ("Ana Oliveira", "Ben"))
    ben.write_bytes(ana.read_bytes())
    with pytest.raises(DataError, match="changed or damaged"):
        store.read("Ben", "profile.json")
    history = store._files("Ana Oliveira") / store._hidden("Ana Oliveira", "history")
    history.write_bytes(ana.read_bytes())
    with pytest.raises(DataError, match="changed or damaged"):
        store.read("Ana Oliveira", "history")


def test_guarantee_a_file_is_written_whole_or_not_at_all(store: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(folder_of(store))

    def full(handle: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="No space left"):
        store.write("Ben", "profile.json", b"new")
    monkeypatch.undo()
    assert contents(folder_of(store)) == before


def test_guarantee_after_forget_nothing_is_left_and_copies_stay_closed(store: Sealed, tmp_path: Path) -> None:
    folder = folder_of(store)
    others = {name: content for name, content in contents(folder).items() if store._hidden("Ana Oliveira") not in name}
    shutil.copytree(folder / "files", tmp_path / "backup")
    key = store._key_file("Ana Oliveira")
    (tmp_path / "same").hardlink_to(key)  # another name of the same bytes on the disk
    wrapped = key.read_bytes()
    store.forget("Ana Oliveira")
    store.forget("Ana Oliveira")
    assert (tmp_path / "same").read_bytes() != wrapped
    assert contents(folder) == others
    with pytest.raises(DataError, match="forgotten"):
        store.read("Ana Oliveira", "profile.json")
    shutil.rmtree(folder / "files")
    shutil.copytree(tmp_path / "backup", folder / "files")
    with pytest.raises(DataError, match=r"key .* cannot be read"):
        store.read("Ana Oliveira", "profile.json")
    assert store.read("Ben", "profile.json") == b"Ben sleeps well"
    store.write("Ana Oliveira", "history", b"back again")  # a new key: what was forgotten does not come back
    with pytest.raises(DataError, match="changed or damaged"):
        store.read("Ana Oliveira", "profile.json")


def test_bad_input_is_told(tmp_path: Path, store: Sealed) -> None:
    with pytest.raises(OptionError, match="at least 8 characters"):
        Sealed(tmp_path / "new", "short")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot be used"):
        Sealed(tmp_path / "file", PHRASE)
    (folder_of(store) / "lock").write_bytes(b"")
    with pytest.raises(PolicyError, match="not the passphrase"):
        Sealed(folder_of(store), PHRASE)
