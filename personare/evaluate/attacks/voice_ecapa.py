"""Names the speaker with a small ECAPA-TDNN trained on the cohort: the challenge's attacker, sized for a laptop."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from personare.core.errors import OptionError
from personare.core.options import check_options
from personare.core.types import Array
from personare.evaluate.classifiers import Clips, Cosine, numbered
from personare.evaluate.clips import audible, looped
from personare.evaluate.networks import embedding
from personare.learn.networks import Ecapa

__all__ = ["VoiceEcapa"]

_WIDTH = 96  # of the embedding


@dataclass(frozen=True, kw_only=True)
class VoiceEcapa:
    """Learns an embedding of voices from random chunks, then compares clips by cosine with each person's mean.

    With few people it is the weaker attack (it needs tens of speakers): read it only where its self-test passed.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: B. Desplanques et al., "ECAPA-TDNN", INTERSPEECH 2020; margin 0.2, scale 30 and cosine scoring as the
    VoicePrivacy 2024 attacker; smaller, AdamW with one cycle.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "audio"
    views: ClassVar[tuple[str, ...]] = ("logmel",)

    steps: int = 250  # batches of training; the same for originals and releases
    batch: int = 24  # chunks a batch
    chunk_s: float = 1.2  # length of a chunk, seconds
    channels: int = 64  # width of the network, a multiple of 8

    def __post_init__(self) -> None:
        if self.batch < 2 or self.channels % 8 or self.channels < 8 or not self.chunk_s >= 0.2:
            raise OptionError(
                "voice_ecapa needs a batch of at least 2, channels that are a multiple of 8 and a chunk_s of at least "
                f"0.2, given {self.batch}, {self.channels} and {self.chunk_s}."
            )
        check_options(self, steps=2)

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Cosine:
        """Train the network to tell the people of (T, bands) spectrograms in dB apart."""
        frames = round(100 * self.chunk_s)
        ready = [looped(_ready(clip), frames) for clip in clips.values()]
        number = numbered(clips, subjects)[1]

        def chunk(clip: Array, rng: np.random.Generator) -> Array:
            start = int(rng.integers(len(clip) - frames + 1))
            return clip[start : start + frames].T  # (bands, T)

        def network() -> Ecapa:
            return Ecapa(bands=ready[0].shape[1], channels=self.channels, embedding=_WIDTH)

        net = embedding(
            network, ready, number, chunk, width=_WIDTH, batch=self.batch, steps=self.steps, learning_rate=2e-3, rng=rng
        )

        def embed(asked: Clips) -> Array:
            with torch.no_grad():  # whole clips (of long ones 20 s) one by one: their lengths differ
                whole = [looped(_ready(clip), frames)[:2000].T[None].copy() for clip in asked.values()]
                return torch.stack([net(torch.from_numpy(clip))[0] for clip in whole]).numpy()

        return Cosine(embed=embed)


def _ready(clip: Array) -> Array:
    rows = audible(clip)
    return np.asarray((rows - rows.mean()) / 15.0, dtype=np.float32)
