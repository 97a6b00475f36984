"""Sites that differ, miss something or lie: what is done to the recordings of each before anything is learned."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.options import NotNegative, PartShare, Whole, check_options
from personare.core.types import Batch
from personare.learn.federation import Federation

__all__ = ["SiteProtocol"]


@dataclass(frozen=True, kw_only=True)
class SiteProtocol:
    """Make sites of a cohort unlike, to see what learning over them bears; only those who are learned from change.

    **Guarantee**: nobody changes sites, and what becomes of a recording depends on its class, its site and chance, and
    never on other recordings.

    **Source**: T. Feng et al., "FedMultimodal: A Benchmark For Multimodal Federated Learning", KDD 2023,
    arXiv:2306.09486. Ours: people stay with their site, so that its classes are thinned out in place of dealing
    recordings, and a wrong label is any other one; poisoned and tiny sites are not in it.
    """

    label_skew: NotNegative = 0.0  # concentration of the Dirichlet draw of a site's classes: 0.1 strong, 5 weak; 0 none
    missing: PartShare = 0.0  # chance of each modality of a recording to be missing, where another one remains
    wrong_labels: PartShare = 0.0  # chance of a recording to have another class
    poisoned: Whole = 0  # sites, the first of all, that lie
    poison: Literal["labels", "update"] = "labels"  # all labels moved on by one, or ``Federation.poisoned``
    tiny: bool = False  # whether the last site has two people only

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def poisoned_updates(self) -> int:
        """How many sites send poisoned updates."""
        return self.poisoned if self.poison == "update" else 0

    def __call__(
        self, batch: Batch, federation: Federation, *, rng: np.random.Generator
    ) -> tuple[Batch, dict[str, str]]:
        """Return recordings as the sites have them, and each person's site."""
        sites, modalities = federation.deal(batch.subjects), list(batch.arrays)
        if self.poisoned > len(sites) or (self.missing and len(modalities) < 2):
            raise OptionError(
                f"Of {len(sites)} sites at most so many can be poisoned, not {self.poisoned}; and missing needs two "
                f"modalities, there are {len(modalities)}."
            )
        count, classes = len(batch), len(batch.classes)
        kept, labels = np.ones(count, dtype=bool), batch.labels.copy()
        site_of: dict[str, str] = {}
        for number, rows in enumerate(sites):
            people = np.unique(batch.subjects[rows])
            site_of |= dict.fromkeys(people.tolist(), f"{number:06d}")
            if self.label_skew:
                shares = rng.dirichlet(np.full(classes, self.label_skew))
                kept[rows] = rng.random(len(rows)) < (shares / shares.max())[batch.labels[rows]]
            if self.tiny and number == len(sites) - 1:
                kept[rows] &= np.isin(batch.subjects[rows], people[:2])
            if not kept[rows].any():
                raise DataError(f"Site {number + 1} has nobody of the classes drawn for it: raise label_skew.")
            if number < self.poisoned and self.poison == "labels":
                labels[rows] = (labels[rows] + 1) % classes
        wrong = rng.random(count) < self.wrong_labels
        labels[wrong] = (labels[wrong] + rng.integers(1, max(2, classes), wrong.sum())) % classes
        present = np.stack([batch.present[m] for m in modalities], axis=1)
        seen = present & (rng.random(present.shape) >= self.missing)  # (N, M)
        seen = np.where(seen.any(axis=1, keepdims=True), seen, present)
        arrays = {m: batch.arrays[m].copy() for m in modalities}
        for m, there in zip(modalities, seen.T, strict=True):
            arrays[m][~there] = np.zeros(1, arrays[m].dtype)[0]
        made = replace(batch, arrays=arrays, present=dict(zip(modalities, seen.T, strict=True)), labels=labels)
        return made.take(kept), site_of
