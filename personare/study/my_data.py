"""What a person is told of their data, in plain words, and the folder that they may take with them."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from personare.core.atomic import write_text
from personare.core.types import Spend
from personare.data.cohort import CohortWriter
from personare.data.vault import Vault
from personare.govern.budget import charges
from personare.govern.consent import PURPOSES, read_consent
from personare.govern.storage import open_plain
from personare.learn.accounting import compose
from personare.study.holdings import Person, Places, notes_of, rows_of

_ACTIONS = {"opened": "Opened", "refused": "Asked for and not opened", "handed_over": "Handed over to you"}
_RIGHTS = """\
You may withdraw your consent at any time, have what is wrong corrected, and have everything here erased: ask those who
hold the data. They use: personare erase. You may complain to a data protection authority."""


def tell(places: Places, person: Person) -> Iterator[str]:
    """Yield line by line what is held of a person, and all that was done with it (GDPR Article 15)."""
    cohort, ledger = places.cohort, places.ledger
    theirs = [r for r in cohort.recordings if r.subject in person.subjects]
    yield f"# What {cohort.name} holds of {', '.join(person.subjects)}, and what was done with it\n"
    tracks = ", ".join(sorted({track for r in theirs for track in r.tracks})) or "none"
    yield f"## Held now\n\n- {_count(len(theirs))}: {tracks}"
    known = cohort.participants.loc[cohort.participants.index.isin(person.subjects)].dropna(axis=1)
    yield from (f"- {name}: {', '.join(map(str, values))}" for name, values in known.items())
    consent = read_consent(cohort.root / "consent.tsv")
    for row in consent[consent["subject"].isin(person.subjects)].to_dict("records"):
        end = f"until {row['retention_until'] or 'you withdraw'}"
        end = f"withdrawn on {row['withdrawn_at']}" if row["withdrawn_at"] else end
        yield f"- you agreed to: {row['purposes']}; of: {row['modalities']}; {end}"
    rows = rows_of(ledger, cohort)
    rows = rows[rows["subject"].isin(person.subjects)]
    rows = rows.assign(day=rows["time"].str[:10])
    for action, title in _ACTIONS.items():
        yield f"\n## {title}\n"
        yield from _openings(rows[rows["action"] == action]) or ["- never"]
    yield "\n## Shared with others\n"
    yield from _openings(rows[(rows["action"] == "opened") & (rows["purpose"] == "sharing")]) or ["- never"]
    yield "\n## Made and trained\n"
    yield from [line for run in places.runs for line in _made(person, run)] or ["- nothing"]
    costs = [charge for name in person.subjects for charge in charges(ledger, cohort.name).get(name, ())]
    if costs:
        spends: list[Spend] = [spend for charge in costs for spend in charge.spends]
        delta, most = max(spend.delta for spend in spends), max(charge.recordings for charge in costs)
        epsilon = compose(spends, delta, recordings=most)
        yield f"- all that was learned with differential privacy: epsilon {epsilon:.3g} at delta {delta:g} at most"
    yield "\n## Where it lies\n"
    yield from (f"- {place}" for place in (cohort.root.resolve(), *places.runs, *places.backups))
    yield f"\n## Your rights\n\n{_RIGHTS}"


def _count(recordings: int) -> str:
    return f"{recordings} recording{'s' * (recordings != 1)}"


def _openings(rows: pd.DataFrame) -> list[str]:
    """Return a line for each day, purpose and user."""
    lines = []
    for key, same in rows.groupby(["day", "purpose", "who"]):
        day, purpose, who = map(str, key)
        tracks = ", ".join(sorted(set(same["track"])))
        aim = f" to {PURPOSES.get(purpose, purpose)}" if purpose else ""
        reasons = {json.loads(text).get("reason", "") for text in same["detail"]} - {""}
        why = "".join(f"; {reason}" for reason in sorted(reasons))
        lines.append(f"- {day}, by {who}: {_count(same['recording'].nunique())} ({tracks}){aim}{why}")
    return lines


def _made(person: Person, run: Path) -> Iterator[str]:
    for path, note, record in notes_of(person, run):
        count = sum(bool(person.pattern.search(recording)) for recording in note["tracks"])
        spends: Sequence[Any] = record.get("result", {}).get("spends", ())
        cost = "".join(f"; epsilon {s['epsilon']:.3g} at delta {s['delta']:g} for one {s['unit']}" for s in spends)
        yield f"- {run}: {path.stem}, of {_count(count)}{cost}"


def pack(places: Places, person: Person, out: Path) -> None:
    """Copy all of a person's data into a folder that any program for BIDS can read (GDPR Article 20)."""
    told, cohort = "\n".join(tell(places, person)), places.cohort
    vault = Vault(cohort, purpose="sharing", ledger=places.ledger)
    files = {name: tracks for subject in person.subjects for name, tracks in vault.hand_over(subject).items()}
    writer = CohortWriter(out, name=f"{cohort.name}, {', '.join(person.subjects)}")
    for recording in (r for r in cohort.recordings if r.id in files):
        tracks = {}
        for track, path in files[recording.id].items():
            to = writer.path(recording, track, path.name[path.name.rindex(f"_{track}") + len(track) + 1 :])
            with open_plain(path) as plain, to.open("wb") as copy:  # which the person reads without our passphrase
                shutil.copyfileobj(plain, copy)
            tracks[track] = to.relative_to(out).as_posix()
            if (about := path.with_suffix(".json")).is_file():
                shutil.copyfile(about, to.with_suffix(".json"))
        writer.add(replace(recording, tracks=tracks))
    consent = read_consent(cohort.root / "consent.tsv")
    people = cohort.participants.loc[cohort.participants.index.isin(person.subjects)]
    writer.finish(people, consent[consent["subject"].isin(person.subjects)])
    write_text(out / "README.md", told + "\n")
