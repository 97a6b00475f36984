"""Looks through a whole cohort and lists every problem with its file and the fix, not only the first."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from personare.core.errors import DataError, PersonareError
from personare.core.types import Recording, Withheld
from personare.data.cohort import DESCRIPTION, cohort_kind, left_out, read_description, read_participants, scan
from personare.data.importing import Check
from personare.data.pseudonyms import is_code
from personare.govern.consent import check_consent, read_consent

_OLDEST = 130  # years


def validate(root: Path, *, check: Check | None = None) -> list[Withheld]:
    """List what is wrong with a cohort; an empty list means nothing is. Without ``check``, files are not opened."""
    if not root.is_dir():
        raise DataError(f"There is no cohort at {root}. Give a folder; 'personare import' makes one.")
    recordings, found = scan(root)
    identifiable = True  # where the cohort does not say what it holds, it may be people
    try:
        identifiable = cohort_kind(root) == "identifiable"
        if not read_description(root).get("Name"):
            found.append(left_out(DESCRIPTION, 'the key \'Name\' is missing. Add "Name": "..." to it.'))
    except DataError as error:
        found.append(left_out(DESCRIPTION, error))
    subjects = sorted({recording.subject for recording in recordings})
    people = _table(root, "participants.tsv", lambda: read_participants(root), found)
    consent = _table(root, "consent.tsv", lambda: read_consent(root / "consent.tsv"), found)
    for subject in [s for s in subjects if identifiable and not is_code(s)]:  # in releases, people were named by us
        problem = "this may be a name or initials, and every release and report would show it"
        fix = "Import the source again into a new folder: people get numbers there; or ignore this if it is a code."
        found.append(left_out(f"sub-{subject}", f"{problem}. {fix}"))
    if people is not None:
        found += [left_out("participants.tsv", said) for said in _people(people, subjects)]
    if consent is not None:
        found += check_consent(consent)
        for subject in [s for s in subjects if identifiable and s not in set(consent["subject"])]:
            problem = f"sub-{subject} has no row, so no recording of this person can be opened"
            found.append(left_out("consent.tsv", f"{problem}. Add a row, or remove the person."))
    for recording in recordings:
        found += _files(root, recording, check)
    return found


def _table(root: Path, name: str, read: Callable[[], pd.DataFrame], found: list[Withheld]) -> pd.DataFrame | None:
    try:
        if not (root / name).is_file():
            raise DataError(f"the file is missing. Write {name}; see docs/cohorts.md.")
        return read()
    except PersonareError as error:
        found.append(left_out(name, error))
        return None


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


def _files(root: Path, recording: Recording, check: Check | None) -> Iterator[Withheld]:
    for track, relative in recording.tracks.items():
        try:
            if (root / relative).stat().st_size == 0:
                raise DataError("the file is empty (0 bytes). Get the file again, or remove it.")
            if check is not None:
                check(root / relative, track)
        except FileNotFoundError:
            yield left_out(relative, "the link leads nowhere. Get the file the link stands for.")
        except (DataError, OSError) as error:
            yield left_out(relative, error)
