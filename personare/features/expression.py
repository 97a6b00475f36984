"""Face mesh, expression and head pose of every face of a video, by MediaPipe's Face Landmarker; nothing phones home."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import cv2
import numpy as np

from personare.core.types import Array, Face, LocatedFrame
from personare.features.models import find_model

_NAMES = """
_neutral browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight
eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight
jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight
mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight
mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight mouthStretchLeft
mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft noseSneerRight
"""
BLENDSHAPES: tuple[str, ...] = tuple(_NAMES.split())

_SIDE = 384  # pixels of the input: the mesh network looks at 256 x 256, more only costs time
_IDLE_FRAMES = 100  # a track not seen for so many gives its landmarker back
_CONFIDENCE = 0.5  # a mesh the network believes in less than this is not given out
_EYES = ((33, 133), (362, 263))


@dataclass
class _Tracker:
    """One MediaPipe landmarker that follows one face through a steady window of the picture."""

    task: Any
    window: Array | None = None
    clock_ms: int = 0
    last_frame: int = 0

    def read(self, image: Array, window: Array, time_s: float) -> tuple[Array, Array, Array] | None:
        """Return mesh, blendshapes and pose of a face in a window (4,) of an image; its jump restarts the tracking."""
        if self.window is not None and not np.array_equal(window, self.window):
            self.forget()
        self.window = window
        left, top, right, bottom = window
        patch = image[top:bottom, left:right]
        shrink = min(1.0, _SIDE / max(patch.shape[:2]))
        if shrink < 1:
            patch = cv2.resize(patch, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        self.clock_ms = max(self.clock_ms + 1, round(1000 * time_s))
        result = self._detect(patch)
        if not result.face_landmarks:
            return None
        points = np.array([(p.x, p.y, p.z) for p in result.face_landmarks[0]], dtype=np.float32)
        scale = np.array([right - left, bottom - top, right - left])
        landmarks = (points * scale + np.array([left, top, 0])).astype(np.float32)  # (478, 3)
        shapes = np.array([b.score for b in result.face_blendshapes[0]], dtype=np.float32)
        return landmarks, shapes, np.array(result.facial_transformation_matrixes[0], dtype=np.float32)

    def forget(self) -> None:
        """Show a blank picture, so that the next one is searched afresh."""
        self.clock_ms += 1
        self._detect(np.zeros((64, 64, 3), np.uint8))

    def _detect(self, patch: Array) -> Any:
        import mediapipe

        # Padded rows, as a decoder gives them, would be read askew.
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(patch))
        return self.task.detect_for_video(picture, self.clock_ms)


def _window(box: Array, shape: tuple[int, ...], old: Array | None) -> Array:
    """Return a square window around a box, inside the image; the old one while the box sits well in it."""
    centre, side = (box[:2] + box[2:]) / 2, float(max(box[2] - box[0], box[3] - box[1]))
    if old is not None:
        reach = float(old[3] - old[1])
        inside = np.all(box[:2] > old[:2] - 0.05 * side) and np.all(box[2:] < old[2:] + 0.05 * side)
        if inside and 0.3 * reach < side:
            return old
    low = np.maximum(np.floor(centre - side), 0)  # the window is twice the face
    high = np.minimum(np.ceil(centre + side), [shape[1], shape[0]])
    return np.concatenate([low, np.maximum(high, low + 2)]).astype(np.int64)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the native library's start-up chatter off the terminal: it writes to file descriptor 2 itself."""
    saved, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nothing)


class FaceLandmarker:
    """Reads mesh, expression and pose of faces, each by a native tracker of its own: small ones as surely as large.

    **Source**: Grishchenko et al. 2020, "Attention Mesh" (mesh); MediaPipe Face Landmarker (Apache-2.0), pinned at
    0.10.33: later builds report usage over the network.
    """

    def __init__(self) -> None:
        self._trackers: dict[int, _Tracker] = {}

    def __enter__(self) -> Self:
        find_model("face_landmarker")  # nothing is loaded before the first frame
        return self

    def __exit__(self, *_: object) -> None:
        for track in list(self._trackers):
            self._trackers.pop(track).task.close()

    def _tracker(self, track: int) -> _Tracker:
        if track not in self._trackers:
            with _quiet():
                from mediapipe.tasks.python import BaseOptions, vision

                options = vision.FaceLandmarkerOptions(
                    base_options=BaseOptions(model_asset_path=str(find_model("face_landmarker"))),
                    running_mode=vision.RunningMode.VIDEO,
                    num_faces=1,
                    min_face_detection_confidence=_CONFIDENCE,
                    min_face_presence_confidence=_CONFIDENCE,
                    min_tracking_confidence=_CONFIDENCE,
                    output_face_blendshapes=True,
                    output_facial_transformation_matrixes=True,
                )
                self._trackers[track] = _Tracker(vision.FaceLandmarker.create_from_options(options))
                self._trackers[track].forget()
        return self._trackers[track]

    def locate(self, frames: Iterable[LocatedFrame]) -> Iterator[LocatedFrame]:
        """Attach mesh, expression and pose to the located faces; a face whose mesh is not found stays as it is."""
        for number, frame in enumerate(frames):
            yield replace(frame, faces=tuple(self._attach(frame, face, number) for face in frame.faces))
            for track in [t for t, k in self._trackers.items() if number - k.last_frame > _IDLE_FRAMES]:
                self._trackers.pop(track).task.close()

    def _attach(self, frame: LocatedFrame, face: Face, number: int) -> Face:
        height, width = frame.image.shape[:2]
        left, top, right, bottom = face.box
        if right <= 1 or bottom <= 1 or left >= width - 1 or top >= height - 1:
            return face  # outside of the picture
        tracker = self._tracker(face.track)
        tracker.last_frame = number
        read = tracker.read(frame.image, _window(face.box, frame.image.shape, tracker.window), frame.time_s)
        if read is None:
            return face
        landmarks, blendshapes, pose = read
        around = np.concatenate([landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)])
        sides = np.minimum(face.box[2:], around[2:]) - np.maximum(face.box[:2], around[:2])
        smaller = min(float(np.prod(box[2:] - box[:2])) for box in (face.box, around))
        if float(np.prod(np.maximum(sides, 0))) < 0.2 * max(smaller, 1e-9):
            return face  # another face's mesh
        return replace(face, landmarks=landmarks, blendshapes=blendshapes, pose=pose)

    def measure(self, images: Iterable[Array], *, rate_hz: float) -> tuple[Array, Array]:
        """Read blendshapes (F, 52) and landmarks (F, 478, 3), in pixels, off one face's pictures; NaN: none is seen."""
        tracker = self._tracker(-1)
        tracker.forget()
        start_s = tracker.clock_ms / 1000 + 1.0
        shapes, meshes = [], []
        for number, image in enumerate(images):
            whole = np.array([0, 0, image.shape[1], image.shape[0]])
            read = tracker.read(image, whole, start_s + number / rate_hz)
            mesh, blendshapes, _ = read or (np.full((478, 3), np.nan), np.full(52, np.nan), None)
            shapes.append(blendshapes)
            meshes.append(mesh)
        return np.array(shapes, np.float32).reshape(-1, 52), np.array(meshes, np.float32).reshape(-1, 478, 3)


def normalize_landmarks(landmarks: Array) -> Array:
    """Return meshes (F, 478, 3) as (F, 478, 2) float32 in eye distances, centred between level eyes; NaN stays NaN."""
    flat = np.asarray(landmarks, dtype=np.float64)[..., :2]
    right, left = (flat[:, pair].mean(axis=1) for pair in _EYES)  # (F, 2) each
    across, moved = left - right, flat - ((right + left) / 2)[:, None]
    length = np.maximum(np.sum(across**2, axis=1), 1e-12)
    with np.errstate(invalid="ignore"):  # rows of NaN stay NaN without a warning
        turned = (moved[..., 0] + 1j * moved[..., 1]) * ((across[:, 0] - 1j * across[:, 1]) / length)[:, None]
    return np.stack([turned.real, turned.imag], axis=-1).astype(np.float32)
