"""One recording in, one protected recording out; whatever could not be protected is withheld, with the reason."""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from personare.anonymize._video import anonymize_video
from personare.core import registry
from personare.core.errors import DataError, OptionError
from personare.core.protocols import FaceAnonymizer, VoiceAnonymizer
from personare.core.randomness import generator
from personare.core.types import Array, LocatedFrame, Recording, Signal, Withheld
from personare.features import video
from personare.features.audio import write

__all__ = ["Disguise", "Locate", "Masks", "Outcome", "anonymize_recording", "counted"]

METHODS = "personare.anonymize"
Locate = Callable[[Iterator[tuple[int, float, Array]]], Iterator[LocatedFrame]]


@dataclass(frozen=True, kw_only=True)
class Disguise:
    """What one release does to voice and face: plain data, as it stands in a study file."""

    name: str
    voice: str = ""  # an anonymizer of voices, e.g. voice_mcadams; empty: no sound is released
    face: str = ""  # an anonymizer of faces, e.g. face_blur; empty: no picture is released
    voice_options: Mapping[str, Any] = field(default_factory=dict)
    face_options: Mapping[str, Any] = field(default_factory=dict)
    keep_sound: bool = False  # carry the *original* sound over into the video: the voice then stays identifiable

    def __post_init__(self) -> None:
        """Check that something is hidden, and that each method exists and takes its options."""
        if not (self.voice or self.face):
            raise OptionError(f"Release '{self.name}' hides nothing. Name a voice method, a face method, or both.")
        if self.keep_sound and self.voice:
            raise OptionError(f"Release '{self.name}' cannot both keep the original sound and replace it.")
        for kind, name in (("voice", self.voice), ("face", self.face)):
            if name and not name.startswith(kind + "_"):
                raise OptionError(f"'{name}' is not a {kind} method. `personare methods` lists them.")
        self.methods()

    @property
    def chosen(self) -> dict[str, str]:
        """Method by modality, ``audio`` and/or ``video``."""
        return {m: method for m, method in (("audio", self.voice), ("video", self.face)) if method}

    @property
    def modalities(self) -> tuple[str, ...]:
        """``audio`` and/or ``video``."""
        return tuple(self.chosen)

    @property
    def options(self) -> dict[str, Mapping[str, Any]]:
        """Options by method."""
        return {m: dict(o) for m, o in ((self.voice, self.voice_options), (self.face, self.face_options)) if m}

    def methods(self) -> tuple[VoiceAnonymizer | None, FaceAnonymizer | None]:
        """Make the voice and the face method, not yet fitted."""
        voice = registry.create(METHODS, self.voice, self.voice_options) if self.voice else None
        face = registry.create(METHODS, self.face, self.face_options) if self.face else None
        return voice, face

    def needs_landmarks(self) -> bool:
        """Whether the face method must know the mesh."""
        return bool(self.face) and bool(getattr(registry.load(METHODS, self.face), "needs_landmarks", False))


@dataclass(frozen=True, kw_only=True)
class Masks:
    """Fitted methods by the person they hide; the key ``""`` serves everybody not named."""

    voice: Mapping[str, VoiceAnonymizer] = field(default_factory=dict)
    face: Mapping[str, FaceAnonymizer] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one recording."""

    recording: str
    files: Mapping[str, Path] = field(default_factory=dict)  # written, by track
    # recordings (1 if anything of it was written), frames, frames_covered_whole, seconds; smallest_face_px (see
    # LocatedFrame; of several the weakest promise)
    counts: Mapping[str, float] = field(default_factory=dict)
    withheld: tuple[Withheld, ...] = ()
    remarks: tuple[str, ...] = ()  # what was mended in the original before anything was hidden


def counted(outcomes: Iterable[Outcome]) -> dict[str, float]:
    """Return the counts of many recordings together."""
    total: dict[str, float] = {}
    for outcome in outcomes:
        for name, count in outcome.counts.items():
            together = max if name == "smallest_face_px" else operator.add
            total[name] = together(total.get(name, 0), count)
    return total


def anonymize_recording(
    recording: Recording,
    sources: Mapping[str, Path],
    targets: Mapping[str, Path],
    disguise: Disguise,
    masks: Masks,
    *,
    seed: int,
    locate: Locate,
) -> Outcome:
    """Protect the voice and the face of one recording, or withhold them: a bad recording raises nothing.

    The original's files by track (``audio``, ``video``) were admitted by the vault; each track's protected file is
    written whole or not at all.
    """
    files: dict[str, Path] = {}
    counts: dict[str, float] = {}
    withheld: list[Withheld] = []
    for track, target in targets.items():
        try:
            if track not in ("audio", "video") or track not in sources:
                raise DataError(f"The recording has no {track}.")
            if track == "audio":
                write(target, _spoken(sources[track], recording, disguise, masks, seed))
            else:
                counts |= _filmed(sources[track], target, recording, disguise, masks, seed, locate)
            files[track] = target
        except Exception as error:  # one bad recording never stops a release, and never passes through
            problem = str(error) if isinstance(error, DataError) else f"{type(error).__name__}: {error}"
            fix = "Look at the original with `personare doctor FILE`; mend or remove it, then run again."
            withheld.append(Withheld(item=f"{recording.id} ({track})", problem=problem, fix=fix))
    counts["recordings"] = float(bool(files))
    return Outcome(recording=recording.id, files=files, counts=counts, withheld=tuple(withheld))


def _chosen(
    recording: Recording, name: str, options: Mapping[str, Any], masks: Mapping[str, Any], seed: int
) -> tuple[Any, np.random.Generator]:
    """Return what hides this person, and the randomness that the policy asked for gives the recording."""
    method = masks[recording.subject if recording.subject in masks else ""]
    policy = options.get("policy", getattr(method, "policy", "recording"))
    owner = {"recording": recording.id, "person": recording.subject, "common": ""}[policy]
    return method, generator(seed, name, owner)


def _spoken(source: Path, recording: Recording, disguise: Disguise, masks: Masks, seed: int) -> Signal:
    """Return the speech changed, after a check that it really changed."""
    from personare.features.audio import read  # what it needs takes longer to import than a film's frames take

    speech = read(source)
    method, rng = _chosen(recording, disguise.voice, disguise.voice_options, masks.voice, seed)
    hidden: Signal = method(speech, rng=rng)
    if hidden.values.shape != speech.values.shape or not np.isfinite(hidden.values).all():
        raise DataError("The protected sound has another length than the original, or values that are not numbers.")
    if speech.values.any() and np.array_equal(hidden.values, speech.values):
        raise DataError("The sound came out unchanged, so nothing was protected.")
    return hidden


def _filmed(
    source: Path, target: Path, recording: Recording, disguise: Disguise, masks: Masks, seed: int, locate: Locate
) -> dict[str, float]:
    """Write the film with other faces, and what it may be heard saying; return what was done."""
    sound = None
    if (disguise.voice or disguise.keep_sound) and video.probe(source).has_sound:
        from personare.features.audio import read

        sound = read(source) if disguise.keep_sound else _spoken(source, recording, disguise, masks, seed)
    method, rng = _chosen(recording, disguise.face, disguise.face_options, masks.face, seed)
    done = anonymize_video(source, target, method, subject=recording.subject, rng=rng, locate=locate, sound=sound)
    if not done.faces_seen:
        target.unlink()
        raise DataError("No face was found in any frame, so nothing could be protected; check the video by eye.")
    counts = {"frames": done.frames, "frames_covered_whole": done.covered_whole, "seconds": done.seconds}
    return counts | ({"smallest_face_px": done.smallest_face_px} if done.smallest_face_px > 0 else {})
