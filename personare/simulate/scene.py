"""Where a made-up person sits: wall, clothes, light and camera of one recording, which name nobody."""

from dataclasses import dataclass

import cv2
import numpy as np

from personare.core.types import Array
from personare.features.painting import Color

__all__ = ["Scene", "draw_scene", "paint_wall"]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What surrounds the person in one recording; it changes from take to take, so it names nobody."""

    wall_rgb: Color
    clothes_rgb: Color
    light: float  # side the light comes from, -1 left to 1 right
    exposure: float  # factor of all brightness
    distance: float  # factor of the head's size, 1 for the usual distance
    offset: tuple[float, float]  # where the head is beside the middle, right and down, as a share of the picture


def draw_scene(rng: np.random.Generator) -> Scene:
    """Return a random scene, in colors that are not loud."""

    def muted(low: float, high: float) -> Color:
        grey, tint = rng.uniform(low, high), rng.normal(0, 18, 3)
        red, green, blue = (int(np.clip(grey + shift, 10, 245)) for shift in tint)
        return red, green, blue

    return Scene(
        wall_rgb=muted(100, 215),
        clothes_rgb=muted(35, 190),
        light=float(rng.uniform(-1, 1)),
        exposure=float(rng.uniform(0.88, 1.08)),
        distance=float(rng.uniform(0.95, 1.06)),
        offset=(float(rng.uniform(-0.02, 0.02)), float(rng.uniform(-0.015, 0.015))),
    )


def paint_wall(scene: Scene, size: int, rng: np.random.Generator) -> Array:
    """Return the background, uint8 RGB (size, size, 3): a wall with two blurred things on it and falling light."""
    wall = np.full((size, size, 3), scene.wall_rgb, dtype=np.uint8)
    for _ in range(2):
        left, top = rng.integers(-size // 4, size, 2)
        color = tuple(int(c) for c in np.clip(np.array(scene.wall_rgb) + int(rng.integers(-35, 35)), 0, 255))
        cv2.rectangle(wall, (int(left), int(top)), (int(left + size * 0.4), int(top + size * 0.5)), color, -1)
    wall = cv2.GaussianBlur(wall, (0, 0), size / 30)
    fall = 1 + 0.18 * scene.light * np.linspace(-1, 1, size)[None, :, None]
    return np.asarray(np.clip(wall * fall, 0, 255).astype(np.uint8))
