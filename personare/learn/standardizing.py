"""The fixed front of every representation: recordings as rows of standardized numbers, and back into a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from personare.core.types import Array, Batch
from personare.learn.describing import describe_rows
from personare.learn.multimodal import check_shapes, check_train, shapes_of

REPRESENTATION = "representation"
_FAR = 6.0  # deviations
_CONSTANT = 1e-6  # relative spread under which a column says nothing


@dataclass(frozen=True, kw_only=True)
class Standardized:
    """Describes every modality by a row of numbers, each with mean 0 and deviation 1 among the people learned from.

    A modality that is missing gives zeros, the mean. A column that was constant gives zeros for everybody. Numbers
    further than six deviations from the mean are cut, so that no recording can be arbitrarily far from others.

    Example:
        >>> rows = np.array([[1.0, 5.0], [3.0, 5.0]], dtype=np.float32)
        >>> batch = Batch(ids=("a", "b"), arrays={"x": rows}, present={"x": np.array([True, True])},
        ...     labels=np.array([0, 1]), classes=("no", "yes"), subjects=np.array(["1", "2"]))
        >>> Standardized.of(batch)(batch).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
    """

    shapes: Mapping[str, tuple[int, ...]]  # of one recording's array, by modality
    widths: tuple[int, ...]  # how many of the D columns a modality has, in the same order
    center: Array  # (D,)
    scale: Array  # (D,) factors; 0 for a constant column

    @classmethod
    def of(cls, batch: Batch) -> "Standardized":
        """Learn means and deviations from the recordings in which each modality is present, of at least 2 people."""
        check_train(batch)
        centers, scales = [], []
        for modality, values in batch.arrays.items():
            rows = describe_rows(values[batch.present[modality]]).astype(float)
            center, spread = rows.mean(axis=0), rows.std(axis=0)
            varied = spread > _CONSTANT * (np.abs(center) + 1e-3)
            centers.append(center)
            scales.append(np.where(varied, 1 / np.where(varied, spread, 1), 0))
        return cls(
            shapes=shapes_of(batch),
            widths=tuple(len(center) for center in centers),
            center=np.concatenate(centers),
            scale=np.concatenate(scales),
        )

    def __call__(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Return (N, D)."""
        return np.clip(self.exact(batch), -_FAR, _FAR).astype(np.float32)

    def exact(self, batch: Batch) -> Array:
        """Return (N, D) of which nothing is cut or rounded."""
        check_shapes(batch, self.shapes)
        described = np.concatenate([describe_rows(batch.arrays[modality]) for modality in self.shapes], axis=1)
        rows = (described - self.center) * self.scale  # (N, D)
        present = np.stack([batch.present[modality] for modality in self.shapes], axis=1)  # (N, M)
        mask = np.repeat(present, self.widths, axis=1)
        return np.where(mask, rows, 0)


def represented(batch: Batch, rows: Array) -> Batch:
    """Return the recordings with ``rows`` as their only modality; present where any modality was."""
    present = np.any([batch.present[m] for m in batch.arrays], axis=0)
    shown = np.where(present[:, None], rows, 0).astype(np.float32)
    return replace(batch, arrays={REPRESENTATION: shown}, present={REPRESENTATION: present}, columns={})
