"""Makes a cohort of somebody's folder: every file is looked at, copied in its place, or listed with the reason."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from personare.core.errors import DataError
from personare.core.registry import create
from personare.core.types import Cohort, Recording, Withheld
from personare.data.atomic import write_text
from personare.data.cohort import UNFINISHED, CohortWriter
from personare.data.intake import Intake
from personare.govern.consent import consent_all, read_consent
from personare.govern.purposes import check_purposes

__all__ = ["READERS", "import_cohort"]

READERS = "personare.data.readers"


def _no_check(_path: Path, _track: str) -> None:
    return


def _no_sound(_video: Path, _sound: Path) -> bool:
    return False


def _silently(recordings: Sequence[Recording]) -> Iterable[Recording]:
    return recordings


def import_cohort(  # noqa: PLR0913 - the last three are what the layer above lends: this one decodes and shows nothing
    source: Path,
    target: Path,
    *,
    reader: str,
    options: Mapping[str, Any] | None = None,
    consent_purposes: Sequence[str] = (),
    check: Callable[[Path, str], None] = _no_check,
    extract_sound: Callable[[Path, Path], bool] = _no_sound,
    progress: Callable[[Sequence[Recording]], Iterable[Recording]] = _silently,
) -> tuple[Cohort, list[Withheld]]:
    """Copy a data set into a new cohort.

    A film with sound gets a ``video`` and an ``audio`` track. A ``consent.tsv`` in the source is taken over; its rows
    win over ``consent_purposes``, so nobody's withdrawal is undone.

    **Guarantee**: one bad file stops nothing; each is listed, here and in ``skipped.tsv`` of the cohort. An import that
    fails leaves nothing behind; one that is killed leaves a folder that does not open as a cohort.

    Args:
        source: The data set's folder.
        target: A folder that does not exist or is empty.
        reader: A file name in ``data/readers``.
        options: The reader's options.
        consent_purposes: For each person a consent to these purposes is written down; none: nothing can be opened yet.
        check: Decodes a file of a track from start to end; raises DataError if it is broken, empty, silent or cut off.
        extract_sound: Writes a film's sound to a WAV file and returns True, or returns False if it has none.
        progress: Passes recordings on one by one and shows how many are left, e.g. ``tqdm``.

    Returns:
        The cohort, and what was not taken in.

    Raises:
        DataError: The target holds files, the source cannot be read or holds nothing usable, the disk is full.
        PolicyError: A purpose that is not on the list.
        UnknownMethodError: No such reader.
        OptionError: An option the reader does not have.
    """
    check_purposes(consent_purposes)
    read = create(READERS, reader, options)
    _must_be_empty(target)
    recordings, people, listed = read(source)
    skipped = list(listed)
    with _removed_on_failure(target):
        name = reader if read.citation else source.resolve().name
        writer = CohortWriter(target, name=name, description=_origin(read, reader, options))
        intake = Intake(source=source, writer=writer, check=check, extract_sound=extract_sound, skipped=skipped)
        if hasattr(read, "make"):
            intake.make = read.make(source)
        with closing(intake):
            for recording in progress(recordings):
                intake.take(recording)
        if not intake.subjects:
            raise DataError(_nothing(source, reader, skipped))
        subjects = sorted(intake.subjects)
        write_text(target / "imported.tsv", _tsv(intake.origins, ("recording", "track", "source")))
        write_text(
            target / "skipped.tsv", _tsv([(w.item, w.problem, w.fix) for w in skipped], ("item", "problem", "fix"))
        )
        known = people.loc[people.index.isin(subjects)]
        return writer.finish(known, _consent(source, subjects, consent_purposes)), skipped


def _must_be_empty(target: Path) -> None:
    if (target / UNFINISHED).exists():
        raise DataError(f"{target} holds an import that did not finish. Delete the folder and import again.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"{target} must be a new or an empty folder, but holds files. Choose another one.")


@contextmanager
def _removed_on_failure(target: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _origin(read: Any, reader: str, options: Mapping[str, Any] | None) -> dict[str, Any]:
    known = {"License": read.license, "HowToAcknowledge": read.citation}
    links = {"ReferencesAndLinks": [read.home]} if read.home else {}
    how = {"Reader": reader, "ReaderOptions": dict(options or {})}
    return {**{key: value for key, value in known.items() if value}, **links, **how}


def _consent(source: Path, subjects: Sequence[str], purposes: Sequence[str]) -> pd.DataFrame:
    own = read_consent(source / "consent.tsv")
    own = own[own["subject"].isin(subjects)]
    others = [subject for subject in subjects if subject not in set(own["subject"])]
    return pd.concat([own, consent_all(others, purposes)], ignore_index=True) if others and purposes else own


def _nothing(source: Path, reader: str, skipped: Sequence[Withheld]) -> str:
    first = "; ".join(f"{withheld.item}: {withheld.problem}" for withheld in skipped[:5]) or "no file of a known kind"
    return f"The reader {reader} found no usable recording in {source} ({first}). Check the folder and the reader."


def _tsv(rows: Sequence[tuple[str, str, str]], columns: Sequence[str]) -> str:
    table = pd.DataFrame(list(rows), columns=list(columns))
    return table.replace(r"[\t\r\n]+", " ", regex=True).to_csv(sep="\t", index=False)
