"""Where the faces of one video are, kept so that no video is searched twice."""

import math
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Face, LocatedFrame

_MESH = {"landmarks": (478, 3), "blendshapes": (52,), "pose": (4, 4)}


def locate_live(frames: Iterator[tuple[int, float, Array]], *, mesh: bool, threads: int = 1) -> Iterator[LocatedFrame]:
    """Find the faces of a video, as ``video.read`` gives it, and their mesh where asked for."""
    # imported here: whoever hides voices alone needs neither detector nor mesh
    from personare.features.expression import FaceLandmarker
    from personare.features.face import FaceLocator

    located = FaceLocator(threads=threads)(frames)
    with FaceLandmarker() if mesh else nullcontext() as landmarker:
        yield from landmarker.locate(located) if landmarker else located


@dataclass(frozen=True, kw_only=True)
class Locations:
    """The faces of every frame of one video, without the pictures. It identifies people: it never leaves the run."""

    frame: Array  # (F,) frame number of each face
    box: Array  # (F, 4) pixels
    score: Array  # (F,) confidence
    track: Array  # (F,) number of the face in the video
    landmarks: Array  # (F, 478, 3); rows of NaN where the mesh was not found
    blendshapes: Array  # (F, 52)
    pose: Array  # (F, 4, 4)
    certain: Array  # (frames,) False where the frame must be covered whole
    smallest_face_px: Array  # (1,) width of the smallest face that was promised to be found

    @classmethod
    def of(cls, frames: Iterable[LocatedFrame]) -> "Locations":
        """Gather the faces of a located video and let the pictures go."""
        certain: list[bool] = []
        smallest_face_px = float("nan")
        index: list[int] = []
        faces: list[Face] = []
        for frame in frames:
            certain.append(frame.certain)
            smallest_face_px = frame.smallest_face_px
            index += [frame.index] * len(frame.faces)
            faces += frame.faces

        def stacked(name: str, *shape: int) -> Array:
            missing = np.full(shape, np.nan)
            rows = [missing if (value := getattr(face, name)) is None else value for face in faces]
            return np.array(rows, np.float32).reshape(-1, *shape)

        return cls(
            frame=np.array(index, dtype=np.int64),
            box=stacked("box", 4),
            score=stacked("score"),
            track=np.array([face.track for face in faces], dtype=np.int64),
            certain=np.array(certain, dtype=bool),
            smallest_face_px=np.array([smallest_face_px]),
            **{name: stacked(name, *shape) for name, shape in _MESH.items()},
        )

    def replay(self, images: Iterable[tuple[int, float, Array]]) -> Iterator[LocatedFrame]:
        """Give the frames of the same video their faces back; a frame that was never searched is an error."""
        starts = np.searchsorted(self.frame, np.arange(len(self.certain) + 1))
        for index, time_s, image in images:
            if index >= len(self.certain):
                raise DataError(
                    f"The video has a frame {index} that was never searched for faces ({len(self.certain)} were). "
                    "It changed since; run the study again in a new folder."
                )
            faces = []
            for row in range(starts[index], starts[index + 1]):
                mesh = {name: None if np.isnan(v := getattr(self, name)[row]).any() else v for name in _MESH}
                faces.append(Face(box=self.box[row], score=float(self.score[row]), track=int(self.track[row]), **mesh))
            yield LocatedFrame(
                index=index,
                time_s=time_s,
                image=image,
                faces=tuple(faces),
                certain=bool(self.certain[index]),
                smallest_face_px=float(self.smallest_face_px[0]),
            )

    def largest(self, name: str, *, step: int = 1, end: float = np.inf) -> Array:
        """Return a field of the largest face, (F, ...) float32, in every step-th frame before ``end``; NaN: no face."""
        row = np.full(len(self.certain), -1)
        row[self.frame[::-1]] = np.arange(len(self.frame))[::-1]  # they come largest first, so it is written last
        row = row[: math.ceil(min(len(row), end)) : step]
        values = getattr(self, name)
        out = np.full((len(row), *values.shape[1:]), np.nan, np.float32)
        out[row >= 0] = values[row[row >= 0]]
        return out

    def save(self, path: Path) -> None:
        """Write to one npz file."""
        np.savez_compressed(path, **vars(self))

    @classmethod
    def load(cls, path: Path) -> "Locations":
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{name: arrays[name] for name in arrays.files})
