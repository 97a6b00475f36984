"""The picture of docs/made-up-people.md: ``python benchmarks/made_up_people.py PICTURE.png [PEOPLE [SEED]]``.

One frame of each take of a sentence, at the apex of its expression: a row a person, a column an emotion.
"""

import sys

import cv2
import numpy as np

from personare.core.types import Array
from personare.simulate.expression import ACTION_UNITS
from personare.simulate.people import EMOTIONS, person
from personare.simulate.take import perform

_SIZE = 112


def apex(number: int, emotion: str, seed: int) -> Array:
    """Return the frame of the middle half, where the expression is strongest, that speech and blinks move least."""
    take = perform(person(seed, number), emotion, "S1", seed=seed)
    moved = take.truth["action_units"][:, [ACTION_UNITS.index("AU26"), ACTION_UNITS.index("AU45")]].sum(axis=1)
    first = len(moved) // 4
    return list(take.pictures(2 * _SIZE))[first + int(moved[first : 3 * len(moved) // 4].argmin())]


def main(path: str, people: int = 6, seed: int = 0) -> None:
    """Write the picture."""
    rows = [[apex(number, emotion, seed) for emotion in EMOTIONS] for number in range(1, people + 1)]
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    half = cv2.resize(sheet, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)  # no grain, no jagged lines
    cv2.imwrite(path, cv2.cvtColor(half, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
