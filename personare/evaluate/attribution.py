"""Says what single answers rest on: which modality, and which of its numbers.

Explanations of private recordings tell about those recordings: they are for the people who may see them, not a release.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from math import factorial
from typing import Final

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from personare.core.errors import DataError, OptionError
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


def modality_shapley(predictor: Predictor, batch: Batch, chosen: Array | None = None) -> dict[str, Array]:
    """Return what each modality adds to the probability of the answer, exactly (Shapley values), (N,) in [-1, 1].

    A modality left out is missing, just as the model met it in training. The values of a recording add up to the
    probability with everything, less that with nothing (chance); a modality that a recording lacks gets 0.

    Args:
        predictor: The model.
        batch: Recordings, at most five modalities.
        chosen: (N,) classes asked about; None for the model's answers.

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
    asked = answers[frozenset(names)].argmax(axis=1) if chosen is None else chosen
    worth = {subset: likely[np.arange(len(batch)), asked].astype(float) for subset, likely in answers.items()}
    found = {name: np.zeros(len(batch)) for name in names}
    n = len(names)
    for name in names:
        for subset in worth:
            if name not in subset:
                share = factorial(len(subset)) * factorial(n - len(subset) - 1) / factorial(n)
                found[name] += share * (worth[subset | {name}] - worth[subset])
    return found


def integrated_gradients(
    module: nn.Module, inputs: tuple[Tensor, ...], classes: Tensor, *, steps: int = 50
) -> tuple[Tensor, ...]:
    """Return what each number of the inputs adds to the score of a class, against an input of zeros.

    Args:
        module: Takes the inputs, gives (N, C) scores; differentiable.
        inputs: Tensors (N, ...), floating.
        classes: (N,) int64, which column is asked about.
        steps: Of the integral (midpoints); more are more exact.

    Returns:
        Tensors of the inputs' shapes; summed over a recording, they give its score less that of zeros.

    **Source**: M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017
    (arXiv 1703.01365).

    Example:
        >>> layer = nn.Linear(2, 1, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[2.0, -1.0]]))
        >>> found = integrated_gradients(layer, (torch.tensor([[1.0, 3.0]]),), torch.tensor([0]))
        >>> found[0].round(decimals=3).tolist()
        [[2.0, -3.0]]
    """
    if not inputs or not all(torch.is_floating_point(x) for x in inputs):
        raise DataError("Integrated gradients need floating inputs: give embeddings in place of words or ids.")
    was = module.training
    module.eval()
    try:
        slopes = [torch.zeros_like(x) for x in inputs]
        for step in range(steps):
            some = tuple(((step + 0.5) / steps * x).detach().requires_grad_() for x in inputs)
            scores = module(*some).gather(1, classes[:, None]).sum()
            for slope, own in zip(slopes, torch.autograd.grad(scores, some), strict=True):
                slope += own / steps
    finally:
        module.train(was)
    return tuple((x * slope).detach().float() for x, slope in zip(inputs, slopes, strict=True))
