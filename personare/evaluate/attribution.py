"""Says what single answers rest on: which modality moved each of them, and how much each counted.

Explanations of private recordings tell about those recordings: they are for the people who may see them, not a release.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from math import factorial
from typing import Final

import numpy as np
import pandas as pd

from personare.core.errors import OptionError
from personare.core.protocols import Predictor
from personare.core.types import Array, Batch

_MOST: Final = 5  # modalities; each subset is one pass over the recordings


def weights_by_class(weights: Mapping[str, Array], labels: Array, classes: tuple[str, ...]) -> pd.DataFrame:
    """Return how much each modality counted on average: one row a class, and ``all``; columns are modalities.

    Args:
        weights: By modality, (N,) in [0, 1], as ``Predictor.weights`` gives them.
        labels: (N,) classes to sort by: the true ones, or the predicted ones.
        classes: What they mean; NaN for a class without recordings.

    Example:
        >>> weights_by_class({"audio": np.array([0.2, 0.6])}, np.array([0, 1]), ("x", "y"))["audio"].tolist()
        [0.2, 0.6, 0.4]
    """
    table = pd.DataFrame({name: np.asarray(values, dtype=float) for name, values in weights.items()})
    by_class = table.groupby(np.asarray(labels)).mean().reindex(range(len(classes)))
    by_class.index = pd.Index(classes)
    return pd.concat([by_class, table.mean().to_frame("all").T])


def modality_shapley(predictor: Predictor, batch: Batch) -> dict[str, Array]:
    """Return what each modality adds to the probability of the answer, exactly (Shapley values), (N,) in [-1, 1].

    A modality left out is missing, just as the model met it in training. The values of a recording add up to the
    probability with everything, less that with nothing (chance); a modality that a recording lacks gets 0.

    **Source**: L. Shapley, "A value for n-person games", 1953; S. Lundberg, S.-I. Lee, "A unified approach to
    interpreting model predictions", NeurIPS 2017 (arXiv 1705.07874).
    """
    names = tuple(batch.arrays)
    if not 1 <= len(names) <= _MOST:
        raise OptionError(
            f"Exact attribution takes 1 to {_MOST} modalities, given {len(names)}: choose with batch.only."
        )

    def without(kept: frozenset[str]) -> Batch:
        arrays = {name: values if name in kept else np.zeros_like(values) for name, values in batch.arrays.items()}
        present = {name: p if name in kept else np.zeros_like(p) for name, p in batch.present.items()}
        return replace(batch, arrays=arrays, present=present)

    subsets = [frozenset(s) for size in range(len(names) + 1) for s in combinations(names, size)]
    answers = {subset: predictor(without(subset)) for subset in subsets}
    asked = answers[frozenset(names)].argmax(axis=1)
    worth = {subset: likely[np.arange(len(batch)), asked].astype(float) for subset, likely in answers.items()}
    found = {name: np.zeros(len(batch)) for name in names}
    n = len(names)
    for name in names:
        for subset in worth:
            if name not in subset:
                share = factorial(len(subset)) * factorial(n - len(subset) - 1) / factorial(n)
                found[name] += share * (worth[subset | {name}] - worth[subset])
    return found
