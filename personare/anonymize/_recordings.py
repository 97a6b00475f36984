"""One recording in, one protected recording out; whatever could not be protected is withheld, with the reason."""

import hashlib
import json
import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from personare.anonymize._video import Locate, anonymize_video
from personare.core import registry
from personare.core.channels import CHANNELS, Channel
from personare.core.errors import DataError, OptionError, reason
from personare.core.randomness import generator, serial_sums
from personare.core.types import LocatedFrame, Recording, Release, Signal, Spend, Withheld
from personare.data.roles import source_tracks
from personare.features import audio, video
from personare.features.corrections import Corrections
from personare.features.marks import mark
from personare.features.models import find_model
from personare.govern.storage import open_plain

METHODS = "personare.anonymize"
# recordings of one person a method is fitted on, drawn at random; of tracks that are no media all
_FIT_PER_PERSON = {"audio": 200, "video": 12}
ADDED = ("recordings", "frames", "frames_covered_whole", "seconds")  # and corrections; of others the largest counts

Sources = Mapping[str, Mapping[str, Path]]
"""The admitted files: recording id -> track -> path."""

Work = tuple[Recording, Mapping[str, Path], Mapping[str, Path]]
"""A recording, its admitted files and the files to write, both by track."""


@dataclass(frozen=True, kw_only=True)
class Disguise:
    """What one release does to the channels of ``core/channels.py``: plain data, as it stands in a study file."""

    name: str
    voice: str = ""  # an anonymizer of voices, e.g. voice_mcadams; empty: no sound is released
    face: str = ""  # an anonymizer of faces, e.g. face_blur; empty: no picture is released
    body: str = ""  # of body signals, e.g. physio_windows; empty: none are released, and so for words and phone
    words: str = ""
    phone: str = ""
    voice_options: Mapping[str, Any] = field(default_factory=dict)
    face_options: Mapping[str, Any] = field(default_factory=dict)
    body_options: Mapping[str, Any] = field(default_factory=dict)
    words_options: Mapping[str, Any] = field(default_factory=dict)
    phone_options: Mapping[str, Any] = field(default_factory=dict)
    watermark: bool = False  # put a mark that outlives re-encoding into the voice
    bleep_names: bool = False  # put a tone where the voice says what names somebody (English; extras asr and text)
    keep_sound: bool = False  # carry the *original* sound over into the video: the voice then stays identifiable

    def __post_init__(self) -> None:
        """Check that something is hidden, and that each method exists and takes its options."""
        if not self.channels:
            raise OptionError(f"Release '{self.name}' hides nothing. Name a method of a channel, e.g. for the voice.")
        if self.watermark and not self.voice:
            raise OptionError(f"Release '{self.name}' has no new voice to put a watermark into. Name a voice method.")
        if self.bleep_names and not (self.voice or self.keep_sound):
            raise OptionError(f"Release '{self.name}' has no sound in which to bleep names. Name a voice method.")
        if self.keep_sound and self.voice:
            raise OptionError(f"Release '{self.name}' cannot both keep the original sound and replace it.")
        for channel, name in self.channels.items():
            if not name.startswith(f"{channel.prefix}_"):
                raise OptionError(f"'{name}' is not a {channel.name} method. `personare methods` lists them.")
        for name, options in self.options.items():
            registry.create(METHODS, name, options)

    @property
    def channels(self) -> dict[Channel, str]:
        """Method by channel, of those that are released."""
        return {channel: method for channel in CHANNELS if (method := getattr(self, channel.name))}

    @property
    def methods(self) -> dict[str, str]:
        """Method by modality, which is the channel's track."""
        return {channel.track: method for channel, method in self.channels.items()}

    @property
    def suffixes(self) -> dict[str, str]:
        """Suffix of the files released, by modality: its channel's, unless the method names its own."""
        return {c.track: getattr(registry.load(METHODS, name), "suffix", c.suffix) for c, name in self.channels.items()}

    @property
    def modalities(self) -> tuple[str, ...]:
        """``audio``, ``video`` and so on."""
        return tuple(self.methods)

    @property
    def options(self) -> dict[str, Mapping[str, Any]]:
        """Options by method."""
        return {method: dict(getattr(self, f"{channel.name}_options")) for channel, method in self.channels.items()}

    @property
    def needs_landmarks(self) -> bool:
        """Whether the face method must know the mesh."""
        return bool(self.face) and bool(getattr(registry.load(METHODS, self.face), "needs_landmarks", False))

    @serial_sums()
    def fit(
        self,
        recordings: Sequence[Recording],
        sources: Sources,
        locate_for: Callable[[Recording], Locate],
        *,
        seed: int,
        outside: bool = False,
    ) -> "Masks":
        """Fit the methods on the people they are allowed to learn from: those to be hidden, or others (``outside``).

        A method with ``fit_on = "others"`` is fitted twice, on either half of the people, and hides the half it never
        saw; ``locate_for`` finds the faces of a recording.
        """
        if self.needs_landmarks:
            find_model("face_landmarker")
        people = sorted({r.subject for r in recordings})

        data = partial(_fitting_data, recordings, sources, locate_for, seed)

        def fitted(track: str, name: str) -> dict[str, Any]:
            """Return the fitted method by the person it hides."""
            method = registry.create(METHODS, name, self.options[name])
            fit_on = getattr(method, "fit_on", "nothing")
            if fit_on == "nothing" or (len(people) < 2 and getattr(method, "works_alone", False)):
                return {"": method}
            if len(people) < 2:
                raise DataError(
                    f"{name} learns from a group of people, and there is only one person here. "
                    "Give a cohort of at least two people (--background COHORT), or choose another method."
                )
            if fit_on == "everyone" or outside:
                fit = method.fit(data(track, people), rng=_chance(method, seed, name, "fit"))
                # a background's people are others, even where they are called the same
                return {"": fit} | ({} if outside else getattr(fit, "by_subject", {}))
            halves = (people[0::2], people[1::2])
            other = [method.fit(data(track, h), rng=generator(seed, name, "fit", str(i))) for i, h in enumerate(halves)]
            return {person: other[1 - i] for i, half in enumerate(halves) for person in half}

        by_modality = {track: fitted(track, name) for track, name in self.methods.items()}
        return Masks(disguise=self, by_modality=by_modality, seed=seed, secret=self._secret(sources))

    def _secret(self, sources: Sources) -> tuple[str, ...]:
        """Return what all texts, signals and logs tell: of sound and film each recording's own files tell enough.

        Whoever knows the seed and a pseudonym, and all can, could otherwise undo surrogates, moved dates, broken ties.
        """
        tracks, digest = {*self.modalities} - {*_FIT_PER_PERSON}, hashlib.sha256()
        for _, files in sorted(sources.items()):
            for track in source_tracks(tracks, files):
                with suppress(OSError):
                    digest.update(_digest(files[track]))
        return (digest.hexdigest(),) if tracks else ()


def _digest(path: Path) -> bytes:
    with open_plain(path) as file:
        return hashlib.file_digest(file, "sha256").digest()


def _fitting_data(
    recordings: Sequence[Recording],
    sources: Sources,
    locate_for: Callable[[Recording], Locate],
    seed: int,
    track: str,
    subjects: Collection[str],
) -> Iterator[tuple[str, Any]]:
    """Yield (subject, speech, located frames or track) to learn from: of sound and film, some of each person."""
    drawn: dict[str, list[int]] = {}  # at random: the first ones would often share an emotion
    for i in generator(seed, "fit", track).permutation(len(recordings)):
        drawn.setdefault(recordings[i].subject, []).append(i)
    for i in sorted(i for takes in drawn.values() for i in takes[: _FIT_PER_PERSON.get(track)]):
        r = recordings[i]
        files = sources.get(r.id, {}) if r.subject in subjects else {}
        yield from ((r.subject, read) for read in _read(track, files, partial(locate_for, r)))


def _read(track: str, files: Mapping[str, Path], locate: Callable[[], Locate]) -> Iterator[Any]:
    """Yield what a method learns from a recording: nothing where it has no such track, or none that can be read."""
    if track in _FIT_PER_PERSON and track not in files:
        return
    if track == "video":
        yield _readable(locate()(video.read(files[track])))
        return
    from personare.features.tracks import read_channel

    with suppress(DataError):  # it is withheld where it is to be hidden
        yield audio.read(files[track]) if track == "audio" else read_channel(track, files)


def _readable(frames: Iterator[LocatedFrame]) -> Iterator[LocatedFrame]:
    """Yield frames until one cannot be read, which withholds the film where it is to be hidden."""
    with suppress(DataError):
        yield from frames


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one recording."""

    recording: str
    tracks: tuple[str, ...] = ()  # whose files were written
    # recordings (1 if anything of it was written), frames, frames_covered_whole, seconds; corrections_add, _remove,
    # _cover, _bleep; smallest_face_px (see LocatedFrame; of several the weakest promise)
    counts: Mapping[str, float] = field(default_factory=dict)
    withheld: tuple[Withheld, ...] = ()
    remarks: tuple[str, ...] = ()  # what was mended in the original before anything was hidden

    @classmethod
    def lost(cls, recording: str, error: Exception) -> "Outcome":
        """Return what a recording comes to whose process could not end its work."""
        fix = "Run again with one process (--jobs 1); if it stays so, leave it out."
        return cls(recording=recording, withheld=(Withheld(item=recording, problem=reason(error), fix=fix),))


@dataclass(frozen=True, kw_only=True)
class Masks:
    """A disguise whose methods are fitted; called with a recording, it hides the person in it."""

    disguise: Disguise
    by_modality: Mapping[str, Mapping[str, Any]]  # then by the person hidden; the person "" is everybody not named
    seed: int
    secret: tuple[str, ...] = ()  # on which chance hangs beside the seed

    @property
    def spends(self) -> tuple[Spend, ...]:
        """The privacy that fitting cost the people fitted on; empty where nothing was noised."""
        return tuple(m.spend for people in self.by_modality.values() for m in people.values() if hasattr(m, "spend"))

    @serial_sums()
    def adapted_to(
        self, recordings: Sequence[Recording], sources: Sources, locate_for: Callable[[Recording], Locate]
    ) -> "Masks":
        """Let methods that were fitted on others adapt to the people whom they are to hide, where they can."""
        people, by_modality = {r.subject for r in recordings}, dict(self.by_modality)
        for track, masks in self.by_modality.items():
            if hasattr(masks.get(""), "adapt_to"):
                speech = _fitting_data(recordings, sources, locate_for, self.seed, track, people)
                by_modality[track] = {**masks, **masks[""].adapt_to(speech).by_subject}
        return replace(self, by_modality=by_modality)

    @serial_sums()
    def __call__(
        self, work: Work, locate: Locate, corrections: Mapping[str, Corrections] = MappingProxyType({})
    ) -> Outcome:
        """Protect each channel of one recording, or withhold it: a bad recording raises nothing.

        The original's files were admitted by the vault; each protected file is written whole or not at all.
        ``corrections`` are by track, and made before anything is written.
        """
        recording, sources, targets = work
        counts: dict[str, float] = {}
        withheld: list[Withheld] = []
        written: list[str] = []
        for track, target in targets.items():
            try:
                if track in self.by_modality and track not in _FIT_PER_PERSON:
                    counts |= self._write_track(track, recording, sources, target)
                    written.append(track)
                    continue
                if track not in self.by_modality or track not in sources:
                    raise DataError(f"The recording has no {track}.")
                source, sound, mended = sources[track], None, corrections.get(track) or Corrections(digest="")
                made = mended.counts("bleep") if track == "audio" else mended.counts("add", "remove", "cover")
                if track == "audio":
                    audio.write(
                        target, self._speech(recording, sources, source, mended), note=json.dumps(mark("anonymized"))
                    )
                else:
                    if (self.disguise.voice or self.disguise.keep_sound) and video.probe(source).has_sound:
                        sound = self._speech(recording, sources, source, mended)
                        made |= mended.counts("bleep")
                    locate = mended.correct(source, locate)
                    method, rng = self._mask("video", recording, source)
                    who = recording.subject
                    done = anonymize_video(source, target, method, subject=who, rng=rng, locate=locate, sound=sound)
                    counts.update(frames=done.frames, frames_covered_whole=done.covered_whole, seconds=done.seconds)
                    if done.smallest_face_px > 0:
                        counts["smallest_face_px"] = done.smallest_face_px
                written.append(track)
                for name, count in made.items():
                    counts[name] = counts.get(name, 0) + count
            except Exception as error:  # one bad recording never stops a release, and never passes through
                fix = "Look at the original with `personare doctor FILE`; mend or remove it, then run again."
                withheld.append(Withheld(item=f"{recording.id} ({track})", problem=reason(error), fix=fix))
        counts["recordings"] = float(bool(written))
        return Outcome(recording=recording.id, tracks=tuple(written), counts=counts, withheld=tuple(withheld))

    def _mask(self, track: str, recording: Recording, media: Path | None = None) -> tuple[Any, np.random.Generator]:
        """Return what hides this person, and the randomness that the policy asked for gives the recording.

        A recording's own hangs on its sound or film (``media``) as well: who knows a seed and a name cannot redraw it.
        """
        name, people = self.disguise.methods[track], self.by_modality[track]
        method = people[recording.subject if recording.subject in people else ""]
        policy = self.disguise.options[name].get("policy", getattr(method, "policy", "recording"))
        owner = {"recording": recording.id, "person": recording.subject, "common": ""}[policy]
        content = (_digest(media).hex(),) if media and policy == "recording" else ()
        return method, _chance(method, self.seed, name, owner, *self.secret, *content)

    def _write_track(
        self, track: str, recording: Recording, sources: Mapping[str, Path], target: Path
    ) -> Mapping[str, float]:
        """Write a track that is neither sound nor film, after a check that it really changed; return ``counts``."""
        from personare.features.tracks import TrackForm, read_channel, write_track  # brings pandas

        before = read_channel(track, sources)
        method, rng = self._mask(track, recording)
        after = method(before, subject=recording.subject, rng=rng)
        if not (isinstance(after.values, str) or np.isfinite(after.values).any()):
            raise DataError("Nothing was left of the recording, so there is nothing to release.")
        same = np.array_equal(after.values, before.values, equal_nan=not isinstance(after.values, str))
        if same and not getattr(method, "may_be_unchanged", False):
            raise DataError(f"The {track} came out unchanged, so nothing was protected.")
        clock = {"SamplingFrequency": after.rate_hz, "StartTime": after.start_s} if after.rate_hz else {}
        form = TrackForm(kind=after.kind, suffix=self.disguise.suffixes[track], about=clock)
        write_track(target, after.values, form, columns=after.columns, note=mark("anonymized"))
        return dict(getattr(method, "counts", {}))

    def _speech(
        self, recording: Recording, sources: Mapping[str, Path], source: Path, corrections: Corrections
    ) -> Signal:
        """Return the speech changed, after a check that it really changed; what is bleeped no method gets to hear."""
        speech = audio.read(source)
        if self.disguise.bleep_names:
            from personare.features.spoken_names import spoken_names  # brings the recognizer's and the finder's files

            corrections = replace(corrections, bleep=(*corrections.bleep, *spoken_names(speech)))
        if self.disguise.keep_sound:
            return corrections.bleeped(speech, tone=True)
        speech = corrections.bleeped(speech, tone=False)
        method, rng = self._mask("audio", recording, sources.get("audio", source))
        hidden: Signal = method(speech, rng=rng)
        if hidden.values.shape != speech.values.shape or not np.isfinite(hidden.values).all():
            raise DataError("The protected sound has another length than the original, or values that are not numbers.")
        if speech.values.any() and np.array_equal(hidden.values, speech.values):
            raise DataError("The sound came out unchanged, so nothing was protected.")
        if self.disguise.watermark:
            from personare.features.watermark import embed_watermark  # brings SciPy, which one file does not wait for

            hidden = embed_watermark(hidden)
        return corrections.bleeped(hidden, tone=True)


def _chance(method: Any, seed: int, *purpose: str) -> np.random.Generator:
    """Return the chance that a method is given; noise with a price follows from no seed, which can be guessed."""
    return np.random.default_rng() if hasattr(method, "epsilon") else generator(seed, *purpose)


def as_release(disguise: Disguise, root: Path, outcomes: Iterable[Outcome]) -> Release:
    """Return what was made of many recordings together."""
    counts: dict[str, float] = {}
    withheld: list[Withheld] = []
    for outcome in outcomes:
        withheld += outcome.withheld
        for name, count in outcome.counts.items():
            together = operator.add if name in ADDED or name.startswith("corrections_") else max
            counts[name] = together(counts.get(name, 0), count)
    return Release(
        name=disguise.name,
        kind="recordings",
        root=root,
        modalities=disguise.modalities,
        methods=disguise.methods,
        options=disguise.options,
        counts=counts,
        withheld=tuple(withheld),
    )
