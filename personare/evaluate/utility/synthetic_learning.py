"""What can be learned from synthetic people: readers trained on them read real ones, and the other way round."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from personare.core.types import Array, Batch, Result
from personare.evaluate.metrics import Estimate, recall_and_accuracy
from personare.evaluate.synthetic_case import side_by_side

__all__ = ["SyntheticLearning"]

_READERS: Mapping[str, Callable[[], Any]] = {
    "linear": lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=300)),
    "forest": lambda: RandomForestClassifier(200, min_samples_leaf=2, random_state=0),
}


@dataclass(frozen=True, kw_only=True)
class SyntheticLearning:
    """Reads other real people with readers trained on synthetic ones, beside readers trained on real people.

    ``tstr_uar``: trained on synthetic, tested on real; ``trts_uar``: the other way round; ``augmented_uar``: trained on
    both; ``share_learned``: of what the real people teach beyond guessing, how much the synthetic ones do.

    **Source**: train on synthetic, test on real: C. Esteban, S. Hyland, G. Rätsch, arXiv:1706.02633.
    """

    kinds: ClassVar[tuple[str, ...]] = ("synthetic",)

    def __call__(self, original: Batch, released: Batch, *, others: Batch, rng: np.random.Generator) -> list[Result]:
        """Measure as the methods ``linear`` and ``forest``; the baseline learned from real people."""
        made, train, test = (side_by_side(batch) for batch in (released, original, others))
        both = np.concatenate([train, made]), np.concatenate([original.labels, released.labels])
        chance = 1 / len(np.unique(others.labels))

        def uar(reader: Any, rows: Array, asked: Batch) -> Estimate:
            every = np.arange(len(asked.classes))
            return recall_and_accuracy(asked.labels, reader.predict(rows), asked.subjects, every, rng=rng)[0]

        rows = []
        for name, fresh in _READERS.items():
            reader = fresh().fit(train, original.labels)
            real = uar(reader, test, others)
            fits = {
                "tstr_uar": uar(fresh().fit(made, released.labels), test, others),
                "trts_uar": uar(reader, made, released),
                "augmented_uar": uar(fresh().fit(*both), test, others),
            }
            row = Result(question="read", method=name, figure="share_learned", value=np.nan, control=chance)
            rows += [
                replace(row, figure=figure, **estimate.columns, baseline=real.value)
                for figure, estimate in fits.items()
            ]
            share = (fits["tstr_uar"].value - chance) / max(real.value - chance, 1e-9)
            rows.append(replace(row, value=share, n=len(others), baseline=1.0, control=0.0))
        return rows
