"""What a plan infers, of whom and from what, put before the policy; nothing is opened for that."""

from collections.abc import Iterator, Sequence

from personare.core import registry
from personare.core.types import Cohort
from personare.data.cohort import declared_modalities
from personare.data.roles import recorded_as
from personare.govern.policy import check_attack
from personare.study.access import tracks_of
from personare.study.labels import values_of
from personare.study.plan import StudyPlan, kinds


def check_plan(cohort: Cohort, plan: StudyPlan) -> None:
    """Refuse a plan that infers what must not be inferred where it will be used, or attacks for another purpose.

    Raises:
        PolicyError: Which rule forbids it, and what may be done instead.
    """
    declared = declared_modalities(cohort.root)
    for label, tracks in _inferred(cohort, plan):
        plan.use.check_inference(label, values_of(cohort, label), {recorded_as(track, declared) for track in tracks})
    names = {*plan.attacks, *(plan.disclosure if plan.models else ())}
    asked = {name: registry.load("personare.evaluate.attacks", name).question for name in sorted(names)}
    # of all else it is always asked who is in it
    asked |= {row.name: "identify" for table in {*kinds()} - {"releases", "models"} for row in plan.rows(table)}
    for name, question in asked.items():
        check_attack(name, question, plan.purpose)


def _inferred(cohort: Cohort, plan: StudyPlan) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield every label that a plan reads, with the tracks that it is read from."""
    for table in kinds():
        for row in plan.rows(table):
            tracks = tracks_of(cohort, row.modalities, getattr(row, "texts", True))
            labels = {getattr(row, "label", plan.label if plan.utilities else ""), *getattr(row, "cues", ())}
            labels |= {task.label for task in plan.transfer} if table == "representations" else set()
            for label in labels - {""}:
                yield label, tracks
