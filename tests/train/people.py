"""Made-up recordings in which the class shows."""

import numpy as np

from personare.core.randomness import generator
from personare.core.types import Batch

CLASSES = ("calm", "joy", "anger")


def recordings(seed: int, people: int = 20, *, each: int = 6, strength: float = 2.0, missing: float = 0.0) -> Batch:
    """Return two tables, ``voice`` (5 numbers) and ``face`` (4), of people with ``each`` recordings."""
    rng = generator(seed, "recordings")
    n = people * each
    labels = np.arange(n) % 3
    voice = rng.standard_normal((n, 5)) + strength * np.eye(3, 5)[labels]
    face = rng.standard_normal((n, 4)) - strength * np.eye(3, 4)[labels]
    return Batch(
        ids=tuple(f"{seed}-{i}" for i in range(n)),
        arrays={"voice": voice.astype(np.float32), "face": face.astype(np.float32)},
        present={m: rng.random(n) >= missing for m in ("voice", "face")},
        labels=labels.astype(np.int64),
        classes=CLASSES,
        subjects=np.repeat([f"{seed}-{p}" for p in range(people)], each),
    )
