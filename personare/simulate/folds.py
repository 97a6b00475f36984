"""The folds that age and action units draw on a made-up face: forehead, frown, laugh lines, crow's feet, chin."""

import numpy as np

from personare.simulate.geometry import Actions, Camera, open_curve, placed
from personare.simulate.painting import Shade
from personare.simulate.people import Face

__all__ = ["fold"]


def fold(shade: Shade, camera: Camera, face: Face, actions: Actions) -> None:
    """Gather a face's folds on the shade, to be laid over the picture with it."""
    _forehead(shade, camera, face, actions)
    for side in (-1, 1):
        _eye(shade, camera, face, actions, side)
        _cheek(shade, camera, face, actions, side)
    chin = placed(((-1.0, -0.2), (0, -0.55), (1.0, -0.2)), 0, face.chin_cm - 1.7)
    shade.crease(camera(open_curve(chin)), 0.3 * actions["AU17"], 0.4 * camera.scale)


def _forehead(shade: Shade, camera: Camera, face: Face, actions: Actions) -> None:
    old, raised = 0.10 * face.wrinkles, max(actions["AU01"], actions["AU02"])
    span = 3.6 if actions["AU02"] > 0.4 * actions["AU01"] else 2.0
    bend = ((-span, 0.25), (-span / 2, 0), (0, 0.15), (span / 2, 0), (span, 0.25))
    for row in (0, 1, 2):
        y = -face.brow_cm - 1.9 - 0.95 * row - 0.4 * raised
        shade.crease(camera(open_curve(placed(bend, 0, y))), old + 0.11 * raised, 0.3 * camera.scale)


def _eye(shade: Shade, camera: Camera, face: Face, actions: Actions, side: int) -> None:
    old, thin = 0.10 * face.wrinkles, 0.3 * camera.scale
    middle, outer = face.eye_distance_cm / 2, face.eye_distance_cm / 2 + face.eye_width_cm / 2
    for spread in (-0.5, 0.15, 0.8):
        crow = np.array(((outer + 0.45, 0.25 + 0.4 * spread), (outer + 1.5, 0.25 + spread)))
        shade.crease(camera(crow * (side, 1)), 0.8 * old + 0.24 * actions["AU06"], 0.7 * thin)
    bag = placed(((-1.3, 1.2), (0, 1.55), (1.3, 1.2)), middle, -0.3 * actions["AU06"])
    deep = 0.04 + old + 0.22 * actions["AU06"] + 0.12 * actions["AU07"]
    shade.crease(camera(open_curve(bag * (side, 1))), deep, thin)
    furrow = np.array(((0.35, -face.brow_cm + 0.9), (0.5, -face.brow_cm - 0.5)))
    shade.crease(camera(furrow * (side, 1)), old + 0.2 * actions["AU04"], 1.1 * thin)


def _cheek(shade: Shade, camera: Camera, face: Face, actions: Actions, side: int) -> None:
    reach, tip, width = face.nose_width_cm / 2, face.nose_length_cm, camera.scale
    strength = max(actions["AU12"], 0.9 * actions["AU09"], 0.35 * actions["AU20"])
    wide = face.mouth_width_cm / 2 + 0.75 + 0.75 * actions["AU12"]
    laugh = np.array(((reach + 0.15, tip - 0.5), (wide * 0.93, tip + 1.1), (wide, face.mouth_cm - 0.1)))
    depth = 0.05 + 0.10 * face.wrinkles + 0.17 * strength
    shade.crease(camera(open_curve(placed(laugh, 0, -0.4 * strength) * (side, 1))), depth, 0.45 * width)
    sneer = np.array(((0.3, 0.6), (0.75, 1.3))) * (side, 1)
    shade.crease(camera(sneer, 1.5), 0.22 * actions["AU09"], 0.3 * width)
