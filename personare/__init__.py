"""personare: let behavior sound through; keep the person behind the mask."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Disguise", "StudyPlan", "anonymize_path", "load_plan", "open_cohort", "run_study"]


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used: ``import personare`` stays quick."""
    import importlib

    if name == "open_cohort":
        return importlib.import_module("personare.data.cohort").open_cohort
    if name in __all__:
        return getattr(importlib.import_module("personare.study"), name)
    raise AttributeError(f"personare has no '{name}'.")
