"""Where the latents of made-up people come from: the standard normal, or a small mixture fitted to real people's."""

from collections.abc import Mapping

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from personare.core.types import Array

__all__ = ["draw_latents", "fitted_latents", "standard_latents"]

_PARTS = 4  # of the mixture, at most
_PEOPLE = 20  # for each part, at least
_SPREAD = 0.05  # least variance of a part, so that none sits on one person
_DRAWS = 5  # of each person's latent


def standard_latents(latent: int) -> dict[str, Array]:
    """Return the standard normal as a mixture of one part: it knows nobody.

    Example:
        >>> standard_latents(2)["deviations"].tolist()
        [[1.0, 1.0]]
    """
    one = np.ones((1, latent), np.float32)
    return {"weights": np.ones(1, np.float32), "means": 0 * one, "deviations": one}


@torch.inference_mode()
def fitted_latents(mu: Tensor, log_var: Tensor, *, rng: np.random.Generator) -> dict[str, Array]:
    """Fit a small mixture to what the latents of training people are drawn from; not under differential privacy.

    Args:
        mu: (N, L) means.
        log_var: (N, L) logarithms of variances.
        rng: Draws latents, and where the fit starts.

    Returns:
        ``weights`` (K,), ``means`` (K, L) and ``deviations`` (K, L).
    """
    center, spread = mu.detach().numpy(), np.exp(0.5 * log_var.detach().numpy())
    drawn = center + spread * rng.standard_normal((_DRAWS, *center.shape))
    mixture = GaussianMixture(
        max(1, min(_PARTS, len(center) // _PEOPLE)),
        covariance_type="diag",
        reg_covar=_SPREAD,
        random_state=int(rng.integers(2**31)),
    ).fit(drawn.reshape(-1, center.shape[1]))
    found = {"weights": mixture.weights_, "means": mixture.means_, "deviations": np.sqrt(mixture.covariances_)}
    return {name: values.astype(np.float32) for name, values in found.items()}


def draw_latents(mixture: Mapping[str, Array], people: int, *, rng: np.random.Generator) -> Tensor:
    """Draw people's latents, (people, L)."""
    part = rng.choice(len(mixture["weights"]), people, p=mixture["weights"] / mixture["weights"].sum())
    noise = rng.standard_normal((people, mixture["means"].shape[1]))
    return torch.from_numpy(mixture["means"][part] + mixture["deviations"][part] * noise).float()
