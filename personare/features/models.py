"""Where pretrained model files are found, and the one checksummed download that fetches them on request."""

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from personare.core.errors import DataError, MissingModelError

__all__ = ["MODELS", "Model", "fetch_model", "find_model"]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A published model file.

    Attributes:
        name: What the program calls it.
        file: File name in a models folder.
        url: Where its authors publish it.
        sha256: Checksum of that file; any other content is refused.
        license: The license it is published under.
        purpose: What needs it, in plain words.
    """

    name: str
    file: str
    url: str
    sha256: str
    license: str
    purpose: str


MODELS: dict[str, Model] = {
    "face_landmarker": Model(
        name="face_landmarker",
        file="face_landmarker.task",
        url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
        "face_landmarker.task",
        sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
        license="Apache-2.0",
        purpose="face mesh, expression and head pose (face_landmarks, face_avatar, face_average, expression measures)",
    )
}


def _folders() -> list[Path]:
    named = os.environ.get("PERSONARE_MODELS")
    return ([Path(named)] if named else []) + [platformdirs.user_cache_path("personare") / "models"]


def find_model(name: str) -> Path:
    """Return the file of a model, without ever opening a connection.

    Args:
        name: A name in ``MODELS``, or the file name of a model the user brought.

    Returns:
        The file, from the folder named by ``PERSONARE_MODELS`` or from the user's cache.

    Raises:
        MissingModelError: It is in neither, or is not the published file.

    Example:
        >>> find_model("no_such_model.onnx")
        Traceback (most recent call last):
        personare.core.errors.MissingModelError: The model file no_such_model.onnx is not on this machine...
    """
    file = MODELS[name].file if name in MODELS else name
    for folder in _folders():
        path = folder / file
        if path.is_file():
            return _checked(path, name)
    how = f"run 'personare models fetch {name}', or " if name in MODELS else ""
    raise MissingModelError(
        f"The model file {file} is not on this machine (looked in {', '.join(map(str, _folders()))}): "
        f"{how}set PERSONARE_MODELS to a folder that has it."
    )


def _checked(path: Path, name: str) -> Path:
    if name in MODELS and _sha256(path.read_bytes()) != MODELS[name].sha256:
        raise MissingModelError(
            f"{path} is not the published {name} file (its checksum differs): delete it and run "
            f"'personare models fetch {name}'."
        )
    return path


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fetch_model(name: str, *, url: str | None = None, folder: Path | None = None) -> Path:
    """Download one model, check it, and put it into the user's cache in one step.

    The only place in personare that opens a connection, and only when asked to.

    Args:
        name: A name in ``MODELS``.
        url: Another address of the same file, such as a mirror.
        folder: Where to put it instead of the user's cache.

    Returns:
        The file.

    Raises:
        MissingModelError: No such model, the address cannot be read, or the content is not the published one.
        DataError: The folder cannot be written.
    """
    if name not in MODELS:
        raise MissingModelError(f"There is no model '{name}' to fetch. Choose one of: {', '.join(MODELS)}.")
    content = _download(url or MODELS[name].url)
    if _sha256(content) != MODELS[name].sha256:
        raise MissingModelError(
            f"What was downloaded is not the published {name} file (checksum {_sha256(content)[:12]}..., must be "
            f"{MODELS[name].sha256[:12]}...): nothing was kept. Try again, or copy the file there by hand."
        )
    return _store(content, (folder or _folders()[-1]) / MODELS[name].file)


def _download(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return bytes(answer.read())
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise MissingModelError(
            f"{url} could not be read ({error}): check the network, or copy the file by hand into a folder and set "
            "PERSONARE_MODELS to it."
        ) from error


def _store(content: bytes, target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
            file.write(content)
        Path(file.name).replace(target)
    except OSError as error:
        raise DataError(f"{target} cannot be written ({error}): free some space or choose another folder.") from error
    return target
