"""What a private training would cost, and whom, before anything is trained."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from personare.core.errors import OptionError
from personare.learn.accounting import person_epsilon
from personare.learn.privacy import PrivacyPlan

__all__ = ["Price", "plan_for", "privacy_table"]


@dataclass(frozen=True, kw_only=True)
class Price:
    """A row of the table: for whom the bound holds.

    Attributes:
        unit: ``recording``, or ``person``: everything of one person together.
        recordings: How many recordings that person has in the training; 0 for any number.
        epsilon: The bound.
        delta: Chance that it fails.
        accountant: ``pld`` or ``prv``.
    """

    unit: str
    recordings: int
    epsilon: float
    delta: float
    accountant: str


def plan_for(plan: PrivacyPlan, *, epochs: float) -> PrivacyPlan:
    """Return the plan with as many steps as pass over everybody ``epochs`` times on average.

    Example:
        >>> one = PrivacyPlan(epsilon=1, delta=1e-5, unit="recording", units=6698, expected_batch=670, steps=1)
        >>> plan_for(one, epochs=10).steps
        100
    """
    if not epochs > 0:
        raise OptionError(f"epochs must be above 0, it is {epochs}.")
    steps = max(1, math.ceil(epochs * plan.units / plan.expected_batch - 1e-9))
    return replace(plan, steps=steps)


def privacy_table(plan: PrivacyPlan, *, recordings: Sequence[int] = (2, 5, 10, 20)) -> tuple[Price, ...]:
    """Price a plan by both accountants, and for people with several recordings.

    **Guarantee**: every row is an upper bound. A plan for people needs no further rows: it holds for any number of
    recordings, and for each of them.

    Args:
        plan: What would be trained.
        recordings: Numbers of recordings to price under a plan that protects single recordings.

    Returns:
        The claim by ``pld`` and ``prv``, then one row for each number of recordings.

    Raises:
        OptionError: A number of recordings below 1.

    Example:
        >>> plan = PrivacyPlan(epsilon=1, delta=1e-5, unit="recording", units=6698, expected_batch=6698, steps=50)
        >>> for row in privacy_table(plan, recordings=(20,)):
        ...     print(row.unit, row.recordings, round(row.epsilon, 1), row.accountant)
        recording 1 1.0 pld
        recording 1 1.0 prv
        person 20 36.5 pld
    """
    own = 1 if plan.unit == "recording" else 0
    claims = [plan.spend("pld"), plan.spend("prv")]
    rows = [
        Price(unit=s.unit, recordings=own, epsilon=s.epsilon, delta=s.delta, accountant=s.accountant) for s in claims
    ]
    if plan.unit == "person":
        return tuple(rows)
    (mechanism, _) = claims
    for count in recordings:
        epsilon = person_epsilon(
            mechanism.noise_multiplier, mechanism.sampling_rate, mechanism.steps, plan.delta, count
        )
        rows.append(Price(unit="person", recordings=count, epsilon=epsilon, delta=plan.delta, accountant="pld"))
    return tuple(rows)
