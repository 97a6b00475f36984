"""Whether a model's confidence can be believed: of answers given with 80 % confidence, 80 % should be right."""

import numpy as np

from personare.core.types import Array

__all__ = ["bin_of", "calibration_error", "equal_mass", "equal_width", "reliability"]


def equal_width(bins: int = 15) -> Array:
    """Return the inner edges of bins of the same width on [0, 1]."""
    return np.linspace(0, 1, bins + 1)[1:-1]


def equal_mass(confidence: Array, bins: int = 15) -> Array:
    """Return the inner edges of bins that hold about as many answers each; fewer bins where confidences are equal."""
    return np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1]))


def bin_of(confidence: Array, edges: Array) -> Array:
    """Return the bin of each answer, (N,); an answer on an edge belongs to the lower bin.

    Args:
        confidence: (N,) in [0, 1].
        edges: (B - 1,) inner edges.
    """
    return np.searchsorted(edges, confidence, side="left")


def calibration_error(sums: Array) -> Array:
    """Return the expected calibration error: how far confidence and accuracy lie apart, over bins, weighted.

    Args:
        sums: (..., B, 3) by bin: how many answers, the sum of their confidences, how many are right.

    Returns:
        (...) in [0, 1].

    **Source**: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017
    (arXiv 1706.04599).

    Example:
        >>> float(calibration_error(np.array([[10, 9.0, 7], [10, 5.0, 5]])))
        0.1
    """
    gaps = np.abs(sums[..., 1] - sums[..., 2]).sum(axis=-1)
    return np.asarray(gaps / np.maximum(sums[..., 0].sum(axis=-1), 1e-12))


def reliability(confidence: Array, right: Array, edges: Array) -> dict[str, list[float]]:
    """Return the data of a reliability diagram: for each bin that holds answers their confidence, accuracy and number.

    Args:
        confidence: (N,) of the chosen classes.
        right: (N,) bool, whether they are.
        edges: Inner edges of the bins.

    Example:
        >>> reliability(np.array([0.6, 0.8]), np.array([True, False]), np.array([0.5]))
        {'confidence': [0.7], 'accuracy': [0.5], 'count': [2.0]}
    """
    index = bin_of(confidence, edges)
    count = np.bincount(index, minlength=len(edges) + 1).astype(float)
    seen = count > 0
    mean, share = (np.bincount(index, weights=v, minlength=len(count))[seen] / count[seen] for v in (confidence, right))
    return {"confidence": mean.tolist(), "accuracy": share.tolist(), "count": count[seen].tolist()}
