"""How each model of a run was trained and what privacy it claims, from the records of the training steps."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personare.core.types import Spend

__all__ = ["LEAKY", "NO_CLAIM", "UNKNOWN_CLAIM", "Claim", "Training", "read_training"]

LEAKY = "leaky_random_9_1"
"""The protocol that judges a model on other recordings of the people it learned from."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The privacy that a model was trained with.

    Attributes:
        epsilon: Infinite where there is no claim, NaN where none was recorded.
        delta: The chance that it fails.
        unit: ``person`` or ``recording``.
        accountant: Who priced it.
    """

    epsilon: float
    delta: float = math.nan
    unit: str = ""
    accountant: str = ""

    @property
    def made(self) -> bool:
        """Whether there is a bound at all."""
        return math.isfinite(self.epsilon)

    @property
    def words(self) -> str:
        """The claim as a line of text.

        Example:
            >>> Claim(epsilon=2.0, delta=1e-5, unit="person", accountant="pld").words
            'ε = 2, δ = 1e-05, for one person'
            >>> Claim(epsilon=math.inf).words
            'none'
        """
        if not self.made:
            return "none" if math.isinf(self.epsilon) else "not recorded"
        delta = f"δ = {self.delta:.3g}" if math.isfinite(self.delta) else "δ not recorded"
        return f"ε = {self.epsilon:.3g}, {delta}, for one {self.unit or 'unit that was not recorded'}"


NO_CLAIM = Claim(epsilon=math.inf)
UNKNOWN_CLAIM = Claim(epsilon=math.nan)


@dataclass(frozen=True, kw_only=True)
class Training:
    """How one model was trained.

    Attributes:
        method: A file of ``train``.
        label: What it reads from people.
        modalities: Tracks it reads; none: all.
        protocol: How people were parted.
        recordings: How many it learned from.
        people: Whose they are.
        tested: How many recordings it was judged on.
        shadows: How many models like it were trained to attack it.
        spends: Mechanisms that touched the people's data; none: no privacy.
    """

    method: str = ""
    label: str = ""
    modalities: tuple[str, ...] = ()
    protocol: str = ""
    recordings: int | None = None
    people: int | None = None
    tested: int | None = None
    shadows: int = 0
    spends: tuple[Spend, ...] = ()

    @property
    def claim(self) -> Claim:
        """All that the training spent, as one claim."""
        if not self.spends:
            return NO_CLAIM
        claim = self.spends[0]
        if len(self.spends) > 1:
            # Only here does a report need the accountant, which brings torch along.
            from personare.learn.accounting import as_one_claim

            claim = as_one_claim(self.spends) or claim
        return Claim(epsilon=claim.epsilon, delta=claim.delta, unit=claim.unit, accountant=claim.accountant)


def read_training(run: Path, missing: list[str]) -> dict[str, Training]:
    """Read ``trained.json`` of a run.

    Args:
        run: The run folder.
        missing: Gets one sentence for each record that cannot be read.

    Returns:
        By model.
    """
    found: dict[str, Training] = {}
    try:
        records = json.loads((run / "trained.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return found  # a run without models
    except (OSError, ValueError) as error:
        missing.append(f"trained.json could not be read ({error}).")
        return found
    for number, record in enumerate(records, start=1):
        try:
            found[str(record["options"]["name"])] = _training(record["options"], record["result"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            missing.append(f"trained.json, entry {number}, could not be read ({type(error).__name__}: {error}).")
    return found


def _training(options: Mapping[str, Any], result: Mapping[str, Any]) -> Training:
    spends: Sequence[Mapping[str, Any]] = result["spends"]  # absent is not the same as none: a claim is never guessed
    return Training(
        method=str(options.get("method") or ""),
        label=str(options.get("label") or ""),
        modalities=tuple(map(str, result.get("modalities") or options.get("modalities") or ())),
        protocol=str(options.get("protocol") or ""),
        recordings=result.get("recordings"),
        people=result.get("people"),
        tested=result.get("tested"),
        shadows=int(options.get("shadows") or 0),
        spends=tuple(Spend(**spend) for spend in spends),
    )
