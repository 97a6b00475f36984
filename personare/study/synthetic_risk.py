"""Measures what attacks find out about the people behind a made-up cohort, for its card."""

from collections.abc import Sequence
from dataclasses import dataclass

from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.types import Batch, Result, Spend
from personare.evaluate.synthetic_risk import judge_synthetic_risk

__all__ = ["Risk"]


@dataclass(frozen=True, kw_only=True)
class Risk:
    """Runs every attack on synthetic people.

    Attributes:
        seed: Everything random follows from it.
    """

    seed: int = 0

    def __call__(self, made: Batch, train: Batch, control: Batch, *, spends: Sequence[Spend] = ()) -> list[Result]:
        """Return the risks; one row without a figure, and with the reason, where they cannot be measured.

        Args:
            made: The synthetic recordings.
            train: Those they were learned from.
            control: Those of people whom the generator never met.
            spends: The privacy that was paid; one mechanism draws the bound of membership.
        """
        numbers = [name for name, values in train.arrays.items() if values.dtype.kind == "f"]
        parts = [batch.only(*numbers) for batch in (made, train, control)]
        claim = spends[0] if len(spends) == 1 else None
        try:
            return judge_synthetic_risk(*parts, rng=generator(self.seed, "risk"), claim=claim)
        except DataError as error:
            note = f"not measured: {error}"
            return [Result(release="", modality="", measure="synthetic", kind="risk", value=float("nan"), note=note)]
