"""What the updates of sites tell about their people: the rounds as a server saw them, and whom it asks about."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from personare.core.errors import DataError
from personare.core.protocols import SharedPredictor
from personare.core.types import Array, Batch, Result
from personare.evaluate.metrics import Estimate, means_by_person
from personare.learn.federation import Observed


@dataclass(frozen=True, kw_only=True)
class Updates:
    """Rounds over sites, and recordings of people who may be at one: the server holds these, but not who is where."""

    rounds: Sequence[Observed]
    predictor: SharedPredictor  # any of the training; each round puts its own weights in
    batch: Batch  # of everybody at a site, and of strangers
    sites: Array  # (N,) int, at which site a recording was learned from; -1 for strangers

    def __post_init__(self) -> None:
        if not self.rounds or self.sites.shape != (len(self.batch),) or not (self.sites >= 0).any():
            raise DataError(
                "Updates are asked about with a round at least, and a site for each recording, -1 for none."
            )

    @cached_property
    def people(self) -> tuple[Array, Array]:
        """(P,) names, and (P,) the site of each, -1 for strangers."""
        people, first = np.unique(self.batch.subjects, return_index=True)
        return people, self.sites[first]

    @cached_property
    def gains(self) -> Array:
        """(U, P): how much loss an update takes from a person's recordings, in the mean over these and the rounds."""

        def losses(weights: Array) -> Array:
            likely = self.predictor.at(weights)(self.batch)[np.arange(len(self.batch)), self.batch.labels]
            return means_by_person(-np.log(np.maximum(likely, 1e-30)), owner)

        owner = np.unique(self.batch.subjects, return_inverse=True)[1]
        each = [losses(seen.before) - np.stack([losses(w) for w in seen.after]) for seen in self.rounds]
        return np.asarray(np.mean(each, axis=0))


def server_row(attack: Any, method: str, figure: str, estimate: Estimate, *, control: float) -> Result:
    """Return what the server of the sites finds by an attack; less is better."""
    return Result(
        kind="model",
        question=attack.question,
        method=method,
        figure=figure,
        attacker="server",
        better="lower",
        control=control,
        **estimate.columns,
    )
