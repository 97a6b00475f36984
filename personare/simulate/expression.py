"""What made-up people show and feel: action units, speech in the jaw, blinks, gaze, head turns; skin and heart."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from personare.core.types import Array
from personare.simulate.people import Body, Style
from personare.simulate.sentences import Utterance

ACTION_UNITS: tuple[str, ...] = (
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU12", "AU15", "AU17", "AU20", "AU23", "AU25", "AU26",
    "AU45",
)  # fmt: skip
POSE: tuple[str, ...] = ("yaw_deg", "pitch_deg", "roll_deg", "right_cm", "down_cm")

# Intensities from 0 to 1 after the EMFACS combinations; a feeling is drawn from one of its rows.
_PROTOTYPES: dict[str, tuple[dict[str, float], ...]] = {
    "neutral": ({},),
    "happiness": ({"AU06": 0.8, "AU12": 0.95, "AU25": 0.45}, {"AU06": 0.5, "AU12": 0.85}),
    "sadness": ({"AU01": 0.9, "AU04": 0.35, "AU15": 0.8, "AU17": 0.4}, {"AU01": 0.7, "AU15": 0.6, "AU07": 0.25}),
    "anger": (
        {"AU04": 0.95, "AU05": 0.4, "AU07": 0.6, "AU23": 0.8},
        {"AU04": 0.85, "AU07": 0.7, "AU17": 0.5, "AU23": 0.5},
    ),
    "fear": (
        {"AU01": 0.85, "AU02": 0.55, "AU04": 0.35, "AU05": 0.85, "AU20": 0.65, "AU25": 0.5},
        {"AU01": 0.7, "AU02": 0.6, "AU05": 0.7, "AU25": 0.4, "AU26": 0.35},
    ),
    "disgust": (
        {"AU09": 0.9, "AU15": 0.4, "AU17": 0.5, "AU07": 0.4},
        {"AU09": 0.75, "AU04": 0.5, "AU15": 0.5, "AU25": 0.25},
    ),
}
_STRAY = ("AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU12", "AU15", "AU17", "AU20", "AU23")
_BOW = {"neutral": 0.0, "happiness": -1.0, "sadness": 4.0, "anger": 2.0, "fear": -2.0, "disgust": -2.5}

PHYSIO: tuple[str, ...] = ("eda_us", "heart_rate_bpm")
PHYSIO_HZ, PHYSIO_START_S = 4.0, -4.0  # of what sensors on the body recorded
_AFTER_S = 8.0
_AROUSAL = {"neutral": 0.05, "happiness": 0.5, "sadness": 0.25, "anger": 0.8, "fear": 1.0, "disgust": 0.45}


def move(
    emotion: str, utterance: Utterance, style: Style, *, strength: float, rate_hz: float, rng: np.random.Generator
) -> dict[str, Array]:
    """Let a person show an emotion (one of ``EMOTIONS``) while saying a sentence, more or less strongly (1: fully).

    Returns:
        What the face does, as the truth of a take names it: frame by frame ``action_units`` (F, 15), each 0 to 1 and
        speech included, ``lip_rounding`` (F,), ``pose`` (F, 5), positive yaw to the picture's right and positive pitch
        down, ``gaze`` (F, 2), right and down, 1 at the edge of the eye, and ``frame_time_s`` (F,).
    """
    times = np.arange(max(1, round(utterance.duration_s * rate_hz))) / rate_hz
    # apex intensities (15,): the emotion's own action units, each more or less, and a few stray ones
    kinds = _PROTOTYPES[emotion]
    prototype = kinds[int(rng.integers(len(kinds)))]
    levels = np.array([prototype.get(name, 0.0) for name in ACTION_UNITS])
    levels *= strength * style.expressivity * np.array(style.gains) * np.exp(0.2 * rng.standard_normal(len(levels)))
    for name in rng.choice(_STRAY, size=2, replace=False):
        levels[ACTION_UNITS.index(name)] += float(rng.uniform(0, 0.22))
    # its rise, apex and fall
    end = times[-1] if len(times) > 1 else 1.0
    rise = style.onset_s * float(np.exp(0.2 * rng.standard_normal()))
    start = float(rng.uniform(-0.1, 0.15))
    fall_start, rest = end * float(rng.uniform(0.7, 0.95)), float(rng.uniform(0.2, 0.7))
    envelope = _smooth_step((times - start) / rise)
    envelope = envelope * (1 - (1 - rest) * _smooth_step((times - fall_start) / (1.5 * rise)))
    actions = envelope[:, None] * levels  # (F, 15)
    actions *= 1 + 0.12 * _drift(len(times), rate_hz, 0.3, rng)[:, None]
    mouth = utterance.mouth(times)  # (F, 3)
    # The jaw and lips of speech; pressed lips of m and b close what the emotion had parted.
    parted, dropped, shut = (ACTION_UNITS.index(unit) for unit in ("AU25", "AU26", "AU45"))
    closing = np.clip(mouth[:, 1] / 0.12, 0, 1)
    actions[:, parted] = closing * np.maximum(actions[:, parted], 0.75 * np.clip(mouth[:, 1] - 0.12, 0, 1))
    actions[:, dropped] = closing * np.maximum(actions[:, dropped], 0.62 * style.jaw_gain * mouth[:, 0])
    # A Poisson number of blinks of a quarter of a second.
    closed = np.zeros(len(times))
    for start in rng.uniform(0, max(times[-1], 0.1), size=rng.poisson(style.blinks_per_min * times[-1] / 60)):
        closed = np.maximum(closed, np.interp((times - start) / 0.26, [0, 0.3, 0.45, 1], [0, 1, 1, 0]))
    actions[:, shut] = closed
    pose = _pose(times, strength * _BOW[emotion], utterance, style, rng)
    # The eyes rest on one point, jump to the next about every second.
    jumps = np.cumsum(rng.exponential(0.9, size=8))
    points = rng.normal(0, (0.12, 0.07), size=(9, 2))
    return {
        "action_unit_names": np.array(ACTION_UNITS),
        "action_units": np.clip(actions, 0, 1).astype(np.float32),
        "lip_rounding": mouth[:, 2].astype(np.float32),
        "pose_names": np.array(POSE),
        "pose": pose.astype(np.float32),
        "gaze": points[np.searchsorted(jumps, times)].astype(np.float32),
        "frame_time_s": times,
        "strength": np.array(strength),
    }


def _smooth_step(share: Array) -> Array:
    inside = np.clip(share, 0, 1)
    return np.asarray(inside * inside * (3 - 2 * inside))


def _drift(frames: int, rate_hz: float, seconds: float, rng: np.random.Generator) -> Array:
    """Return (frames,) slow noise of unit variance that wanders over about the given time."""
    sigma = max(seconds * rate_hz, 0.5)
    noise = gaussian_filter1d(rng.standard_normal(frames + 2 * int(4 * sigma) + 2), sigma)
    noise *= np.sqrt(2 * sigma * np.sqrt(np.pi))
    return np.asarray(noise[int(4 * sigma) + 1 :][:frames])


def _pose(times: Array, bow_deg: float, utterance: Utterance, style: Style, rng: np.random.Generator) -> Array:
    """Return (F, 5): a resting pose, sway, and nods on accented syllables."""
    rate_hz = 1 / (times[1] - times[0]) if len(times) > 1 else 25.0
    rest = rng.normal(0, (3.0, 2.0, 1.5, 0.5, 0.4))
    sway = np.stack([_drift(len(times), rate_hz, 0.35, rng) for _ in POSE], axis=1)
    pose = rest + sway * style.sway_deg * np.array((1.0, 0.7, 0.5, 0.12, 0.08))
    centers = utterance.syllables_s.mean(axis=1)
    nods = np.exp(-0.5 * ((times[:, None] - centers) / 0.11) ** 2) @ utterance.stress
    pose[:, 1] += style.nod_deg * nods + bow_deg
    return np.asarray(np.clip(pose, -14, 14))


def feel(
    emotion: str, body: Body, *, strength: float, duration_s: float, rng: np.random.Generator
) -> tuple[Array, dict[str, Array]]:
    """Let a body answer to an emotion, shown more or less strongly in a take of some length.

    Returns:
        What sensors recorded from four seconds before the take to eight after it, (N, 2) in the order of ``PHYSIO``,
        four rows a second, the heart rate once a second and NaN between; and the truth about it: ``arousal``, about 0
        to 1, and ``skin_responses_s`` (R,), when the skin began to answer.

    **Source**: a response of the skin is the difference of two exponentials (Alexander et al. 2005,
    doi:10.1016/j.jneumeth.2005.02.001), with rise and fall of 0.75 and 2 s.
    """
    times = PHYSIO_START_S + np.arange(round((duration_s + _AFTER_S - PHYSIO_START_S) * PHYSIO_HZ)) / PHYSIO_HZ
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
    heart[np.arange(len(times)) % int(PHYSIO_HZ) != 0] = np.nan
    return np.stack([eda, heart], axis=1), {"arousal": np.array(arousal), "skin_responses_s": responses}
