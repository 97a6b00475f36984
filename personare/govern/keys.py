"""Keys under a passphrase, in a folder of their own; what is small is encrypted whole."""

import os
import secrets
from pathlib import Path
from threading import Lock
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from personare.core.atomic import replacing
from personare.core.errors import DataError, OptionError, PolicyError, data_errors

FIX: Final = "Free the disk, or choose a folder that you may read and write."

_NONCE: Final = 12  # bytes
_SALT: Final = 16
_SHORTEST: Final = 8  # characters
_MAKING: Final = Lock()  # no two threads make the same key


def master_key(folder: Path, passphrase: str) -> bytes:
    """Return 64 bytes that a passphrase gives with a folder's file ``lock``, which is made where there is none.

    **Source**: Argon2id with the second choice of RFC 9106: 64 MiB, three passes, four lanes.
    """
    if len(passphrase) < _SHORTEST:
        raise OptionError(f"A passphrase must have at least {_SHORTEST} characters. A few words make a good one.")
    lock = folder / "lock"
    with data_errors(f"{folder} cannot be used", FIX), _MAKING:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = lock.read_bytes() if lock.exists() else secrets.token_bytes(_SALT)
        kdf = Argon2id(salt=content[:_SALT].ljust(_SALT), length=64, iterations=3, lanes=4, memory_cost=2**16)
        master = kdf.derive(passphrase.encode())
        if not lock.exists():
            content += encrypted(master[:32], b"", "lock")
            write_whole(lock, content)
    try:
        decrypted(master[:32], content[_SALT:], "lock")
    except DataError:
        raise PolicyError(f"This is not the passphrase of {folder}: nothing there can be read with it.") from None
    return master


def make_key(file: Path, master: bytes) -> None:
    """Write a new random key, wrapped, unless there is one."""
    with _MAKING:
        if not file.exists():
            write_whole(file, encrypted(master[:32], secrets.token_bytes(32), file.name))


def read_key(file: Path, master: bytes) -> bytes:
    """Return a key."""
    with data_errors(f"The key {file} cannot be read", "Restore it from a copy, or forget this person."):
        return decrypted(master[:32], file.read_bytes(), file.name)


def destroy(file: Path) -> None:
    """Overwrite a file, then remove it; nothing happens where there is none."""
    if file.exists():
        with file.open("r+b") as handle:
            handle.write(secrets.token_bytes(file.stat().st_size))
            handle.flush()
            os.fsync(handle.fileno())
        file.unlink()


def encrypted(key: bytes, plain: bytes, place: str) -> bytes:
    """Return a small content that can be read with the key, and in its place, only (AES-GCM, a random nonce)."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, place.encode())


def decrypted(key: bytes, content: bytes, place: str) -> bytes:
    """Return what was encrypted; what was changed, or lay in another place, is an error."""
    try:
        return AESGCM(key).decrypt(content[:_NONCE], content[_NONCE:], place.encode())
    except (InvalidTag, ValueError):
        raise DataError(f"{place} was changed or damaged: restore it from a copy, or forget its person.") from None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    with replacing(path, private=True) as part:
        part.write_bytes(content)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else a power cut could take a key, and leave what was written with it
    finally:
        os.close(folder)
