"""Names the speaker with a small ECAPA-TDNN trained on the cohort: the challenge's attacker, sized for a laptop."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from personare.core.errors import OptionError
from personare.core.options import check_options
from personare.core.types import Array
from personare.evaluate.classifiers import Clips, Cosine
from personare.evaluate.clips import looped
from personare.learn.loop import seeded, train
from personare.learn.networks import Ecapa, MarginHead

__all__ = ["VoiceEcapa"]


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
        ready = [_ready(clip) for clip in clips.values()]
        people, target = np.unique([subjects[i] for i in clips], return_inverse=True)
        frames = round(100 * self.chunk_s)
        by_person = [np.flatnonzero(target == p) for p in range(len(people))]

        def draw(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
            who = rng.integers(len(people), size=self.batch)  # people, not clips: nobody is drowned out
            chunks = []
            for p in who:
                clip = looped(ready[int(rng.choice(by_person[p]))], frames)
                start = int(rng.integers(len(clip) - frames + 1))
                chunks.append(clip[start : start + frames].T)
            return torch.from_numpy(np.stack(chunks)), torch.from_numpy(who)  # (B, bands, T)

        with seeded(rng):
            net = Ecapa(bands=ready[0].shape[1], channels=self.channels)
            head = MarginHead(embedding=96, people=len(people))
            net.add_module("margin_head", head)  # so that both are trained
            train(net, draw, head.loss, steps=self.steps, rng=rng, learning_rate=2e-3)

        def embed(asked: Clips) -> Array:
            with torch.no_grad():  # whole clips (of long ones 20 s) one by one: their lengths differ
                ready = [looped(_ready(clip), frames)[:2000].T[None].copy() for clip in asked.values()]
                return torch.stack([net(torch.from_numpy(one))[0] for one in ready]).numpy()

        return Cosine(embed=embed)


def _ready(clip: Array) -> Array:
    rows = np.nan_to_num(np.asarray(clip, dtype=np.float32), nan=-100.0)
    rows = np.maximum(rows, rows.max() - 70.0)
    return np.asarray((rows - rows.mean()) / 15.0, dtype=np.float32)
