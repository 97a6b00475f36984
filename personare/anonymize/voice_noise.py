"""Adds hiss to the voice and hides nobody: the honest negative, kept to show what noise alone is worth."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from personare.core.errors import DataError
from personare.core.options import check_options
from personare.core.types import Signal
from personare.features.audio import match_loudness

__all__ = ["VoiceNoise"]


@dataclass(frozen=True, kw_only=True)
class VoiceNoise:
    """Add white noise to the voice; whoever listens or trains on it still knows who speaks.

    **Guarantee**: none about identity. The power of the noise is ``snr_db`` under that of the speech before the sum
    is brought back to the loudness of the recording.

    **Source**: tried and dropped by A. Ranade et al., "Privacy Preserving Representation Learning for Multimodal
    Behavior Understanding" (USC, 2024).
    """

    snr_db: float = 5.0  # speech over noise, -20 to 60
    policy: Literal["recording", "person", "common"] = "recording"  # whose randomness a recording gets

    def __post_init__(self) -> None:
        check_options(self, snr_db=(-20, 60))

    def __call__(self, speech: Signal, *, rng: np.random.Generator) -> Signal:
        """Return the speech under noise, with its rate, length, channels and loudness; silence stays silent."""
        if len(speech.values) == 0:
            raise DataError("A recording without samples cannot be changed. Leave it out.")
        values = np.asarray(speech.values, np.float32)
        level = np.sqrt(np.mean(np.square(values, dtype=np.float64)) / 10 ** (self.snr_db / 10))
        noise = rng.standard_normal(values.shape, dtype=np.float32) * np.float32(level)
        return match_loudness(Signal(values=values + noise, rate_hz=speech.rate_hz, start_s=speech.start_s), speech)
