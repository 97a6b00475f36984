"""Fit the reader of ``features/looks.py`` to simulated people, and measure it on others; nobody's recordings are used.

A weight is positive where EMFACS names the movement as part of the expression, and zero elsewhere, so that what was
learned of drawn faces has a meaning for real ones; how well it reads those is not measured here.

    PERSONARE_MODELS=... python benchmarks/looks.py [--write]
"""

import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from personare.core.randomness import generator
from personare.features import looks
from personare.features.expression import FaceLandmarker
from personare.simulate.expression import ACTION_UNITS
from personare.simulate.face import Painter
from personare.simulate.people import EMOTIONS, person
from personare.simulate.take import perform

_PEOPLE, _FITTED = 60, 30
_PARTS = {
    "neutral": (),
    "happiness": ("mouthSmile", "cheekSquint", "mouthDimple"),
    "sadness": ("browInnerUp", "mouthFrown", "mouthShrugLower", "mouthPucker"),
    "anger": ("browDown", "eyeSquint", "mouthPress", "mouthRollUpper", "mouthRollLower"),
    "fear": ("browInnerUp", "browOuterUp", "eyeWide", "mouthStretch", "jawOpen"),
    "disgust": ("noseSneer", "mouthUpperUp", "mouthShrugUpper", "mouthFrown", "eyeSquint"),
}
_GAZES = ((0, 0), (0.1, 0), (-0.1, 0), (0, 0.2), (0, -0.2), (0.6, 0), (-0.6, 0))  # the last two are past the screen


def main() -> None:
    """Print how often it is right; with ``--write``, write ``features/looks.toml`` first."""
    with FaceLandmarker() as landmarker:
        clips, truth = [], []
        for number, emotion in ((n, e) for n in range(_PEOPLE) for e in EMOTIONS):
            take = perform(person(0, number + 1), emotion, f"S{number % 2 + 1}", seed=0, rate_hz=8)
            clips.append(landmarker.measure(take.pictures(256), rate_hz=8)[0])
            truth.append(emotion)
        if "--write" in sys.argv:
            _write([clip.mean(axis=0) for clip in clips[: _FITTED * len(EMOTIONS)]], truth[: _FITTED * len(EMOTIONS)])
        others, shown = clips[_FITTED * len(EMOTIONS) :], truth[_FITTED * len(EMOTIONS) :]
        _tell("a whole clip", [looks.looks_like(clip) for clip in others], shown)
        _tell("its last second", [looks.looks_like(clip[-8:]) for clip in others], shown)
        _tell("one picture, in its middle", [looks.looks_like(clip[[len(clip) // 2]]) for clip in others], shown)
        gazes = [_gaze(landmarker, number, gaze) for number in range(20) for gaze in _GAZES]
        right = [(one == "elsewhere") == (at % len(_GAZES) >= 5) for at, one in enumerate(gazes)]
        print(f"gaze: right in {sum(right)} of {len(right)} pictures of 20 people")


def _tell(what: str, words: list[dict[str, str]], truth: list[str]) -> None:
    named = [one.get("expression", "not named") for one in words]
    sure, right = sum(one in EMOTIONS for one in named), sum(map(str.__eq__, named, truth))
    print(
        f"{what}, {len(named)} of {_PEOPLE - _FITTED} other people: an expression is named in {sure}, right in ", end=""
    )
    print(f"{right} ({right / sure:.0%} of those; guessing: {1 / len(EMOTIONS):.0%})")
    for emotion in EMOTIONS:
        row = [one for one, other in zip(named, truth, strict=True) if other == emotion]
        print(f"  {emotion}:", ", ".join(f"{row.count(one)} {one}" for one in sorted(set(row))))


def _gaze(landmarker: FaceLandmarker, number: int, gaze: tuple[float, float]) -> str:
    take = perform(person(0, number + 1), "neutral", "S1", seed=0, rate_hz=8)
    rngs = generator(0, "skin", str(number)), generator(0, "camera", str(number))
    painter = Painter(take.person, take.scene, size=256, skin=rngs[0], camera=rngs[1])
    still = dict.fromkeys(ACTION_UNITS, 0.0)
    pictures = [painter.paint(still, rounding=0, pose=np.zeros(5), gaze=np.array(gaze)) for _ in range(3)]
    return looks.looks_like(landmarker.measure(pictures, rate_hz=8)[0])["gaze"]


def _write(rows: list[np.ndarray], truth: list[str]) -> None:
    names = sorted({name for parts in _PARTS.values() for name in parts})
    by_name = looks.pairs(np.array(rows))
    table = np.stack([by_name[name] for name in names], axis=1)
    answer = np.array([EMOTIONS.index(one) for one in truth])
    part = np.array([[name in _PARTS[emotion] for name in names] for emotion in EMOTIONS])

    def unpacked(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weights = np.zeros(part.shape)
        weights[part] = values[: part.sum()]
        return weights, np.concatenate([[0], values[part.sum() :]])  # neutral is what the others are more likely than

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = unpacked(values)
        scores = table @ weights.T + bias
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        error = (chances - np.eye(len(EMOTIONS))[answer]) / len(answer)
        value = -np.log(chances[np.arange(len(answer)), answer]).mean() + 5e-5 * (weights**2).sum()
        return value, np.concatenate([(error.T @ table + 1e-4 * weights)[part], error.sum(axis=0)[1:]])

    bounds = [(0, None)] * int(part.sum()) + [(None, None)] * (len(EMOTIONS) - 1)
    weights, bias = unpacked(minimize(loss, np.zeros(len(bounds)), jac=True, bounds=bounds, method="L-BFGS-B").x)
    lines = [
        "# Written by benchmarks/looks.py: of simulated people.",
        "sure = 0.5  # chance below which no expression is named",
        "aside = 0.6  # how far the eyes turn before they are not at the screen any more; 1 is the edge of the eye",
    ]
    for row, emotion in enumerate(EMOTIONS):
        named = {name: weight for name, weight in zip(names, weights[row].round(1), strict=True) if weight}
        words = ", ".join(f"{name} = {weight}" for name, weight in named.items())
        lines += [
            "",
            f"[expressions.{emotion}]",
            f"bias = {bias[row]:.1f}",
            f"weights = {{ {words} }}".replace("  ", " "),
        ]
    path = Path(looks.__file__).with_name("looks.toml")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    looks.READER = looks.tomllib.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
