"""How the posteriors of several modalities become one: weights for each recording, in plain numpy.

Posteriors are probabilities (N, M, C) of N recordings by M modalities over C classes, and ``present`` (N, M) says which
modality was there. A modality that is missing weighs exactly 0; where one alone is left it weighs exactly 1; where all
are missing the weights are 0 and the answer is chance. Every weight looks at its own recording alone, never at others
beside it, so fusion after training costs no privacy and does not depend on what else is in a batch.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import entr, log_softmax, rel_entr, softmax

from personare.core.errors import OptionError
from personare.core.options import Share, check_options
from personare.core.types import Array

EntropyScale = Literal["log_classes", "sum", "none"]
KlScale = Literal["sum", "min_max", "none"]
Pool = Literal["linear", "log"]
_TINY = 1e-12


def shares_of(values: Array, present: Array) -> Array:
    """Return values (N, M) of what is present as shares of their sum, (N, M); 0 where nothing is."""
    masked = values * present
    return np.asarray(masked / np.maximum(masked.sum(axis=1, keepdims=True), _TINY))


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """One posterior out of several, recording by recording."""

    rule: Literal["uniform", "fixed", "entropy", "kl", "hybrid"] = "uniform"  # fixed shares, or by uncertainty
    alpha: Share = 0.5  # share of the entropy in the hybrid
    entropy_scale: EntropyScale = "log_classes"  # over the log of the classes, over the sum of modalities, or as it is
    kl_scale: KlScale = "sum"  # over the sum of modalities, between the least and the most, or as it is
    shares: tuple[float, ...] = ()  # by modality, if fixed; they are scaled to sum to 1 over the modalities present
    pool: Pool = "linear"  # posteriors are averaged as probabilities, or as logarithms
    temperatures: tuple[float, ...] = ()  # by modality, of its logits; empty for 1
    temperature: float = 1.0  # of the answer

    def __post_init__(self) -> None:
        check_options(self)
        if self.rule == "fixed" and (not self.shares or min(self.shares) <= 0):
            raise OptionError(f"Fixed fusion needs a share above 0 for every modality, given {self.shares}.")

    def posteriors(self, logits: Array) -> Array:
        """Return (N, M, C) probabilities of (N, M, C) logits, each modality at its temperature."""
        scale = np.reshape(self.temperatures or (1.0,), (1, -1, 1))
        return np.asarray(softmax(np.asarray(logits, dtype=np.float64) / scale, axis=2))

    def uncertainty(self, posteriors: Array, present: Array) -> Array:
        """Return PAMRL's uncertainty, (N, M), lower is surer: alpha times the entropy, 1 - alpha times the divergence.

        The divergence of a posterior is the sum of KL(p_m || p_n) over the others that are present. Numbers of missing
        modalities mean nothing.

        **Source:** Sun et al., Applied Sciences 2025, 15, 5229. The paper leaves the normalizations open, so each is an
        option; ours is per recording, never over a data set, so that it costs no privacy.
        """
        alpha = {"entropy": 1.0, "kl": 0.0}.get(self.rule, self.alpha)
        entropy = entr(posteriors).sum(axis=2)  # (N, M) nats
        if self.entropy_scale == "log_classes":
            entropy = entropy / np.log(posteriors.shape[2])
        elif self.entropy_scale == "sum":
            entropy = shares_of(entropy, present)
        pairs = rel_entr(posteriors[:, :, None], np.maximum(posteriors, _TINY)[:, None]).sum(axis=3)  # (N, M, M)
        divergence = (np.maximum(pairs, 0) * present[:, None, :] * present[:, :, None]).sum(axis=2)
        if self.kl_scale == "sum":
            divergence = shares_of(divergence, present)
        elif self.kl_scale == "min_max":
            low = np.where(present, divergence, np.inf).min(axis=1, keepdims=True)
            high = np.where(present, divergence, -np.inf).max(axis=1, keepdims=True)
            divergence = np.where(present, (divergence - low) / np.maximum(high - low, _TINY), 0.0)
        return np.asarray(alpha * entropy + (1 - alpha) * divergence)

    def weights(self, posteriors: Array, present: Array) -> Array:
        """Return how much each modality counts, (N, M); each row sums to 1, or to 0 where nothing is present."""
        if self.rule in ("uniform", "fixed"):
            shares = self.shares if self.rule == "fixed" else (1.0,) * posteriors.shape[1]
            return shares_of(np.broadcast_to(np.array(shares), present.shape), present)
        certainty = np.where(present, -self.uncertainty(posteriors, present), -1e9)
        return np.asarray(softmax(certainty, axis=1) * present)

    def __call__(self, logits: Array, present: Array) -> Array:
        """Return (N, C) probabilities of (N, M, C) logits; chance where nothing is present."""
        posteriors = self.posteriors(logits)
        weights = self.weights(posteriors, present)[:, :, None]
        if self.pool == "linear":
            pooled = np.log((weights * posteriors).sum(axis=1) + _TINY)
        else:
            pooled = (weights * np.log(np.maximum(posteriors, _TINY))).sum(axis=1)
        fused = softmax(pooled / self.temperature, axis=1)
        return np.asarray(np.where(present.any(axis=1, keepdims=True), fused, 1 / logits.shape[2]))


def fit_temperature(logits: Array, labels: Array) -> float:
    """Return the temperature in [0.05, 20] under which (N, C) logits explain (N,) labels best; 1 where there are none.

    They must be of recordings that training did not see.

    **Source:** Guo et al., ICML 2017, arXiv:1706.04599.
    """
    if not len(logits):
        return 1.0
    rows = np.arange(len(labels))

    def cost(log_temperature: float) -> float:
        return float(-log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels].mean())

    best = minimize_scalar(cost, bounds=(np.log(0.05), np.log(20)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(best.x))


def stacked_shares(posteriors: Array, present: Array, labels: Array, pool: Pool = "linear") -> tuple[float, ...]:
    """Return the fixed share of each modality under which the pooled posteriors explain the labels best.

    They must be of people that training did not see.

    **Source:** D. H. Wolpert, Stacked generalization, Neural Networks 1992, doi:10.1016/S0893-6080(05)80023-1; shares
    are positive and sum to 1, so that a missing modality can be left out.
    """
    modalities, rows = int(posteriors.shape[1]), np.arange(len(labels))
    if modalities == 1 or not present.any():
        return (1 / modalities,) * modalities
    logits = np.log(np.maximum(posteriors, _TINY))

    def cost(free: Array) -> float:
        pooled = Fusion(rule="fixed", shares=tuple(softmax(free)), pool=pool)(logits, present)
        # a pull towards equal shares, weaker the more people there are: a handful says little
        return float(-np.log(pooled[rows, labels] + _TINY).mean() + np.square(free).sum() / len(labels))

    return tuple(float(share) for share in softmax(minimize(cost, np.zeros(modalities)).x))
