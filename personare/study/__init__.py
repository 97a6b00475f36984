"""The stages of a study in order: cohort, releases, utility and risk, frontier."""

from personare.anonymize._recordings import Disguise
from personare.study.loose import anonymize_path
from personare.study.plan import StudyPlan, load_plan
from personare.study.run import made_up_cohort, run_study

__all__ = ["Disguise", "StudyPlan", "anonymize_path", "load_plan", "made_up_cohort", "run_study"]
