"""Tests a privacy claim with one training run: canaries that were trained on must be hard to tell from the others."""

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.special import expit
from scipy.stats import binom

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Result, Spend

_SHARES: Final = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # of the canaries that are guessed; each is tried, and paid for
_CONFIDENCE: Final = 0.95
_HIGHEST: Final = 100.0

Fit = Callable[[Array, Array, Array], Array]
"""Canaries (m, D), their labels (m,), and (m,) bool which of them to train on, in; (m,) scores out, higher = in."""


def epsilon_lower_bound(
    made: int, right: int, *, canaries: int, delta: float, confidence: float = _CONFIDENCE
) -> float:
    """Return the epsilon that a mechanism has at least, from guesses about canaries of one run.

    **Guarantee**: for an (epsilon, delta)-private mechanism the bound exceeds epsilon with a probability of at most
    1 - confidence, if how many guesses are made does not depend on the truth.

    Of m ``canaries``, each included with probability 1/2, r were guessed (abstaining is free), v of them right.

    **Source**: T. Steinke, M. Nasr, M. Jagielski, "Privacy auditing with one (1) training run", NeurIPS 2023
    (arXiv 2305.08846), theorem 5.2.
    """
    if not 0 <= right <= made <= canaries or not 0 <= delta < 1 or not 0.5 < confidence < 1:
        raise OptionError(
            "An audit needs right <= made <= canaries, delta in [0, 1) and confidence in (0.5, 1), given "
            f"{right}, {made}, {canaries}, {delta} and {confidence}."
        )

    def likely(epsilon: float) -> bool:
        """Whether so many right guesses are no surprise under (epsilon, delta)-differential privacy."""
        rate = float(expit(epsilon))
        usual = float(binom.sf(right - 1, made, rate))
        if delta and right:
            steps = np.arange(1, right + 1)
            between = binom.sf(right - steps - 1, made, rate) - usual  # P[v > Bin >= v - i]
            usual += 2 * canaries * delta * float((between / steps).max())
        return usual >= 1 - confidence

    if not made or likely(0.0):
        return 0.0
    low, high = 0.0, _HIGHEST
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if likely(middle) else (middle, high)
    return low


def guess(scores: Array, inside: Array, *, delta: float, rng: np.random.Generator) -> tuple[float, int, int]:
    """Return the best bound over several numbers of guesses, and how many these were and how many of them right.

    The canaries with the highest scores are guessed to be in, as many with the lowest to be out.

    **Guarantee**: the numbers of guesses are fixed shares of the canaries, and each is tested at a confidence of
    1 - 0.05 / tries (Bonferroni): choosing the best does not raise the error.
    """
    order = np.lexsort((rng.random(len(scores)), scores))
    sides = sorted({max(1, round(len(scores) // 2 * share)) for share in _SHARES})
    confidence = 1 - (1 - _CONFIDENCE) / len(sides)
    tries = []
    for side in sides:
        right = int(inside[order[-side:]].sum() + (~inside[order[:side]]).sum())
        bound = epsilon_lower_bound(2 * side, right, canaries=len(scores), delta=delta, confidence=confidence)
        tries.append((bound, 2 * side, right))
    return max(tries, key=lambda each: each[0])


def audit(fit: Fit, rows: Array, labels: Array, *, claim: Spend | None, rng: np.random.Generator) -> Result:
    """Train once with a random half of (m, D) canaries, and return how much privacy was spent at least.

    **Guarantee**: training that keeps its claim is found above it with a probability of at most 5 %.

    ``claim`` is what training says it spent, the control; None where it claims nothing. The training must not see
    ``rng``, which draws who is included.
    """
    inside = rng.random(len(rows)) < 0.5
    scores = np.asarray(fit(rows, labels, inside), dtype=float)
    if scores.shape != inside.shape or np.isnan(scores).any():
        raise DataError(f"An audit needs one score for each of {len(rows)} canaries, given {scores.shape}, or NaN.")
    delta, most = claim.delta if claim else 0.0, 2 * (len(rows) // 2)
    bound, made, right = guess(scores, inside, delta=delta, rng=rng)
    reason = f"lower bound at {_CONFIDENCE:.0%} confidence, {right} of {made} guesses right"
    broken = claim is not None and bound > claim.epsilon
    if claim is not None and broken:
        reason = f"CLAIM BROKEN: training says epsilon {claim.epsilon:.3g}; {reason}"
    elif claim is not None:
        reason = f"does not contradict the claimed epsilon {claim.epsilon:.3g}; {reason}"
    # what so many canaries could show at most: every guess right
    strictest = 1 - (1 - _CONFIDENCE) / len(_SHARES)
    ceiling = epsilon_lower_bound(most, most, canaries=len(rows), delta=delta, confidence=strictest)
    return Result(
        kind="model",
        question="member",
        method="audit",
        figure="epsilon",
        attacker="canaries",
        value=bound,
        low=bound,
        n=len(rows),
        control=claim.epsilon if claim else float("nan"),
        unit="epsilon",
        better="lower",
        reason=reason,
        status="claim_broken" if broken else "ok",
        detail={"made": made, "right": right, "confidence": _CONFIDENCE, "ceiling": ceiling},
    )
