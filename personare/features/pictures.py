"""Still pictures: whether a file can be used, and its content as numbers."""

from pathlib import Path

import cv2
import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array

__all__ = ["check_picture", "read_picture"]


def read_picture(path: Path, *, size: int) -> Array:
    """Return a picture in colour, squeezed to a square.

    Args:
        path: JPEG, PNG, PGM or another still picture.
        size: Side of the result in pixels.

    Returns:
        (3, size, size) uint8, red, green, blue.

    Raises:
        DataError: It cannot be read.
    """
    small = cv2.resize(_decoded(path), (size, size), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small[:, :, ::-1].transpose(2, 0, 1))  # (3, H, W)


def check_picture(path: Path) -> None:
    """Check that a picture can be decoded.

    Raises:
        DataError: It cannot.
    """
    _decoded(path)


def _decoded(path: Path) -> Array:
    try:
        content = np.fromfile(path, np.uint8)  # OpenCV itself cannot open every name of a file
        image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    except (OSError, cv2.error) as error:
        raise DataError(f"The picture {path.name} cannot be read: {error}. Get it again.") from error
    if image is None:
        raise DataError(f"The file {path.name} is no picture, or a broken one. Get it again.")
    return np.asarray(image)
