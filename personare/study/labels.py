"""Which label a study reads: the one asked for, or the one that a cohort has."""

from dataclasses import replace

from personare.core.errors import DataError, OptionError
from personare.core.types import Cohort
from personare.data.labels import as_number, check_classes, kind_of_label
from personare.study.plan import StudyPlan, kinds

_ASIDE = {"sentence", "intensity", "repetition", "split", "synthetic", "sex", "age"}
"""What says how a recording was made or who is in it, and is read only where it is asked for."""


def values_of(cohort: Cohort, label: str) -> list[str]:
    """Return a label of each recording that has it; of a column of the participants, that of its person."""
    values = [r.labels[label] for r in cohort.recordings if r.labels.get(label)]
    if values or label not in cohort.participants:
        return values
    people = cohort.participants[label].dropna().astype(str).to_dict()
    return [people[r.subject] for r in cohort.recordings if people.get(r.subject)]


def choose_label(cohort: Cohort, plan: StudyPlan) -> StudyPlan:
    """Return the plan with its label, or else the emotion, or the one label there is; refused where that is unclear."""
    of_recordings = sorted({name for r in cohort.recordings for name in r.labels})
    of_people = sorted(set(map(str, cohort.participants)) - set(of_recordings))
    choices = ", ".join([*of_recordings, *(f"{name} (of the person)" for name in of_people)]) or "none"
    planned = {row.label for table in kinds() for row in plan.rows(table) if hasattr(row, "label")} - {""}
    label = plan.label or (planned.pop() if len(planned) == 1 else "")
    if not label and "emotion" not in of_recordings:
        candidates = [name for name in of_recordings if _varies(cohort, name)]
        candidates = candidates or [name for name in of_people if _varies(cohort, name)]
        if len(candidates) > 1:
            first = candidates[0]
            raise OptionError(
                f"{cohort.name} has no emotion, but {choices}. Say what is to be read, e.g. --label {first}, or "
                f'label = "{first}" in the study file.'
            )
        label = "".join(candidates)
    label = label or "emotion"  # where there is none, nothing can be read as it
    values = values_of(cohort, label)
    if plan.label and not values:
        raise OptionError(f"{cohort.name} has no label {label!r}. Choose one of: {choices}.")
    kind = plan.kind or kind_of_label(values)
    if kind == "nominal":
        try:
            check_classes(values, label)
        except DataError as error:
            raise OptionError(str(error)) from error
    return replace(plan, label=label, kind=kind)


def _varies(cohort: Cohort, name: str) -> bool:
    """Whether a column can be read: not the same everywhere, and no text that is another one in each recording."""
    values = values_of(cohort, name)
    free = len(set(values)) == len(values) and any(as_number(value) != as_number(value) for value in values)
    return name not in _ASIDE and len(set(values)) > 1 and not free
