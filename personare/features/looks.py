"""Names what a face looks like from its blendshapes: a guess at the expression shown, and where the eyes point."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from personare.core.types import Array
from personare.features.expression import BLENDSHAPES

READER: Mapping[str, Any] = tomllib.loads(Path(__file__).with_name("looks.toml").read_text(encoding="utf-8"))
"""Weights of the reader, which a page of the app uses too; ``benchmarks/looks.py`` fits and measures them."""


def pairs(blendshapes: Array) -> dict[str, Array]:
    """Return blendshapes (..., 52) by name, left and right averaged where there are both."""
    sides: dict[str, list[Array]] = {}
    for number, name in enumerate(BLENDSHAPES):
        sides.setdefault(name.removesuffix("Left").removesuffix("Right"), []).append(blendshapes[..., number])
    return {name: np.mean(values, axis=0) for name, values in sides.items()}


def looks_like(blendshapes: Array) -> dict[str, str]:
    """Return the ``expression`` and ``gaze`` of a face from a few frames (F, 52): two words in place of the face.

    There is no expression where none is clear. What a face shows is not what a person feels.

    **Source**: which blendshapes speak for which expression follows Ekman and Friesen's EMFACS; how strongly is fitted
    to simulated people.
    """
    mean = np.asarray(np.nanmean(np.asarray(blendshapes, dtype=float), axis=0))  # (52,)
    shape, moved = pairs(mean), dict(zip(BLENDSHAPES, mean.tolist(), strict=True))
    scores = np.array(
        [
            expression["bias"] + sum(weight * shape[name] for name, weight in expression["weights"].items())
            for expression in READER["expressions"].values()
        ]
    )
    chances = np.exp(scores - scores.max())
    best, chance = int(chances.argmax()), float(chances.max() / chances.sum())
    right = moved["eyeLookOutRight"] + moved["eyeLookInLeft"] - moved["eyeLookOutLeft"] - moved["eyeLookInRight"]
    down = 2 * (shape["eyeLookDown"] - shape["eyeLookUp"])
    aside = max(abs(right), abs(down)) / 2 > READER["aside"]
    gaze = {"gaze": "elsewhere" if aside else "at the screen"}
    return gaze | ({"expression": list(READER["expressions"])[best]} if chance >= READER["sure"] else {})
