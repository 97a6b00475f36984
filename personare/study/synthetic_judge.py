"""Measures made-up people for their card and for a study: what can be learned from them, and who can be found."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from personare.core.randomness import generator
from personare.core.types import Batch, Result, Spend
from personare.evaluate.synthetic import (
    FitAndSample,
    judge_canaries,
    judge_synthetic_risk,
    judge_synthetic_use,
    together,
)
from personare.learn.accounting import as_one_claim
from personare.study.outputs import measured

__all__ = ["SyntheticJudging"]


@dataclass(frozen=True, kw_only=True)
class SyntheticJudging:
    """Runs every measure and every attack on synthetic people.

    Attributes:
        seed: Everything random follows from it.
        shadows: Generators fitted on halves of the people for the strongest attack, even; 0 leaves it out.
        canaries: Extreme people planted in as many generators again; 0 leaves them out.
    """

    seed: int = 0
    shadows: int = 0
    canaries: int = 0

    @property
    def generators(self) -> int:
        """How many generators are fitted for the attacks."""
        return self.shadows * (2 if self.canaries else 1)

    def __call__(
        self, made: Batch, train: Batch, control: Batch, *, make: FitAndSample, spends: Sequence[Spend] = ()
    ) -> list[Result]:
        """Return use and risks; one row without a figure, and with the reason, for what cannot be measured.

        Args:
            made: The synthetic recordings.
            train: Those they were learned from.
            control: Those of people whom the generator never met.
            make: Fits such a generator on some of both and samples as many recordings.
            spends: The privacy that was paid; draws the bound of membership.
        """
        numbers = [name for name, values in train.arrays.items() if values.dtype.kind == "f"]
        made, train, control = (batch.only(*numbers) for batch in (made, train, control))
        claim, rng = as_one_claim(spends), partial(generator, self.seed)
        use = partial(judge_synthetic_use, made, train, control)
        rows = measured("synthetic", "utility", lambda: use(rng=rng("use")))
        attack = partial(judge_synthetic_risk, made, train, control, claim=claim, models=self.shadows)
        rows += measured("synthetic", "risk", lambda: attack(rng=rng("risk"), make=make if self.shadows else None))
        if self.shadows and self.canaries:
            plant = partial(judge_canaries, together([train, control]), make, claim=claim, models=self.shadows)
            rows += measured("synthetic", "risk", lambda: plant(count=self.canaries, rng=rng("canaries")))
        return rows
