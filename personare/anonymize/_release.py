"""Hidden recordings as a cohort that may leave."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd

from personare.anonymize._recordings import Disguise, Outcome, Sources, Work, as_release
from personare.core.types import Recording, Release
from personare.data.cohort import CohortWriter
from personare.features.marks import mark


def release_recordings(
    originals: Mapping[str, Recording],
    sources: Sources,
    disguise: Disguise,
    root: Path,
    hide: Callable[[Sequence[Work]], Iterable[Outcome]],
    *,
    labels: Sequence[str],
) -> Release:
    """Write a released cohort: the protected recordings, the labels asked for, nothing about the people.

    **Guarantee**: Nothing of the source enters but the ids that the recordings are released under, the hidden sound and
    pictures, and the labels named: no other label, no other track, no column about the people, not the source's name.

    ``originals`` are those that the vault admitted, by the id under which each is released; ``hide`` runs
    a fitted disguise over them, in any order, on any number of cores.
    """
    made_by = {"Name": "personare", "Description": "anonymized recordings", **asdict(disguise)}
    writer = CohortWriter(root, name=disguise.name, kind="release", description={"GeneratedBy": [made_by]})
    released: dict[str, Recording] = {}
    for name, original in originals.items():
        session = name.partition("_ses-")[2].partition("_")[0]
        leaving = {label: original.labels[label] for label in labels if label in original.labels}
        released[original.id] = Recording(id=name, subject=original.subject, session=session, tracks={}, labels=leaving)
    targets = {
        i: {t: writer.path(r, t, suffix) for t, suffix in disguise.suffixes.items()} for i, r in released.items()
    }
    work = [(original, sources[original.id], targets[original.id]) for original in originals.values()]
    outcomes = sorted(hide(work), key=lambda outcome: released[outcome.recording].id)
    for outcome in outcomes:
        if outcome.tracks:
            written = {t: targets[outcome.recording][t].relative_to(root).as_posix() for t in outcome.tracks}
            writer.add(replace(released[outcome.recording], tracks=written), about=mark("anonymized"))
    people = sorted({original.subject for original in originals.values()})
    release = as_release(disguise, root, outcomes)
    made_by |= {name: count for name, count in release.counts.items() if name.startswith("corrections_")}
    writer.finish(pd.DataFrame(index=pd.Index(people, name="participant_id")))
    return release
