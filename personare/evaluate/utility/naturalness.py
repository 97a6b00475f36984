"""Lets a network that was trained on listeners' opinions say how natural the voices of a release sound."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from personare.core.types import Array, Batch, Result
from personare.evaluate.clips import shown, usable_clips
from personare.evaluate.metrics import mean_over_people
from personare.features.models import find_model, open_network

__all__ = ["Naturalness"]

_RATE_HZ = 16_000
_WINDOW_S = 9.01  # what the network hears at once; a second further each time
_WINDOW = int(_WINDOW_S * _RATE_HZ)
# what it says, by figure, and the polynomials that its authors fitted to bring that to opinions
_FIGURES = {
    "mos_sig": (-0.08397278, 1.22083953, 0.0052439),
    "mos_bak": (-0.13166888, 1.60915514, -0.39604546),
    "mos_ovrl": (-0.06766283, 1.11546468, 0.04602535),
}


@dataclass(frozen=True, kw_only=True)
class Naturalness:
    """Has DNSMOS give a mean opinion score, 1 to 5, of the speech (``mos_sig``), the noise behind it and of both.

    It was trained on real speech behind noise and after suppressors: of voices that a machine made it is a guide, no
    listener. What it says of the originals stands beside (baseline).

    **Guarantee**: each recording is heard alone; one shorter than nine seconds is heard again until it fills them.

    **Source**: C. Reddy, V. Gopal and R. Cutler, "DNSMOS P.835" (ICASSP 2022), doi:10.1109/ICASSP43922.2022.9746108;
    the weights as Microsoft's ``speechmos`` carries them (MIT), ``personare models fetch dnsmos``.
    """

    modality: ClassVar[str] = "audio"
    views: ClassVar[tuple[str, ...]] = ("waveform",)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Score (N,) samples at 16 kHz of the release."""
        network = open_network(find_model("dnsmos"))
        clips = usable_clips(released, "waveform")
        heard = [(who, _opinions(network, clips[i])) for i, who in shown(original, released) if i in clips]
        people, scores = np.array([who for who, _ in heard]), np.array([score for _, score in heard]).reshape(-1, 3)
        return [
            Result(
                question="read",
                method="naturalness",
                figure=figure,
                unit="MOS",
                **mean_over_people(s, people, rng=rng).columns,
            )
            for figure, s in zip(_FIGURES, scores.T, strict=True)
        ]


def _opinions(network: Any, clip: Array) -> Array:
    """Return ``_FIGURES`` (3,) of a voice (N,), the mean over its windows."""
    voice = np.asarray(clip, np.float32).ravel()
    while len(voice) < _WINDOW:
        voice = np.concatenate([voice, voice])
    starts = _RATE_HZ * np.arange(int(len(voice) // _RATE_HZ - _WINDOW_S) + 1)
    raw = np.array([network.run(None, {"input_1": voice[None, s : s + _WINDOW]})[0][0] for s in starts])
    return np.array([np.polyval(c, said).mean() for c, said in zip(_FIGURES.values(), raw.T, strict=True)])
