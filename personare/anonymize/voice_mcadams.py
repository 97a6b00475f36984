"""Shifts the resonances of the voice: fools listeners and ready-made recognizers, not whoever retrains."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import irfft, rfft

from personare.core.errors import OptionError
from personare.core.options import check_options
from personare.core.types import Array, Signal
from personare.features.acoustics import linear_prediction
from personare.features.resynthesis import overlapped, rework

__all__ = ["VoiceMcadams"]

_WINDOW = 320
_HOP = 160


@dataclass(frozen=True, kw_only=True)
class VoiceMcadams:
    """Move every resonance of the voice along the frequency axis; pitch, timing and words stay.

    **Guarantee**: each complex pole of the short-time spectral envelope at angle phi (below 8 kHz) leaves at
    phi ** alpha with its radius kept; nothing above 8 kHz leaves. It does *not* withstand an attacker who retrains on
    released speech: pitch, rhythm and the fine detail of the envelope still name the person.

    **Source**: J. Patino et al., "Speaker anonymisation using the McAdams coefficient", Interspeech 2021, DOI
    10.21437/Interspeech.2021-1070; baseline B2 of the VoicePrivacy challenges. Our own code, from the description:
    all frames at once; the loudness of the recording is kept where the baseline normalizes the peak.
    """

    alpha: float | None = None  # the exponent, 0.3 to 0.95; None draws it from low to high
    low: float = 0.5
    high: float = 0.9
    order: int = 20  # poles of the envelope, even, 8 to 32
    # a new exponent for each recording, for each person, or one for all
    policy: Literal["recording", "person", "common"] = "recording"

    def __post_init__(self) -> None:
        if self.alpha is not None and not 0.3 <= self.alpha <= 0.95:
            raise OptionError(f"alpha must lie from 0.3 to 0.95 (1 changes nothing), {self.alpha} was given. Try 0.8.")
        if not 0.3 <= self.low < self.high <= 0.95:
            raise OptionError(
                f"low and high must satisfy 0.3 <= low < high <= 0.95, {self.low} and {self.high} were given."
            )
        if self.order not in range(8, 33, 2):
            raise OptionError(f"order must be an even number from 8 to 32, {self.order} was given. Try 20.")
        check_options(self)

    def __call__(self, speech: Signal, *, rng: np.random.Generator) -> Signal:
        """Return the speech with other resonances; rate, length, channels and loudness are kept."""
        alpha = float(rng.uniform(self.low, self.high)) if self.alpha is None else self.alpha
        window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)).astype(np.float32)

        def change(samples: Array) -> Array:
            frames = sliding_window_view(np.pad(samples, (_HOP, _WINDOW)), _WINDOW)[::_HOP] * window  # (T, 320)
            poly = linear_prediction(frames, self.order)  # (T, order + 1)
            moved = _filtered(frames, poly, _moved(poly, alpha)) * window
            return overlapped(moved, _HOP)[_HOP : _HOP + len(samples)]

        return rework(speech, change)


def _moved(poly: Array, alpha: float) -> Array:
    """Return the polynomials whose complex roots have angle ** alpha and the same radius."""
    order = poly.shape[1] - 1
    companion = np.zeros((len(poly), order, order))
    companion[:, 0] = -poly[:, 1:]
    below = np.arange(1, order)
    companion[:, below, below - 1] = 1
    roots = np.linalg.eigvals(companion)  # (T, order); pairs are exact conjugates, real roots exactly real
    angle = np.angle(roots)
    turned = np.where(roots.imag != 0, np.sign(angle) * np.abs(angle) ** alpha, angle)
    roots = np.minimum(np.abs(roots), 0.999) * np.exp(1j * turned)
    result = np.zeros((len(poly), order + 1), complex)
    result[:, 0] = 1
    for k in range(order):
        result[:, 1 : k + 2] -= roots[:, k : k + 1] * result[:, : k + 1]
    return result.real


def _filtered(frames: Array, poly: Array, moved: Array) -> Array:
    """Whiten each frame with its own envelope and color it with the moved one, (T, 320)."""
    order = poly.shape[1] - 1
    white = irfft(rfft(frames, 512) * rfft(poly.astype(np.float32), 512), 512)[:, :_WINDOW]
    # time runs along the first axis, so that each of the 320 steps reads whole rows
    sound = np.zeros((order + _WINDOW, len(frames)), np.float64)
    source, feedback = np.ascontiguousarray(white.T), np.ascontiguousarray(moved[:, :0:-1].T)  # (order, T)
    for n in range(_WINDOW):
        sound[order + n] = source[n] - np.einsum("kt,kt->t", feedback, sound[n : n + order])
    return np.asarray(sound[order:].T, np.float32)
