"""The skin of a made-up face: one picture of it, shaded and speckled, that is laid over the turning head."""

import numpy as np

from personare.core.types import Array
from personare.features.painting import blobs
from personare.simulate.people import Face

__all__ = ["BOUNDS_CM", "paint_skin"]

BOUNDS_CM = (-9.5, -13.5, 9.5, 16.0)  # left, top, right, bottom of the skin's picture


def paint_skin(face: Face, *, scale: float, light: float, rng: np.random.Generator) -> Array:
    """Return the skin's picture, uint8 RGB, over ``BOUNDS_CM``, ``scale`` pixels a centimetre.

    The light comes from -1 left to 1 right; the same ``rng`` gives a person the same freckles.
    """
    left, top, right, bottom = BOUNDS_CM
    x = np.linspace(left, right, round((right - left) * scale), dtype=np.float32)[None, :]
    y = np.linspace(top, bottom, round((bottom - top) * scale), dtype=np.float32)[:, None]
    brightness = _relief(face, x, y, light)
    cheek = (face.eye_distance_cm / 2 + 0.8, 3.6, 2.0, 1.5, 0.5)
    red = blobs(x, y, cheek, (0, face.nose_length_cm - 0.3, 1.1, 0.9, 0.35), (0, face.chin_cm - 1.2, 1.5, 1.0, 0.2))
    dark = _freckles(face, x, y, rng)
    if face.stubble > 0:
        beard = blobs(x, y, (0, face.chin_cm - 0.8, 4.2, 2.0, 1.0), (4.6, 6.5, 1.7, 3.5, 0.9))
        moustache = blobs(x, y, (0, face.mouth_cm - 1.2, 2.2, 0.5, 0.9))
        dark = np.asarray(np.clip(beard + moustache, 0, 1) * 0.9 * face.stubble, dtype=np.float32) + dark
    color = np.array(face.skin_rgb, dtype=np.float32) * brightness[..., None]  # (H, W, 3)
    color *= 1 - dark[..., None] * np.array((0.5, 0.6, 0.6), dtype=np.float32)
    color *= 1 + red[..., None] * np.array((0.10, -0.18, -0.14), dtype=np.float32)
    return np.clip(color, 0, 255).astype(np.uint8)


def _relief(face: Face, x: Array, y: Array, light: float) -> Array:
    """Return brightness (H, W), 1 for the skin's own color."""
    half, eyes, tip = face.width_cm / 2, face.eye_distance_cm / 2, face.nose_length_cm
    edge = np.clip(np.abs(x) / half, 0, 1.2) ** 4 + 0.6 * np.clip((y - 3) / (face.chin_cm - 3), 0, 1.4) ** 4
    relief = blobs(
        x,
        y,
        (0, -5.5, 5.0, 2.6, 0.07),  # forehead
        (eyes, -0.4, 2.3, 1.5, -0.15),  # sockets
        (eyes * 0.35, -0.6, 0.9, 1.4, -0.10),  # beside the bridge
        (eyes, 1.3, 1.9, 0.45, -0.05 - 0.06 * face.wrinkles),  # below the eyes
        (eyes + 0.6, 3.2, 2.0, 1.5, 0.09),  # cheekbones
        (0, 1.5, 0.55, 3.0, 0.12),  # bridge of the nose
        (0, tip - 0.6, 0.8, 0.7, 0.13),  # tip
        (face.nose_width_cm * 0.40, tip - 0.2, 0.55, 0.8, -0.10),  # beside the tip
        (0, tip + 0.7, 1.4, 0.45, -0.08),  # below the nose
        (0, face.mouth_cm - face.upper_lip_cm - 0.45, 0.28, 0.5, -0.05),  # philtrum
        (0, face.mouth_cm + face.lower_lip_cm + 0.6, 1.8, 0.4, -0.12),  # below the lip
        (0, face.chin_cm - 1.4, 1.6, 0.8, 0.08),  # chin
        (face.mouth_width_cm / 2 + 0.5, face.mouth_cm + 0.2, 0.7, 1.0, -0.05),
    )
    side = 0.13 * light * x / half
    return np.asarray(1.0 + relief - 0.22 * edge + side, dtype=np.float32)


def _freckles(face: Face, x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Return darkness (H, W) of freckles on nose and cheeks, and of two moles that everybody has somewhere."""
    count = round(60 * face.freckles)
    spots = np.stack([rng.normal(0, 3.6, count), rng.normal(3.0, 1.2, count)], axis=1)
    moles = np.stack([rng.uniform(-5.5, 5.5, 2), rng.uniform(2.5, 9.0, 2)], axis=1)
    sizes = np.concatenate([np.full(count, 0.10), rng.uniform(0.13, 0.26, 2)])
    darkness = np.zeros((y.shape[0], x.shape[1]), dtype=np.float32)
    for (spot_x, spot_y), size in zip(np.concatenate([spots, moles]), sizes, strict=True):
        dark = 0.35 if size < 0.12 else 0.8
        darkness += dark * np.exp(-(((x - spot_x) / size) ** 2)) * np.exp(-(((y - spot_y) / size) ** 2))
    return np.clip(darkness, 0, 1)
