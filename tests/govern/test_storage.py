import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from personare.core.errors import DataError, OptionError, PolicyError
from personare.govern import storage
from personare.govern.keys import destroy
from personare.govern.storage import (
    check_passphrase,
    is_locked,
    keys_folder,
    lock_cohort,
    not_locked,
    open_plain,
    plain_size,
    read_note,
    unlock_cohort,
    write_note,
)

PHRASE = "three little words"
AUDIO = "sub-01/ses-01/beh/sub-01_ses-01_task-a_audio.wav"
VIDEO = "sub-02/ses-01/beh/sub-02_ses-01_task-a_video.mp4"
CHUNK = 1 << 12


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two people, whose chunks are small and whose passphrase is known."""
    monkeypatch.setattr(storage, "_CHUNK", CHUNK)
    monkeypatch.setenv("PERSONARE_PASSPHRASE", PHRASE)
    root = tmp_path / "cohort"
    for name, content in {
        AUDIO: b"Ana says good morning " * 1000,
        AUDIO.replace("task-a", "task-b"): b"",
        AUDIO.replace("audio.wav", "events.tsv"): b"onset\ttrial_type\n0\tanger\n",
        AUDIO.replace("audio.wav", "beh.json"): b'{"Labels": {}}',
        VIDEO: bytes(range(256)) * 64,  # four whole chunks
        "participants.tsv": b"participant_id\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    os.utime(root / AUDIO, ns=(5, 7_000_000_001))
    (root / AUDIO).chmod(0o640)
    return root


@pytest.fixture
def locked(root: Path) -> Path:
    assert lock_cohort(root, PHRASE) == []
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def plain(path: Path) -> bytes:
    with open_plain(path) as file:
        return file.read()


def test_what_is_locked_is_read_and_unlocked_the_same(root: Path) -> None:
    before, stat = contents(root), (root / AUDIO).stat()
    assert lock_cohort(root, PHRASE) == []
    changed = {name for name, content in contents(root).items() if content != before[name]}
    assert changed == {AUDIO, AUDIO.replace("audio.wav", "events.tsv"), VIDEO}
    assert contents(root).keys() == before.keys()
    assert is_locked(root) and not not_locked(root)
    for name, content in before.items():
        assert plain(root / name) == content
        assert plain_size(root / name) == len(content)
    assert (root / AUDIO).stat().st_mtime_ns == stat.st_mtime_ns
    assert (root / AUDIO).stat().st_mode == stat.st_mode
    assert unlock_cohort(root, PHRASE) == []
    assert contents(root) == before
    assert (root / AUDIO).stat().st_mtime_ns == stat.st_mtime_ns
    assert not is_locked(root) and keys_folder(root).is_dir()


def test_a_locked_file_is_read_from_anywhere_in_it(locked: Path) -> None:
    content = b"Ana says good morning " * 1000
    with open_plain(locked / AUDIO) as file:
        assert file.name == str(locked / AUDIO)
        for at in (0, CHUNK - 1, 3 * CHUNK, 9000, len(content) - 5, len(content), len(content) + 9):
            assert file.seek(at) == at
            assert file.read(CHUNK + 5) == content[at : at + CHUNK + 5]
        assert file.seek(-4, os.SEEK_END) == len(content) - 4
        assert file.seek(2, os.SEEK_CUR) == len(content) - 2


def test_nothing_of_a_locked_file_can_be_read_without_its_passphrase(
    locked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = b"".join(contents(locked).values()) + b"".join(contents(keys_folder(locked)).values())
    for word in (b"Ana", b"morning", b"anger", b"trial_type", bytes(range(99))):
        assert word not in everything
    assert (locked / AUDIO).read_bytes()[:CHUNK] != (locked / AUDIO).read_bytes()[CHUNK : 2 * CHUNK]
    assert all(path.stat().st_mode & 0o077 == 0 for path in [keys_folder(locked), *keys_folder(locked).iterdir()])
    for given, message in (("", "Give its passphrase"), ("three little wards", "not the passphrase")):
        monkeypatch.setenv("PERSONARE_PASSPHRASE", given)
        with pytest.raises(PolicyError, match=message):
            plain(locked / AUDIO)
        with pytest.raises(PolicyError, match=message):
            check_passphrase(locked)
        with pytest.raises(PolicyError, match=message):
            unlock_cohort(locked, given)
    with pytest.raises(PolicyError, match="not the passphrase"):
        lock_cohort(locked, "three little wards")
    assert is_locked(locked / AUDIO)


def test_guarantee_a_file_that_was_changed_cut_off_or_moved_is_an_error(locked: Path) -> None:
    sealed, head = (locked / VIDEO).read_bytes(), storage._HEADER.size
    assert len(sealed) == head + 4 * (CHUNK + 16)
    first, second = sealed[head : head + CHUNK + 16], sealed[head + CHUNK + 16 : head + 2 * (CHUNK + 16)]
    flipped = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in (7, 8, 17, 20, head, 9000)]
    for broken in (
        *flipped,
        sealed[: head + 2 * (CHUNK + 16)],  # at the end of a chunk
        sealed[:-1],
        sealed[: head + 5],
        sealed[:9],
        sealed + b"0",
        sealed + second,
        sealed[:head] + second + first + sealed[head + 2 * (CHUNK + 16) :],
    ):
        (locked / VIDEO).write_bytes(broken)
        with pytest.raises(DataError, match=r"changed, cut off|another key"):
            plain(locked / VIDEO)
    (locked / VIDEO).write_bytes(sealed)
    events = locked / AUDIO.replace("audio.wav", "events.tsv")
    shutil.copy(locked / AUDIO, events)  # of the same person
    with pytest.raises(DataError, match="changed, cut off or moved"):
        plain(events)
    shutil.copy(locked / VIDEO, locked / AUDIO)  # of another
    with pytest.raises(DataError, match="another key"):
        plain(locked / AUDIO)
    shutil.copy(locked / VIDEO, locked / "film.mp4")
    with pytest.raises(DataError, match="not in its cohort any more"):
        plain(locked / "film.mp4")
    ana, ben = (keys_folder(locked) / f"sub-{name}.key" for name in ("01", "02"))
    shutil.copy(ana, ben)
    with pytest.raises(DataError, match="changed or damaged"):
        plain(locked / VIDEO)


def test_guarantee_no_copy_can_be_read_once_the_key_is_forgotten(
    locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "backup" / "cohort"
    shutil.copytree(locked, copy)
    with pytest.raises(DataError, match=r"keys .* are gone"):
        plain(copy / AUDIO)
    monkeypatch.setenv("PERSONARE_KEYS", str(tmp_path))
    assert plain(copy / AUDIO).startswith(b"Ana says")  # the attack works before
    key = keys_folder(locked) / "sub-01.key"
    (tmp_path / "same").hardlink_to(key)  # another name of the same bytes on the disk
    wrapped = key.read_bytes()
    monkeypatch.delenv("PERSONARE_PASSPHRASE")  # whoever erases need not know it
    destroy(key)
    destroy(key)
    monkeypatch.setenv("PERSONARE_PASSPHRASE", PHRASE)
    assert not key.exists() and (tmp_path / "same").read_bytes() != wrapped
    for folder in (locked, copy):
        with pytest.raises(DataError, match="the person was erased"):
            plain(folder / AUDIO)
        assert plain(folder / VIDEO)
    # a new key for a person of whom locked files are left would look as if it opened them
    assert [item.item for item in lock_cohort(locked, PHRASE)] == [AUDIO, AUDIO.replace("audio.wav", "events.tsv")]
    assert not key.exists()
    before = (locked / AUDIO).read_bytes()
    failed = unlock_cohort(locked, PHRASE)
    assert [item.item for item in failed] == [AUDIO, AUDIO.replace("audio.wav", "events.tsv")]
    assert "was erased" in failed[0].problem and "restore it" in failed[0].fix
    assert not is_locked(locked / VIDEO) and (locked / AUDIO).read_bytes() == before
    shutil.rmtree(locked / "sub-01")
    (locked / AUDIO).parent.mkdir(parents=True)
    (locked / AUDIO).write_bytes(b"back again")
    assert lock_cohort(locked, PHRASE) == []
    shutil.copy(copy / AUDIO, locked / AUDIO)
    with pytest.raises(DataError, match="another key"):
        plain(locked / AUDIO)


@pytest.mark.parametrize("work", [lock_cohort, unlock_cohort])
def test_guarantee_a_killed_work_loses_nothing_and_goes_on(
    root: Path, work: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(root)
    if work is unlock_cohort:
        lock_cohort(root, PHRASE)

    def killed(files: object) -> Iterator[Path]:
        yield next(iter(files))  # type: ignore[call-overload]
        leftover = root / "sub-02" / ".x.wav.0a1b2c3d.part"  # as a kill leaves it
        leftover.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work(root, PHRASE, killed)  # type: ignore[operator]
    assert len(not_locked(root)) == (2 if work is lock_cohort else 1)
    assert {name: plain(root / name) for name in before} == before
    assert work(root, PHRASE) == []  # type: ignore[operator]
    assert contents(root).keys() == before.keys()
    assert {name: plain(root / name) for name in before} == before
    assert is_locked(root) == (work is lock_cohort)


def test_a_full_disk_ends_the_work_and_loses_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(root)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for work, begin in ((lock_cohort, "_encrypt"), (unlock_cohort, "shutil.copyfileobj")):
        held = contents(root)
        with monkeypatch.context() as patch:
            patch.setattr(f"personare.govern.storage.{begin}", full)
            with pytest.raises(DataError, match="No space left"):
                work(root, PHRASE)
        assert contents(root) == held
        assert work(root, PHRASE) == []
    assert contents(root) == before


def test_a_file_that_is_read_back_otherwise_is_not_replaced(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, encrypt = contents(root), storage._encrypt

    class Other:
        """A file that loses a letter on the way."""

        def __init__(self, file: object) -> None:
            self._file = file

        def read(self, size: int) -> bytes:
            return self._file.read(size).replace(b"Ana", b"Ane")  # type: ignore[attr-defined,no-any-return]

    with monkeypatch.context() as patch:
        patch.setattr(storage, "_encrypt", lambda file, *rest: encrypt(Other(file), *rest))  # type: ignore[arg-type]
        failed = lock_cohort(root, PHRASE)
    assert [item.item for item in failed] == [AUDIO]
    assert "not read back" in failed[0].problem
    assert (root / AUDIO).read_bytes() == before[AUDIO]


def test_locking_again_tells_of_later_and_of_damaged_files(locked: Path) -> None:
    later = locked / AUDIO.replace("task-a", "task-c")
    later.write_bytes(b"came later")
    assert not_locked(locked) == [later]
    assert lock_cohort(locked, PHRASE) == []
    assert plain(later) == b"came later"
    later.write_bytes(later.read_bytes()[:-1])
    (failed,) = lock_cohort(locked, PHRASE)
    assert "cut off" in failed.problem


def test_a_file_with_another_name_is_refused(root: Path, tmp_path: Path) -> None:
    for make in (os.link, os.symlink):
        other = root / AUDIO.replace("task-a", "task-z")
        (tmp_path / "elsewhere.wav").write_bytes(b"kept elsewhere")
        make(tmp_path / "elsewhere.wav", other)
        with pytest.raises(DataError, match="another name"):
            lock_cohort(root, PHRASE)
        other.unlink()
    assert not is_locked(root) and not keys_folder(root).exists()


def test_keys_that_are_gone_are_told_and_never_made_anew(locked: Path, tmp_path: Path) -> None:
    keys_folder(locked).rename(tmp_path / "away")
    for work in (lock_cohort, unlock_cohort):
        with pytest.raises(DataError, match=r"keys .* are gone"):
            work(locked, PHRASE)
    assert not keys_folder(locked).exists()
    (tmp_path / "away").rename(keys_folder(locked))
    (keys_folder(locked) / "lock").rename(tmp_path / "lock")
    with pytest.raises(DataError, match=r"keys .* are gone"):
        lock_cohort(locked, PHRASE)
    with pytest.raises(DataError, match=r"keys .* are gone"):
        write_note(locked, "pseudonyms", b"")
    (tmp_path / "lock").rename(keys_folder(locked) / "lock")
    assert unlock_cohort(locked, PHRASE) == []


def test_two_processes_do_not_lock_at_once(root: Path) -> None:
    def meanwhile(files: object) -> Iterator[Path]:
        with pytest.raises(DataError, match="another process"):
            lock_cohort(root, PHRASE)
        return iter(files)  # type: ignore[call-overload,no-any-return]

    assert lock_cohort(root, PHRASE, meanwhile) == []


def test_a_weak_passphrase_is_refused(root: Path) -> None:
    with pytest.raises(OptionError, match="at least 8"):
        lock_cohort(root, "short")
    assert not is_locked(root) and not keys_folder(root).exists()


def test_a_note_is_read_with_the_passphrase_only(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_note(root, "pseudonyms") is None
    write_note(root, "pseudonyms", "Zoë 01".encode())
    assert read_note(root, "pseudonyms") == "Zoë 01".encode()
    assert "Zoë".encode() not in b"".join(contents(keys_folder(root)).values())
    monkeypatch.delenv("PERSONARE_PASSPHRASE")
    with pytest.raises(PolicyError, match="Give its passphrase"):
        read_note(root, "pseudonyms")


def test_guarantee_nothing_decrypted_is_written_anywhere(
    locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = contents(tmp_path)
    with open_plain(locked / AUDIO) as file:
        assert file.read(3) == b"Ana"
        assert contents(tmp_path) == before
