"""Measure ``face_avatar`` on one core, from file to file: frames a second with everything, and of each part alone.

    OMP_NUM_THREADS=1 PERSONARE_MODELS=... python benchmarks/face_avatar_speed.py CLIP [CLIP ...]

The goal: at least 50 frames a second at 360 x 288, all frames. The last lines are a row for ``docs/performance.md``.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2

from personare.anonymize._video import anonymize_video
from personare.anonymize.face_avatar import FaceAvatar
from personare.core.randomness import generator
from personare.core.types import LocatedFrame
from personare.features import video
from personare.features.expression import FaceLandmarker
from personare.features.face import FaceLocator

_GOAL_HZ = 50


def main(paths: list[Path]) -> None:
    """Print a table."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)
    print(f"{'clip':24} {'frames':>6} {'whole/s':>8} {'decode/s':>9} {'find/s':>8} {'mesh/s':>8} {'draw/s':>8}")
    rates = []
    for path in paths:
        frames = list(video.read(path))
        count = len(frames)
        with FaceLandmarker() as warm:  # loading the models is not counted: it happens once
            located = list(warm.locate(FaceLocator()(iter(frames))))
            whole = _seconds(lambda path=path, warm=warm: _whole(path, warm))
        decode = _seconds(lambda path=path: list(video.read(path)))
        find = _seconds(lambda frames=frames: list(FaceLocator()(iter(frames))))
        mesh = _seconds(lambda located=located: _mesh(located))
        draw = _seconds(lambda located=located: list(_drawn(located)))
        rates.append(count / whole)
        parts = " ".join(f"{count / s:8.0f}" for s in (decode, find, mesh, draw))
        print(f"{path.name:24} {count:6} {count / whole:8.1f}  {parts}")
    mean = sum(rates) / len(rates)
    print(f"mean {mean:.1f} frames a second, {mean / _GOAL_HZ:.2f} of the goal of {_GOAL_HZ}")


def _seconds(work: Callable[[], Any]) -> float:
    """Return processor seconds, the better of two runs: other work on the machine does not count."""
    spent = []
    for _ in range(2):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def _whole(path: Path, landmarker: FaceLandmarker) -> None:
    with tempfile.TemporaryDirectory() as folder:
        anonymize_video(
            path,
            Path(folder) / "shown.mp4",
            FaceAvatar(),
            subject="01",
            rng=generator(0, "speed"),
            locate=lambda frames: landmarker.locate(FaceLocator()(frames)),
            sound=None,
        )


def _mesh(located: Iterable[LocatedFrame]) -> None:
    with FaceLandmarker() as landmarker:
        for _ in landmarker.locate(located):
            pass


def _drawn(located: Iterable[LocatedFrame]) -> Iterable[Any]:
    return FaceAvatar()(located, subject="01", rng=generator(0, "speed"))


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]] or sys.exit(__doc__))
