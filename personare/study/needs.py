"""How many people each part of a plan needs and how many there are: said before the work starts."""

import math
from typing import Any

import numpy as np

from personare.core import registry
from personare.core.types import Cohort
from personare.evaluate.judging import Need
from personare.learn.accounting import noise_for
from personare.study.plan import StudyPlan

MEMBERSHIP = Need(people=4, why="in training, two for each half that shadow models learn from,")


def private_need(learner: Any) -> Need:
    """Return how many people a learner with privacy for each person needs.

    In a sum to which each person adds at most 1, two standard deviations of the noise must not exceed what all together
    can add: else what everybody says at once cannot be told from noise.
    """
    epsilon, delta = getattr(learner, "epsilon", None), getattr(learner, "delta", 1e-5)
    if epsilon is None or getattr(learner, "unit", "person") != "person":
        return Need(people=2)
    federation = getattr(learner, "federation", None)
    sites = federation.sites if federation and federation.noise == "site" else 1  # each adds noise of its own
    people = sites * max(2, math.ceil(2 * noise_for(epsilon, 1.0, 1, delta)))
    return Need(people=people, why=f"in training for epsilon = {epsilon:g} and delta = {delta:g}")


def lacking_of(cohort: Cohort, plan: StudyPlan) -> list[str]:
    """Return what of a plan too few people are there for, one line each; empty where there are enough for all."""
    subjects = np.array([r.subject for r in cohort.recordings], dtype=str)
    people = np.unique(subjects)
    shortages: list[tuple[str, str]] = []
    folders = {"evaluate.attacks": plan.attacks, "evaluate.utility": plan.utilities}
    for folder, names in folders.items() if plan.releases else ():
        for name in names:
            shortages.append((name, Need.of(registry.load(f"personare.{folder}", name)).lacking(subjects)))
    train = people[: max(0, len(people) - 2 * math.ceil(len(people) / 5))]  # of five folds two are kept out
    for model in plan.models:
        if model.protocol == "person_folds":
            shortages.append((model.name, private_need(model.learner()).lacking(train)))
            if plan.shadows and plan.membership:
                shortages.append((f"membership attacks on {model.name}", MEMBERSHIP.lacking(train)))
    for row in plan.representations:
        if row.held_out:
            need = Need(people=2, recordings_per_person=2, why="kept out")
            judges = np.isin(subjects, people[: round(row.held_out * len(people))])
            shortages.append((f"attacks on {row.name}", need.lacking(subjects[judges])))
            readers = Need(people=3, why="to learn from, of whom one chooses a reader,")
            shortages.append((f"readers of {row.name}", readers.lacking(subjects[~judges])))
    return [f"{name}: {why}" for name, why in shortages if why]
