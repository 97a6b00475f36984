"""Reads a recording back from a site's update, and looks whose it is most like."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.types import Result
from personare.evaluate.metrics import mean_over_both, no_narrower
from personare.evaluate.updates import Updates, server_row
from personare.learn.inversion import invert_linear

__all__ = ["UpdateInversion"]


@dataclass(frozen=True, kw_only=True)
class UpdateInversion:
    """Recovers what went into the last layer from its update, and takes the recording of all sites that is nearest.

    It counts where that recording is of the site the update came from: an update of many recordings shows their mean,
    near to anybody's. Of a network that reads modalities apart only the first one's part is looked for.

    **Source**: L. Phong, Y. Aono, T. Hayashi, L. Wang, S. Moriai, "Privacy-preserving deep learning via additively
    homomorphic encryption", IEEE TIFS 13(5), 2018, doi:10.1109/TIFS.2017.2787987; see ``learn/inversion.py``.
    """

    question: ClassVar = "identify"
    kinds: ClassVar[tuple[str, ...]] = ("updates",)

    def __call__(self, updates: Updates, *, rng: np.random.Generator) -> list[Result]:
        """Measure ``recovered`` over all sites and rounds, both resampled; guessing names the largest site."""
        held = updates.sites >= 0
        batch, sites = updates.batch.take(held), updates.sites[held]
        counts, hits = np.bincount(sites), []
        for seen in updates.rounds:
            before = updates.predictor.at(seen.before)
            layer = before.last_layer
            inputs = before.represent(batch)[:, : layer.shape[1] - 1]  # (N, F)
            changes = [updates.predictor.at(weights).last_layer - layer for weights in seen.after]
            recovered = [invert_linear(change[:, :-1], change[:, -1]) for change in changes]
            nearest = [sites[np.linalg.norm(inputs - x, axis=1).argmin()] for x in recovered]  # (U,)
            hits.append(np.array(nearest) == np.arange(len(counts)))  # (S,)
        place = np.indices((len(hits), len(counts))).reshape(2, -1)  # the round and the site of each
        estimate = no_narrower(mean_over_both(np.concatenate(hits), *place, rng=rng), len(counts))
        return [server_row(self, "update_inversion", "recovered", estimate, control=float(counts.max() / counts.sum()))]
