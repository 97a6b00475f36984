"""A linear head on public rows as a frozen predictor, and back from its arrays."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Batch, Spend
from personare.learn.fusion import fit_temperature
from personare.learn.heads import predict
from personare.learn.multimodal import check_arrays
from personare.learn.public_map import PublicMap, unit_rows
from personare.learn.public_rows import PublicRows

__all__ = ["LENGTH", "MASK", "HeadPredictor", "head_features"]

LENGTH = 8.0
"""Of the rows that a head reads: the constant beside them is 1, and small, so takes little of a clipped step."""
MASK = 0.25
"""What a bit that says that a modality is there counts, where a row counts 1."""


def head_features(parts: Sequence[Array], present: Array, centers: Sequence[Array]) -> Array:
    """Return rows moved by the means and of length ``LENGTH``, and, of several modalities, bits of what is there."""
    share = LENGTH / math.sqrt(len(parts))
    moved = [
        unit_rows(part - center) * there[:, None] * share
        for part, center, there in zip(parts, centers, present.T, strict=True)
    ]
    bits = [MASK * share * present] if len(parts) > 1 else []
    return np.concatenate([*moved, *bits], axis=1).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class HeadPredictor:
    """A linear head and the public description that it reads.

    Attributes:
        describe: Makes rows of recordings.
        centers: What is subtracted from them, by modality.
        head: (D + 1, C), the last row the bias.
        classes: What the columns mean.
        link: ``softmax`` of scores, or ``linear`` scores that estimate probabilities.
        temperature: Of the softmax.
        spends: The privacy that training cost.
    """

    describe: PublicRows
    centers: Sequence[Array]
    head: Array
    classes: tuple[str, ...]
    link: Literal["softmax", "linear"]
    temperature: float = 1.0
    spends: tuple[Spend, ...] = ()

    def __call__(self, batch: Batch) -> Array:
        """Return (N, C) probabilities; chance where all modalities are missing."""
        check_arrays(batch)
        parts, present = self.describe(batch)
        found = predict(self.head[None] / self.temperature, head_features(parts, present, self.centers), link=self.link)
        likely = found[0].astype(float)
        likely /= likely.sum(axis=1, keepdims=True)
        return np.where(present.any(axis=1, keepdims=True), likely, 1 / len(self.classes))

    def represent(self, batch: Batch) -> Array:
        """Return (N, D): what the head reads."""
        return head_features(*self.describe(batch), self.centers)

    def weights(self, batch: Batch) -> dict[str, Array]:
        """Return the share of each modality in how far the scores are apart, by modality, (N,)."""
        parts, present = self.describe(batch)
        rows = head_features(parts, present, self.centers)
        ends = np.cumsum([part.shape[1] for part in parts])
        found = np.stack(
            [
                np.ptp(rows[:, e - p.shape[1] : e] @ self.head[e - p.shape[1] : e], axis=1)
                for e, p in zip(ends, parts, strict=True)
            ],
            axis=1,
        )
        found = (found + 1e-9) * present
        found /= np.maximum(found.sum(axis=1, keepdims=True), 1e-12)
        return {m: found[:, i] for i, m in enumerate(self.describe.maps)}

    def calibrated(self, validation: Batch) -> "HeadPredictor":
        """Return the same with a temperature fitted to people it did not learn from."""
        if not len(validation) or self.link != "softmax":
            return self
        scores = np.log(np.maximum(self(validation), 1e-12))
        return replace(self, temperature=self.temperature * fit_temperature(scores, validation.labels))

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return the numbers as arrays and what they mean as text."""
        tensors: dict[str, Array] = {"head": self.head}
        for i, (learned, center) in enumerate(zip(self.describe.maps.values(), self.centers, strict=True)):
            tensors |= {f"map{i}.{name}": values for name, values in learned.state().items()}
            tensors[f"mean{i}"] = np.asarray(center)
        about = {
            "modalities": json.dumps(list(self.describe.maps)),
            "shapes": json.dumps(dict(self.describe.shapes)),
            "classes": json.dumps(self.classes),
            "link": self.link,
            "temperature": repr(self.temperature),
            "spends": json.dumps([asdict(s) for s in self.spends]),
        }
        return tensors, about

    @classmethod
    def restore(cls, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "HeadPredictor":
        """Build again what ``state`` returned.

        Raises:
            DataError: The arrays or the text belong to another kind of model.
        """
        try:
            names = json.loads(about["modalities"])
            maps = {
                m: PublicMap.restore({part: tensors[f"map{i}.{part}"] for part in ("center", "spread", "matrix")})
                for i, m in enumerate(names)
            }
            return cls(
                describe=PublicRows(maps=maps, shapes=json.loads(about["shapes"])),
                centers=[tensors[f"mean{i}"] for i in range(len(names))],
                head=tensors["head"],
                classes=tuple(json.loads(about["classes"])),
                link="linear" if about["link"] == "linear" else "softmax",
                temperature=float(about["temperature"]),
                spends=tuple(Spend(**s) for s in json.loads(about["spends"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"This is not the state of a private head ({error}): train the model again.") from error
