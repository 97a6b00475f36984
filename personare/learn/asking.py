"""Which two recordings to ask about next: those of which the answers so far tell least, and some at random."""

from typing import Final

import numpy as np
from scipy.special import expit, xlogy

from personare.core.types import Array

RANDOM_SHARE: Final = 0.2
CANDIDATES: Final = 60  # of many more, the questions until raters are heard again would be too much alike
_LAPSE: Final = 0.3  # share of answers that say nothing


def choose_pair(pairs: Array, scores: Array | None, *, rng: np.random.Generator) -> int:
    """Return which of the candidates, pairs of positions (C, 2) drawn at random, to ask about.

    ``scores`` (draws, items) are what raters may think, see ``learn.reward.drawn_scores``; None where nothing is known.
    One pair in five is the first candidate, and so random: what raters prefer can be estimated by these without regard
    to how the others were chosen.

    **Source**: N. Houlsby, F. Huszar, Z. Ghahramani, M. Lengyel, "Bayesian active learning for classification and
    preference learning" (BALD), 2011 (arXiv:1112.5745).
    """
    if scores is None or rng.random() < RANDOM_SHARE:
        return 0
    return int(np.argmax(information(scores[:, pairs[:, 0]] - scores[:, pairs[:, 1]])))


def information(logits: Array, lapse: float = _LAPSE) -> Array:
    """Return how much an answer would tell, (C,) nats, of comparisons that draws (S, C) give such logits.

    Example:
        >>> information(np.array([[9.0, 0.0, 2.0], [-9.0, 0.0, 2.0]]), lapse=0).round(2).tolist()
        [0.69, 0.0, 0.0]
    """

    def entropy(p: Array) -> Array:
        return np.asarray(-xlogy(p, p) - xlogy(1 - p, 1 - p))

    wins = lapse / 2 + (1 - lapse) * expit(logits)
    return np.asarray(entropy(wins.mean(axis=0)) - entropy(wins).mean(axis=0))
