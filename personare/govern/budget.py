"""What privacy each person has been charged over all runs, and the refusal of a run that would go past the budget."""

import json
from collections import defaultdict
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

    ``people`` is by pseudonym the number of a person's recordings in the run. Returned is the epsilon of everything so
    far by person, at the budget's delta; no budget only keeps the account and prices nothing (composing takes long).
    """
    if not spends or not people:
        return {}
    if min(people.values()) < 1:
        raise DataError("Everybody in a run has at least one recording; leave out the people who have none.")
    total: dict[str, float] = {}
    if budget:
        earlier = charges(ledger, cohort)
        prices: dict[tuple[tuple[Spend, ...], int], float] = {}  # people with equal accounts are priced once
        for name, count in people.items():
            account = (*earlier.get(name, ()), Charge(tuple(spends), count))
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
    run = {"cohort": cohort, "purpose": "training", "spends": [asdict(spend) for spend in spends]}
    ledger.append("spent", [{**run, "subject": name, "recordings": count} for name, count in people.items()])
    return total


def charges(ledger: Ledger, cohort: str) -> dict[str, tuple[Charge, ...]]:
    """Return what was charged to each person of a cohort, oldest first; nothing where there is no ledger yet."""
    accounts: dict[str, tuple[Charge, ...]] = defaultdict(tuple)
    if ledger.exists():
        rows = ledger.rows()
        spent = rows[(rows["action"] == "spent") & (rows["cohort"] == cohort)]
        for subject, text in zip(spent["subject"], spent["detail"], strict=True):
            detail = json.loads(text)
            mechanisms = tuple(Spend(**spend) for spend in detail["spends"])
            accounts[subject] += (Charge(mechanisms, detail["recordings"]),)
    return dict(accounts)
