"""Names people by what a model makes of their recordings: its inner representation, or just its answers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pandas as pd

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Result
from personare.data.splits import content_halves
from personare.evaluate.identification import FIGURES, few_recordings, named_together
from personare.evaluate.metrics import Estimate, mean_over_people, top1_credit, verification
from personare.evaluate.people import VectorEnroller
from personare.evaluate.selftest import marked

__all__ = ["ModelIdentity"]


@dataclass(frozen=True, kw_only=True)
class ModelIdentity:
    """Enrolls everybody with one half of their recordings, and names them in the other; then the other way round.

    The same attacker reads what went into the model: where it fails there, it is marked ``not informative``. Halves
    differ in content (sentence, or whatever the recordings repeat) as far as they can.

    Attributes:
        fewest: Least people.

    **Source**: ours; kernel classifiers on standardized vectors, as for prosody.

    Example:
        >>> ModelIdentity().fewest
        2
    """

    question: ClassVar = "identify"
    kinds: ClassVar[tuple[str, ...]] = ("model",)
    modality: ClassVar[str] = "model"
    views: ClassVar[tuple[str, ...]] = ()

    fewest: int = 2

    def __post_init__(self) -> None:
        """Check the options."""
        if self.fewest < 2:
            raise OptionError(f"model_identity needs fewest of at least 2 people, given {self.fewest}.")

    def __call__(
        self, seen: Mapping[str, Array], raw: Array, table: pd.DataFrame, *, rng: np.random.Generator
    ) -> list[Result]:
        """Measure ``top1``, ``top1_5``, ``person_top1`` and ``eer`` as ``model_identity_<what>``.

        Args:
            seen: What the model shows of people, (N, D) each, e.g. ``representation`` and ``answers``.
            raw: (N, D) numbers that describe the recordings before the model.
            table: N rows by recording id; ``subject`` and, where known, labels such as ``sentence``.
            rng: Halves, bootstrap.

        Returns:
            Risks; the baseline is the same attack on ``raw``, the control guessing.

        Raises:
            DataError: Too few people, or shapes that do not fit.
        """
        enroll, test, _ = content_halves(table, rng=rng)
        people = table.loc[enroll, "subject"].nunique()
        if people < self.fewest:
            raise DataError(
                f"Naming people needs at least {self.fewest} of them with two recordings each, there are {people}."
            )
        halves = [(enroll, test), (test, enroll)]
        before = _named(raw, table, halves, rng)
        rows: list[Result] = []
        for what, values in seen.items():
            own = _rows(what, _named(values, table, halves, rng), 1 / people)
            raws = _rows(what, before, 1 / people)
            rows += marked([replace(r, baseline=b.value) for r, b in zip(own, raws, strict=True)], raws)
        return rows


def _named(
    values: Array, table: pd.DataFrame, halves: list[tuple[list[str], list[str]]], rng: np.random.Generator
) -> dict[str, Estimate]:
    if values.ndim != 2 or len(values) != len(table):
        raise DataError(f"Vectors must be (N, D) for the {len(table)} recordings, given {values.shape}.")
    clips = dict(zip(table.index, values.astype(float), strict=True))
    subjects = table["subject"].astype(str)
    enroller, scores = VectorEnroller(describe=lambda row: [row]), []
    for known, asked in halves:  # everybody is in both
        named = enroller.enroll({i: clips[i] for i in known}, {i: subjects[i] for i in known}, rng=rng)
        scores.append(named({i: clips[i] for i in asked}))
    every, who = np.concatenate(scores), subjects.loc[[i for _, asked in halves for i in asked]].to_numpy()
    _, truth = np.unique(who, return_inverse=True)
    linked, _ = verification(every, truth, who, rng=rng)
    half = np.repeat(np.arange(len(halves)), [len(asked) for _, asked in halves])
    found = {"top1": mean_over_people(top1_credit(every, truth), who, rng=rng), "eer": linked["eer"]}
    return found | named_together(every, truth, who, half, rng=rng)


def _rows(what: str, found: Mapping[str, Estimate], chance: float) -> list[Result]:
    few = few_recordings(found)
    return [
        Result(
            kind="model",
            question="identify",
            method=f"model_identity_{what}",
            figure=figure,
            attacker="semi_informed",
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            n=estimate.n,
            control=0.5 if figure == "eer" else chance,
            better=FIGURES[figure],
            reason=few if figure == "top1_5" else "",
        )
        for figure, estimate in found.items()
    ]
