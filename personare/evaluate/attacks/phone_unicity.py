"""Singles people out by a few facts: where they were, or what their phone did, at a few moments somebody knows."""

from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Batch, Result
from personare.evaluate.clips import usable_clips
from personare.evaluate.metrics import mean_over_people, no_narrower
from personare.features.phone import coarse, seen, unicity

__all__ = ["PhoneUnicity"]

_POINTS = 4  # facts that the attacker knows


@dataclass(frozen=True, kw_only=True)
class PhoneUnicity:
    """Draw four facts of a person from the original, as coarse as the release is, and look for whom they fit best.

    ``unicity`` is the share of draws whose person is alone in fitting best, of facts of ``place``, of ``use`` or of
    ``any``. The attacker knows the hours, so nothing is learned, and a release without hours or places fits nobody.

    **Source**: Y.-A. de Montjoye et al., "Unique in the Crowd", Scientific Reports 3, 2013, doi:10.1038/srep01376.
    """

    question: ClassVar = "link"
    modality: ClassVar[str] = "phone"
    views: ClassVar[tuple[str, ...]] = ("phone",)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator, **_: Any) -> list[Result]:
        """Measure each kind of facts; people without such a fact are left out."""
        before, after = (usable_clips(batch, "phone") for batch in (original, released))
        whose = dict(zip(original.ids, original.subjects.tolist(), strict=True))
        logs = []
        for i in [i for i in before if i in after]:
            rows, shown = seen(before[i])[0], seen(after[i])[0]
            known = coarse(rows, ceil(len(rows) / len(shown)))
            logs.append((whose[i], float(before[i]["time_s"][0]), known, shown[: len(known)]))
        if len({log[0] for log in logs}) < 2:
            raise DataError("fewer than two people have a phone's log before and after")
        made = []
        for kind, shares in unicity(logs, points=_POINTS, rng=rng).items():
            values, people = np.array([*shares.values()], float), np.array([*shares])
            columns = no_narrower(mean_over_people(values, people, rng=rng), len(people)).columns
            what: dict[str, Any] = {"question": "link", "method": "phone_unicity", "figure": "unicity", "subset": kind}
            made.append(Result(**what, **columns, better="lower", control=0.0))
        return made
