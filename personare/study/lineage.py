"""Of whose recordings everything in a run was made, so that what may not be there any more goes first."""

import json
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from personare.core.atomic import write_json
from personare.core.state import load_weights
from personare.core.types import Batch, Cohort
from personare.data.runs import RunFolder
from personare.data.vault import Vault
from personare.govern.ledger import Ledger

ORIGINAL = "original"
"""What the run keeps of the recordings themselves, beside its releases."""


def _notes(run: RunFolder) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield what each release, and ``ORIGINAL``, is made of: ``purpose``, and ``tracks`` by recording."""
    for path in sorted((run.private / "made_of").glob("*.json")):
        yield path, json.loads(path.read_text(encoding="utf-8"))


def training_records(private: Path, rows: Sequence[Any]) -> list[tuple[Any, dict[str, Any]]]:
    """Return those of a plan's rows that were trained in a run, each with the record of that step."""
    steps = [(row, private / "steps" / f"release-{row.name}.json") for row in rows]
    return [(row, json.loads(step.read_text(encoding="utf-8"))) for row, step in steps if step.is_file()]


def note_sources(run: RunFolder, name: str, purpose: str, tracks: Mapping[str, Collection[str]]) -> None:
    """Note what a release, or ``ORIGINAL``, is made of, before it is made: its tracks by recording, opened for what."""
    path = run.private / "made_of" / f"{name}.json"
    sources = {recording: sorted(names) for recording, names in tracks.items()}
    if (run.root / "releases" / name).exists() and path.exists():  # until it is swapped, the older one counts too
        sources = json.loads(path.read_text(encoding="utf-8"))["tracks"] | sources
    write_json(path, {"purpose": purpose, "tracks": sources})


def note_batch(run: RunFolder, name: str, batch: Batch) -> None:
    """Note that a release is learned from these recordings."""
    tracks = {i: [t for t, present in batch.present.items() if present[row]] for row, i in enumerate(batch.ids)}
    note_sources(run, name, "training", tracks)


def remove_withdrawn(run: RunFolder, cohort: Cohort, ledger: Ledger) -> dict[str, str]:
    """Remove from a run what may not be there any more of people who withdrew.

    **Guarantee**: no release, no half-made release, no picture and no features remain in the run, or in its private
    folder, of a recording that is not in the cohort or whose consent does not allow it now; nor do reports and tables
    in which its person was counted. Nothing is opened here.

    Returns:
        The releases that were removed, and why.
    """
    removed: dict[str, str] = {}
    present = {r.id: r for r in cohort.recordings}
    for path, note in _notes(run):
        vault, tracks = Vault(cohort, purpose=note["purpose"], ledger=ledger), note["tracks"]
        withdrawn = {*tracks} - {*present}
        for track in {track for names in tracks.values() for track in names}:
            asked = [present[i] for i, names in tracks.items() if track in names and i in present]
            withdrawn |= {r.id for r in asked} - vault.permitted(asked, track)
        if not withdrawn:
            continue
        removed[path.stem] = f"{len(withdrawn)} of its recordings may not be used any more"
        _remove_shards(run, path.stem, withdrawn)
        if path.stem != ORIGINAL:
            _remove(run, path.stem)
            continue
        for file in (file for recording in withdrawn for file in run.private.rglob(f"{recording}[._]*")):
            file.unlink(missing_ok=True)
        write_json(path, {**note, "tracks": {i: names for i, names in tracks.items() if i not in withdrawn}})
    if removed:
        for file in (file for file in run.root.iterdir() if file.is_file()):
            file.unlink()
        shutil.rmtree(run.root / "papers", ignore_errors=True)
        for step in ("judge-originals", "judge-releases"):
            run.forget(step)
        for folder in (run.root, run.private):
            shutil.rmtree(folder / "explanations", ignore_errors=True)
    removed.pop(ORIGINAL, None)
    return removed


def _remove_shards(run: RunFolder, name: str, withdrawn: Collection[str]) -> None:
    """Remove what was kept of a model's shards that learned from somebody who withdrew."""
    for shard in (run.private / "shards" / name).glob("*.safetensors"):
        if not {*json.loads(load_weights(shard)[1]["recordings"])}.isdisjoint(withdrawn):
            shard.unlink()


def remove_dropped(run: RunFolder, names: Sequence[str]) -> None:
    """Remove the releases of a run that its plan does not name any more."""
    for path, _ in _notes(run):
        if path.stem not in (*names, ORIGINAL):
            _remove(run, path.stem)
            shutil.rmtree(run.private / "shards" / path.stem, ignore_errors=True)


def used_recordings(run: RunFolder) -> set[str]:
    """Return the ids of all recordings that something in the run is made of."""
    return {i for _, note in _notes(run) for i in note["tracks"]}


def _remove(run: RunFolder, name: str) -> None:
    for folder in (run.root / "releases", run.private / "unfinished", run.private / "views"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for step in ("release", "hide", "observe", "judge"):
        run.forget(f"{step}-{name}")
    run.forget(f"judge-releases/{name}")
    for kept in (f"generators/{name}.safetensors", f"generators/{name}.items", f"near/{name}.json"):
        (run.private / kept).unlink(missing_ok=True)
    (run.private / "made_of" / f"{name}.json").unlink()
