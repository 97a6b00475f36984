"""A contact sheet of made-up people: one row a person, one column an emotion."""

import cv2
import numpy as np

from personare.core.types import Array
from personare.simulate.expression import EMOTIONS
from personare.simulate.people import person
from personare.simulate.take import perform

__all__ = ["contact_sheet"]


def contact_sheet(*, people: int = 6, seed: int = 0, sentence: str = "S1", size: int = 128) -> Array:
    """Return one frame of each take of one sentence, uint8 RGB (people * size, emotions * size, 3).

    Args:
        people: How many rows.
        seed: The cohort's seed.
        sentence: What they say.
        size: Side of one picture in pixels.

    Example:
        >>> contact_sheet(people=1, size=96).shape
        (96, 576, 3)
    """
    rows = [
        np.concatenate(
            [perform(person(seed, number), emotion, sentence, seed=seed).apex(2 * size) for emotion in EMOTIONS], axis=1
        )
        for number in range(1, people + 1)
    ]
    sheet = np.concatenate(rows, axis=0)
    return np.asarray(
        cv2.resize(sheet, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    )  # no grain, no jagged lines
