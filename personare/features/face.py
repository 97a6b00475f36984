"""Find every face in every frame of a video, and say where that cannot be vouched for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from personare.core.errors import OptionError
from personare.core.types import Array, LocatedFrame
from personare.features._face_search import FaceSearch
from personare.features.centerface import SURE_PX, CenterFace, best, closely, filling, shrink

__all__ = ["FaceLocator", "pictures"]


@dataclass(frozen=True, kw_only=True)
class FaceLocator:
    """Find the faces of a video, looking at every n-th frame and following them between.

    **Guarantee**: One located frame for each given one, in order. A face that the detector finds at an n-th frame is
    covered in all frames around it: positions between two looks are interpolated and compared with the picture; where
    they disagree, where a face appears or goes, where something new is seen, or where a scene changes, the detector
    looks at more frames, down to each one. Before a face is first seen and after it is last seen, its place is held for
    ``patience`` frames. Where a face that was seen clearly is lost inside the picture, the frame is not ``certain``.
    Wherever a frame shows anything that was not there when the detector last looked closely, it looks there again, at
    a size at which a face of ``smallest_face_px`` is seen: at every n-th frame, and at each frame between two looks
    that shows something neither of them does. ``certain`` with no faces means that it saw nobody. A face too large for
    the picture is looked for too; once lost, frames are uncertain until a face is seen there again, the scene is cut,
    or the picture looks as before. Heads turned away, and faces of fewer pixels, are not promised.

    At most ``every + patience + 1`` frames are held in memory, however long the video is.

    Attributes:
        every: The detector looks at every n-th frame.
        threshold: Score from which a detection is a new face.
        keep_threshold: Score from which it is a face that was there before.
        smallest_face_px: Width of the smallest face that is promised to be found, pixels of the video.
        short_side: Size at which the detector looks at a whole picture, pixels of the shorter side.
        patience: Frames for which a lost face's place is held.
        margin: Share of its size by which each box is enlarged on each side.
        threads: Cores for the detector.

    Example:
        >>> frames = ((i, i / 25, np.full((96, 128, 3), 90, np.uint8)) for i in range(3))
        >>> [(frame.index, frame.faces, frame.certain) for frame in FaceLocator()(frames)]
        [(0, (), True), (1, (), True), (2, (), True)]
    """

    every: int = 5
    threshold: float = 0.3
    keep_threshold: float = 0.12
    smallest_face_px: int = 30
    short_side: int = 256
    patience: int = 10
    margin: float = 0.08
    threads: int = 1

    def __post_init__(self) -> None:
        """Check the options."""
        if self.every < 1 or self.patience < 0:
            raise OptionError(f"every must be at least 1 and patience 0, not {self.every} and {self.patience}.")
        if not 0 < self.keep_threshold <= self.threshold < 1:
            given = f"{self.keep_threshold} and {self.threshold}"
            raise OptionError(f"Thresholds must be 0 < keep_threshold <= threshold < 1, not {given}.")
        if not 0 <= self.margin <= 2:
            raise OptionError(f"margin must be 0 to 2 face sizes, not {self.margin}.")
        if self.smallest_face_px < SURE_PX / 2:
            least = SURE_PX // 2
            raise OptionError(f"smallest_face_px must be at least {least} pixels, not {self.smallest_face_px}.")
        CenterFace(short_side=self.short_side, threads=self.threads)

    def __call__(self, frames: Iterable[tuple[int, float, Array]]) -> Iterator[LocatedFrame]:
        """Yield each frame with its faces.

        Args:
            frames: Index, time in seconds, and uint8 RGB picture, as ``features.video.read`` gives them.

        Yields:
            The same frames with their faces, a few frames later.
        """
        search = FaceSearch(
            near=self._near,
            close=partial(
                closely, short_side=7 * self.short_side // 4, smallest_px=self.smallest_face_px, threads=self.threads
            ),
            smallest_px=self.smallest_face_px,
            thresholds=(self.threshold, self.keep_threshold),
            every=self.every,
            patience=self.patience,
            margin=self.margin,
        )
        yield from search.run(frames)

    def _near(self, image: Array, threshold: float) -> Array:
        """Return the faces in a picture, also one that fills it."""
        inside = CenterFace(short_side=self.short_side, threads=self.threads)(image, threshold)
        large = inside[inside[:, 4] >= 0.5, :4]
        if len(large) and (large[:, 2:] - large[:, :2]).prod(axis=1).max() > (0.25 * min(image.shape[:2])) ** 2:
            return inside  # beside such a face none fills the picture
        both = np.concatenate([inside, filling(image, threshold, threads=self.threads)])
        return both[best(both)]


def pictures(images: Iterable[Array], boxes: Iterable[Array | None], *, size: int) -> Array:
    """Cut square pictures around boxes.

    Args:
        images: uint8 RGB (height, width, 3).
        boxes: (4,) for each image: left, top, right, bottom in pixels, possibly beyond the image (which is then
            continued by its rim); None: the whole image.
        size: Side of the result, pixels.

    Returns:
        (F, size, size, 3) uint8.

    Example:
        >>> pictures([np.zeros((48, 64, 3), np.uint8)], [np.array([10, 10, 30, 40])], size=8).shape
        (1, 8, 8, 3)
    """
    cut = [_square(image, box, size) for image, box in zip(images, boxes, strict=True)]
    return np.stack(cut) if cut else np.empty((0, size, size, 3), np.uint8)


def _square(image: Array, box: Array | None, size: int) -> Array:
    if box is None:
        return shrink(image, (size, size))
    middle, side = (box[:2] + box[2:4]) / 2, max(1.0, float((box[2:4] - box[:2]).max()))
    left, top = np.floor(middle - side / 2).astype(int)
    side = round(side)
    height, width = image.shape[:2]
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    return shrink(image[np.ix_(rows, columns)], (size, size))
