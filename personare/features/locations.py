"""Where the faces of one video are, kept so that no video is searched twice."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Face, LocatedFrame

_MESH = {"landmarks": (478, 3), "blendshapes": (52,), "pose": (4, 4)}


def locate_live(frames: Iterator[tuple[int, float, Array]], *, mesh: bool, threads: int = 1) -> Iterator[LocatedFrame]:
    """Find the faces of a video, as ``video.read`` gives it, and their mesh where asked for."""
    # imported here: whoever hides voices alone needs neither detector nor mesh
    from personare.features.face import FaceLocator

    located = FaceLocator(threads=threads)(frames)
    if not mesh:
        yield from located
        return
    from personare.features.expression import FaceLandmarker

    with FaceLandmarker() as landmarker:
        yield from landmarker.locate(located)


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
    smallest_face_px: Array = field(default_factory=lambda: np.full(1, np.nan))
    """(1,) width of the smallest face that was promised to be found."""

    @classmethod
    def of(cls, frames: Iterable[LocatedFrame]) -> "Locations":
        """Gather the faces of a located video and let the pictures go."""
        certain: list[bool] = []
        smallest_face_px = float("nan")
        rows: list[tuple[int, Face]] = []
        for frame in frames:
            certain.append(frame.certain)
            smallest_face_px = frame.smallest_face_px
            rows += [(frame.index, face) for face in frame.faces]
        faces = [face for _, face in rows]
        mesh = {name: _stack([getattr(face, name) for face in faces], shape) for name, shape in _MESH.items()}
        return cls(
            frame=np.array([index for index, _ in rows], dtype=np.int64),
            box=_stack([face.box for face in faces], (4,)),
            score=np.array([face.score for face in faces], dtype=np.float32),
            track=np.array([face.track for face in faces], dtype=np.int64),
            certain=np.array(certain, dtype=bool),
            smallest_face_px=np.array([smallest_face_px]),
            **mesh,
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
                found = {name: getattr(self, name)[row] for name in _MESH}
                mesh = {name: None if np.isnan(values).any() else values for name, values in found.items()}
                faces.append(Face(box=self.box[row], score=float(self.score[row]), track=int(self.track[row]), **mesh))
            yield LocatedFrame(
                index=index,
                time_s=time_s,
                image=image,
                faces=tuple(faces),
                certain=bool(self.certain[index]),
                smallest_face_px=float(self.smallest_face_px[0]),
            )

    def largest(self) -> Array:
        """Return (frames, 4): the box of each frame's largest face, NaN where there is none."""
        boxes = np.full((len(self.certain), 4), np.nan, dtype=np.float32)
        boxes[self.frame[::-1]] = self.box[::-1]  # faces come largest first, so the largest is written last
        return boxes

    def mesh(self, frames: Array) -> tuple[Array, Array]:
        """Return blendshapes (F, 52) and landmarks (F, 478, 3) of these frames' largest faces; NaN where none is."""
        row = np.full(len(self.certain), -1)
        row[self.frame[::-1]] = np.arange(len(self.frame))[::-1]  # as in ``largest``
        rows = row[frames]
        shapes, mesh = (
            np.where((rows >= 0)[:, None, None], a[rows], np.nan) for a in (self.blendshapes[:, None], self.landmarks)
        )
        return shapes[:, 0].astype(np.float32), mesh.astype(np.float32)

    def save(self, path: Path) -> None:
        """Write to one npz file."""
        np.savez_compressed(path, **{**vars(self), "landmarks": self.landmarks.astype(np.float32)})

    @classmethod
    def load(cls, path: Path) -> "Locations":
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{name: arrays[name] for name in arrays.files})


def _stack(values: list[Array | None], shape: tuple[int, ...]) -> Array:
    missing = np.full(shape, np.nan, dtype=np.float32)
    rows = [missing if value is None else np.asarray(value, dtype=np.float32) for value in values]
    return np.stack(rows) if rows else np.empty((0, *shape), dtype=np.float32)
