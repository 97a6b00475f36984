"""Looks through a whole cohort and lists every problem with its file and the fix, not only the first."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from personare.core.errors import DataError, data_errors
from personare.core.types import Withheld
from personare.data.cohort import DESCRIPTION, cohort_kind, read_description, read_participants, scan
from personare.data.importing import Check
from personare.data.pseudonyms import is_code
from personare.govern.consent import check_consent, read_consent
from personare.govern.storage import not_locked

_OLDEST = 130  # years


def validate(root: Path, *, check: Check | None = None) -> list[Withheld]:
    """List what is wrong with a cohort; an empty list means nothing is. Without ``check``, files are not opened."""
    recordings, problems = scan(root)
    subjects = sorted({recording.subject for recording in recordings})
    identifiable = True  # where the cohort does not say what it holds, it may be people
    with problems.listing(DESCRIPTION):
        identifiable = cohort_kind(root) == "identifiable"
        if not read_description(root).get("Name"):
            problems.note(DESCRIPTION, 'the key \'Name\' is missing. Add "Name": "..." to it.')
    for subject in [s for s in subjects if identifiable and not is_code(s)]:  # in releases, people were named by us
        problem = "this may be a name or initials, and every release and report would show it"
        fix = "Import the source again into a new folder: people get numbers there; or ignore this if it is a code."
        problems.note(f"sub-{subject}", f"{problem}. {fix}")
    with problems.listing("participants.tsv"):
        for problem in _people(read_participants(_there(root / "participants.tsv").parent), subjects):
            problems.note("participants.tsv", problem)
    with problems.listing("consent.tsv"):
        consent = read_consent(_there(root / "consent.tsv"))
        problems += check_consent(consent)
        for subject in [s for s in subjects if identifiable and s not in set(consent["subject"])]:
            problem = f"sub-{subject} has no row, so no recording of this person can be opened"
            problems.note("consent.tsv", f"{problem}. Add a row, or remove the person.")
    for track, path in [item for recording in recordings for item in recording.tracks.items()]:
        with problems.listing(path), data_errors("it cannot be read", "Get the file again."):
            if not (root / path).exists():
                raise DataError("the link leads nowhere. Get the file the link stands for.")
            if (root / path).stat().st_size == 0:
                raise DataError("the file is empty (0 bytes). Get the file again, or remove it.")
            if check is not None:
                check(root / path, track)
    for plain in not_locked(root):
        item = plain.relative_to(root).as_posix()
        problems.note(item, "it is not encrypted, as other files are. Run 'personare lock' again.")
    return problems


def _there(table: Path) -> Path:
    if not table.is_file():
        raise DataError(f"the file is missing. Write {table.name}; see docs/cohorts.md.")
    return table


def _people(people: pd.DataFrame, subjects: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the table of participants, and what to do."""
    for subject in sorted(set(people.index[people.index.duplicated()])):
        yield f"sub-{subject} has several rows. Keep one row a person."
    for subject in [s for s in subjects if s not in people.index]:
        yield f"sub-{subject} has recordings but no row. Add a row sub-{subject}."
    for subject in [s for s in people.index if s not in subjects]:
        yield f"sub-{subject} has a row but no recording. Remove the row."
    sexes = people["sex"].dropna() if "sex" in people else pd.Series(dtype=object)
    for subject, value in sexes[~sexes.isin(["F", "M"])].items():
        yield f"sub-{subject}: sex {value!r} is not known. Use F, M or n/a."
    ages = people["age"].dropna() if "age" in people else pd.Series(dtype=float)
    for subject, value in ages[(ages <= 0) | (ages >= _OLDEST)].items():
        yield f"sub-{subject}: age {value:g} cannot be. Give it in years."
