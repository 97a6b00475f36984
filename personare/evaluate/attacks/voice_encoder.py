"""Names the speaker with an encoder that others trained on thousands of voices (Resemblyzer, optional)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.errors import MissingModelError
from personare.core.types import Array, Evidence, Result
from personare.evaluate.clips import looped, usable_clips
from personare.evaluate.metrics import mean_over_people
from personare.evaluate.people import VectorEnroller, unit

__all__ = ["VoiceEncoder"]

_LEAST = 16_000  # samples the encoder needs


@dataclass(frozen=True, kw_only=True)
class VoiceEncoder:
    """Turns voices into vectors with a pretrained network, and learns the enrolled people from those.

    It also gives the 2024 USC pipeline's two similarities: ``r1``, of the same person in different emotions, and
    ``r2``, of a recording and its own release. A low ``r2`` is also what plain distortion gives: it proves nothing.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    Raises:
        MissingModelError: The package is not installed.

    **Source**: Resemblyzer (Resemble AI), a generalized end-to-end speaker encoder (L. Wan et al., ICASSP 2018).

    Example:
        >>> VoiceEncoder().views
        ('waveform',)
    """

    question: ClassVar = "identify"
    kinds: ClassVar[tuple[str, ...]] = ("recordings",)
    modality: ClassVar[str] = "audio"
    views: ClassVar[tuple[str, ...]] = ("waveform",)
    needs_people: ClassVar[int] = 3
    needs_recordings_per_person: ClassVar[int] = 2
    learns: ClassVar[bool] = False

    def fit(
        self, clips: Mapping[str, Array], subjects: Mapping[str, str], *, rng: np.random.Generator
    ) -> VectorEnroller:
        """Load the network; nothing is learned before enrollment.

        Args:
            clips: (N,) samples at 16 kHz by recording.
            subjects: Not used.
            rng: Not used.
        """
        encode = _encoder()
        return VectorEnroller(describe=lambda clip: [encode(clip)], standardize=False)

    def compare(self, original: Evidence, released: Evidence, *, rng: np.random.Generator) -> list[Result]:
        """Return ``r1`` and ``r2``.

        Args:
            original: Recordings before, with ``waveform`` and ``emotion``.
            released: The same after.
            rng: Bootstrap.
        """
        encode = _encoder()
        after = {i: encode(clip) for i, clip in usable_clips(released, "waveform").items()}
        before = after
        if released is not original:
            before = {i: encode(clip) for i, clip in usable_clips(original, "waveform").items()}
        table = original.table.assign(emotion=original.table.get("emotion", ""))
        ids = [i for i in table.index if i in before and i in after]
        people = table.loc[ids, "subject"].astype(str).to_numpy()
        mood = table.loc[ids, "emotion"].astype(str).to_numpy()
        r1 = [
            np.mean(s) if len(s) else np.nan
            for k, i in enumerate(ids)
            for s in [
                [float(after[i] @ after[j]) for m, j in enumerate(ids) if people[m] == people[k] and mood[m] != mood[k]]
            ]
        ]
        r2 = [float(before[i] @ after[i]) for i in ids]
        return [_row(name, np.array(v, dtype=float), people, rng) for name, v in (("r1", r1), ("r2", r2))]


def _encoder() -> Callable[[Array], Array]:
    try:
        import resemblyzer
    except ImportError as error:
        raise MissingModelError(
            "voice_encoder needs the package resemblyzer: run pip install 'personare[speaker-encoder]'."
        ) from error
    network = resemblyzer.VoiceEncoder("cpu", verbose=False)

    def encode(clip: Array) -> Array:
        samples = looped(np.asarray(clip, dtype=np.float32).ravel(), _LEAST)
        return unit(np.asarray(network.embed_utterance(samples), dtype=float))

    return encode


def _row(name: str, values: Array, people: Array, rng: np.random.Generator) -> Result:
    found = mean_over_people(values, people, rng=rng)
    return Result(
        modality="audio",
        question="link",
        method="voice_encoder",
        figure=name,
        value=found.value,
        low=found.low,
        high=found.high,
        n=found.n,
        unit="cosine",
        better="lower",
        reason="" if found.n else "not measured: it takes several emotions of a person",
    )
