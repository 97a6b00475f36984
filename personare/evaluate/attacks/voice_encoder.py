"""Names the speaker with an encoder that others trained on thousands of voices (Resemblyzer, optional)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from personare.core.errors import extra
from personare.core.types import Array, Batch, Result
from personare.evaluate.classifiers import Clips, Kernel, unit
from personare.evaluate.clips import looped, usable_clips
from personare.evaluate.metrics import mean_over_people

__all__ = ["VoiceEncoder"]

_LEAST = 16_000  # samples the encoder needs


@dataclass(frozen=True, kw_only=True)
class VoiceEncoder:
    """Turns voices into vectors with a pretrained network, and learns the enrolled people from those.

    It also gives the 2024 USC pipeline's two similarities: ``r1``, of the same person in different emotions, and
    ``r2``, of a recording and its own release. A low ``r2`` is also what plain distortion gives: it proves nothing.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: Resemblyzer (Resemble AI), a generalized end-to-end speaker encoder (L. Wan et al., ICASSP 2018).
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "audio"
    views: ClassVar[tuple[str, ...]] = ("waveform",)
    learns: ClassVar[bool] = False

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Kernel:
        """Load the network for (N,) samples at 16 kHz; nothing is learned before enrollment."""
        encode = _encoder()
        return Kernel(describe=lambda clip: [encode(clip)], standardize=False)

    def compare(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Return ``r1`` and ``r2``, cosine similarities; ``original`` has the ``emotion``."""
        encode = _encoder()
        after = {i: encode(clip) for i, clip in usable_clips(released, "waveform").items()}
        before = after
        if released is not original:
            before = {i: encode(clip) for i, clip in usable_clips(original, "waveform").items()}
        moods = [""] * len(original)
        if original.table is not None and "emotion" in original.table:
            moods = original.table["emotion"].astype(str).tolist()
        there = np.array([i in before and i in after for i in original.ids], dtype=bool)
        ids = [i for i, seen in zip(original.ids, there, strict=True) if seen]
        people, mood = original.subjects[there], np.array(moods, dtype=str)[there]
        vectors, originals = (np.stack([side[i] for i in ids]) for side in (after, before))  # (N, D)
        other = (people[:, None] == people) & (mood[:, None] != mood)  # (N, N) the same person in another emotion
        count = other.sum(axis=1)
        r1 = np.where(count > 0, (vectors @ vectors.T * other).sum(axis=1) / np.maximum(count, 1), np.nan)
        r2 = (originals * vectors).sum(axis=1)
        rows = []
        for figure, values in (("r1", r1), ("r2", r2)):
            estimate = mean_over_people(values, people, rng=rng)
            why = "" if estimate.n else "not measured: it takes several emotions of a person"
            row = Result(question="link", method="voice_encoder", figure=figure, **estimate.columns)
            rows.append(replace(row, unit="cosine", better="lower", reason=why))
        return rows


def _encoder() -> Callable[[Array], Array]:
    with extra("speaker-encoder", "voice_encoder"):
        import resemblyzer
    network = resemblyzer.VoiceEncoder("cpu", verbose=False)

    def encode(clip: Array) -> Array:
        samples = looped(np.asarray(clip, dtype=np.float32).ravel(), _LEAST)
        return unit(np.asarray(network.embed_utterance(samples), dtype=float))

    return encode
