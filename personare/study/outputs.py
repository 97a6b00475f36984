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

from personare.core.types import Cohort, Release, Result, Withheld
from personare.data.atomic import plain, write_json, write_text
from personare.data.cohort import cohort_kind, open_cohort
from personare.data.labels import as_number
from personare.data.runs import RunFolder
from personare.evaluate.unmeasured import UNEXPECTED
from personare.govern.ledger import Ledger
from personare.study.labels import values_of
from personare.study.lineage import used_recordings
from personare.study.needs import lacking_of
from personare.study.plan import Published, StudyPlan
from personare.study.study import FIX, Outcome

__all__ = ["not_made", "write"]

_EXAMPLES = 3
_PACKAGES = (
    "personare",
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "av",
    "mediapipe",
    "opencv-python-headless",
    "pyworld",
)


_NUMBERS = ("value", "low", "high", "baseline", "control")


def write(run: RunFolder, cohort: Cohort, plan: StudyPlan, text: str, outcome: Outcome, ledger: Ledger) -> None:
    """Write results, details and what a reader of the report must know.

    **Guarantee**: no path of this machine and no row of the ledger about a single person is written into the run.

    Args:
        run: The run.
        cohort: The originals.
        plan: What was to be made.
        text: The plan's file.
        outcome: What came of it.
        ledger: Its last rows are shown.
    """
    out, releases = run.root, outcome.releases
    torn = {r.method: r.reason for r in reversed(outcome.rows) if UNEXPECTED in r.detail}
    not_made = [*outcome.not_made, *(Withheld(item=name, problem=note, fix=FIX) for name, note in torn.items())]
    rows = [asdict(row) for row in outcome.rows]
    details = [row.pop("detail") for row in rows]
    pieces = {
        "results": rows,
        "details": details,
        "releases": [{**asdict(r), "root": r.root.relative_to(out).as_posix()} for r in releases],
        "skipped": [asdict(item) for item in _without_refused(run, cohort, outcome.skipped)],
        "not_made": [asdict(item) for item in not_made],
        "cohort": _cohort(cohort, plan),
        "examples": {r.name: _examples(out, r, plan.label) for r in releases if r.kind in ("recordings", "synthetic")},
        "ledger": _ledger(ledger),
        "trained": _trained(run, plan),
        "versions": {"python": sys.version.split()[0], **{name: version(name) for name in _PACKAGES}},
    }
    if plan.published:
        pieces["reference"] = [_beside(figure, outcome.rows) for figure in plan.published]
    places = _places(run, cohort, plan)
    for name, content in pieces.items():
        write_json(out / f"{name}.json", _without(places, plain(content)))
    table = pd.DataFrame(_without(places, rows), columns=[f.name for f in fields(Result) if f.name != "detail"])
    table.astype(dict.fromkeys(_NUMBERS, float)).to_parquet(out / "results.parquet")
    write_text(out / "study.toml", _without(places, text))
    write_text(run.private / "study.toml", text)
    write_json(run.private / "skipped.json", [asdict(item) for item in outcome.skipped])


def _without_refused(run: RunFolder, cohort: Cohort, skipped: Sequence[Withheld]) -> list[Withheld]:
    """Return what is told of those left out: who did not agree, or withdrew, is nobody else's business."""
    inside = {r.id for r in cohort.recordings} - used_recordings(run)
    refused = {item.item.partition(" ")[0] for item in skipped} & inside
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
    named = {str(f): word for word, folder in folders.items() for f in (folder, folder.resolve()) if f.is_absolute()}
    for path in filter(None, (plan.public, *(task.cohort for task in plan.transfer))):
        named |= {path: "<other cohort>"} if Path(path).is_absolute() else {f'"{path}"': '"<other cohort>"'}
    return {path: named[path] for path in sorted(named, key=len, reverse=True) if path != "/"}


def _without(places: Mapping[str, str], content: Any) -> Any:
    """Return content in which no text names a folder of this machine."""
    match content:
        case str():
            for path, word in places.items():
                content = content.replace(path, word)
            return content
        case Mapping():
            return {key: _without(places, value) for key, value in content.items()}
        case list():
            return [_without(places, value) for value in content]
    return content


def _trained(run: RunFolder, plan: StudyPlan) -> list[dict[str, Any]]:
    """Return how each model was trained; not whom it was judged on, nor where their recordings lie."""
    steps = [run.private / "steps" / f"release-{model.name}.json" for model in plan.models]
    found = [json.loads(step.read_text(encoding="utf-8")) for step in steps if step.is_file()]
    shown = ("spends", "modalities", "recordings", "people")
    return [
        {
            "options": one["options"],
            "result": {k: one["result"][k] for k in shown} | {"tested": len(one["result"]["test"])},
        }
        for one in found
    ]


def not_made(out: Path) -> list[Withheld]:
    """Return what the study in a run folder was to make and could not."""
    return [Withheld(**item) for item in json.loads((out / "not_made.json").read_text(encoding="utf-8"))]


def _beside(figure: Published, results: Sequence[Result]) -> dict[str, Any]:
    """Return a published figure with ours, and with ours after retraining."""

    def ours(attacker: str) -> Result | None:
        asked = (figure.release, figure.method, figure.figure, attacker)
        return next((r for r in results if (r.release, r.method, r.figure, r.attacker) == asked), None)

    same, after = ours(figure.attacker), ours(figure.retrained) if figure.retrained else None
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
    people = cohort.participants
    described = json.loads((cohort.root / "dataset_description.json").read_text(encoding="utf-8"))
    return {
        "name": cohort.name,
        "kind": cohort_kind(cohort.root),
        "license": described.get("License", ""),
        "citation": described.get("HowToAcknowledge", ""),
        "people": len({r.subject for r in cohort.recordings}),
        "recordings": len(cohort.recordings),
        "label": plan.label,
        "label_kind": plan.kind,
        "too_few": lacking_of(cohort, plan),
        "values": _values(values_of(cohort, plan.label), plan.kind),
        "sex": people["sex"].value_counts().to_dict() if "sex" in people else {},
    }


def _values(words: Sequence[str], kind: str) -> dict[str, float]:
    """Return how often each class occurs, of a continuous label its range."""
    if kind != "continuous":
        return dict(Counter(words))
    numbers = [as_number(word) for word in words]
    return {"lowest": min(numbers), "highest": max(numbers)}


def _examples(out: Path, release: Release, label: str) -> list[dict[str, str]]:
    """Choose released recordings of different people and labels to show."""
    chosen: list[dict[str, str]] = []
    people: set[str] = set()
    labels: set[str] = set()
    for recording in open_cohort(release.root).recordings:
        said = recording.labels.get(label, "")
        track = next((name for name in ("video", "audio") if name in recording.tracks), None)
        if track and len(chosen) < _EXAMPLES and recording.subject not in people and said not in labels:
            people.add(recording.subject)
            labels.add(said)
            path = (release.root / recording.tracks[track]).relative_to(out).as_posix()
            chosen.append({"track": track, "path": path, "label": said})
    return chosen


def _ledger(ledger: Ledger) -> dict[str, Any]:
    checked = ledger.verify()
    columns = ["sequence", "time", "action", "cohort", "purpose"]  # of nobody in particular
    last = ledger.rows(limit=10)[columns].astype(str).to_dict("records")
    return {"verified": checked.ok, "rows": checked.rows, "head": ledger.head(), "last": last}
