"""Made-up people for tests: some are ill for life, which shows at every visit; others come twice and are well."""

import numpy as np

from personare.core.types import Batch

COLUMNS = (
    "visit", "type=planned", "type=urgent", "code=ill", "code=drug", "code=wound", "code=rare",
    "length=short", "length=long", "gap=first", "gap=week", "gap=year",
)  # fmt: skip
LONGEST = 8


def people(count: int, *, rng: np.random.Generator, name: str = "p") -> Batch:
    """Return people: the ill have 5 to 8 planned visits with ``ill`` and ``drug`` together, the well 1 to 3 urgent."""
    rows = np.zeros((count, LONGEST, len(COLUMNS)), np.float32)
    place = {column: i for i, column in enumerate(COLUMNS)}
    labels = rng.integers(2, size=count)
    for person, ill in zip(rows, labels, strict=True):
        for t in range(rng.integers(5, 9) if ill else rng.integers(1, 4)):
            on = [
                "visit",
                "type=planned" if ill else "type=urgent",
                "length=short" if rng.random() < 0.8 else "length=long",
            ]
            on.append("gap=first" if t == 0 else "gap=week" if ill else "gap=year")
            if ill and rng.random() < 0.7:
                on += ["code=ill", "code=drug"]
            if not ill and rng.random() < 0.6:
                on.append("code=wound")
            person[t, [place[column] for column in on]] = 1
    return Batch(
        ids=tuple(f"{name}{i}" for i in range(count)),
        arrays={"visits": rows},
        present={"visits": np.ones(count, bool)},
        labels=labels.astype(np.int64),
        classes=("well", "ill"),
        subjects=np.array([f"{name}{i}" for i in range(count)]),
        columns={"visits": COLUMNS},
    )
