"""Everything a run folder holds when a study has ended."""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from personare.core.atomic import plain, write_json, write_text
from personare.core.errors import reason
from personare.core.types import Cohort, Release, Result, Withheld
from personare.data.cohort import cohort_kind, open_cohort
from personare.data.labels import as_number
from personare.data.runs import RunFolder
from personare.evaluate.unmeasured import UNEXPECTED
from personare.govern.consent import PURPOSES, SCOPES, read_consent
from personare.govern.ledger import Ledger
from personare.study.explaining import explain_example
from personare.study.labels import values_of
from personare.study.lineage import training_records, used_recordings
from personare.study.needs import lacking_of
from personare.study.papers import write_papers
from personare.study.plan import SIMULATED, Published, StudyPlan
from personare.study.study import FIX, Outcome, Study

_EXAMPLES = 3
_PACKAGES = "personare numpy scipy scikit-learn torch av mediapipe opencv-python-headless pyworld"


def write(run: RunFolder, cohort: Cohort, plan: StudyPlan, text: str, outcome: Outcome, ledger: Ledger) -> None:
    """Write results, details and what a reader of the report must know; ``text`` is the plan's file.

    **Guarantee**: no path of this machine and no row of the ledger about a single person is written into the run.
    """
    out, releases, check = run.root, outcome.releases, ledger.verify()
    failures = {r.method: r.reason for r in reversed(outcome.rows) if UNEXPECTED in r.detail}
    not_made = [*outcome.not_made, *(Withheld(item=name, problem=note, fix=FIX) for name, note in failures.items())]
    rows = [asdict(row) for row in outcome.rows]
    details = [row.pop("detail") for row in rows]
    trained = []  # how, but not whom a model was judged on, nor where their recordings lie
    for _, record in training_records(run.private, (*plan.models, *plan.rows("assistants"))):
        result = {name: record["result"][name] for name in ("spends", "modalities", "recordings", "people")}
        result |= {name: record["result"].get(name, "") for name in ("federation", "notices")}
        result["tested"] = len(record["result"]["test"])
        trained.append({"options": record["options"], "result": result})
    columns = ["sequence", "time", "action", "cohort", "purpose"]  # of the ledger: of nobody in particular
    last = ledger.rows(limit=10)[columns].astype(str).to_dict("records")
    pieces = {
        "results": rows,
        "details": details,
        "releases": [{**asdict(r), "root": r.root.relative_to(out).as_posix()} for r in releases],
        "skipped": _without_refused(run, cohort, outcome.skipped),
        "not_made": not_made,
        "cohort": _cohort(cohort, plan),
        "examples": {r.name: _examples(out, r, plan.label) for r in releases if r.kind in ("recordings", "synthetic")},
        "ledger": {"verified": check.ok, "rows": check.rows, "head": ledger.head(), "last": last},
        "trained": trained,
        "reference": [_beside(figure, outcome.rows) for figure in plan.published],
        "versions": {"python": sys.version.split()[0], **{name: version(name) for name in _PACKAGES.split()}},
    }
    places = _places(run, cohort, plan)
    for name, content in pieces.items():
        write_json(out / f"{name}.json", _without(places, plain(content)))
    table = pd.DataFrame(_without(places, rows), columns=[f.name for f in fields(Result) if f.name != "detail"])
    numbers = {f.name: float for f in fields(Result) if f.type is float}
    table.astype(numbers).to_parquet(out / "results.parquet")
    write_text(out / "study.toml", _without(places, text))
    write_text(run.private / "study.toml", text)
    write_json(run.private / "cohort.json", {"root": str(cohort.root.resolve()), "kind": cohort_kind(cohort.root)})
    write_json(run.private / "skipped.json", outcome.skipped)
    explain_example(Study(cohort=cohort, plan=plan, ledger=ledger, run=run), releases)
    try:
        write_papers(out)
    except Exception as error:  # costs nobody the study
        lost = Withheld(item="papers", problem=reason(error), fix=FIX)
        write_json(out / "not_made.json", _without(places, plain([*not_made, lost])))


def _without_refused(run: RunFolder, cohort: Cohort, skipped: Sequence[Withheld]) -> list[Withheld]:
    """Return what is told of those left out: who did not agree, or withdrew, is nobody else's business."""
    unused = {r.id for r in cohort.recordings} - used_recordings(run)
    refused = {item.item.partition(" ")[0] for item in skipped} & unused
    shown = [item for item in skipped if item.item.partition(" ")[0] not in refused]
    if refused:
        problem = "consent does not allow it, or nothing in them can be read"
        fix = f"See skipped.json in {run.private.name}."
        shown.append(Withheld(item=f"{len(refused)} recordings", problem=problem, fix=fix))
    return shown


def _places(run: RunFolder, cohort: Cohort, plan: StudyPlan) -> dict[str, str]:
    """Return what stands for each folder of this machine, the longest first."""
    folders = {"<cohort>": cohort.root, "<run>": run.root, "<private>": run.private}
    folders |= {"<here>": Path.cwd(), "~": Path.home(), "<tmp>": Path(tempfile.gettempdir())}
    words = {str(f): word for word, folder in folders.items() for f in (folder, folder.resolve()) if f.is_absolute()}
    votes = [str(row.adapt["feedback"]) for row in plan.synthetic if row.adapt.get("feedback", SIMULATED) != SIMULATED]
    words |= dict.fromkeys(votes, "<votes>")  # a file of this machine, or a database with its password
    for path in filter(None, (plan.public, *(task.cohort for task in plan.transfer))):
        words |= {path: "<other cohort>"} if Path(path).is_absolute() else {f'"{path}"': '"<other cohort>"'}
    return {path: words[path] for path in sorted(words, key=len, reverse=True) if path != "/"}


def _without(places: Mapping[str, str], content: Any) -> Any:
    """Return content in which no text names a folder of this machine."""
    match content:
        case str():
            for path, word in places.items():
                content = content.replace(path, word)
        case Mapping():
            return {key: _without(places, value) for key, value in content.items()}
        case list():
            return [_without(places, value) for value in content]
    return content


def not_made(out: Path) -> list[Withheld]:
    """Return what the study in a run folder was to make and could not."""
    return [Withheld(**item) for item in json.loads((out / "not_made.json").read_text(encoding="utf-8"))]


def _beside(figure: Published, results: Sequence[Result]) -> dict[str, Any]:
    """Return a published figure with ours, and with ours after retraining."""
    row = (figure.release, figure.method, figure.figure)
    ours = {r.attacker: r for r in reversed(results) if (r.release, r.method, r.figure) == row}
    same, after = ours.get(figure.attacker), ours.get(figure.retrained) if figure.retrained else None
    return {
        "row": figure.row,
        "published": figure.published,
        "ours": same.value if same else None,
        "low": same.low if same else None,
        "high": same.high if same else None,
        "attacker_note": figure.attacker or (same.reason if same else "not measured here"),
        "retrained": after.value if after else None,
    }


def _cohort(cohort: Cohort, plan: StudyPlan) -> dict[str, Any]:
    people, values = cohort.participants, values_of(cohort, plan.label)
    numbers = [as_number(value) for value in values] if plan.kind == "continuous" else []
    description = json.loads((cohort.root / "dataset_description.json").read_text(encoding="utf-8"))
    return {
        "name": cohort.name,
        "kind": cohort_kind(cohort.root),
        "license": description.get("License", ""),
        "citation": description.get("HowToAcknowledge", ""),
        "people": len({r.subject for r in cohort.recordings}),
        "recordings": len(cohort.recordings),
        "tracks": Counter(track for r in cohort.recordings for track in r.tracks),
        "consent": _consent(cohort),
        "label": plan.label,
        "label_kind": plan.kind,
        "too_few": lacking_of(cohort, plan),
        "use": {**vars(plan.use), "statement": plan.use.statement},
        "values": {"lowest": min(numbers), "highest": max(numbers)} if numbers else Counter(values),
        "sex": people["sex"].value_counts().to_dict() if "sex" in people else {},
    }


def _consent(cohort: Cohort) -> dict[str, Any]:
    """Return how many people agreed to what and until which year: counts only, a row is about somebody."""
    people = {r.subject for r in cohort.recordings}
    rows = read_consent(cohort.root / "consent.tsv")
    rows = rows[rows["subject"].isin(people)]
    valid = rows[rows["withdrawn_at"] == ""]
    years = valid["retention_until"].str[:4].where(valid["retention_until"].str.match(r"\d{4}-|$"), "(not a date)")

    def agreed(chosen: "pd.Series[bool]") -> int:
        return int(valid.loc[chosen, "subject"].nunique())

    return {
        "purposes": {name: agreed(valid["purposes"].str.contains(rf"\b{name}\b")) for name in PURPOSES},
        "scopes": {f"{code}, {terms}": agreed(valid["scope"] == code) for code, terms in SCOPES.items()},
        "kept_until": {year or "no end stated": agreed(years == year) for year in sorted({*years})},
        "withdrawn": int(rows.loc[rows["withdrawn_at"] != "", "subject"].nunique()),
        "without": len(people - {*rows["subject"]}),
    }


def _examples(out: Path, release: Release, label: str) -> list[dict[str, str]]:
    """Choose released recordings of different people and labels to show."""
    examples: list[dict[str, str]] = []
    people: set[str] = set()
    for recording in open_cohort(release.root).recordings:
        value = recording.labels.get(label, "")
        track = next((name for name in ("video", "audio") if name in recording.tracks), None)
        other = recording.subject not in people and value not in {example["label"] for example in examples}
        if track and other and len(examples) < _EXAMPLES:
            people.add(recording.subject)
            path = (release.root / recording.tracks[track]).relative_to(out).as_posix()
            examples.append({"track": track, "path": path, "label": value})
    return examples
