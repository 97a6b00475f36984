"""What somebody who looked at a film or heard a sound mends before it leaves: faces, stretches, words."""

import json
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_type_hints

import numpy as np

from personare.core.errors import DataError, OptionError, data_errors
from personare.core.options import NotNegative, Share, Whole, check_options
from personare.core.types import Array, Face, LocatedFrame, Signal
from personare.features import face_tracking, video
from personare.features.centerface import shared

VERSION = 1
_BACK_FRAMES = 1000  # for which a box is followed backwards; of what lies before nothing is certain
_SMALLEST_PX = 30
_SURE, _RELATED = 0.8, 0.6  # correlation with a face seen before: it is compared with that on; it is the same face
_ALIKE = 0.5  # with what was drawn around; at 0.3 boxes went over to what passed before the face
_GROWTH = 0.015  # of its size, by which a face may grow on each side within a frame
_MARGIN = 0.1  # of its size, by which a box reaches further on each side; it held 93 % and more of faces that moved
_LEFT = 0.3  # share of a box inside the picture below which it has left
_SAME = 0.3  # intersection over union of two boxes of one track
_TICK_S = 0.001  # times are noted to this
_TONE_HZ, _TONE_LEVEL, _RAMP_S = 1000.0, 0.2, 0.005
_FIX = "Correct the file, or make it again in the Hide room."

Frames = Iterator[tuple[int, float, Array]]
Locate = Callable[[Frames], Iterator[LocatedFrame]]
_Made = TypeVar("_Made")


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """From ``from_s`` to before ``to_s``, in seconds; to the beginning or the end where they are not given."""

    from_s: NotNegative = 0.0
    to_s: float = math.inf

    def __post_init__(self) -> None:
        check_options(self)
        if not self.from_s < self.to_s:
            raise OptionError(f"A stretch must end after it begins, it goes from {self.from_s} s to {self.to_s} s.")

    def holds(self, begin_s: float, end_s: float) -> bool:
        """Tell whether a picture that is shown from one time to another is shown in it."""
        return begin_s < self.to_s and (begin_s >= self.from_s or end_s > self.from_s)


@dataclass(frozen=True, kw_only=True)
class Bleep(Stretch):
    """A stretch of sound that nobody is to hear."""

    sound: Literal["tone", "silence"] = "tone"


@dataclass(frozen=True, kw_only=True)
class Box(Stretch):
    """A face as drawn around it in the picture shown at ``at_s``; shares of the picture's width and height."""

    at_s: NotNegative
    left: Share
    top: Share
    right: Share
    bottom: Share

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.left < self.right and self.top < self.bottom):
            raise OptionError("A box must have its left before its right, and its top above its bottom.")
        if not self.from_s <= self.at_s < self.to_s:
            raise OptionError(f"A box must be of a time in its stretch, {self.from_s} to {self.to_s} s: {self.at_s} s.")

    def pixels(self, shape: tuple[int, ...]) -> Array:
        """Return (4,) left, top, right, bottom in a picture of a shape."""
        shares = np.array([self.left, self.top, self.right, self.bottom])
        return np.asarray(shares * np.tile(shape[1::-1], 2))


@dataclass(frozen=True, kw_only=True)
class Mistake(Box):
    """What was taken for a face and is none: its track, and where that was found at ``at_s``."""

    track: Whole


@dataclass(frozen=True, kw_only=True)
class Corrections:
    """What is to be mended in one recording."""

    digest: str  # of the original, which must be the one that was looked at
    name: str = ""  # for people; it says nothing to a program
    add: Sequence[Box] = ()  # faces that were not found
    remove: Sequence[Mistake] = ()
    cover: Sequence[Stretch] = ()  # to be covered whole
    bleep: Sequence[Bleep] = ()

    def counts(self, *kinds: str) -> dict[str, float]:
        """Return how many of these kinds there are, as a release counts them."""
        return {f"corrections_{kind}": float(len(getattr(self, kind))) for kind in kinds if getattr(self, kind)}

    def bleeped(self, sound: Signal, *, tone: bool) -> Signal:
        """Return a sound of which nothing is left in the stretches to bleep: a tone, or silence.

        **Guarantee**: No sample that lies within such a stretch stays, whatever it was.
        """
        values, times = np.array(sound.values), sound.start_s + np.arange(len(sound.values)) / sound.rate_hz
        for bleep in self.bleep:
            begin, end = np.searchsorted(times, [bleep.from_s, bleep.to_s])
            if begin == end:
                raise DataError(f"A bleep at {bleep.from_s} s lies beyond the sound's {sound.duration_s:.2f} s. {_FIX}")
            inside = times[begin:end, None] - times[begin]
            level = _TONE_LEVEL * np.clip(np.minimum(inside, inside[::-1]) / _RAMP_S, 0, 1)  # begins without a click
            heard = tone and bleep.sound == "tone"
            values[begin:end] = level * np.sin(2 * np.pi * _TONE_HZ * inside) if heard else 0
        return replace(sound, values=values)

    def correct(self, path: Path, locate: Locate) -> Locate:
        """Return what locates the faces of the film ``path`` and mends what it found.

        **Guarantee**: A box that is added goes with what it was drawn around, forwards and backwards. From where that
        is lost to the end of the box's stretch no frame is ``certain``; a stretch without a given end goes to where the
        scene is cut or the box leaves the picture. A mistake is taken out only where its track was found in its box. No
        frame of a stretch to cover is ``certain``. A correction of what the film does not have is an error.

        A face that is added has no mesh. Up to the last box the film is decoded once more; memory does not grow with
        its length.
        """
        if not (self.add or self.remove or self.cover):
            return locate

        def corrected(frames: Frames) -> Iterator[LocatedFrame]:
            walks, covered = self._walks(path), set[Stretch]()
            step_s = 1 / video.probe(path).rate_hz
            for frame, following in pairwise(chain(locate(frames), [None])):
                assert frame is not None  # only what follows the last one is
                shown_s = frame.time_s, frame.time_s + step_s if following is None else following.time_s
                covering = {stretch for stretch in self.cover if stretch.holds(*shown_s)}
                covered |= covering
                faces, certain = self._rightly(frame, walks), frame.certain and not covering
                for number, box in enumerate(self.add):
                    if box.holds(*shown_s):
                        place, lost = walks[box].at(frame)
                        certain = certain and not lost
                        if place is not None:
                            place = face_tracking.enlarge(place, _MARGIN).astype(np.float32)
                            faces.append(Face(box=place, score=1.0, track=-1 - number))
                faces.sort(key=lambda face: -float((face.box[2:] - face.box[:2]).prod()))
                yield replace(frame, faces=tuple(faces), certain=certain)
            if beyond := set(self.cover) - covered:
                raise DataError(f"A stretch to cover, from {beyond.pop().from_s} s, begins after the film. {_FIX}")

        return corrected

    def _rightly(self, frame: LocatedFrame, walks: "Mapping[Box, _Walk]") -> list[Face]:
        """Return the faces of a frame that are no mistakes."""
        for mistake in self.remove:
            if walks[mistake].index == frame.index:
                there = [face.box for face in frame.faces if face.track == mistake.track]
                if not there or shared(mistake.pixels(frame.image.shape)[None], np.stack(there)).max() < _SAME:
                    raise DataError(
                        f"Track {mistake.track} is not in its box at {mistake.at_s} s, so it may be another face. "
                        "Look at the film again in the Hide room, and take out what is wrong there."
                    )
        mistaken = {mistake.track for mistake in self.remove if mistake.from_s <= frame.time_s < mistake.to_s}
        return [face for face in frame.faces if face.track not in mistaken]

    def _walks(self, path: Path) -> "dict[Box, _Walk]":
        """Read the film up to the last box: which frame each is of, and where it was before."""
        walks, shape = dict[Box, _Walk](), tuple[int, ...]()
        waiting = sorted({*self.add, *self.remove}, key=lambda box: -box.at_s)
        recent: deque[tuple[int, float, Array]] = deque(maxlen=_BACK_FRAMES)
        after_s = 1 / video.probe(path).rate_hz
        for index, time_s, image in chain(video.read(path), [(-1, math.inf, None)]) if waiting else ():
            end_s = recent[-1][1] + after_s if image is None and recent else time_s
            while waiting and recent and waiting[-1].at_s < end_s - _TICK_S:
                box = waiting.pop()
                walks[box] = _Walk(box, recent, shape)
            if image is not None:
                recent.append((index, time_s, face_tracking.small_grays(image, _SMALLEST_PX)[0]))
                shape = image.shape
            if not waiting:
                break
        if waiting:
            raise DataError(f"A box at {waiting[0].at_s} s is of a time that the film does not have. {_FIX}")
        return walks


class _Followed:
    """What was drawn around, from one small gray picture to the next, or the one before."""

    def __init__(self, box: Box, gray: Array, shape: tuple[int, ...], *, is_open: bool) -> None:
        place = box.pixels(shape)
        self.place: Array | None = place  # (4,) pixels of the frame; None where it is no more
        self.lost = False
        self._gray, self._scale = gray, gray.shape[1] / shape[1]  # pixels of the small picture per pixel of the frame
        self._is_open = is_open  # whether the stretch ends at a cut, and where it leaves the picture
        self._drawn = self._anchor = gray, place

    def follow(self, gray: Array) -> None:
        """Go on to the next picture."""
        ended = face_tracking.cut(self._gray, gray)
        if self.place is not None:
            self.place = None if ended else self._found(self.place, gray)
            if self.place is not None:
                inside = np.clip(self.place, 0, np.tile(gray.shape[1::-1], 2) / self._scale)
                if (inside[2:] - inside[:2]).prod() < _LEFT * (self.place[2:] - self.place[:2]).prod():
                    self.place, ended = None, True
            self.lost = self.place is None
        self.lost &= not (ended and self._is_open)
        self._gray = gray

    def _found(self, place: Array, gray: Array) -> Array | None:
        """Return where it is in a picture, near a place."""
        guesses = [face_tracking.enlarge(place, growth) for growth in (0.0, -_GROWTH, _GROWTH)]
        for anchor in (self._anchor, (self._gray, place)):
            seen = [(*face_tracking.follow(gray, guess, *anchor, self._scale), guess) for guess in guesses]
            peak, shift, guess = max(seen, key=lambda one: one[0])
            if peak >= _SURE:
                break
        self._anchor, place = anchor, guess + np.tile(shift, 2)
        alike, _ = face_tracking.follow(gray, place, *self._drawn, self._scale, reach=0)
        return place if peak >= _RELATED and alike >= _ALIKE else None


class _Walk:
    """Where a box is in each frame, one after another; in those ``recent`` when it was drawn, known from the start."""

    def __init__(self, box: Box, recent: Sequence[tuple[int, float, Array]], shape: tuple[int, ...]) -> None:
        self.index, _, gray = recent[-1]  # the frame that it was drawn in
        self._before: dict[int, Array] = {}  # by frame before it
        self._begin = 0  # the first frame in which it may be
        self._forwards = _Followed(box, gray, shape, is_open=math.isinf(box.to_s))
        back = _Followed(box, gray, shape, is_open=box.from_s == 0)
        for number, time_s, gray in islice(reversed(recent), 1, None):
            back.follow(gray)
            if back.place is not None:
                self._before[number] = back.place
            elif not back.lost:
                self._begin = number + 1
            if self._begin or time_s <= box.from_s:
                break

    def at(self, frame: LocatedFrame) -> tuple[Array | None, bool]:
        """Return where it is in the next frame, if it is there, and whether it is lost."""
        if frame.index < self.index:
            place = self._before.get(frame.index)
            return place, place is None and frame.index >= self._begin
        if frame.index > self.index:
            self._forwards.follow(face_tracking.small_grays(frame.image, _SMALLEST_PX)[0])
        return self._forwards.place, self._forwards.lost


def read_corrections(path: Path) -> tuple[Corrections, ...]:
    """Read the corrections of one or several recordings; nothing that is not understood is passed over."""
    with data_errors(f"{path} must be corrections in JSON, but cannot be read", _FIX, RecursionError):
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    try:
        return corrections_of(content)
    except (DataError, OptionError) as error:
        raise DataError(f"{path}: {error}") from error


def corrections_of(content: Any) -> tuple[Corrections, ...]:
    """Return the corrections that an object read from JSON holds: ``version``, and ``recordings``."""
    version = content.get("version") if isinstance(content, dict) else None
    if version != VERSION or set(content) != {"version", "recordings"} or not isinstance(content["recordings"], list):
        raise DataError(f"Corrections must be an object with version {VERSION} and a list of recordings. {_FIX}")
    made = tuple(_made(Corrections, row, "recordings") for row in content["recordings"])
    if len({corrections.digest for corrections in made}) < len(made):
        raise DataError(f"A recording must have all its corrections in one entry; a digest is there twice. {_FIX}")
    return made


def _made(kind: type[_Made], content: Any, where: str) -> _Made:
    """Return a record of its JSON object, whose keys and types of values must be the record's."""
    if not isinstance(content, dict):
        raise DataError(f"Each of {where} must be an object, not {content!r:.60}. {_FIX}")
    types, values = get_type_hints(kind), dict[str, Any]()
    needed = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}  # type: ignore[arg-type]
    if odd := sorted(needed - set(content)) + sorted(set(content) - set(types)):
        raise DataError(f"Each of {where} has {', '.join(types)}; {', '.join(odd)} is missing or not known. {_FIX}")
    for name, value in content.items():
        if (record := get_args(types[name])[:1]) and isinstance(record[0], type):
            if not isinstance(value, list):
                raise DataError(f"{name} of {where} must be a list, not {value!r:.60}. {_FIX}")
            values[name] = tuple(_made(record[0], one, name) for one in value)
        elif value is not None:
            form: Any = {int: int, float: int | float}.get(types[name], str)
            if not isinstance(value, form) or isinstance(value, bool):
                raise DataError(
                    f"{name} of {where} must be a {'text' if form is str else 'number'}: {value!r:.60}. {_FIX}"
                )
            values[name] = value
    return kind(**values)
