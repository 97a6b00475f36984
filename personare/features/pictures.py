"""Still pictures: whether a file can be used, and its content as numbers, as a viewer shows it."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from personare.core.errors import DataError
from personare.core.types import Array

__all__ = ["check_picture", "decoded", "over_black", "read_picture"]


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
    small = cv2.resize(decoded(path), (size, size), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small.transpose(2, 0, 1))  # (3, H, W)


def check_picture(path: Path) -> None:
    """Check that a picture can be decoded.

    Raises:
        DataError: It cannot.
    """
    decoded(path)


def decoded(path: Path) -> Array:
    """Return a picture as it is seen: turned as its EXIF says, over black where it is transparent.

    Returns:
        (height, width, 3) uint8, red, green, blue.

    Raises:
        DataError: It cannot be read.
    """
    try:
        content = np.fromfile(path, np.uint8)  # OpenCV itself cannot open every name of a file
        image = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB) if content.size else None
    except (OSError, cv2.error) as error:
        raise DataError(f"The picture {path.name} cannot be read: {error}. Get it again.") from error
    if image is None:
        raise DataError(f"{path.name} cannot be read as a picture. Check that it is one, or get it again.")
    try:
        with Image.open(path) as picture:  # OpenCV knows neither every kind of transparency nor how to turn it
            if picture.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in picture.info:
                rgba = np.array(ImageOps.exif_transpose(picture).convert("RGBA"))
                return over_black(rgba[..., :3], rgba[..., 3])
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        if np.asarray(cv2.imdecode(content, cv2.IMREAD_UNCHANGED)).shape[2:] == (4,):
            raise DataError(f"{path.name} is transparent in a way that cannot be read. Save it as PNG.") from error
    return np.asarray(image)


def over_black(image: Array, alpha: Array) -> Array:
    """Return (h, w, 3) uint8 where what is transparent, (h, w) uint8, is black, whatever color lies hidden in it.

    Example:
        >>> over_black(np.full((1, 1, 3), 200, np.uint8), np.full((1, 1), 0, np.uint8)).tolist()
        [[[0, 0, 0]]]
    """
    return np.asarray(cv2.multiply(np.ascontiguousarray(image), cv2.merge([alpha] * 3), scale=1 / 255))
