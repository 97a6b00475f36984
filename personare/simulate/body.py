"""The made-up bodies: skin conductance and heart rate that answer to what is felt, each in its own slow way."""

from dataclasses import dataclass

import numpy as np

from personare.core.types import Array
from personare.simulate.people import Body, check_emotion

__all__ = ["COLUMNS", "RATE_HZ", "START_S", "Physio", "feel"]

RATE_HZ = 4.0
START_S = -4.0
COLUMNS = ("eda_us", "heart_rate_bpm")
_AFTER_S = 8.0
_AROUSAL = {"neutral": 0.05, "happiness": 0.5, "sadness": 0.25, "anger": 0.8, "fear": 1.0, "disgust": 0.45}


@dataclass(frozen=True, kw_only=True)
class Physio:
    """What sensors on the body recorded, from four seconds before the take to eight after it."""

    values: Array  # (N, 2) in the order of COLUMNS, four rows a second; the heart rate once a second, NaN between
    arousal: float  # how strongly the body was moved, about 0 to 1
    responses_s: Array  # (R,) times at which the skin began to answer


def feel(emotion: str, body: Body, *, strength: float, duration_s: float, rng: np.random.Generator) -> Physio:
    """Let a body answer to an emotion, shown more or less strongly in a take of some length.

    **Source**: a response of the skin is the difference of two exponentials (Alexander et al. 2005,
    doi:10.1016/j.jneumeth.2005.02.001), with rise and fall of 0.75 and 2 s.
    """
    check_emotion(emotion)
    times = START_S + np.arange(round((duration_s + _AFTER_S - START_S) * RATE_HZ)) / RATE_HZ
    arousal = float(strength * _AROUSAL[emotion] * np.exp(0.35 * rng.standard_normal()))
    spontaneous = rng.uniform(times[0], times[-1], rng.poisson(3 * (times[-1] - times[0]) / 60))
    responses = np.concatenate([[float(rng.uniform(0.8, 1.8))], spontaneous])
    sizes = body.eda_response_us * np.concatenate([[arousal], rng.exponential(0.25, len(spontaneous))])
    drift = 0.02 * rng.standard_normal() * (times - times[0])
    since_s = np.maximum(times[:, None] - responses, 0)
    answers = (np.exp(-since_s / 2.0) - np.exp(-since_s / 0.75)) / 0.347  # each of height 1
    eda = body.eda_us + float(rng.normal(0, 0.3)) + drift + answers @ sizes
    eda = np.maximum(eda + 0.01 * rng.standard_normal(len(times)), 0.05)
    breathing = 1.8 * np.sin(2 * np.pi * (0.25 * times + rng.random()))
    later = np.maximum(times, 0) / 2.5
    response = body.heart_response_bpm * arousal * later * np.exp(1 - later)
    heart = body.heart_bpm + float(rng.normal(0, 2)) + breathing + response + 0.7 * rng.standard_normal(len(times))
    heart[np.arange(len(times)) % int(RATE_HZ) != 0] = np.nan
    return Physio(values=np.stack([eda, heart], axis=1), arousal=arousal, responses_s=responses)
