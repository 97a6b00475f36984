"""Judges synthetic people: can anybody whom they were learned from be found, and what are they good for.

The strongest test of membership fits many generators on halves of the people, and each is the target once.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.registry import create, find, load
from personare.core.types import Array, Batch, Result, Spend
from personare.evaluate.membership import Signals, attack_scores, member_row, member_rows, split_halves
from personare.evaluate.metrics import means_by_person
from personare.evaluate.selftest import beside, marked
from personare.evaluate.synthetic_case import (
    SyntheticCase,
    check_comparable,
    most_isolated,
    nearest,
    normal_density,
    numbers,
    scaling,
    thinned,
    together,
)
from personare.evaluate.unmeasured import answers, measured
from personare.features.visits import is_history, moved_history

FitAndSample = Callable[[Batch, np.random.Generator], Batch]
"""Recordings of some of the people, and randomness in; a generator learned from them, and synthetic people out."""

_ATTACKS: Final = "personare.evaluate.attacks"
_UTILITIES: Final = "personare.evaluate.utility"
_FEWEST: Final = (6, 3)  # recordings with a fifth neighbor, and people for three folds
_TINY: Final = 1e-6
_EACH: Final = 60  # recordings looked at of one person


def judge_synthetic_use(made: Batch, train: Batch, test: Batch, *, rng: np.random.Generator) -> list[Result]:
    """Run every measure of ``evaluate/utility`` that can be made of synthetic people.

    A measure that names its ``tracks`` is asked where they are there, and then instead of those for any track.
    """
    check_comparable(made, train, test)
    if made.classes != train.classes:
        raise DataError("Made-up recordings must have the classes of the real ones.")
    for name, batch in {"made": made, "train": train, "test": test}.items():
        if len(batch) < _FEWEST[0] or len(np.unique(batch.subjects)) < _FEWEST[1]:
            raise DataError(
                f"Likeness needs at least {_FEWEST[0]} recordings of {_FEWEST[1]} people on each side, but {name} "
                f"has {len(batch)} of {len(np.unique(batch.subjects))}. Make or keep out more people."
            )
    measures = {name: load(_UTILITIES, name) for name in find(_UTILITIES)}
    measures = {name: m for name, m in measures.items() if answers(m, "synthetic")}
    of_tracks = [name for name, m in measures.items() if hasattr(m, "tracks") and {*m.tracks} <= {*train.arrays}]
    rows: list[Result] = []
    seed = int(rng.integers(2**31))  # a measure that a package adds shifts no other's draws
    for name in of_tracks or [name for name, m in measures.items() if not hasattr(m, "tracks")]:
        measure = partial(measures[name](), train, made, others=test, rng=generator(seed, "utility", name))
        rows += measured(name, "resemble", measure)
    return [replace(row, kind="synthetic") for row in rows]


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
    """Run every attack of ``evaluate/attacks`` on synthetic people, on average and on the outliers among the real ones.

    **Guarantee**: people learned from and others are treated alike, so that of a generator that ignores its data every
    attack finds nothing but luck. An attack that does not find people in the worst release, the recordings learned
    from as they are, is marked ``not informative``; its figure there is each row's baseline.

    ``train`` is everybody whom the generator learned from; ``control`` are other people of the same cohort, as many for
    the sharpest test. ``claim`` is the privacy it was trained with. ``make`` fits one on some of either group: then
    ``models`` shadow generators attack as well, see ``judge_shadows``.
    """
    case = SyntheticCase.of(synthetic, train, control, rng=rng)
    seed = int(rng.integers(2**31))  # an attack that a package adds shifts no other's draws
    rows: list[Result] = []
    for name in find(_ATTACKS):
        if not answers(load(_ATTACKS, name), "synthetic"):
            continue
        attack = create(_ATTACKS, name)
        draws = partial(generator, seed, "attack", name)  # the same on the release and on the worst one
        worst = measured(name, attack.question, partial(attack, case.unprotected, rng=draws()))
        before = {row.key: row.value for row in worst}
        after = measured(name, attack.question, partial(attack, case, rng=draws(), claim=claim))
        rows += marked([replace(row, baseline=before.get(row.key, row.baseline)) for row in after], worst)
    if make is not None:
        pool, shadows = together([train, control]), generator(seed, "shadows")
        rows += judge_shadows(pool, make, models=models, claim=claim, rng=shadows)
    return [replace(row, kind="synthetic") for row in rows]


def judge_shadows(
    pool: Batch,
    make: FitAndSample,
    *,
    models: int = 16,
    canaries: int = 0,
    strength: float = 0.7,
    claim: Spend | None = None,
    rng: np.random.Generator,
) -> list[Result]:
    """Fit a generator on each of many halves of the people, and let LiRA tell from its samples who was in which.

    Everybody is in exactly half of the generators. They are described by how near its samples come: ``neighbor``, minus
    the logarithm of the distance to the nearest synthetic recording, and ``normal``, the log-density under a normal
    distribution of the synthetic recordings; both are the mean over a person's recordings.

    ``auc`` and ``tpr_fpr10`` are measured as ``synthetic_shadow_<what>``, over everybody and the outliers. With
    ``canaries``, so many extreme people are planted (see ``canary_people``), and the figures are about them alone, as
    ``synthetic_canaries_<what>``. A generator that remembers must show them, or the test says nothing; a private one
    may show no more than its claim allows, and these are the people for whom that is hardest.

    The baseline is the same attack where the recordings are released as they are; where even that finds nobody, rows
    are not informative. ``claim`` is the privacy of every generator.

    **Source**: T. Stadler, B. Oprisanu, C. Troncoso, "Synthetic data - anonymisation groundhog day", USENIX Security
    2022 (arXiv 2011.07018), with densities of the person's own recordings as features.
    """
    if canaries:
        pool, real_people = canary_people(pool, canaries, strength=strength, rng=rng), pool.subjects
    names, people = np.unique(pool.subjects, return_inverse=True)
    scaled, lira = scaling(pool), create(_ATTACKS, "membership_lira")

    def attacked(make: FitAndSample, claim: Spend | None, rng: np.random.Generator) -> list[Result]:
        kept = thinned(people, _EACH, rng)
        real, whose = numbers(scaled(pool).take(kept)), people[kept]
        inside = split_halves(names, models, rng=rng)
        scores: dict[str, list[Array]] = {"neighbor": [], "normal": []}
        for half in inside:
            made = numbers(scaled(make(pool.take(half[people]), rng)))
            scores["neighbor"].append(means_by_person(-np.log(np.maximum(nearest(real, made), _TINY)), whose))
            scores["normal"].append(means_by_person(normal_density(made)(real), whose))
        subsets = {"": np.ones(len(names), dtype=bool)}
        if canaries:
            subsets[""] = ~np.isin(names, real_people)
        else:
            subsets["outliers"] = most_isolated(nearest(real, real, whose), whose, subsets[""])
        rows: list[Result] = []
        for what, each in scores.items():
            # What a generator's samples have in common for everybody is luck of the draw, not membership: every
            # generator learned from half of the people, so it says nothing of who is in which half.
            values = np.stack(each)
            values = values - np.median(values, axis=1, keepdims=True)
            method = f"synthetic_{'canaries' if canaries else 'shadow'}_{what}"
            for subset, some in subsets.items():
                signals = Signals.of_scores(values[:, some], inside[:, some], names[some])
                rows += member_rows(
                    member_row(kind="synthetic", method=method, subset=subset, attacker="shadow"),
                    partial(attack_scores, lira, signals),
                    figures=("auc",) if subset else ("auc", "tpr_fpr10"),  # so few people have no rates
                    claim=claim,
                    targets_drawn=True,
                    rng=rng,
                )
        return rows

    worst = {row.key: row for row in attacked(lambda some, _: some, None, np.random.default_rng(0))}
    return [beside(row, worst[row.key], "the recordings themselves") for row in attacked(make, claim, rng)]


def canary_people(batch: Batch, count: int, *, strength: float = 0.7, rng: np.random.Generator) -> Batch:
    """Return a batch with people planted in it who are extreme, and yet no number of theirs is out of range.

    Each takes over the recordings of a real person, and every channel of theirs is moved a part (``strength``, up to 1)
    of the way to the cohort's largest or smallest value of that channel, drawn once for each canary: only together are
    the numbers unusual. Histories of visits stay histories: codes drawn once are put into, or left out of, that part of
    the visits.
    """
    if count < 1 or not 0 < strength <= 1:
        raise OptionError(f"Canaries need a count of at least 1 and a strength in (0, 1], given {count}, {strength}.")
    if text := [m for m, values in batch.arrays.items() if values.dtype.kind == "U"]:
        raise DataError(f"{', '.join(text)} is text and has no range to be extreme in: plant canaries without it.")

    def moved(modality: str, values: Array) -> Array:
        if is_history(batch, modality):
            return moved_history(values, batch.columns[modality], strength, rng=rng)
        there = batch.arrays[modality][batch.present[modality]]
        # the axis whose entries mean different things: columns of a table or signal, bands, colors
        axis = {2: 1, 3: 2}.get(values.ndim, 2 if values.shape[1] == 1 else 1)
        others = tuple(k for k in range(values.ndim) if k != axis)
        low, high = there.min(axis=others, keepdims=True), there.max(axis=others, keepdims=True)
        corner = np.where(rng.random(low.shape) < 0.5, low, high)
        return np.asarray((1 - strength) * values + strength * corner, dtype=values.dtype)

    parts = [batch]
    names = np.unique(batch.subjects)
    for number in range(1, count + 1):
        taken = batch.take(np.flatnonzero(batch.subjects == rng.choice(names)))
        name = f"canary-{number:04d}"
        ids = tuple(f"{name}_{k}" for k in range(len(taken)))
        arrays = {modality: moved(modality, values) for modality, values in taken.arrays.items()}
        parts.append(replace(taken, ids=ids, arrays=arrays, subjects=np.full(len(taken), name)))
    return together(parts)
