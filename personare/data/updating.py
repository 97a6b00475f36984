"""A cohort that is imported again: whether it may be, and the exchange of the old folder for the new one."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personare.core.errors import DataError
from personare.core.types import Cohort
from personare.data.cohort import UNFINISHED, open_cohort

__all__ = ["IMPORT", "beside", "exchange", "import_before"]

IMPORT = "import.json"
"""What an import notes of itself in the cohort."""


def import_before(target: Path, made_by: Mapping[str, str]) -> dict[str, Any]:
    """Return what the import that made the target noted; nothing where the target is new."""
    aside = beside(target, "before")
    if (aside / IMPORT).is_file():  # an exchange was killed before its end
        if target.exists():
            shutil.rmtree(aside)
        else:
            aside.rename(target)
    if (target / UNFINISHED).exists():
        raise DataError(f"{target} holds an import that did not finish. Delete the folder and import again.")
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return {}
    if not (target / IMPORT).is_file():
        raise DataError(f"{target} must be a new or an empty folder, but holds files. Choose another one.")
    before: dict[str, Any] = json.loads((target / IMPORT).read_text(encoding="utf-8"))
    for what, now in made_by.items():
        if before[what] != now:
            raise DataError(
                f"{target} was imported with {what} {before[what]}, not {now}. Import into a new folder, or give the "
                "same command as then to bring the cohort up to date."
            )
    return before


def beside(target: Path, word: str) -> Path:
    """Return a hidden folder beside the cohort."""
    return target.resolve().with_name(f".{target.resolve().name}.{word}")


def exchange(place: Path, target: Path) -> Cohort:
    """Put a finished cohort in the place of an older one; what others laid there (the ledger) is taken along."""
    aside, target = beside(target, "before"), target.resolve()
    for path in target.iterdir():
        if not path.name.startswith("sub-") and not (place / path.name).exists():
            copy = shutil.copytree if path.is_dir() else shutil.copy2
            copy(path, place / path.name)
    target.rename(aside)
    place.rename(target)
    shutil.rmtree(aside)
    return open_cohort(target)
