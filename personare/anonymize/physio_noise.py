"""Shows of body signals what windows of them say, under noise whose price is a person's epsilon."""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from math import sqrt
from typing import ClassVar

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.options import Positive, check_options
from personare.core.types import Spend, Track
from personare.features.physio import FEATURES, SHOWN, USUAL, signals_of, windows_of
from personare.learn.privacy import PrivacyPlan

__all__ = ["PhysioNoise"]

_WITHIN = 4  # usual spreads, from lowest to highest, chosen without a look at data; what lies beyond is cut


@dataclass(frozen=True, kw_only=True)
class PhysioNoise:
    """Put features of windows in the place of signals, cut to what is usual, and each under noise.

    Of one person next to nothing is left; means over many people and windows are, as the noise has none.

    **Guarantee**: all windows of all recordings of a person together are (epsilon, delta) differentially private under
    putting any others in their place (local model: whatever is known of everybody else). What is missing in a window is
    said to be usual, and so hidden; how long recordings are, how often they were sampled and which are withheld is not.

    **Source**: the Gaussian mechanism at the price of ``learn/privacy.py``.
    """

    epsilon: float = 8.0  # of a person, for all windows together
    delta: float = 1e-5  # chance that the bound fails
    window_s: Positive = 60.0  # of signals slower than one a second: 60 samples; longer ones need less noise
    features: tuple[str, ...] = SHOWN  # of ``features/physio.py``; fewer need less noise

    fit_on: ClassVar[str] = "everyone"

    def __post_init__(self) -> None:
        check_options(self)
        unknown = {*self.features} - {*FEATURES}
        if unknown or not self.features:
            raise OptionError(f"features must be some of {', '.join(FEATURES)}, not {', '.join(unknown) or 'none'}.")

    def fit(self, background: Iterable[tuple[str, Track]], *, rng: np.random.Generator) -> "NoisedPeople":
        """Count the windows of each person; the noise is what the most need."""
        windows = Counter[str]()
        for subject, track in background:
            with suppress(DataError):  # it is withheld where it is to be hidden
                windows[subject] += len(windows_of(signals_of(track), self.window_s)[0])
        if not windows:
            raise DataError("physio_noise found no body signals that it can read. Look at one with `personare doctor`.")
        plan = PrivacyPlan(
            epsilon=self.epsilon, delta=self.delta, unit="person", units=len(windows), expected_batch=len(windows),
            steps=max(windows.values()),
        )  # fmt: skip
        deviation = plan.noise_multiplier * sqrt(len(self.features))  # over the most that a window can change
        noised = NoisedWindows(method=self, epsilon=self.epsilon, deviation=deviation)
        return NoisedPeople(by_subject=dict.fromkeys(windows, noised), spend=plan.spend())


@dataclass(frozen=True, kw_only=True)
class NoisedPeople:
    """What hides each of the people whose windows were counted, and what that costs each of them."""

    by_subject: "Mapping[str, NoisedWindows]"
    spend: Spend

    def __call__(self, track: Track, *, subject: str, rng: np.random.Generator) -> Track:
        """Refuse: of nobody else is it known how much noise they need."""
        raise DataError("physio_noise must know all recordings of a person first. Hide their cohort, by itself.")


@dataclass(frozen=True, kw_only=True)
class NoisedWindows:
    """A ``PhysioNoise`` that knows its noise."""

    method: PhysioNoise
    epsilon: float  # says that no seed tells the noise
    deviation: float  # of the noise, where 1 is from the lowest to the highest that is usual

    def __call__(self, track: Track, *, subject: str, rng: np.random.Generator) -> Track:
        """Return (windows, features) with their names; one row a window."""
        rows, span_s = windows_of(signals_of(track), self.method.window_s)
        mean, spread = np.array([USUAL[name] for name in self.method.features]).T
        shown = rows[:, [FEATURES.index(name) for name in self.method.features]]
        share = np.nan_to_num((shown - mean) / (_WITHIN * spread)).clip(-0.5, 0.5)
        noised = share + self.deviation * rng.standard_normal(share.shape)
        values = (mean + _WITHIN * spread * noised).astype(np.float32)
        return replace(track, values=values, columns=self.method.features, rate_hz=1 / span_s)
