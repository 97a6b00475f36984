"""What a judge looks at: one recording as arrays, by view name.

Voice views come from the sound alone. Face views of a release are cut where the *original's* face was, because an
attacker may know that; mesh and blendshapes are read from the released picture itself.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from personare.core.types import Array
from personare.features import audio, video
from personare.features.expression import FaceLandmarker, normalize_landmarks
from personare.features.face import pictures
from personare.features.locations import Locations

__all__ = ["FACE_VIEWS", "VOICE_VIEWS", "face_views", "voice_views"]

VOICE_VIEWS = ("mfcc", "logmel", "functionals", "prosody", "waveform")
FACE_VIEWS = ("crops", "frames", "blendshapes", "landmarks", "faces112")

_PICTURES_HZ = 8.0
_MOTION_HZ = 12.5
_LONGEST_S = 60.0  # of a longer recording the first minute is judged, so that memory stays bounded
_SIZE = 64


def voice_views(path: Path, names: Sequence[str]) -> dict[str, Array]:
    """Describe the sound of one recording.

    Args:
        path: A file with sound.
        names: Some of ``VOICE_VIEWS``.

    Returns:
        Arrays by view name; shapes as in ``features/audio.py``.
    """
    first = next(iter(audio.blocks(path, block_s=_LONGEST_S)))
    return audio.describe(first, [name for name in names if name in VOICE_VIEWS])


def face_views(
    path: Path,
    names: Sequence[str],
    boxes: Array,
    *,
    landmarker: FaceLandmarker | None,
    known: Locations | None = None,
) -> dict[str, Array]:
    """Describe the picture of one recording.

    Args:
        path: A video.
        names: Some of ``FACE_VIEWS``.
        boxes: (frames, 4) where the face of the original is, in pixels; NaN where there is none.
        landmarker: Reads the mesh; without one, ``blendshapes`` and ``landmarks`` are left out.
        known: The faces of this very video with their mesh, which is then not read again.

    Returns:
        Arrays by view name: ``crops`` and ``frames`` (F, 64, 64, 3) uint8 at about 8 a second, ``blendshapes`` (M, 52)
        and ``landmarks`` (M, 478, 2) at about 12.5 a second, ``faces112`` (4, 112, 112, 3) uint8.
    """
    info = video.probe(path)
    small: dict[str, list[Array]] = {"crops": [], "frames": [], "faces112": []}

    def watched() -> Iterator[Array]:
        every, motion = (max(1, round(info.rate_hz / hz)) for hz in (_PICTURES_HZ, _MOTION_HZ))
        for index, _, image in video.read(path):
            if index >= _LONGEST_S * info.rate_hz:
                return
            if index % every == 0:
                _keep(small, image, boxes[index] if index < len(boxes) else np.full(4, np.nan))
            if index % motion == 0:
                yield image

    views: dict[str, Array] = {}
    if known is not None and len(known.frame) and {"blendshapes", "landmarks"} & set(names):
        count = sum(1 for _ in watched())
        shapes, mesh = known.mesh(np.arange(count) * max(1, round(info.rate_hz / _MOTION_HZ)))
        views = {"blendshapes": shapes, "landmarks": normalize_landmarks(mesh)}
    elif landmarker is not None and {"blendshapes", "landmarks"} & set(names):
        shapes, mesh = landmarker.measure(watched(), rate_hz=min(info.rate_hz, _MOTION_HZ))
        views = {"blendshapes": shapes, "landmarks": normalize_landmarks(mesh)}
    else:
        for _ in watched():
            pass
    few = np.unique(np.linspace(0, max(len(small["faces112"]) - 1, 0), 4).astype(int))
    small["faces112"] = [small["faces112"][i] for i in few if small["faces112"]]
    views |= {name: np.stack(images) for name, images in small.items() if images}
    return {name: views[name] for name in names if name in views}


def _keep(small: dict[str, list[Array]], image: Array, box: Array) -> None:
    """Shrink a picture at once: whole frames of a long video would fill the memory."""
    small["frames"].append(cv2.resize(image, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA))
    if not np.isnan(box).any():
        small["crops"].append(pictures([image], [box], size=_SIZE)[0])
        small["faces112"].append(pictures([image], [box], size=112)[0])
