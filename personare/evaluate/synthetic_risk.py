"""Everything that is asked of synthetic people: can anybody whom they were learned from be found?"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from personare.core.errors import DataError
from personare.core.registry import create
from personare.core.types import Batch, Result, Spend
from personare.evaluate.exposed import together
from personare.evaluate.selftest import beside, marked
from personare.evaluate.shadow_generators import FitAndSample, as_they_are, judge_shadows, shadow_signals
from personare.evaluate.synthetic_case import SyntheticCase
from personare.evaluate.unmeasured import unmeasured

__all__ = ["ATTACKS", "judge_synthetic_risk"]

_FOLDER: Final = "personare.evaluate.attacks"
ATTACKS: Final[Sequence[tuple[str, Mapping[str, Any]]]] = (
    ("synthetic_membership", {"estimator": "neighbor"}),
    ("synthetic_membership", {"estimator": "normal"}),
    ("synthetic_singling_out", {}),
    ("synthetic_linkability", {}),
    ("synthetic_inference", {}),
    ("synthetic_copies", {}),
    ("synthetic_identity", {}),
)
"""What is run, with options."""


def judge_synthetic_risk(
    synthetic: Batch,
    train: Batch,
    control: Batch,
    *,
    rng: np.random.Generator,
    claim: Spend | None = None,
    make: FitAndSample | None = None,
    models: int = 16,
) -> list[Result]:
    """Run every attack on synthetic people, on average and on the most exposed of the real ones.

    **Guarantee**: people learned from and others are treated alike, so that of a generator that ignores its data every
    attack finds nothing but luck. An attack that does not find people in the worst release, the recordings learned
    from as they are, is marked ``not informative``; its figure there is each row's baseline.

    Args:
        synthetic: The release.
        train: Everybody whom the generator learned from.
        control: Other people of the same cohort, never seen by it. As many as in ``train`` make the sharpest test.
        rng: Draws, bootstrap.
        claim: The privacy the generator was trained with; draws the bound of membership.
        make: Fits a generator on some of the people of both groups and samples; None: no shadows.
        models: How many shadow generators, even.

    Returns:
        Risks. An attack that cannot be run is one row of NaN with the reason.

    Raises:
        DataError: Too few people, somebody in both groups, other modalities.
    """
    case = SyntheticCase.of(synthetic, train, control, rng=rng)
    rows: list[Result] = []
    for name, options in ATTACKS:
        seed = int(rng.integers(2**31))  # the same draws on the release and on the worst one
        claimed = {"claim": claim} if name == "synthetic_membership" else {}
        attack = create(_FOLDER, name, options)
        found = _run(attack, name, partial(attack, case, rng=np.random.default_rng(seed), **claimed))
        worst = _run(attack, name, partial(attack, case.unprotected, rng=np.random.default_rng(seed)))
        before = {row.key: row.value for row in worst}
        for row in (replace(row, baseline=before.get(row.key, row.baseline)) for row in found):
            rows += [row] if math.isnan(row.value) else marked([row], worst)  # what is missing has its own reason
    if make is not None:
        pool = together([train, control])
        open_rng = np.random.default_rng(int(rng.integers(2**31)))
        open_rows = judge_shadows(*shadow_signals(pool, as_they_are, models=models, rng=open_rng), rng=open_rng)
        worst_of = {row.key: row for row in open_rows}
        found = judge_shadows(*shadow_signals(pool, make, models=models, rng=rng), claim=claim, rng=rng)
        rows += [beside(row, worst_of[row.key], "the recordings themselves") for row in found]
    return [replace(row, kind="synthetic") for row in rows]


def _run(attack: Any, name: str, run: Callable[[], list[Result]]) -> list[Result]:
    try:
        return run()
    except DataError as error:
        return [unmeasured(name, attack.question, error)]
