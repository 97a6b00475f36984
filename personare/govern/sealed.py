"""What is kept of a person between visits, encrypted under a key of theirs that can be destroyed."""

import hmac
import os
import secrets
import tempfile
from pathlib import Path
from threading import Lock
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from personare.core.errors import DataError, OptionError, PolicyError, data_errors

_NONCE: Final = 12  # bytes
_SALT: Final = 16
_SHORTEST: Final = 8  # characters
_FIX: Final = "Free the disk, or choose a folder that you may read and write."
_WRITING: Final = Lock()  # no two threads make the same key


class Sealed:
    """Keeps small files of people in a folder, each person's under a random key, the keys under a passphrase.

    **Guarantee**: nothing on disk can be read without the passphrase, neither contents nor names nor whose they are
    (only how many, how long and when); a file that was changed, or put in the place of another, is an error; a file is
    written whole or not at all. After ``forget`` no file of the person is left, and copies of ``files`` made before
    stay closed for good, as long as ``keys``, a folder of its own, was not copied too. What a disk keeps of overwritten
    bytes is beyond reach. One process at a time writes.

    **Source**: AES-GCM (NIST SP 800-38D) with random nonces; Argon2id with the second choice of RFC 9106: 64 MiB, three
    passes, four lanes.
    """

    def __init__(self, folder: Path, passphrase: str) -> None:
        if len(passphrase) < _SHORTEST:
            raise OptionError(f"A passphrase must have at least {_SHORTEST} characters. A few words make a good one.")
        self._folder, lock = folder, folder / "lock"
        with data_errors(f"{folder} cannot be used", _FIX), _WRITING:
            for name in ("keys", "files"):
                (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            content = lock.read_bytes() if lock.exists() else secrets.token_bytes(_SALT)
            kdf = Argon2id(salt=content[:_SALT].ljust(_SALT), length=64, iterations=3, lanes=4, memory_cost=2**16)
            keys = kdf.derive(passphrase.encode())
            self._key, self._name_key = keys[:32], keys[32:]
            if not lock.exists():
                content += _sealed(self._key, b"", "lock")
                _replace(lock, content)
        try:
            _opened(self._key, content[_SALT:], "lock")
        except DataError:
            raise PolicyError(f"This is not the passphrase of {folder}: nothing there can be read with it.") from None

    def write(self, subject: str, name: str, content: bytes) -> None:
        """Keep a file of a person in place of the one of that name."""
        file, title = self._files(subject) / self._hidden(subject, name), name.encode()
        with data_errors(f"{file.parent} cannot be made", _FIX):
            file.parent.mkdir(exist_ok=True, mode=0o700)
        key_file = self._key_file(subject)
        with _WRITING:
            if not key_file.exists():
                _replace(key_file, _sealed(self._key, secrets.token_bytes(32), key_file.name))
        _replace(file, _sealed(self._subject_key(subject), len(title).to_bytes(2) + title + content, file.name))

    def read(self, subject: str, name: str) -> bytes:
        """Return a file of a person."""
        file = self._files(subject) / self._hidden(subject, name)
        if not file.is_file():
            raise DataError(f"There is no {name!r} of this person here. It was never kept, or it was forgotten.")
        return self._open(subject, file)[1]

    def names(self, subject: str) -> list[str]:
        """Return what there is of a person."""
        return sorted(self._open(subject, file)[0] for file in self._files(subject).glob("[!.]*"))

    def forget(self, subject: str) -> None:
        """Destroy a person's key, then remove all that is theirs; a second call finishes what was interrupted."""
        key, folder = self._key_file(subject), self._files(subject)
        with data_errors("Not everything of this person could be removed", "Do it again, or remove the folder."):
            if key.exists():
                with key.open("r+b") as file:
                    file.write(secrets.token_bytes(key.stat().st_size))
                    os.fsync(file.fileno())
                key.unlink()
            if folder.exists():
                for sealed in folder.iterdir():
                    sealed.unlink()
                folder.rmdir()

    def _key_file(self, subject: str) -> Path:
        return self._folder / "keys" / self._hidden(subject)

    def _files(self, subject: str) -> Path:
        return self._folder / "files" / self._hidden(subject)

    def _hidden(self, *names: str) -> str:
        """Return a file's name that tells nothing to whoever lacks the passphrase."""
        text = "".join(f"{len(name)}:{name}" for name in names)
        return hmac.digest(self._name_key, text.encode(), "sha256").hex()[:32]

    def _subject_key(self, subject: str) -> bytes:
        file = self._key_file(subject)
        with data_errors(f"The key {file} cannot be read", "Restore it from a copy, or forget this person."):
            return _opened(self._key, file.read_bytes(), file.name)

    def _open(self, subject: str, file: Path) -> tuple[str, bytes]:
        with data_errors(f"{file} cannot be read", _FIX):
            plain = _opened(self._subject_key(subject), file.read_bytes(), file.name)
        end = 2 + int.from_bytes(plain[:2])
        return plain[2:end].decode(), plain[end:]


def _sealed(key: bytes, plain: bytes, place: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, place.encode())


def _opened(key: bytes, content: bytes, place: str) -> bytes:
    try:
        return AESGCM(key).decrypt(content[:_NONCE], content[_NONCE:], place.encode())
    except (InvalidTag, ValueError):
        raise DataError(f"{place} was changed or damaged: restore it from a copy, or forget its person.") from None


def _replace(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    with data_errors(f"{path} cannot be written", _FIX):
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(part).replace(path)
        finally:
            Path(part).unlink(missing_ok=True)
