"""What is kept of a person between visits, encrypted under a key of theirs that can be destroyed."""

import hmac
from pathlib import Path

from personare.core.errors import DataError, data_errors
from personare.govern.keys import FIX, decrypted, destroy, encrypted, make_key, master_key, read_key, write_whole


class Sealed:
    """Keeps small files of people in a folder, each person's under a random key, the keys under a passphrase.

    **Guarantee**: nothing on disk can be read without the passphrase, neither contents nor names nor whose they are
    (only how many, how long and when); a file that was changed, or put in the place of another, is an error; a file is
    written whole or not at all. After ``forget`` no file of the person is left, and copies of ``files`` made before
    stay closed for good, as long as ``keys``, a folder of its own, was not copied too. What a disk keeps of overwritten
    bytes is beyond reach. One process at a time writes.

    **Source**: AES-GCM (NIST SP 800-38D) with random nonces; the passphrase as ``master_key`` says.
    """

    def __init__(self, folder: Path, passphrase: str) -> None:
        self._folder = folder
        self._master = master_key(folder, passphrase)
        with data_errors(f"{folder} cannot be used", FIX):
            for name in ("keys", "files"):
                (folder / name).mkdir(exist_ok=True, mode=0o700)

    def write(self, subject: str, name: str, content: bytes) -> None:
        """Keep a file of a person in place of the one of that name."""
        file, title = self._files(subject) / self._hidden(subject, name), name.encode()
        with data_errors(f"{file.parent} cannot be made", FIX):
            file.parent.mkdir(exist_ok=True, mode=0o700)
        make_key(self._key_file(subject), self._master)
        write_whole(file, encrypted(self._subject_key(subject), len(title).to_bytes(2) + title + content, file.name))

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
            destroy(key)
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
        return hmac.digest(self._master[32:], text.encode(), "sha256").hex()[:32]

    def _subject_key(self, subject: str) -> bytes:
        return read_key(self._key_file(subject), self._master)

    def _open(self, subject: str, file: Path) -> tuple[str, bytes]:
        with data_errors(f"{file} cannot be read", FIX):
            plain = decrypted(self._subject_key(subject), file.read_bytes(), file.name)
        end = 2 + int.from_bytes(plain[:2])
        return plain[2:end].decode(), plain[end:]
