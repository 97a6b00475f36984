"""Makes a cohort of somebody's folder: every file is looked at, copied in its place, or listed with the reason."""

import csv
import io
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from personare.core.errors import DataError, OptionError
from personare.core.registry import create
from personare.core.types import Cohort, Recording, Withheld
from personare.data.atomic import write_json, write_text
from personare.data.cohort import CohortWriter, open_cohort
from personare.data.intake import Check, Cut, Intake
from personare.data.pseudonyms import POLICIES
from personare.data.subjects import Subjects
from personare.data.updating import IMPORT, beside, exchange, import_before
from personare.govern.consent import consent_again, consent_all, read_consent
from personare.govern.purposes import check_purposes

__all__ = ["READERS", "import_cohort"]

READERS = "personare.data.readers"


def _no_check(_path: Path, _track: str) -> None:
    return


def _no_sound(_video: Path, _sound: Path) -> bool:
    return False


def _no_cut(source: Path, _target: Path, _start_s: float, _end_s: float) -> bool:
    raise DataError(f"{source.name} is to be cut, and nothing here can cut. Import from the command line.")


def _silently(recordings: Sequence[Recording]) -> Iterable[Recording]:
    return recordings


def _unsaid(_remark: str) -> None:
    return


def import_cohort(  # noqa: PLR0913 - from check on they are lent: this layer decodes and shows nothing
    source: Path,
    target: Path,
    *,
    reader: str,
    options: Mapping[str, Any] | None = None,
    consent_purposes: Sequence[str] = (),
    pseudonyms: str = "names",
    check: Check = _no_check,
    extract_sound: Callable[[Path, Path], bool] = _no_sound,
    cut: Cut = _no_cut,
    progress: Callable[[Sequence[Recording]], Iterable[Recording]] = _silently,
    remark: Callable[[str], None] = _unsaid,
) -> tuple[Cohort, list[Withheld]]:
    """Copy a data set into a new cohort, or bring the cohort up to date that was made of it before.

    A film with sound gets a ``video`` and an ``audio`` track. A ``consent.tsv`` in the source is taken over; its rows
    win over ``consent_purposes``, so nobody's withdrawal is undone. In a cohort that is brought up to date, labels,
    people and recordings become what the source says now; ``consent.tsv`` stays as it was edited there.

    **Guarantee**: one bad file stops nothing; each is listed, here and in ``skipped.tsv`` of the cohort. An import that
    fails leaves nothing behind, and an older cohort as it was; one that is killed leaves a folder that does not open
    as a cohort. No name of a source's folder or file is in a name, id or description of the cohort. People of one's own
    source whose subject is no code get numbers; only the key beside the cohort tells whose they are.

    Args:
        source: The data set's folder.
        target: A folder that does not exist, is empty, or was made by an import of the same source.
        reader: A file name in ``data/readers``.
        options: The reader's options.
        consent_purposes: For each person a consent to these purposes is written down; none: nothing can be opened yet.
        pseudonyms: Who gets a number: ``names`` (who is called by no code), ``all`` or ``none``.
        check: Decodes a file of a track from start to end; returns what was repaired, a sentence each, or raises
            DataError if it is broken, empty, silent or cut off.
        extract_sound: Writes a film's sound to a WAV file and returns True, or returns False if it has none.
        cut: Writes a piece of a sound or film, from start to end in seconds; returns False if there is no sound in it.
        progress: Passes recordings on one by one and shows how many are left, e.g. ``tqdm``.
        remark: Is told what looks like a name, a date or an address, and what was repaired.

    Returns:
        The cohort, and what was not taken in.

    Raises:
        DataError: The target holds other files, the source cannot be read or holds nothing usable, two subjects may be
            one person, the disk is full.
        PolicyError: A purpose that is not on the list.
        UnknownMethodError: No such reader.
        OptionError: An option that there is not.
    """
    check_purposes(consent_purposes)
    if pseudonyms not in POLICIES:
        raise OptionError(f"pseudonyms must be one of {', '.join(POLICIES)}, not {pseudonyms!r}. Choose one of them.")
    read = create(READERS, reader, options)
    own = not read.citation
    made_by = {"source": str(source.resolve()), "reader": reader, "pseudonyms": pseudonyms}
    before = import_before(target, made_by)
    recordings, people, listed = read(source)
    skipped = [withheld for withheld in listed if target.resolve() not in (source / withheld.item).resolve().parents]
    subjects = Subjects.of(
        recordings,
        target=target,
        policy=pseudonyms if own or pseudonyms == "all" else "none",
        again=before.get("numbered", False),
    )
    if own:
        for sentence in subjects.remarks(recordings, people):
            remark(sentence)
        recordings = list(subjects.without_copies(source, recordings, skipped))
    place = beside(target, "import") if before else target
    with _removed_on_failure(place):
        name = subjects.cohort_name(target) if own else reader
        intake = Intake(
            source=source,
            writer=CohortWriter(place, name=name, description=_origin(read, reader, options)),
            check=check,
            extract_sound=extract_sound,
            cut=cut,
            known_words=not own,
            skipped=skipped,
            remark=remark,
        )
        if hasattr(read, "make"):
            intake.make = read.make(source)
        intake.take_all(progress(list(subjects.renamed(recordings, skipped))))
        if not intake.subjects:
            raise DataError(_nothing(source, reader, skipped))
        stated = _consent(subjects.consent(source, remark), sorted(intake.subjects), consent_purposes)
        consent = _edited(target, stated, set(consent_purposes) - set(before["consent"])) if before else stated
        note = {**made_by, "numbered": bool(subjects.key), "consent": [*before.get("consent", ()), *consent_purposes]}
        _write_notes(place, intake, note)
        subjects.write_key()
        people.index = pd.Index(map(subjects.pseudonym, people.index), name="subject", dtype=object)
        cohort = intake.writer.finish(people.loc[people.index.isin(intake.subjects)], consent)
        return exchange(place, target) if before else cohort, skipped


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
    how = {"ReaderOptions": dict(options or {})} if read.citation else {}  # the name of one's own table may be a name
    return {**{key: value for key, value in known.items() if value}, **links, "Reader": reader, **how}


def _consent(own: pd.DataFrame, subjects: Sequence[str], purposes: Sequence[str]) -> pd.DataFrame:
    own = own[own["subject"].isin(subjects)]
    others = [subject for subject in subjects if subject not in set(own["subject"])]
    return pd.concat([own, consent_all(others, purposes)], ignore_index=True) if others and purposes else own


def _edited(target: Path, stated: pd.DataFrame, purposes: Iterable[str]) -> pd.DataFrame:
    known = {recording.subject for recording in open_cohort(target).recordings}
    return consent_again(read_consent(target / "consent.tsv"), stated, known=known, purposes=purposes)


def _write_notes(root: Path, intake: Intake, note: Mapping[str, Any]) -> None:
    write_text(root / "imported.tsv", _tsv(intake.origins, ("recording", "track", "source")))
    skipped = [(withheld.item, withheld.problem, withheld.fix) for withheld in intake.skipped]
    write_text(root / "skipped.tsv", _tsv(skipped, ("item", "problem", "fix")))
    write_json(root / IMPORT, note)


def _nothing(source: Path, reader: str, skipped: Sequence[Withheld]) -> str:
    first = "; ".join(f"{withheld.item}: {withheld.problem}" for withheld in skipped[:5]) or "no file of a known kind"
    return f"The reader {reader} found no usable recording in {source} ({first}). Check the folder and the reader."


def _tsv(rows: Sequence[tuple[str, str, str]], columns: Sequence[str]) -> str:
    text = io.StringIO()  # pandas takes no file name that is not UTF-8
    plain = [[re.sub(r"[\t\r\n]+", " ", cell) for cell in row] for row in rows]
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows([columns, *plain])
    return text.getvalue()
