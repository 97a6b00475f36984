"""What each person agreed to, read from ``consent.tsv`` and asked before every opening of a recording.

The purposes decide; the scope says in a term other systems understand (a GA4GH Data Use Ontology code) how the consent
was worded.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import pandas as pd

from personare.core.errors import DataError, PolicyError, data_errors
from personare.core.types import Withheld

PURPOSES = {
    "anonymization": "read the originals to make a protected release of them",
    "evaluation": "read the originals to measure what a release keeps and what it gives away",
    "research": "study behavior in the originals themselves, inside the circle of people who may see them",
    "sharing": "hand originals to somebody named in the consent",
    "training": "train a model on the originals",
}
"""What recordings may be opened for: a closed list, so that none can be made up on the spot."""

CONSENT_COLUMNS = ("subject", "scope", "purposes", "modalities", "retention_until", "withdrawn_at")

SCOPES = {
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

_MOST = 10  # people named in a reminder
_FIX = "Correct the row in consent.tsv, or remove it: without a valid row the person's recordings stay closed."


def check_purposes(purposes: Iterable[str]) -> tuple[str, ...]:
    """Return the purposes, each once and sorted, or say which one is not on the list."""
    given = tuple(sorted(set(purposes)))
    unknown = [purpose for purpose in given if purpose not in PURPOSES]
    if unknown:
        raise PolicyError(
            f"A purpose must be one of {', '.join(PURPOSES)}, not {', '.join(unknown)}. Choose from these."
        )
    return given


def no_consent() -> pd.DataFrame:
    """Return a consent table without rows: nothing may be opened."""
    return pd.DataFrame(columns=list(CONSENT_COLUMNS), dtype=object)


def consent_all(subjects: Iterable[str], purposes: Iterable[str]) -> pd.DataFrame:
    """Return one open-ended row per person (a pseudonym) for all modalities and these purposes."""
    listed = ",".join(check_purposes(purposes))
    rows = [(subject, "DUO:0000042", listed, "all", "", "") for subject in subjects]
    return pd.DataFrame(rows, columns=list(CONSENT_COLUMNS), dtype=object)


def consent_again(
    edited: pd.DataFrame, stated: pd.DataFrame, *, before: set[str], purposes: Iterable[str]
) -> pd.DataFrame:
    """Return the consent of people whose data are imported again.

    **Guarantee**: whatever was written into the table, or removed from it, stays so; nobody's withdrawal is undone, and
    a withdrawal that is stated anew is added.

    ``edited`` is the table in the cohort, ``stated`` what the source says now. A missing row of people who were there
    ``before`` was removed on purpose; ``purposes`` are those that everybody is said to agree to for the first time.
    """
    before = before | set(edited["subject"])
    withdrew = set(edited.loc[edited["withdrawn_at"] != "", "subject"])
    added = stated[~stated["subject"].isin(before) | (stated["withdrawn_at"] != "")]
    asked = (
        before & set(stated["subject"]) & (set(edited["subject"]) or before)
    )  # without a row: struck out by somebody
    agreed = consent_all(sorted(asked - withdrew), purposes) if purposes else no_consent()
    return pd.concat([edited, added, agreed], ignore_index=True).drop_duplicates(ignore_index=True)


def read_tsv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Return a table separated by tabs as text, with at least these columns."""
    with data_errors(f"{path} must be a table separated by tabs, but cannot be read", "Correct it."):
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise DataError(f"{path} must have the columns {', '.join(columns)}; add {', '.join(missing)}.")
    return table


def read_consent(path: Path) -> pd.DataFrame:
    """Read ``consent.tsv`` as text; a file that does not exist is a table without rows."""
    if not path.exists():
        return no_consent()
    table = read_tsv(path, CONSENT_COLUMNS)
    for name in table.columns:
        table[name] = table[name].str.strip().replace("n/a", "")
    table["subject"] = table["subject"].str.removeprefix("sub-")
    return table


def permits(consent: pd.DataFrame, subject: str, purpose: str, modality: str, today: date) -> str:
    """Return why a person's recording may not be opened on a day; empty if it may.

    **Guarantee**: without a row that names the purpose and the modality, has not ended, and was not withdrawn, the
    answer is a reason, never empty. A withdrawal beats every other row of the person that covers the same use.
    """
    rows = consent[consent["subject"] == subject].astype(str).to_dict("records")
    if not rows:
        return f"there is no consent of subject {subject}"
    covering = [r for r in rows if purpose in _listed(r["purposes"]) and {"all", modality} & _listed(r["modalities"])]
    if not covering:
        return f"subject {subject} did not consent to {purpose} with {modality}"
    withdrawn = [row["withdrawn_at"] for row in covering if row["withdrawn_at"]]
    if withdrawn:
        return f"subject {subject} withdrew consent ({withdrawn[0]})"
    ends = [row["retention_until"] for row in covering]
    if "" in ends or any(_is_date(end) and today <= date.fromisoformat(end) for end in ends):
        return ""
    ended = f"ended on {ends[0]}" if _is_date(ends[0]) else f"has an end that cannot be read ({ends[0]!r})"
    return f"the consent of subject {subject} {ended}"


def ending_soon(consent: pd.DataFrame, today: date, *, days: int = 30) -> str:
    """Return a sentence about whose consent ends within days; empty where nobody's does."""
    kept = consent[consent["withdrawn_at"] == ""]
    ends = zip(kept["subject"], kept["retention_until"], strict=True)
    left = sorted({((date.fromisoformat(end) - today).days, subject) for subject, end in ends if _is_date(end)})
    soon = [f"{subject} (in {n} days)" for n, subject in left if 0 <= n <= days]
    more = f" and {len(soon) - _MOST} more" if len(soon) > _MOST else ""
    listed = f"{', '.join(soon[:_MOST])}{more}"
    return f"consent ends soon of {listed}. Ask them anew, or erase what is theirs when it has ended." if soon else ""


def _listed(text: str) -> set[str]:
    return {item.strip() for item in text.replace(";", ",").split(",") if item.strip()}


def _is_date(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def check_consent(consent: pd.DataFrame) -> list[Withheld]:
    """List every row that does not say what it must, with the fix."""
    listed = []
    for line, row in enumerate(consent.astype(str).to_dict("records"), start=2):  # line 1 names the columns
        purposes = _listed(row["purposes"])
        unknown = sorted(purposes - set(PURPOSES))
        problems = {
            "no subject": not row["subject"],
            f"scope {row['scope']!r} is not a known DUO code": row["scope"] not in SCOPES,
            "no purpose": not purposes,
            f"unknown purpose {', '.join(unknown)}": bool(unknown),
            "no modality (write 'all' for every one)": not _listed(row["modalities"]),
        }
        for name in ("retention_until", "withdrawn_at"):
            odd = bool(row[name]) and not _is_date(row[name][:10])
            problems[f"{name} {row[name]!r} is not a date like 2030-12-31"] = odd
        item = f"consent.tsv line {line}"
        listed += [Withheld(item=item, problem=problem, fix=_FIX) for problem, there in problems.items() if there]
    return listed
