"""Looks through a whole cohort and lists every problem with its file and the fix, not only the first."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from personare.core.errors import DataError, PersonareError
from personare.core.types import Recording, Withheld
from personare.data.cohort import DESCRIPTION, UNFINISHED, cohort_kind, read_participants, scan
from personare.data.importing import Check
from personare.data.pseudonyms import is_code
from personare.govern.consent import check_consent, read_consent

_OLDEST = 130  # years


def validate(root: Path, *, check: Check | None = None) -> list[Withheld]:
    """List what is wrong with a cohort; an empty list means nothing is.

    Args:
        root: The cohort.
        check: Decodes a file of a track; raises DataError if it is broken. Without it, files are not opened.
    """
    if not root.is_dir():
        raise DataError(f"There is no cohort at {root}. Give a folder; 'personare import' makes one.")
    recordings, found = scan(root)
    try:
        identifiable = cohort_kind(root) == "identifiable"
    except DataError:
        identifiable = True  # where the cohort does not say what it holds, it may be people
    subjects = sorted({recording.subject for recording in recordings})
    found += _description(root)
    people = _table(root, "participants.tsv", lambda: read_participants(root), found)
    consent = _table(root, "consent.tsv", lambda: read_consent(root / "consent.tsv"), found)
    for subject in [s for s in subjects if identifiable and not is_code(s)]:  # in releases, people were named by us
        problem = "this may be a name or initials, and every release and report would show it"
        fix = "Import the source again into a new folder: people get numbers there; or ignore this if it is a code."
        found.append(Withheld(item=f"sub-{subject}", problem=problem, fix=fix))
    if people is not None:
        found += _people(people, subjects)
    if consent is not None:
        found += check_consent(consent)
        for subject in [s for s in subjects if identifiable and s not in set(consent["subject"])]:
            problem = f"sub-{subject} has no row, so no recording of this person can be opened"
            found.append(Withheld(item="consent.tsv", problem=problem, fix="Add a row, or remove the person."))
    for recording in recordings:
        found += _files(root, recording, check)
    return found


def _description(root: Path) -> Iterator[Withheld]:
    if (root / UNFINISHED).exists() or not (root / DESCRIPTION).is_file():
        fix = "Delete the folder and make it again."
        yield Withheld(item=DESCRIPTION, problem="the cohort is not finished", fix=fix)
        return
    try:
        content = json.loads((root / DESCRIPTION).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        yield Withheld(item=DESCRIPTION, problem=f"it cannot be read: {error}", fix="Correct the JSON.")
        return
    if not isinstance(content, dict) or not content.get("Name"):
        yield Withheld(item=DESCRIPTION, problem="the key 'Name' is missing", fix='Add "Name": "..." to it.')


def _table(root: Path, name: str, read: Callable[[], pd.DataFrame], found: list[Withheld]) -> pd.DataFrame | None:
    if not (root / name).is_file():
        found.append(Withheld(item=name, problem="the file is missing", fix=f"Write {name}; see docs/cohorts.md."))
        return None
    try:
        return read()
    except PersonareError as error:
        found.append(Withheld(item=name, problem=str(error), fix="Correct the table."))
        return None


def _people(people: pd.DataFrame, subjects: Sequence[str]) -> Iterator[Withheld]:
    file = "participants.tsv"
    for subject in sorted(set(people.index[people.index.duplicated()])):
        yield Withheld(item=file, problem=f"sub-{subject} has several rows", fix="Keep one row a person.")
    for subject in [s for s in subjects if s not in people.index]:
        yield Withheld(item=file, problem=f"sub-{subject} has recordings but no row", fix=f"Add a row sub-{subject}.")
    for subject in [s for s in people.index if s not in subjects]:
        yield Withheld(item=file, problem=f"sub-{subject} has a row but no recording", fix="Remove the row.")
    sexes = people["sex"].dropna() if "sex" in people else pd.Series(dtype=object)
    for subject, value in sexes[~sexes.isin(["F", "M"])].items():
        yield Withheld(item=file, problem=f"sub-{subject}: sex {value!r} is not known", fix="Use F, M or n/a.")
    ages = people["age"].dropna() if "age" in people else pd.Series(dtype=float)
    for subject, value in ages[(ages <= 0) | (ages >= _OLDEST)].items():
        yield Withheld(item=file, problem=f"sub-{subject}: age {value:g} cannot be", fix="Give it in years.")


def _files(root: Path, recording: Recording, check: Check | None) -> Iterator[Withheld]:
    for track, relative in recording.tracks.items():
        path = root / relative
        try:
            if path.stat().st_size == 0:
                raise DataError("the file is empty (0 bytes)")
            if check is not None:
                check(path, track)
        except FileNotFoundError:
            yield Withheld(item=relative, problem="the link leads nowhere", fix="Get the file the link stands for.")
        except (DataError, OSError) as error:
            yield Withheld(item=relative, problem=str(error), fix="Get the file again, or remove it.")
