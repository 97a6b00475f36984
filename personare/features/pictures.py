"""Pictures as numbers, as a screen shows them: turned, over black where transparent, wide colors brought to sRGB."""

from functools import cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc
from PIL import Image, ImageOps

from personare.core.errors import DataError
from personare.core.types import Array
from personare.govern.storage import open_plain

HDR = {ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67}
_P3 = [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]]
_BT2020 = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
WIDE: dict[int, list[list[float]]] = {ColorPrimaries.BT2020: _BT2020}
WIDE |= dict.fromkeys((ColorPrimaries.SMPTE431, ColorPrimaries.SMPTE432), _P3)
"""Each turned into those of sRGB, which are those of BT.709."""

_WHITE, _PEAK = 203.0, 1000.0  # cd/m2: what is shown as white, and a display for HLG
_STEPS = 4095


def read_picture(path: Path, *, size: int) -> Array:
    """Return a still picture in color, squeezed to a square, (3, size, size) uint8."""
    small = cv2.resize(decoded(path), (size, size), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small.transpose(2, 0, 1))  # (3, H, W)


def decoded(path: Path) -> Array:
    """Return a picture as it is seen: turned as its EXIF says, over black where it is transparent, (H, W, 3) uint8."""
    try:
        with open_plain(path) as file:
            stored = file.read()
        content = np.frombuffer(stored, np.uint8)
        image = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB) if stored else None
    except (OSError, cv2.error) as error:
        raise DataError(f"The picture {path.name} cannot be read: {error}. Get it again.") from error
    if image is None:
        raise DataError(f"{path.name} cannot be read as a picture. Check that it is one, or get it again.")
    try:
        # OpenCV knows neither every kind of transparency nor how to turn it
        with Image.open(BytesIO(stored)) as picture:
            if picture.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in picture.info:
                rgba = np.array(ImageOps.exif_transpose(picture).convert("RGBA"))
                return over_black(rgba[..., :3], rgba[..., 3])
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        if np.asarray(cv2.imdecode(content, cv2.IMREAD_UNCHANGED)).shape[2:] == (4,):
            raise DataError(f"{path.name} is transparent in a way that cannot be read. Save it as PNG.") from error
    return np.asarray(image)


def over_black(image: Array, alpha: Array) -> Array:
    """Return (h, w, 3) uint8 where what is transparent, (h, w) uint8, is black, whatever color lies hidden in it."""
    return np.asarray(cv2.multiply(np.ascontiguousarray(image), cv2.merge([alpha] * 3), scale=1 / 255))


def to_srgb(coded: Array, transfer: int, primaries: int) -> Array:
    """Return pixels in the colors of a screen, (H, W, 3) uint8; what is brighter than its white is white.

    **Source**: ITU-R BT.2100-2 (PQ, HLG and its display), BT.2408 (white at 203 cd/m2), IEC 61966-2-1.

    ``coded`` is (H, W, 3) uint16, as stored; ``transfer`` and ``primaries`` are as FFmpeg numbers them. Other curves
    than PQ and HLG are taken as that of sRGB.
    """
    light = _light(transfer)[coded]  # (H, W, 3), 1 is white
    if transfer == ColorTrc.ARIB_STD_B67:
        light *= _PEAK / _WHITE * (light @ np.array([0.2627, 0.6780, 0.0593], np.float32))[..., None] ** 0.2
    unnamed = transfer in HDR and primaries == ColorPrimaries.UNSPECIFIED
    matrix = _BT2020 if unnamed else WIDE.get(primaries, np.eye(3).tolist())
    light = cv2.transform(light, np.array(matrix, np.float32)).reshape(coded.shape)
    even = np.linspace(0, 1, _STEPS + 1)
    code = np.where(even <= 0.0031308, 12.92 * even, 1.055 * even ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * code).astype(np.uint8)[(np.clip(light, 0, 1) * _STEPS + 0.5).astype(np.uint16)])


@cache
def _light(transfer: int) -> Array:
    """Return the light of each of the 65,536 codes, float32."""
    code = np.linspace(0, 1, 1 << 16)
    if transfer == ColorTrc.SMPTE2084:
        power = code ** (1 / 78.84375)
        light = (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
        light *= 10_000 / _WHITE
    elif transfer == ColorTrc.ARIB_STD_B67:
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    else:
        light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    return np.asarray(light, np.float32)
