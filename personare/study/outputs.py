"""Everything a run folder holds when a study has ended."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from personare.core.types import Cohort, Release, Result, Withheld
from personare.data.cohort import cohort_kind, open_cohort
from personare.data.labels import as_number
from personare.data.runs import write_json
from personare.govern.ledger import Ledger
from personare.study.labels import values_of
from personare.study.plan import StudyPlan
from personare.study.releases import Published

__all__ = ["read_result", "text_table", "write"]

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


Found = tuple[Sequence[Release], Sequence[Result], Sequence[Withheld]]


def write(out: Path, cohort: Cohort, found: Found, plan: StudyPlan, ledger: Ledger) -> None:
    """Write results, details and what a reader of the report must know.

    Args:
        out: The run folder.
        cohort: The originals.
        found: The releases, the measured rows, and what was skipped.
        plan: The label that was read, and figures to print beside ours.
        ledger: Its last rows are shown.
    """
    releases, results, skipped = found
    rows = [asdict(row) for row in results]
    details = [row.pop("detail") for row in rows]
    write_json(out / "results.json", rows)
    pd.DataFrame(rows).to_parquet(out / "results.parquet")
    write_json(out / "details.json", details)
    write_json(out / "releases.json", [{**asdict(r), "root": r.root.relative_to(out).as_posix()} for r in releases])
    write_json(out / "skipped.json", [asdict(item) for item in skipped])
    if plan.published:
        write_json(out / "reference.json", [_beside(figure, results) for figure in plan.published])
    write_json(out / "cohort.json", _cohort(cohort, plan))
    shown = [r for r in releases if r.kind in ("recordings", "synthetic")]
    write_json(out / "examples.json", {r.name: _examples(out, r, plan.label) for r in shown})
    write_json(out / "ledger.json", _ledger(ledger))
    write_json(out / "versions.json", {"python": sys.version.split()[0], **{name: version(name) for name in _PACKAGES}})


def _beside(figure: Published, results: Sequence[Result]) -> dict[str, Any]:
    """Return a published figure with ours, and with ours after retraining."""

    def ours(attacker: str) -> Result | None:
        keys = (figure.release, figure.measure, attacker)
        return next((r for r in results if (r.release, r.measure, r.attacker) == keys), None)

    same, after = ours(figure.attacker), ours(figure.retrained) if figure.retrained else None
    return {
        "row": figure.row,
        "published": figure.published,
        "ours": same.value if same else None,
        "low": same.low if same else None,
        "high": same.high if same else None,
        "attacker_note": figure.attacker or (same.note if same else "not measured here"),
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
    last = ledger.rows(limit=10).astype(str).to_dict("records")
    return {"verified": checked.ok, "rows": checked.rows, "head": ledger.head(), "last": last}


def text_table(out: Path) -> str:
    """Return the study's answer for a terminal: a line a release, what is kept and what an attacker still finds."""
    rows = pd.read_parquet(out / "results.parquet")
    label = json.loads((out / "cohort.json").read_text(encoding="utf-8")).get("label") or "emotion"
    told = {"representation": _representations, "synthetic": _synthetic, "model": _models}
    tables: list[tuple[Callable[[pd.DataFrame], str], pd.DataFrame]]
    tables = [(partial(_recordings, label), rows[~rows.modality.isin(list(told))])]
    tables += [(said, rows[rows.modality == modality]) for modality, said in told.items()]
    parts = [said(some) for said, some in tables if len(some)]
    beside = out / "reference.json"
    if beside.exists():
        figures = pd.DataFrame(json.loads(beside.read_text(encoding="utf-8"))).set_index("row")
        parts.append(f"Published beside ours:\n{figures.round(3).to_string(na_rep='-')}")
    return "\n\n".join(parts)


def _models(rows: pd.DataFrame) -> str:
    """Return what each model can do, and how well the strongest attack tells what it learned from."""
    areas = rows[rows.measure.str.fullmatch(r"membership_\w+\.(person_)?auc")]
    found = areas.groupby("release").value.max().rename("membership AUC")
    names = {"model.accuracy": "accuracy", "model.uar": "recall (UAR)", "model.ece": "calibration error"}
    kept = rows[rows.measure.isin(names)].pivot(index="release", columns="measure", values="value")
    table = kept.rename(columns=names)[list(names.values())].join(found)
    return table.reindex(list(dict.fromkeys(rows.release))).round(3).to_string(na_rep="-")


def _representations(rows: pd.DataFrame) -> str:
    """Return what is still read from each representation, and who is named in it."""
    names = {"reader.uar": "recall (UAR)", "identity.top1": "named", "identity.person_top1": "named, all recordings"}
    return _chosen(rows[rows.measure.isin(names)], names)


def _synthetic(rows: pd.DataFrame) -> str:
    """Return what is learned from each made-up cohort, and how well the strongest attack tells whom it learned from."""
    areas = rows[rows.measure.str.fullmatch(r"synthetic_(membership|shadow|canaries)\.(?!\w*exposed)\w+_auc")]
    kind = areas.measure.str.startswith("synthetic_canaries").map({True: "canaries AUC", False: "membership AUC"})
    found = areas.groupby(["release", kind]).value.max().unstack()
    names = {f"synthetic.{reader}.tstr_uar": f"learned, {reader}" for reader in ("linear", "forest")}
    names |= {"visits.next_visit_auc": "next visit AUC"}
    names = {measure: name for measure, name in names.items() if measure in set(rows.measure)}
    return _chosen(rows[rows.measure.isin(names)], names, found)


def _chosen(rows: pd.DataFrame, names: Mapping[str, str], beside: pd.DataFrame | None = None) -> str:
    table = rows.pivot(index="release", columns="measure", values="value").reindex(columns=list(names))
    table = table.rename(columns=names) if beside is None else table.rename(columns=names).join(beside)
    return table.reindex(list(dict.fromkeys(rows.release))).round(3).to_string(na_rep="-")


def _recordings(label: str, rows: pd.DataFrame) -> str:
    kept = rows[rows.measure.isin(["reader.uar", "reader.ccc"])]
    kept = kept.groupby(["release", "attacker"]).value.max().unstack()  # of what was released of a person, the better
    named = rows[rows.measure == "identity.top1"].groupby(["release", "attacker"]).value.max().unstack()
    names = {"fixed_reader": f"{label}, fixed", "retrained_reader": f"{label}, retrained"}
    columns = ["ignorant", "lazy_informed", "semi_informed"]
    both = kept.reindex(columns=list(names)).rename(columns=names).join(named.reindex(columns=columns), how="outer")
    return both.reindex(list(dict.fromkeys(rows.release))).round(2).to_string(na_rep="-")


def read_result(row: Mapping[str, Any]) -> Result:
    """Return a measured row as a step remembered it; JSON knows no NaN."""
    values: dict[str, Any] = {name: float("nan") if value is None else value for name, value in row.items()}
    return Result(**values)
