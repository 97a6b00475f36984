"""Names whose phone it is from manners: what is done at which hour, where the phone is, and the routine of a week."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from personare.core.types import Array
from personare.evaluate.classifiers import Clips, Kernel
from personare.features.phone import ROUTINE, routine, seen

__all__ = ["PhoneLinkage"]

_DAY = 24


@dataclass(frozen=True, kw_only=True)
class PhoneLinkage:
    """Learns the mean day, middle, spread and routine of each person's weeks, and looks for them in other weeks.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: kernel ridge regression as in ``voice_prosody``; of what is hidden in a release nothing is used.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "phone"
    views: ClassVar[tuple[str, ...]] = ("phone",)
    learns: ClassVar[bool] = False

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Kernel:
        """Nothing is learned before enrollment: a log is described by itself."""
        return Kernel(describe=_described)


def _described(view: Array) -> list[Array]:
    """Return the mean day, hour by hour; middle and spread over all; and the routine, as it is shown or follows."""
    (rows, hours), names = seen(view), view.dtype.names or ()
    table = pd.DataFrame(np.concatenate([np.log1p(rows[:, :-2]), rows[:, -2:]], axis=1).repeat(hours, axis=0))
    day = table.groupby(table.index % _DAY).mean().reindex(range(_DAY)).to_numpy().ravel()
    shown = [view[name][0] for name in ROUTINE if name in names]
    all_over = table.agg(["mean", "median", "std"]).to_numpy().ravel()
    return [day, all_over, np.array(shown or routine(rows, hours))]
