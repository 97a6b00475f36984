"""What each person agreed to, read from ``consent.tsv`` and asked before every opening of a recording.

One row is one consent: the person's pseudonym, its scope as a GA4GH Data Use Ontology (DUO) code, the purposes and the
modalities it covers (lists separated by commas, or ``all`` for every modality), the last day it holds
(``retention_until``, empty for no end) and the day it was taken back (``withdrawn_at``, empty if it was not).
The purposes decide; the scope says in a term other systems understand how the consent was worded.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Withheld
from personare.govern.purposes import PURPOSES, check_purposes

__all__ = [
    "CONSENT_COLUMNS",
    "SCOPES",
    "check_consent",
    "consent_again",
    "consent_all",
    "no_consent",
    "permits",
    "read_consent",
]

CONSENT_COLUMNS = ("subject", "scope", "purposes", "modalities", "retention_until", "withdrawn_at")

SCOPES: Mapping[str, str] = MappingProxyType(
    {
        "DUO:0000004": "no restriction",
        "DUO:0000006": "health, medical or biomedical research",
        "DUO:0000007": "disease specific research",
        "DUO:0000011": "population origins or ancestry research only",
        "DUO:0000018": "not for profit, non-commercial use only",
        "DUO:0000042": "general research use",
        "DUO:0000043": "clinical care use",
        "DUO:0000045": "not for profit organisation use only",
        "DUO:0000046": "non-commercial use only",
    }
)
"""Known scopes and what they mean."""

_FIX = "Correct the row in consent.tsv, or remove it: without a valid row the person's recordings stay closed."


def no_consent() -> pd.DataFrame:
    """Return a consent table without rows: nothing may be opened."""
    return pd.DataFrame({name: pd.Series(dtype=str) for name in CONSENT_COLUMNS})


def consent_all(subjects: Iterable[str], purposes: Iterable[str]) -> pd.DataFrame:
    """Return one open-ended row per person for all modalities and these purposes.

    Args:
        subjects: Pseudonyms.
        purposes: From ``personare.govern.purposes.PURPOSES``.

    Raises:
        PolicyError: A purpose that is not on the list.

    Example:
        >>> permits(consent_all(["01"], ["research"]), "01", "research", "audio", date(2026, 1, 1))
        ''
    """
    listed = ",".join(check_purposes(purposes))
    rows = [dict(zip(CONSENT_COLUMNS, (s, "DUO:0000042", listed, "all", "", ""), strict=True)) for s in subjects]
    return pd.DataFrame(rows, columns=list(CONSENT_COLUMNS)) if rows else no_consent()


def consent_again(
    edited: pd.DataFrame, stated: pd.DataFrame, *, known: set[str], purposes: Iterable[str]
) -> pd.DataFrame:
    """Return the consent of people whose data are imported again.

    **Guarantee**: whatever was written into the table, or removed from it, stays so; nobody's withdrawal is undone, and
    a withdrawal that is stated anew is added.

    Args:
        edited: The table as it is in the cohort.
        stated: What the source says now, with a consent for everybody where one was given for all.
        known: People the cohort had before; a row of theirs that is missing was removed on purpose.
        purposes: What everybody is said to agree to for the first time.
    """
    known = known | set(edited["subject"])
    withdrew = set(edited.loc[edited["withdrawn_at"] != "", "subject"])
    added = stated[~stated["subject"].isin(known) | (stated["withdrawn_at"] != "")]
    asked = known & set(stated["subject"]) & (set(edited["subject"]) or known)  # without a row: struck out by somebody
    agreed = consent_all(sorted(asked - withdrew), purposes) if purposes else no_consent()
    return pd.concat([edited, added, agreed], ignore_index=True).drop_duplicates(ignore_index=True)


def read_consent(path: Path) -> pd.DataFrame:
    """Read ``consent.tsv`` as text; a file that does not exist is a table without rows.

    Raises:
        DataError: The file is not a table, or a column is missing.
    """
    if not path.exists():
        return no_consent()
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{path} must be a table separated by tabs, but cannot be read: {error}. {_FIX}") from error
    missing = [name for name in CONSENT_COLUMNS if name not in table.columns]
    if missing:
        raise DataError(f"{path} must have the columns {', '.join(CONSENT_COLUMNS)}; add {', '.join(missing)}.")
    for name in table.columns:
        table[name] = table[name].str.strip().replace("n/a", "")
    table["subject"] = table["subject"].str.removeprefix("sub-")
    return table


def permits(consent: pd.DataFrame, subject: str, purpose: str, modality: str, today: date) -> str:
    """Say whether a person's recording may be opened.

    **Guarantee**: without a row that names the purpose and the modality, has not ended, and was not withdrawn, the
    answer is a reason, never empty. A withdrawal beats every other row of the person that covers the same use.

    Args:
        consent: Columns ``CONSENT_COLUMNS``, all text.
        subject: Pseudonym.
        purpose: What the recording would be opened for.
        modality: ``audio``, ``video`` ...
        today: The day of the opening.

    Returns:
        Empty if it may be opened; otherwise the reason why not.
    """
    own = consent[consent["subject"] == subject]
    if own.empty:
        return f"there is no consent of subject {subject}"
    covering = [row for row in own.to_dict("records") if _covers(row, purpose, modality)]
    if not covering:
        return f"subject {subject} did not consent to {purpose} with {modality}"
    withdrawn = [str(row["withdrawn_at"]) for row in covering if row["withdrawn_at"]]
    if withdrawn:
        return f"subject {subject} withdrew consent ({withdrawn[0]})"
    ended = [_ended(str(row["retention_until"]), today) for row in covering]
    return "" if "" in ended else f"the consent of subject {subject} {ended[0]}"


def _covers(row: Mapping[str, object] | Mapping[object, object], purpose: str, modality: str) -> bool:
    fields = {str(key): str(value) for key, value in row.items()}
    return purpose in _listed(fields["purposes"]) and bool({"all", modality} & _listed(fields["modalities"]))


def _listed(text: str) -> set[str]:
    return {item.strip() for item in text.replace(";", ",").split(",") if item.strip()}


def _ended(until: str, today: date) -> str:
    if not until:
        return ""
    try:
        last = date.fromisoformat(until)
    except ValueError:
        return f"has an end that cannot be read ({until!r})"
    return "" if today <= last else f"ended on {until}"


def check_consent(consent: pd.DataFrame) -> list[Withheld]:
    """List every row that does not say what it must, with the fix.

    Args:
        consent: Columns ``CONSENT_COLUMNS``, all text.
    """
    found = []
    for number, row in enumerate(consent.to_dict("records"), start=2):  # line 1 holds the names of the columns
        found += [
            Withheld(item=f"consent.tsv line {number}", problem=problem, fix=_FIX)
            for problem in _row_problems({str(key): str(value) for key, value in row.items()})
        ]
    return found


def _row_problems(row: Mapping[str, str]) -> list[str]:
    unknown = sorted(_listed(row["purposes"]) - set(PURPOSES))
    problems = {
        "no subject": not row["subject"],
        f"scope {row['scope']!r} is not a known DUO code": row["scope"] not in SCOPES,
        "no purpose": not _listed(row["purposes"]),
        f"unknown purpose {', '.join(unknown)}": bool(unknown),
        "no modality (write 'all' for every one)": not _listed(row["modalities"]),
        f"retention_until {row['retention_until']!r} is not a date like 2030-12-31": not _is_date(
            row["retention_until"]
        ),
        f"withdrawn_at {row['withdrawn_at']!r} is not a date like 2030-12-31": not _is_date(row["withdrawn_at"]),
    }
    return [problem for problem, there in problems.items() if there]


def _is_date(text: str) -> bool:
    try:
        return not text or bool(date.fromisoformat(text[:10]))
    except ValueError:
        return False
