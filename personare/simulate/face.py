"""The made-up faces, painted: hair, skin, brows, eyes, nose and lips as a person, an expression and a pose set them."""

import cv2
import numpy as np

from personare.core.types import Array
from personare.simulate.features import (
    paint_eye,
    paint_hair_behind,
    paint_hair_front,
    paint_mouth,
    paint_neck,
    paint_nose,
)
from personare.simulate.folds import fold
from personare.simulate.geometry import Actions, Camera, brow, closed, eye, head_outline, mouth, placed
from personare.simulate.painting import Shade, darker, fill, mixed
from personare.simulate.people import Person
from personare.simulate.scene import Scene, paint_wall
from personare.simulate.skin import BOUNDS_CM, paint_skin

__all__ = ["Painter"]

_WHITE = (255, 255, 255)


class Painter:
    """Paints one person in one scene, frame after frame."""

    def __init__(
        self, person: Person, scene: Scene, *, size: int, own: np.random.Generator, take: np.random.Generator
    ) -> None:
        """Prepare what stays the same in one recording.

        Args:
            person: Whom to paint.
            scene: Where.
            size: Side of the picture in pixels.
            own: Freckles, moles and strands: the same generator gives the same person.
            take: Things on the wall and the grain of the camera.
        """
        self._face, self._style, self._scene, self._size = person.face, person.style, scene, size
        self._scale = size / 192 * 6.1 * scene.distance
        self._center = size * (np.array((0.5, 0.475)) + scene.offset)
        self._strands = own.uniform(-1, 1, size=(22, 3))
        self._skin = paint_skin(person.face, scale=self._scale, light=scene.light, rng=own)
        self._shade = Shade(size=size, softness=size / 192 * 1.25)
        self._wall = paint_wall(scene, size, take)
        self._grain = take.integers(0, 5, size=(size + 64, size + 64, 3), dtype=np.uint8)

    def paint(self, actions: Actions, *, rounding: float, pose: Array, gaze: Array, frame: int = 0) -> Array:
        """Return one picture, uint8 RGB (size, size, 3).

        Args:
            actions: Intensity by action unit, 0 to 1.
            rounding: Of the lips, 0 to 1.
            pose: (5,) yaw, pitch, roll (degrees), right, down (cm).
            gaze: (2,) right, down.
            frame: Chooses the camera's grain.
        """
        camera = Camera.looking(pose, center=self._center, scale=self._scale)
        image = self._wall.copy()
        self._paint_body(image, camera, pose)
        image = self._lay_skin(image, camera, actions)
        fold(self._shade, camera, self._face, actions)
        image = self._shade.onto(image)
        paint_nose(image, camera, self._face, actions)
        paint_mouth(image, camera, self._face, mouth(self._face, actions, self._style, rounding))
        brow_rgb = mixed(darker(self._face.hair_rgb, 0.75), self._face.skin_rgb, 0.15)
        for side in (-1, 1):
            paint_eye(image, camera, self._face, eye(self._face, actions, side, gaze))
            fill(image, camera(brow(self._face, actions, self._style, side), 0.4), brow_rgb)
        paint_hair_front(image, camera, self._face, self._strands)
        return self._expose(image, frame)

    def _paint_body(self, image: Array, camera: Camera, pose: Array) -> None:
        body = Camera.looking(pose * (0, 0, 0.15, 0.6, 0.3), center=self._center, scale=self._scale)
        paint_hair_behind(image, camera, self._face)
        paint_neck(image, body, self._face, self._scene.clothes_rgb)
        lobe = ((0, -1.4), (0.7, -1.7), (1.0, -0.4), (0.5, 1.5), (0, 1.9))
        ear = closed(placed(lobe, self._face.width_cm / 2 - 0.25, 1.0))
        for side in (-1, 1):
            fill(image, camera(ear * (side, 1)), darker(self._face.skin_rgb, 0.86))

    def _lay_skin(self, image: Array, camera: Camera, actions: Actions) -> Array:
        """Return the picture with the skin inside the face's outline, and gather the chin's shadow on the neck."""
        left, top, right, bottom = BOUNDS_CM
        corners = np.array(((-5.0, -5.0), (5.0, -5.0), (0.0, 7.0)))
        height, width = self._skin.shape[:2]
        texel = (corners - (left, top)) * ((width - 1) / (right - left), (height - 1) / (bottom - top))
        warp = cv2.getAffineTransform(texel.astype(np.float32), camera(corners).astype(np.float32))
        skin = cv2.warpAffine(self._skin, warp, (self._size, self._size), borderMode=cv2.BORDER_REPLICATE)
        outline = camera(head_outline(self._face, 2.4 * actions["AU26"] - 0.25 * actions["AU17"]))
        below = camera(self._under_chin())
        self._shade.patch(below, 0.22)
        self._shade.erase(outline)
        mask = np.zeros_like(image)
        fill(mask, outline, _WHITE)
        kept = cv2.multiply(image, 255 - mask, scale=1 / 255)
        return np.asarray(cv2.add(kept, cv2.multiply(skin, mask, scale=1 / 255)))

    def _under_chin(self) -> Array:
        """Return the part of the neck that the chin shades."""
        half, chin = self._face.width_cm * 0.26, self._face.chin_cm
        return closed(
            np.array(((-half, chin - 4), (half, chin - 4), (half, chin + 0.4), (0, chin + 2.2), (-half, chin + 0.4)))
        )

    def _expose(self, image: Array, frame: int) -> Array:
        row, column = frame * 17 % 64, frame * 29 % 64
        grain = self._grain[row : row + self._size, column : column + self._size]
        return np.asarray(cv2.convertScaleAbs(cv2.add(image, grain), alpha=self._scene.exposure))
