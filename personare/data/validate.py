"""Looks through a whole cohort and lists every problem with its file and the fix, not only the first."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from personare.core.errors import DataError, PersonareError
from personare.core.types import Recording, Withheld
from personare.data.cohort import UNFINISHED, cohort_kind, read_participants
from personare.data.index import scan
from personare.data.intake import Check
from personare.data.pseudonyms import is_code
from personare.govern.consent import check_consent, read_consent

__all__ = ["validate"]

_OLDEST = 130  # years
_NAMED = "this may be a name or initials, and every release and report would show it"
_NUMBER = "Import the source again into a new folder: people get numbers there; or ignore this if it is a code."


def validate(root: Path, *, check: Check | None = None) -> list[Withheld]:
    """List what is wrong with a cohort; an empty list means nothing is.

    Args:
        root: The cohort.
        check: Decodes a file of a track; raises DataError if it is broken. Without it, files are not opened.

    Raises:
        DataError: There is no such folder.
    """
    if not root.is_dir():
        raise DataError(f"There is no cohort at {root}. Give a folder; 'personare import' makes one.")
    recordings, found = scan(root)
    found += _description(root)
    people, problems = _table(root, "participants.tsv", read_participants)
    found += problems
    consent, problems = _table(root, "consent.tsv", read_consent)
    found += problems
    subjects = sorted({recording.subject for recording in recordings})
    named = [s for s in subjects if not is_code(s)] if _needs_consent(root) else []  # others were named by us
    found += [Withheld(item=f"sub-{s}", problem=_NAMED, fix=_NUMBER) for s in named]
    if people is not None:
        found += _people(people, subjects)
    if consent is not None:
        found += check_consent(consent)
        found += _without_consent(consent, subjects) if _needs_consent(root) else []
    for recording in recordings:
        found += _files(root, recording, check)
    return found


def _needs_consent(root: Path) -> bool:
    """Return True also where the cohort does not say what it holds: it may be people."""
    try:
        return cohort_kind(root) == "identifiable"
    except DataError:
        return True


def _description(root: Path) -> Iterator[Withheld]:
    name = "dataset_description.json"
    if (root / UNFINISHED).exists() or not (root / name).is_file():
        yield Withheld(item=name, problem="the cohort is not finished", fix="Delete the folder and make it again.")
        return
    try:
        content = json.loads((root / name).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        yield Withheld(item=name, problem=f"it cannot be read: {error}", fix="Correct the JSON.")
        return
    if not isinstance(content, dict) or not content.get("Name"):
        yield Withheld(item=name, problem="the key 'Name' is missing", fix='Add "Name": "..." to it.')


def _table(
    root: Path, name: str, read: Callable[[Path], pd.DataFrame]
) -> tuple[pd.DataFrame | None, Sequence[Withheld]]:
    path = root if name == "participants.tsv" else root / name
    if not (root / name).is_file():
        return None, [Withheld(item=name, problem="the file is missing", fix=f"Write {name}; see docs/cohorts.md.")]
    try:
        return read(path), []
    except PersonareError as error:
        return None, [Withheld(item=name, problem=str(error), fix="Correct the table.")]


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


def _without_consent(consent: pd.DataFrame, subjects: Sequence[str]) -> Iterator[Withheld]:
    known = set(consent["subject"])
    for subject in [s for s in subjects if s not in known]:
        yield Withheld(
            item="consent.tsv",
            problem=f"sub-{subject} has no row, so no recording of this person can be opened",
            fix="Add a row, or remove the person.",
        )


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
