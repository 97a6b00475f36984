"""Made-up voices and a small attacker, for tests of voice anonymizers."""

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from personare.core.types import Signal
from personare.features.functionals import describe

RATE_HZ = 16000
VOWELS_HZ = ((750, 1250, 2500), (300, 2200, 2900), (350, 800, 2400), (500, 1700, 2500), (600, 1000, 2500))
PEOPLE = ((95.0, 0.90), (120.0, 1.00), (150.0, 1.06), (185.0, 1.12), (215.0, 1.20))  # pitch in Hz, tract


def made_up_voice(person: int = 1, take: int = 0, *, seconds: float = 2.0) -> Signal:
    """Return vowels and hisses of one of five people; takes differ in vowels and melody."""
    rng = np.random.default_rng([person, take])
    pitch_hz, tract = PEOPLE[person]
    size = round(seconds * RATE_HZ)
    melody = np.interp(np.arange(size), np.linspace(0, size, 7), rng.uniform(-3, 3, 7))
    phase = np.cumsum(pitch_hz * 2 ** (melody / 12)) / RATE_HZ
    pulses = np.diff(np.floor(phase), prepend=0) + rng.normal(0, 0.005, size)
    sound, piece = np.zeros(size), round(0.12 * RATE_HZ)
    for k, at in enumerate(range(0, size, piece)):
        hiss = k % 4 == 3
        source = rng.normal(0, 0.05, size)[at : at + piece] if hiss else pulses[at : at + piece]
        resonances = (4500 * tract, 5500 * tract) if hiss else np.array(VOWELS_HZ[rng.integers(5)]) * tract
        shape = np.sin(np.pi * np.arange(len(source)) / piece) ** 0.5
        sound[at : at + piece] = _through(source, resonances) * shape * rng.uniform(0.4, 1)
    sound = 0.3 * sound / np.abs(sound).max() + rng.normal(0, 2e-4, size)
    return Signal(values=sound[:, None].astype(np.float32), rate_hz=RATE_HZ)


def _through(source: np.ndarray, resonances_hz: np.ndarray) -> np.ndarray:
    sound = source
    for hertz in resonances_hz:
        radius = np.exp(-np.pi * 90 / RATE_HZ)
        sound = lfilter([1.0], [1, -2 * radius * np.cos(2 * np.pi * hertz / RATE_HZ), radius**2], sound)
    return sound / (np.abs(sound).max() + 1e-9)


def named(
    enrolled: list[tuple[str, Signal]], tested: list[tuple[str, Signal]], *, components: int = 6
) -> float:  # fmt: skip
    """Return the share of tested clips whose person a mixture model per person names."""
    models = {}
    with threadpool_limits(1):  # small matrices: threads would only wait for each other
        for person in sorted({p for p, _ in enrolled}):
            frames = np.concatenate([_cepstra(s) for p, s in enrolled if p == person])
            mixture = GaussianMixture(components, covariance_type="diag", random_state=0, reg_covar=0.1, tol=0.02)
            models[person] = mixture.fit(frames)
        heard = [_cepstra(s) for _, s in tested]
        best = [max(models, key=lambda person: models[person].score(frames)) for frames in heard]
    return float(np.mean([guess == person for guess, (person, _) in zip(best, tested, strict=True)]))


def _cepstra(speech: Signal) -> np.ndarray:
    views = describe(speech, ["mfcc", "prosody"])
    level = views["prosody"][:, 1]
    return views["mfcc"][level > level.max() - 40].astype(float)


def takes(numbers: range) -> list[tuple[str, Signal]]:
    """Return takes of everybody as (person, speech)."""
    return [(str(p), made_up_voice(p, t)) for p in range(len(PEOPLE)) for t in numbers]


def changed(
    clips: list[tuple[str, Signal]], method: Callable[..., Signal], seed: int = 0
) -> list[tuple[str, Signal]]:  # fmt: skip
    """Return the clips after a method, each with its own random generator."""
    return [(p, method(s, rng=np.random.default_rng([seed, k]))) for k, (p, s) in enumerate(clips)]
