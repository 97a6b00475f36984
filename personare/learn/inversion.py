"""What an update gives away: the input of a linear layer, read from the gradient that left the device."""

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array


def invert_linear(weight_gradient: Array, bias_gradient: Array) -> Array:
    """Recover what went into a linear layer, (in,), from its gradients, (out, in) and (out,), or any multiple of them.

    Of one example each row of the weights' gradient is its input times that row's entry of the bias gradient, so the
    input is theirs exactly, also after several steps on it. Of a sum over examples, or with noise, this is the input
    of the best rank-one explanation of both gradients together: near the example that erred most.

    **Source**: L. Phong, Y. Aono, T. Hayashi, L. Wang, S. Moriai, "Privacy-preserving deep learning via additively
    homomorphic encryption", IEEE TIFS 13(5), 2018, doi:10.1109/TIFS.2017.2787987; J. Geiping, H. Bauermeister,
    H. Dröge, M. Moeller, "Inverting gradients", NeurIPS 2020, arXiv:2003.14053. Ours: all rows are used at once, by
    total least squares.
    """
    if weight_gradient.ndim != 2 or bias_gradient.shape != weight_gradient.shape[:1]:
        shapes = f"{weight_gradient.shape} and {bias_gradient.shape}"
        raise DataError(
            f"Gradients of a linear layer are (out, in) and (out,), given {shapes}. Give those of one layer."
        )
    both = np.column_stack([weight_gradient, bias_gradient]).astype(float)  # (out, in + 1)
    if not np.isfinite(both).all() or not both.any():
        raise DataError("The gradients must be finite and not all zero. Nothing can be read from these.")
    direction = np.linalg.svd(both, full_matrices=False)[2][0]  # (in + 1,), the input beside a 1, up to its length
    if abs(direction[-1]) < 1e-12:
        raise DataError("The bias gradient is zero, so the input's length is not in the update. Give another layer.")
    return np.asarray(direction[:-1] / direction[-1])
