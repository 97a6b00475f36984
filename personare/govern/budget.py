"""What privacy each person has been charged over all runs, and the refusal of a run that would go past the budget."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from personare.core.errors import DataError, OptionError, PolicyError
from personare.core.types import Spend
from personare.govern.ledger import Ledger

Composer = Callable[..., float]
"""Prices everything that touched one person together, as ``learn.accounting.compose(spends, delta, recordings=1)``."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The most that all runs together may cost one person: the bound, and the chance that it fails."""

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        if not self.epsilon > 0 or not 0 < self.delta < 1:
            raise OptionError(
                f"A budget needs an epsilon above 0 and a delta between 0 and 1, given {self.epsilon} and {self.delta}."
            )


class Charge(NamedTuple):
    """What one run took of one person: the mechanisms, and how many of the person's recordings were in it."""

    spends: tuple[Spend, ...]
    recordings: int


def charge(
    ledger: Ledger,
    spends: Sequence[Spend],
    *,
    cohort: str,
    people: Mapping[str, int],
    budget: Budget | None,
    compose: Composer,
) -> dict[str, float]:
    """Write a run's spends into the ledger, or refuse it; to be called *before* training.

    **Guarantee**: nobody's charges in this ledger and cohort ever cost more than the budget, as ``compose`` prices
    them, as long as one process at a time charges. A run that fails later stays charged: its results may have been
    seen.

    Args:
        ledger: Where spends are kept.
        spends: What the run will do.
        cohort: Whose people.
        people: Pseudonym to the number of that person's recordings in the run.
        budget: What each may cost; None only keeps the account, and prices nothing (composing takes a while).
        compose: Prices mechanisms together.

    Returns:
        Epsilon of everything so far by person, at the budget's delta; empty where there is no budget.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> spend = Spend(unit="person", sampling_rate=1.0, noise_multiplier=9.0, steps=1, epsilon=0.4, delta=1e-3,
        ...     accountant="pld", units=90)
        >>> added = lambda spends, delta, *, recordings=1: sum(s.epsilon for s in spends)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     book = Ledger(Path(folder) / "ledger.sqlite")
        ...     limit = Budget(epsilon=0.5, delta=1e-2)
        ...     first = charge(book, [spend], cohort="c", people={"01": 3}, budget=limit, compose=added)
        ...     charge(book, [spend], cohort="c", people={"01": 3}, budget=limit, compose=added)
        Traceback (most recent call last):
        personare.core.errors.PolicyError: The privacy budget of 1 of 1 people in c does not suffice: ...
    """
    if not spends or not people:
        return {}
    if min(people.values()) < 1:
        raise DataError("Everybody in a run has at least one recording; leave out the people who have none.")
    new = {name: Charge(spends=tuple(spends), recordings=count) for name, count in people.items()}
    total: dict[str, float] = {}
    if budget:
        earlier = charges(ledger, cohort)
        prices: dict[tuple[tuple[Spend, ...], int], float] = {}  # people with equal accounts are priced once
        for name, own in new.items():
            account = (*earlier.get(name, ()), own)
            key = tuple(s for c in account for s in c.spends), max(c.recordings for c in account)
            if key not in prices:
                prices[key] = compose(key[0], budget.delta, recordings=key[1])
            total[name] = prices[key]
        over = {name: epsilon for name, epsilon in total.items() if not epsilon <= budget.epsilon}
        if over:
            name, worst = max(over.items(), key=lambda item: item[1])
            raise PolicyError(
                f"The privacy budget of {len(over)} of {len(people)} people in {cohort} does not suffice: with this "
                f"run, {name} would have cost epsilon {worst:.3g} at delta {budget.delta:g}, and {budget.epsilon:g} is "
                "allowed. Train with more noise or fewer steps, leave these people out, or ask them for more in "
                "study.toml."
            )
    kept = [asdict(spend) for spend in spends]
    rows = [
        {"cohort": cohort, "subject": name, "purpose": "training", "spends": kept, "recordings": own.recordings}
        for name, own in new.items()
    ]
    ledger.append("spent", rows)
    return total


def charges(ledger: Ledger, cohort: str) -> dict[str, tuple[Charge, ...]]:
    """Return what was charged to each person of a cohort, oldest first; nothing where there is no ledger yet."""
    found: dict[str, tuple[Charge, ...]] = {}
    if not ledger.exists():
        return found
    rows = ledger.rows()
    spent = rows[(rows["action"] == "spent") & (rows["cohort"] == cohort)]
    for subject, text in zip(spent["subject"], spent["detail"], strict=True):
        detail = json.loads(text)
        own = Charge(spends=tuple(Spend(**spend) for spend in detail["spends"]), recordings=detail["recordings"])
        found[subject] = (*found.get(subject, ()), own)
    return found
