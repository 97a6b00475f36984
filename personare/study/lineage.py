"""Of whose recordings everything in a run was made, so that what may not be there any more goes first."""

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from personare.core.types import Batch, Cohort, Recording
from personare.data.atomic import write_json
from personare.data.runs import RunFolder
from personare.data.vault import Vault
from personare.govern.ledger import Ledger

__all__ = ["ORIGINAL", "note_batch", "note_sources", "remove_dropped", "remove_withdrawn", "used_recordings"]

ORIGINAL = "original"
"""What the run keeps of the recordings themselves, beside its releases."""


def note_sources(run: RunFolder, name: str, purpose: str, tracks: Mapping[str, Collection[str]]) -> None:
    """Note what a release is made of, before it is made.

    Args:
        run: The run.
        name: The release, or ``ORIGINAL``.
        purpose: The purpose for which the recordings were opened.
        tracks: Which tracks, by recording.
    """
    path = _note(run, name)
    found = {recording: sorted(names) for recording, names in tracks.items()}
    if (run.root / "releases" / name).exists() and path.exists():  # until it is swapped, the older one counts too
        found = json.loads(path.read_text(encoding="utf-8"))["tracks"] | found
    write_json(path, {"purpose": purpose, "tracks": found})


def note_batch(run: RunFolder, name: str, batch: Batch) -> None:
    """Note that a release is learned from these recordings."""
    tracks = {i: [t for t, there in batch.present.items() if there[row]] for row, i in enumerate(batch.ids)}
    note_sources(run, name, "training", tracks)


def remove_withdrawn(run: RunFolder, cohort: Cohort, ledger: Ledger) -> dict[str, str]:
    """Remove from a run what may not be there any more of people who withdrew.

    **Guarantee**: no release, no half-made release, no picture and no features remain in the run, or in its private
    folder, of a recording that is not in the cohort or whose consent does not allow it now; nor do reports and tables
    in which its person was counted.

    Args:
        run: The run.
        cohort: The recordings as they are now.
        ledger: Where openings are noted; nothing is opened here.

    Returns:
        The releases that were removed, and why.
    """
    removed: dict[str, str] = {}
    known = {r.id: r for r in cohort.recordings}
    for path in _notes(run):
        note = json.loads(path.read_text(encoding="utf-8"))
        gone = _withdrawn(Vault(cohort, purpose=note["purpose"], ledger=ledger), known, note["tracks"])
        if not gone:
            continue
        removed[path.stem] = f"{len(gone)} of its recordings may not be used any more"
        if path.stem != ORIGINAL:
            _remove(run, path.stem)
            continue
        for file in (file for recording in gone for file in run.private.rglob(f"{recording}[._]*")):
            file.unlink(missing_ok=True)
        tracks = {recording: own for recording, own in note["tracks"].items() if recording not in gone}
        write_json(path, {**note, "tracks": tracks})
    if removed:
        for file in (file for file in run.root.iterdir() if file.is_file()):
            file.unlink()
        for step in ("judge-originals", "judge-releases"):
            run.forget(step)
        shutil.rmtree(run.private / "explanations", ignore_errors=True)
    removed.pop(ORIGINAL, None)
    return removed


def remove_dropped(run: RunFolder, names: Sequence[str]) -> None:
    """Remove the releases of a run that its plan does not name any more."""
    for path in _notes(run):
        if path.stem not in (*names, ORIGINAL):
            _remove(run, path.stem)


def used_recordings(run: RunFolder) -> set[str]:
    """Return the ids of all recordings that something in the run is made of."""
    return {i for path in _notes(run) for i in json.loads(path.read_text(encoding="utf-8"))["tracks"]}


def _notes(run: RunFolder) -> list[Path]:
    return sorted((run.private / "made_of").glob("*.json"))


def _note(run: RunFolder, name: str) -> Path:
    return run.private / "made_of" / f"{name}.json"


def _withdrawn(vault: Vault, known: Mapping[str, Recording], tracks: Mapping[str, Sequence[str]]) -> set[str]:
    gone = {recording for recording in tracks if recording not in known}
    for track in {track for own in tracks.values() for track in own}:
        asked = [known[recording] for recording, own in tracks.items() if track in own and recording in known]
        gone |= {r.id for r in asked} - vault.permitted(asked, track)
    return gone


def _remove(run: RunFolder, name: str) -> None:
    folders = (run.root / "releases", run.private / "unfinished", run.private / "views")
    for folder in folders:
        shutil.rmtree(folder / name, ignore_errors=True)
    for step in ("release", "hide", "observe", "judge"):
        run.forget(f"{step}-{name}")
    run.forget(f"judge-releases/{name}")
    _note(run, name).unlink()
