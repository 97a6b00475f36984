"""Describes recordings by a foundation model that others trained on public data; it hides nobody by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from personare.core.errors import OptionError
from personare.core.types import Batch, Spend
from personare.learn.multimodal import check_arrays
from personare.learn.pretrained import describe
from personare.learn.standardizing import represented

__all__ = ["Pretrained"]


@dataclass(frozen=True, kw_only=True)
class Pretrained:
    """Put the embeddings of frozen models side by side; follow it by another representation to remove the person.

    **Guarantee**: none against naming people; an embedding tells who speaks about as well as the recording does.
    Nothing is learned from the people described, so it costs no privacy.
    """

    folders: Mapping[str, str] = field(default_factory=dict)  # of a transformers model by modality; others are left out

    def __post_init__(self) -> None:
        if not self.folders or not all(self.folders.values()):
            raise OptionError("folders must name the folder of a transformers model for at least one modality.")

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "Embedding":
        """Try the models on two recordings; nothing is learned. See ``core.protocols.Representation``."""
        fitted = Embedding(folders=dict(self.folders))
        fitted(train.take(np.arange(min(2, len(train)))), rng=rng)
        return fitted


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """Frozen models, by modality."""

    guarantee: ClassVar[str] = (
        "none: an embedding names people about as well as the recording; nothing was learned from them"
    )

    folders: Mapping[str, str]
    spends: tuple[Spend, ...] = ()

    def __call__(self, batch: Batch, *, rng: np.random.Generator) -> Batch:
        """Return the recordings with one modality ``representation``, (N, D); zeros where a modality is missing."""
        check_arrays(batch, self.folders)
        read = batch.only(*self.folders)
        described = {m: describe(read.arrays[m], folder) for m, folder in self.folders.items()}
        rows = [np.where(read.present[m][:, None], values, 0) for m, values in described.items()]
        return represented(read, np.concatenate(rows, axis=1))
