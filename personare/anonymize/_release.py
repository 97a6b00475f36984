"""Anonymizers over many recordings: fit what must be fitted, hide everybody, write a cohort that may leave."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from personare.anonymize._recordings import Disguise, Locate, Masks, Outcome, counted
from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.types import Recording, Release
from personare.features import video
from personare.features.models import find_model

__all__ = ["Sources", "fit_masks", "release_recordings"]

Sources = Mapping[str, Mapping[str, Path]]
"""The admitted files: recording id -> track -> path."""

_FIT_PER_PERSON = {"audio": 200, "video": 12}  # recordings of one person a method is fitted on, drawn at random


def fit_masks(
    disguise: Disguise,
    recordings: Sequence[Recording],
    sources: Sources,
    locate_for: Callable[[Recording], Locate],
    seed: int,
    *,
    outside: bool = False,
) -> Masks:
    """Fit the methods of a disguise on the people it is allowed to learn from.

    A method with ``fit_on = "others"`` is fitted twice, on either half of the people, and hides the half it never saw.

    The recordings are of the people to learn from: those to be hidden, or others (``outside``); ``locate_for`` finds
    the faces of one.
    """
    if disguise.needs_landmarks():
        find_model("face_landmarker")
    voice, face = disguise.methods()
    people = sorted({r.subject for r in recordings})

    def background(track: str, subjects: set[str]) -> Iterator[tuple[str, Any]]:
        """Yield (subject, speech) or (subject, located frames) of a bounded number of recordings of each person."""
        from personare.features import audio  # what it needs takes longer to import than a film's frames take

        drawn: dict[str, list[int]] = {}  # at random: the first ones would often share an emotion
        for i in generator(seed, "fit", track).permutation(len(recordings)):
            drawn.setdefault(recordings[i].subject, []).append(i)
        for i in sorted(i for own in drawn.values() for i in own[: _FIT_PER_PERSON[track]]):
            r = recordings[i]
            if r.subject in subjects and track in sources.get(r.id, {}):
                path = sources[r.id][track]
                yield r.subject, audio.read(path) if track == "audio" else locate_for(r)(video.read(path))

    fitted = partial(_fitted, people=people, seed=seed, outside=outside)
    return Masks(
        voice=fitted(voice, disguise.voice, partial(background, "audio")) if voice else {},
        face=fitted(face, disguise.face, partial(background, "video")) if face else {},
    )


def _fitted(
    method: Any,
    name: str,
    background: Callable[[set[str]], Iterator[Any]],
    *,
    people: list[str],
    seed: int,
    outside: bool,
) -> dict[str, Any]:
    """Return the fitted method by the person it hides."""
    fit_on = getattr(method, "fit_on", "nothing")
    if fit_on == "nothing" or (len(people) < 2 and getattr(method, "works_alone", False)):
        return {"": method}
    if len(people) < 2:
        raise DataError(
            f"{name} learns from a group of people, and there is only one person here. "
            "Give a cohort of at least two people (--background COHORT), or choose another method."
        )
    if fit_on == "everyone" or outside:
        return {"": method.fit(background(set(people)), rng=generator(seed, name, "fit"))}
    halves = (people[0::2], people[1::2])
    found = [method.fit(background(set(h)), rng=generator(seed, name, "fit", str(i))) for i, h in enumerate(halves)]
    return {person: found[1 - i] for i, half in enumerate(halves) for person in half}


def release_recordings(
    recordings: Sequence[Recording],
    disguise: Disguise,
    root: Path,
    hide: Callable[[Sequence[tuple[Recording, Mapping[str, Path]]]], Iterable[Outcome]],
    *,
    labels: Sequence[str],
) -> Release:
    """Write a released cohort: the protected recordings, the labels asked for, nothing about the people.

    **Guarantee**: Nothing of the source enters but the recordings' ids, the hidden sound and pictures, and the labels
    named: no other label, no other track, no column about the people, not the source's name.

    ``hide`` runs ``anonymize_recording`` over (recording, target files) pairs, in any order, on any number of cores;
    the recordings are those that the vault admitted.
    """
    import pandas as pd

    from personare.data.cohort import CohortWriter

    made_by = {"Name": "personare", "Description": "anonymized recordings", **asdict(disguise)}
    writer = CohortWriter(root, name=disguise.name, kind="release", description={"GeneratedBy": [made_by]})
    suffix = {"audio": ".wav", "video": ".mp4"}
    work = [(r, {track: writer.path(r, track, suffix[track]) for track in disguise.modalities}) for r in recordings]
    by_id = {r.id: r for r in recordings}
    outcomes = sorted(hide(work), key=lambda o: o.recording)
    for outcome in outcomes:
        if outcome.files:
            original = by_id[outcome.recording]
            writer.add(
                Recording(
                    id=original.id,
                    subject=original.subject,
                    session=original.session,
                    tracks={track: path.relative_to(root).as_posix() for track, path in outcome.files.items()},
                    labels={label: original.labels[label] for label in labels if label in original.labels},
                )
            )
    people = pd.DataFrame(index=pd.Index(sorted({r.subject for r in recordings}), name="participant_id"))
    writer.finish(people)
    return Release(
        name=disguise.name,
        kind="recordings",
        root=root,
        modalities=disguise.modalities,
        methods=disguise.chosen,
        options=disguise.options,
        counts=counted(outcomes),
        withheld=tuple(w for o in outcomes for w in o.withheld),
    )
