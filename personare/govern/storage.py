"""A cohort encrypted at rest: each person's files under a random key, the keys under a passphrase, in a folder beside.

A locked file keeps its name, place, rights and time; ``open_plain`` decrypts, in memory, the pieces of it that are
asked for. Sidecars (``.json``) and what lies outside the folders of people are not locked.
"""

import fcntl
import hashlib
import io
import os
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from personare.core.atomic import replacing
from personare.core.errors import DataError, PolicyError, data_errors
from personare.core.types import Withheld
from personare.govern.keys import decrypted, encrypted, make_key, master_key, read_key, write_whole

PASSPHRASE: Final = "PERSONARE_PASSPHRASE"
"""The variable of the environment that opens what is locked, for this process and those it starts."""

Progress = Callable[[Sequence[Path]], Iterable[Path]]
"""Iterates over files and shows how far it is."""

_MAGIC: Final = b"\xf1prsnre"  # no recording and no text begins so
_VERSION: Final = 1
_HEADER: Final = struct.Struct(">7sB8sI16s")  # magic, version, which key, bytes a chunk, salt
_CHUNK: Final = 1 << 20
_TAG: Final = 16


def keys_folder(root: Path) -> Path:
    """Return where the keys of a cohort lie: beside it, or in the folder that ``PERSONARE_KEYS`` names."""
    root = root.resolve()
    return Path(os.environ.get("PERSONARE_KEYS") or root.parent) / f"{root.name}.keys"


def is_locked(path: Path) -> bool:
    """Whether a file is encrypted; of a cohort, whether any of its files is."""
    if path.is_dir():
        return keys_folder(path).is_dir() and any(map(is_locked, _files(path)))
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def open_plain(path: Path) -> io.BufferedReader:
    """Open a file for reading, as it was before it was locked; what was not locked is opened as it is.

    **Guarantee**: nothing decrypted is written anywhere, and a file of any size takes a few MB of memory. A file that
    was changed, cut off or put in the place of another is an error when it is opened or its damaged piece is read.

    **Source**: Hoang, Reyhanitabar, Rogaway and Vizár 2015 (doi:10.1007/978-3-662-47989-6_24), STREAM with AES-GCM; a
    key a file by HKDF, as in Google's Tink, so that no nonce comes twice.
    """
    file = path.open("rb")
    if file.read(len(_MAGIC)) != _MAGIC:
        file.seek(0)
        return file
    file.close()
    path = path.absolute()
    folder = next((parent for parent in path.parents if parent.name.startswith("sub-")), None)  # the person's
    if folder is None:
        raise DataError(f"{path} is locked and not in its cohort any more. Put it back, or use an unlocked copy.")
    root = folder.parent
    key = _person_key(_key_file(root, path), _master(root, _given()))
    return _decrypting(path, key, path.relative_to(root).as_posix())


def plain_size(path: Path) -> int:
    """Return how many bytes a file has, or had before it was locked."""
    size = path.stat().st_size
    if not is_locked(path):
        return size
    with path.open("rb") as file:
        chunk: int = _HEADER.unpack(file.read(_HEADER.size))[3] + _TAG
    return size - _HEADER.size + (size - _HEADER.size) // -chunk * _TAG


def check_passphrase(root: Path) -> None:
    """Refuse a locked cohort that the passphrase of the environment does not open, before any of its files is."""
    if is_locked(root):
        _master(root, _given())


def lock_cohort(root: Path, passphrase: str, progress: Progress = iter) -> list[Withheld]:
    """Encrypt every file of every person in a cohort; what cannot be encrypted stays as it is, and is returned.

    **Guarantee**: each file is whole at every moment, encrypted or not, whenever this is killed; called again, it goes
    on. A file is replaced once what replaces it was read back and came out the same. What a disk keeps of bytes that
    it freed is beyond reach.
    """
    files = [path for path in _files(root) if path.stat().st_size]
    for path in files:
        if path.is_symlink() or path.stat().st_nlink > 1:
            raise DataError(f"{path} has another name, under which it would stay open. Put a copy in its place.")
    known = {_key_file(root, path) for path in files if is_locked(path)}
    master = _master(root, passphrase, new=not known)

    def lock(path: Path, key: bytes, place: str) -> None:
        if is_locked(path):
            _decrypting(path, key, place).close()
            return
        with replacing(path, private=True) as part:
            with path.open("rb") as plain, part.open("wb") as locked:
                _encrypt(plain, locked, key, place)
            with path.open("rb") as plain, _decrypting(part, key, place) as read:
                _end(path, part, plain, read)

    with _alone(root):
        for key_file in {_key_file(root, path) for path in files} - known:  # a new key opens nothing that is locked
            make_key(key_file, master)
        return _each(root, files, master, lock, progress)


def unlock_cohort(root: Path, passphrase: str, progress: Progress = iter) -> list[Withheld]:
    """Decrypt a cohort's files for good; what cannot be decrypted stays as it is, and is returned.

    **Guarantee**: as of ``lock_cohort``. The keys stay, for locked copies need them.
    """

    def unlock(path: Path, key: bytes, place: str) -> None:
        with replacing(path, private=True) as part, _decrypting(path, key, place) as locked:
            with part.open("wb") as plain:
                shutil.copyfileobj(locked, plain, _CHUNK)
            locked.seek(0)
            with part.open("rb") as read:
                _end(path, part, locked, read)

    master = _master(root, passphrase)
    with _alone(root):
        return _each(root, [*filter(is_locked, _files(root))], master, unlock, progress)


def not_locked(root: Path) -> list[Path]:
    """Return the files of a locked cohort that are not: they came later, or locking was interrupted."""
    return [path for path in _files(root) if path.stat().st_size and not is_locked(path)] if is_locked(root) else []


def write_note(root: Path, name: str, content: bytes) -> None:
    """Keep a small file among the keys of a cohort, under the passphrase of the environment."""
    master = _master(root, _given(), new=True)
    write_whole(keys_folder(root) / name, encrypted(master[:32], content, name))


def read_note(root: Path, name: str) -> bytes | None:
    """Return what ``write_note`` kept; None where there is nothing of this name."""
    file = keys_folder(root) / name
    return decrypted(_master(root, _given())[:32], file.read_bytes(), name) if file.is_file() else None


def _given() -> str:
    return os.environ.get(PASSPHRASE, "")


def _files(root: Path) -> list[Path]:
    paths = sorted(root.glob("sub-*/**/*"))
    return [path for path in paths if not path.name.startswith(".") and path.suffix != ".json" and path.is_file()]


def _key_file(root: Path, path: Path) -> Path:
    return keys_folder(root) / f"{path.relative_to(root).parts[0]}.key"


def _person_key(file: Path, master: bytes) -> bytes:
    if not file.is_file():
        raise DataError(f"The key {file} is gone: the person was erased. If not, restore it from a copy.")
    return read_key(file, master)


def _master(root: Path, passphrase: str, *, new: bool = False) -> bytes:
    """Return what wraps the keys of a cohort; it may be ``new`` where no key lies yet that it would not open."""
    folder = keys_folder(root)
    if new and not [*folder.glob("[!.]*")]:
        return master_key(folder, passphrase)
    if not (folder / "lock").is_file():
        raise DataError(
            f"{root} is locked, and its keys {folder} are gone. Put them back, or name them: PERSONARE_KEYS."
        )
    if not passphrase:
        raise PolicyError(f"{root} is locked. Give its passphrase as the variable {PASSPHRASE} of the environment.")
    return _derived(folder, passphrase, (folder / "lock").read_bytes())


@cache
def _derived(folder: Path, passphrase: str, _lock: bytes) -> bytes:
    return master_key(folder, passphrase)  # slow on purpose: once a process


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    with (keys_folder(root) / "lock").open("rb") as file:
        with data_errors(f"{root} is being locked or unlocked by another process", "Wait until it has ended."):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _each(
    root: Path, files: Sequence[Path], master: bytes, work: Callable[[Path, bytes, str], None], progress: Progress
) -> list[Withheld]:
    """Do the work for every file, with its key and place; only a fault of the disk ends it."""
    failed = []
    for part in root.glob("sub-*/**/.*.part"):  # of one that was killed
        part.unlink()
    for path in progress(files):
        place = path.relative_to(root).as_posix()
        try:
            work(path, _person_key(_key_file(root, path), master), place)
        except DataError as error:
            if isinstance(error.__cause__, OSError):
                raise
            problem, _, fix = str(error).rpartition(". ")
            failed.append(Withheld(item=place, problem=problem, fix=fix))
    return failed


def _end(path: Path, part: Path, expected: BinaryIO, read: BinaryIO) -> None:
    """Compare what a file holds with what takes its place, which gets its rights and times."""
    while (piece := read.read(_CHUNK)) == expected.read(_CHUNK):
        if not piece:
            shutil.copystat(path, part)
            return
    raise DataError(f"{path} is not read back as it was written. Check the disk.")


def _cipher(head: bytes, key: bytes, place: str) -> tuple[AESGCM, Callable[[int, bool], bytes]]:
    """Return the cipher of one file, and its nonces by a chunk's number and whether it is the last."""
    secret = HKDF(SHA256(), length=39, salt=None, info=head + place.encode("utf-8", "surrogateescape")).derive(key)
    return AESGCM(secret[:32]), lambda number, last: secret[32:] + number.to_bytes(4) + bytes([last])


def _mark(key: bytes) -> bytes:
    return hashlib.sha256(b"personare" + key).digest()[:8]


def _encrypt(plain: BinaryIO, locked: BinaryIO, key: bytes, place: str) -> None:
    head = _HEADER.pack(_MAGIC, _VERSION, _mark(key), _CHUNK, os.urandom(16))
    cipher, nonce = _cipher(head, key, place)
    locked.write(head)
    piece = plain.read(_CHUNK)
    for number in count():
        following = plain.read(_CHUNK)
        locked.write(cipher.encrypt(nonce(number, not following), piece, None))
        if not following:
            return
        piece = following


def _decrypting(path: Path, key: bytes, place: str) -> io.BufferedReader:
    return io.BufferedReader(_Decrypted(path.open("rb"), path, key, place), _CHUNK)


class _Decrypted(io.RawIOBase):
    """What a locked file holds; the chunk that was read last is kept in memory."""

    def __init__(self, file: BinaryIO, path: Path, key: bytes, place: str) -> None:
        self._file, self.name = file, str(path)  # decoders look at how a name ends
        self._at, self._number, self._content = 0, -1, b""
        body, head = path.stat().st_size - _HEADER.size, file.read(_HEADER.size)
        if body < _TAG:
            raise self._damaged()
        _, version, mark, self._chunk, _ = _HEADER.unpack(head)
        if version != _VERSION or mark != _mark(key):
            raise DataError(f"{path} was locked with another key, or by a newer personare. Use those.")
        self._cipher, self._nonce = _cipher(head, key, place)
        self._last = (body - 1) // (self._chunk + _TAG)
        self._size = body - (self._last + 1) * _TAG
        self._load(self._last)  # which tells at once whether the file was cut off

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        number, start = divmod(self._at, self._chunk)
        if self._at >= self._size:
            return 0
        if number != self._number:
            self._load(number)
        piece = memoryview(self._content)[start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()

    def _load(self, number: int) -> None:
        self._file.seek(_HEADER.size + number * (self._chunk + _TAG))
        content = self._file.read(self._chunk + _TAG)
        try:
            self._content = self._cipher.decrypt(self._nonce(number, number == self._last), content, None)
        except InvalidTag:
            raise self._damaged() from None
        self._number = number

    def _damaged(self) -> DataError:
        return DataError(f"{self.name} was locked, and then changed, cut off or moved. Restore it from a copy.")
