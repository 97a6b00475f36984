"""Erases one person from a cohort and from all that came of it, and proves it by a search through every file."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from personare.core.atomic import plain, replacing, write_json
from personare.core.errors import DataError, IncompleteError, PersonareError
from personare.data.cohort import open_cohort
from personare.data.pseudonyms import read_key, write_key
from personare.data.runs import RunFolder, private_folder
from personare.data.votes import votes_beside
from personare.govern.keys import destroy
from personare.govern.ledger import Ledger
from personare.study.holdings import (
    ERASED,
    Person,
    Places,
    action_of,
    around,
    is_bounded,
    notes_of,
    rows_of,
    traces,
)
from personare.study.lineage import remove_withdrawn
from personare.study.outputs import not_made
from personare.study.parallel import Workers
from personare.study.plan import for_tracks, read_plan
from personare.study.reviewing import open_votes
from personare.study.run import run_study

_GONE = object()  # in place of what is taken out of JSON


class _Missed(list[str]):
    """What could not be done, in sentences."""

    @contextmanager
    def listing(self, what: object) -> Iterator[None]:
        """Note what keeps a step from its end: everything else is still done."""
        try:
            yield
        except (PersonareError, OSError) as error:
            self.append(f"{what}: {error}")


def erase(places: Places, person: Person, *, workers: Workers) -> None:
    """Erase a person from a cohort, its runs, releases and backups; then search all of them.

    **Guarantee**: when it returns, no file there is named after the person, names them, or is one of their recordings,
    byte by byte, and the ledger tells what was done of somebody whom it does not name. Stopped before that, the same
    call goes on: the journal that it needs lies beside the cohort, and is removed at the end. Of others only that is
    lost which was made of them and of the person together; it is made again where the run has its plan.

    Raises:
        IncompleteError: Something could not be reached, removed or made again; everything else is done.
    """
    root, missed, undone = places.cohort.root, _Missed(), _Missed()
    journal = root.resolve().with_name(f"{root.resolve().name}.{person.mark}.json")
    begun = json.loads(journal.read_text(encoding="utf-8")) if journal.is_file() else {"again": [], "bounded": []}
    made = [(run, path, record) for run in places.runs for path, _, record in notes_of(person, run)]
    again = {str(run) for run, _, _ in made} | {*begun["again"]}
    bounded = [_bound(*what) for what in made if places.models == "bounded" and is_bounded(what[-1])] + begun["bounded"]
    with replacing(journal, private=True) as part:
        part.write_text(json.dumps(plain({"person": person, "again": again, "bounded": bounded})), encoding="utf-8")
    kept = {item["run"] for item in bounded}
    for place in around(root):
        with missed.listing(place):
            _scrub(person, place)
    with missed.listing("the key of pseudonyms"):
        key = read_key(root)
        others = {name: number for name, number in key.items() if number not in person.subjects}
        if others != key:  # an encrypted one, which no search looks into
            write_key(root, others)
    for run in places.runs:
        with missed.listing(run):
            _erase_made(places, person, run)
    for place in places.roots:
        with missed.listing(place):
            _scrub(person, place, in_run=any(place in around(run) for run in places.runs))
    for run in (run for run in places.runs if str(run) in again - kept):
        with undone.listing(f"{run} was not made again"):
            _make_again(places, run, workers)
    with missed.listing("the ledger"):
        forget_in_ledger(places.ledger, person, places.cohort.name)
        _note(places, person, {"runs": len(again), "bounded": bounded})
    fix = "Bring it back and give the same command again, or, where it was destroyed, say so with --leave."
    missed += [f"{folder}: it cannot be reached. {fix}" for folder in places.unreachable]
    for place in places.roots:
        with missed.listing(place):
            missed += [f"{path} {why}: look into it, and remove it by hand." for path, why in traces(person, place)]
    if not missed:
        journal.unlink()
    if missed or undone:
        raise IncompleteError("\n  ".join(["not everything could be done:", *missed, *undone]))


def _erase_made(places: Places, person: Person, run: Path) -> None:
    """Remove what a run made of a person, and what raters said of it."""
    if (private_folder(run) / "made_of").is_dir():
        folder = RunFolder(run)
        with folder.lock():
            for path, note, record in notes_of(person, run):
                if places.models == "bounded" and is_bounded(record):  # it is not made of them any more, and so stays
                    write_json(path, _pruned(note, person))
            remove_withdrawn(folder, open_cohort(places.cohort.root), places.ledger)
    if (votes := votes_beside(run)).is_file() and person.trace(votes):
        open_votes(run).erase_items(person.pattern)


def _bound(run: Path, note: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of a model that stays: by how much it can tell of the person."""
    costs = [{key: spend[key] for key in ("epsilon", "delta")} for spend in record["result"]["spends"]]
    return {"run": str(run), "release": note.stem, "costs": costs}


def _note(places: Places, person: Person, what: dict[str, Any]) -> None:
    """Write the row that stands for the person from now on, once: how often what was done with them."""
    rows = rows_of(places.ledger, places.cohort)
    done = Counter(rows[rows["subject"] == person.mark]["action"])
    if ERASED not in done:
        row = {"cohort": places.cohort.name, "subject": person.mark, "salt": person.salt, "rows": dict(done), **what}
        places.ledger.append(ERASED, [row])


def _scrub(person: Person, place: Path, *, in_run: bool = False) -> None:
    """Remove or rewrite every file of a place that tells of a person."""
    for path, why in list(traces(person, place)):
        action = action_of(path, why, in_run=in_run)
        if action == "delete":
            _delete(path)
        elif action == "rewrite" and path.suffix == ".json":
            with suppress(ValueError):  # what is no JSON stays, and is told of in the end
                left = _pruned(json.loads(path.read_text(encoding="utf-8")), person)
                path.unlink() if left is _GONE else write_json(path, left, allow_nan=True)
        elif action == "rewrite" and path.suffix == ".sqlite":
            if not path.name.endswith(".votes.sqlite"):
                forget_in_ledger(Ledger(path), person)
        elif action == "rewrite":
            lines, named = path.read_bytes().splitlines(keepends=True), person.lines(path)
            with replacing(path) as part:
                part.touch(mode=path.stat().st_mode & 0o777)
                part.write_bytes(b"".join(line for line in lines if not named.search(line)))


def _delete(path: Path) -> None:
    """Delete a file or a folder; a key is overwritten first, so that no copy of what it closes can be read."""
    if path.is_dir():
        shutil.rmtree(path)
    elif path.suffix == ".key":
        destroy(path)
    else:
        path.unlink()


def _pruned(content: Any, person: Person) -> Any:
    """Return JSON without the texts, entries and records that name a person."""
    match content:
        case dict():
            values = {k: _pruned(v, person) for k, v in content.items() if not person.pattern.search(k)}
            whose = content.get("subject") in person.subjects
            return _GONE if whose else {k: v for k, v in values.items() if v is not _GONE}
        case list():
            return [item for item in (_pruned(item, person) for item in content) if item is not _GONE]
        case str() if person.pattern.search(content):
            return _GONE
    return content


def _make_again(places: Places, run: Path, workers: Workers) -> None:
    file = private_folder(run) / "study.toml"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if not text:
        raise DataError("its study file is not there. Run the study again, with the same --out.")
    cohort = open_cohort(places.cohort.root)
    plan, _ = for_tracks(read_plan(text, str(file)), {track for r in cohort.recordings for track in r.tracks})
    run_study(cohort, plan, text, run, workers=workers, ledger=places.ledger)
    if missed := not_made(run):
        raise DataError("; ".join(f"{item.item}: {item.problem}" for item in missed))


def forget_in_ledger(ledger: Ledger, person: Person, cohort: str = "") -> None:
    """Put the person's mark in place of all that names them in a ledger; what was done, how often and when stays."""

    def marked(text: str) -> str:
        return person.pattern.sub(lambda m: f'"subject":"{person.mark}"' if m[0][0] == '"' else person.mark, text)

    def change(row: Mapping[Any, Any]) -> dict[str, Any]:
        if cohort and row["cohort"] != cohort:
            return dict(row)
        subject = person.mark if row["subject"] in person.subjects else row["subject"]
        return {**row, "subject": subject, "recording": marked(row["recording"]), "detail": marked(row["detail"])}

    if ledger.exists() and any(change(row) != row for row in ledger.rows().to_dict("records")):
        ledger.erase(change)
