"""personare: let behavior sound through; keep the person behind the mask."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Disguise": "personare.anonymize._recordings",
    "StudyPlan": "personare.study.plan",
    "Workers": "personare.study.parallel",
    "anonymize_path": "personare.study.anonymizing",
    "load_plan": "personare.study.plan",
    "open_cohort": "personare.data.cohort",
    "open_ledger": "personare.study.access",
    "run_study": "personare.study.run",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``import personare`` stays quick."""
    if name not in _PUBLIC:
        raise AttributeError(f"personare has no '{name}'.")
    return getattr(import_module(_PUBLIC[name]), name)
