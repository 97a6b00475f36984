"""The frames in memory and the faces followed through them: what ``FaceLocator`` runs on."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from personare.core.types import Array, Face, LocatedFrame
from personare.features import tracking
from personare.features.centerface import best, shared

__all__ = ["FaceSearch"]

_CONFIRMED = 0.5  # a face once seen this clearly does not vanish without the frame being covered
_RELATED = 0.6  # correlation from which two patches show the same face
_WIDE_EVERY = 10  # of so many looks, one is taken at twice the size
_GROWTH = 0.03  # of the face's size, by which a held box grows on each side with every frame
_RIM = 0.15  # of the face's size: nearer to the picture's rim it may be leaving


@dataclass(kw_only=True)
class _Track:
    """One face through time: where it was last found, and where it is held since."""

    number: int
    frame: int
    box: Array
    place: Array
    score: float


@dataclass(kw_only=True)
class _Held:
    """One frame waiting to be released."""

    frame: tuple[int, float, Array]
    gray: Array
    looked: Array | None = None  # (N, 5) what the detector found here
    hard: bool = False  # it looked as hard as it can
    faces: dict[int, Face] = field(default_factory=dict)
    certain: bool = True


@dataclass(kw_only=True)
class FaceSearch:
    """Takes frames in order, decides where to look, and releases frames once nothing can change them any more.

    Attributes:
        near: The detector for every look.
        far: The detector at a larger size, for small faces and where one is missing.
        thresholds: Scores of a new face, and of one that was there before.
        every: Frames between two looks.
        patience: Frames for which a lost face's place is held.
        margin: Share by which each released box is enlarged.
    """

    near: Callable[[Array, float], Array]
    far: Callable[[Array, float], Array]
    thresholds: tuple[float, float]
    every: int
    patience: int
    margin: float
    _held: dict[int, _Held] = field(default_factory=dict)
    _tracks: list[_Track] = field(default_factory=list)
    _count: int = 0
    _looks: int = 0
    _small_faces: bool = False

    def run(self, frames: Iterable[tuple[int, float, Array]]) -> Iterator[LocatedFrame]:
        """Yield each frame with its faces, a few frames later."""
        position = last_look = -1
        for position, frame in enumerate(frames):
            self._held[position] = _Held(frame=frame, gray=tracking.small_gray(frame[2]))
            if position % self.every == 0:
                self._advance(last_look, position)
                last_look = position
                yield from self._release(position - self.patience)
        if position > last_look:
            self._advance(last_look, position)
        yield from self._release(position + 1)

    def _release(self, end: int) -> Iterator[LocatedFrame]:
        """Give out the frames before ``end``: nothing can change them any more."""
        for position in sorted(p for p in self._held if p < end):
            held = self._held.pop(position)
            faces = [replace(f, box=tracking.enlarge(f.box, self.margin)) for f in held.faces.values()]
            faces.sort(key=lambda f: -float((f.box[2:] - f.box[:2]).prod()))
            index, time_s, image = held.frame
            yield LocatedFrame(index=index, time_s=time_s, image=image, faces=tuple(faces), certain=held.certain)

    def _advance(self, start: int, end: int) -> None:
        """Look at frame ``end`` and settle all frames after ``start`` (-1: ``end`` is the first)."""
        self._look_around(end)
        if start < 0:
            self._link(end, {})
        else:
            self._settle(start, end)

    # Looking

    def _look_around(self, position: int) -> None:
        """Look at a frame, and now and then, or where nobody is seen, once more for small faces."""
        held = self._held[position]
        self._look(position)
        near = _strong(held.looked, self.thresholds[0])
        if self._looks % _WIDE_EVERY == 0 or not len(near):
            self._look_hard(position)
            self._small_faces = len(_strong(held.looked, self.thresholds[0])) > len(near)
        self._looks += 1

    def _look(self, position: int) -> Array:
        held = self._held[position]
        if held.looked is None:
            held.looked = self.near(held.frame[2], self.thresholds[1])
            if self._small_faces:
                self._look_hard(position)
        return held.looked

    def _look_hard(self, position: int) -> Array:
        """Look at a larger size too."""
        held, found = self._held[position], self._look(position)
        if not held.hard:
            both = np.concatenate([found, self.far(held.frame[2], self.thresholds[1])])
            both = both[np.argsort(-both[:, 4], kind="stable")]
            held.looked, held.hard = both[best(both)], True
        return self._look(position)

    def _look_for(self, position: int, boxes: Array) -> Array:
        """Look at a frame in which faces are expected near the boxes: harder if one is missing."""
        found = self._look(position)
        if len(tracking.matches(boxes, found)) < len(boxes):
            found = self._look_hard(position)
        return found

    # From look to look

    def _settle(self, start: int, end: int) -> None:
        """Link the faces of two looks if all between agrees with them; otherwise look in the middle, and so on."""
        self._look_for(end, self._places())
        paths = self._paths(start, end)
        if paths is None:
            middle = (start + end) // 2
            self._settle(start, middle)
            self._settle(middle, end)
        else:
            self._link(end, paths)

    def _places(self) -> Array:
        return np.stack([track.place for track in self._tracks]) if self._tracks else np.empty((0, 4))

    def _paths(self, start: int, end: int) -> dict[int, list[Array]] | None:
        """Return where each face is between two looks; None if the frames between must be looked at."""
        if end - start == 1:
            return {track.number: [] for track in self._tracks}
        found = self._look(end)
        pairs = tracking.matches(self._places(), found)
        lost = any(track.frame < start for track in self._tracks) or len(pairs) < len(self._tracks)
        met = {column for _, column in pairs}
        fresh = any(row[4] >= self.thresholds[0] for column, row in enumerate(found) if column not in met)
        grays = [self._held[p].gray for p in range(start, end + 1)]
        if lost or fresh or any(tracking.novel(gray, grays[0], grays[-1]) for gray in grays[1:-1]):
            return None
        paths = {
            self._tracks[row].number: self._path(start, end, self._tracks[row].box, found[column])
            for row, column in pairs
        }
        return None if any(path is None for path in paths.values()) else {n: path or [] for n, path in paths.items()}

    def _path(self, start: int, end: int, first: Array, last: Array) -> list[Array] | None:
        """Interpolate a box and compare every step with the picture; None where they disagree."""
        places, last = [], last[:4]
        for position in range(start + 1, end):
            share = (position - start) / (end - start)
            guess = (1 - share) * first + share * last
            seen = [self._follow(position, guess, p, box) for p, box in ((start, first), (end, last))]
            peak, shift = max(seen, key=lambda s: s[0])
            if peak < _RELATED:
                return None
            places.append(tracking.union(guess, guess + np.tile(shift, 2)))
        return places

    def _follow(self, position: int, guess: Array, anchor: int, box: Array) -> tuple[float, Array]:
        here, there = self._held[position], self._held[anchor]
        scale = here.gray.shape[1] / here.frame[2].shape[1]
        return tracking.follow(here.gray, guess, there.gray, box, scale)

    # Faces

    def _link(self, end: int, paths: dict[int, list[Array]]) -> None:
        """Carry the faces on to frame ``end``: found again, held where lost, begun where new."""
        if end > 0 and not any(paths.values()) and self._cut(end - 1, end):
            self._tracks = []
        found = self._look(end)
        pairs = dict(tracking.matches(self._places(), found))
        met = set(pairs.values())
        tracks = list(self._tracks)
        for row, track in enumerate(tracks):
            if row in pairs:
                self._found(track, end, found[pairs[row]], paths[track.number])
        for row, track in enumerate(tracks):
            if row not in pairs and not self._hold(track, end):
                self._tracks.remove(track)
        for column, row in enumerate(found):
            if column not in met and row[4] >= self.thresholds[0]:
                self._begin(end, row)

    def _cut(self, before: int, after: int) -> bool:
        return before in self._held and tracking.cut(self._held[before].gray, self._held[after].gray)

    def _found(self, track: _Track, end: int, row: Array, path: list[Array]) -> None:
        """A face is seen again; what lies between is filled."""
        box, gap = row[:4], end - track.frame
        track.score = max(track.score, float(row[4]))
        for step in range(1, gap):
            position = track.frame + step
            guess = (1 - step / gap) * track.box + step / gap * box
            known = self._held[position].faces.get(track.number)
            place = path[step - 1] if path else guess if known is None else tracking.union(known.box, guess)
            self._show(position, track, place)
        track.frame, track.box, track.place = end, box, box
        self._show(end, track, box)

    def _begin(self, end: int, row: Array) -> None:
        """A face is seen for the first time: look for it in the frames before, and hold its place there."""
        track = _Track(number=self._count, frame=end, box=row[:4], place=row[:4], score=float(row[4]))
        self._count += 1
        self._tracks.append(track)
        self._show(end, track, track.box)
        back = replace(track)
        for position in range(end - 1, end - 1 - 2 * self.patience, -1):
            if position not in self._held or self._cut(position, position + 1):
                return
            found = self._look_for(position, back.place[None]) if back.frame - position <= self.every else None
            match = tracking.matches(back.place[None], found) if found is not None else []
            if found is not None and match:
                box = found[match[0][1], :4]
                faces = [face.box for face in self._held[position].faces.values()]
                if faces and shared(box[None], np.stack(faces)).max() > 0.3:
                    return  # another face's way ends here; it was held by that
                back.frame, back.box, back.place = position, box, box
                self._show(position, track, box)
            elif not self._hold(back, position):
                return

    def _hold(self, track: _Track, position: int) -> bool:
        """Cover the place where a lost face must be; False once it is given up."""
        away = abs(position - track.frame)
        peak, shift = self._follow(position, track.place, track.frame, track.box)
        related = peak >= _RELATED
        if away > (self.patience if related else min(self.every, self.patience)):
            return False
        track.place = track.place + (np.tile(shift, 2) if related else 0)
        cover = tracking.enlarge(track.place, _GROWTH * away)
        held = self._held[position]
        if not related and track.score >= _CONFIRMED and not self._leaving(held, cover):
            held.certain = False
        self._show(position, track, cover)
        return True

    def _leaving(self, held: _Held, box: Array) -> bool:
        """Tell whether a box is at the picture's rim, or on a face that the detector does see."""
        height, width = held.frame[2].shape[:2]
        near = _RIM * (box[2:] - box[:2])
        rim = (box[:2] < near).any() or (box[2:] > np.array([width, height]) - near).any()
        seen = _strong(held.looked, self.thresholds[0])
        return bool(rim or shared(box[None], seen).max(initial=0) > 0.3)

    def _show(self, position: int, track: _Track, box: Array) -> None:
        face = Face(box=np.asarray(box, dtype=np.float32), score=track.score, track=track.number)
        self._held[position].faces[track.number] = face


def _strong(found: Array | None, threshold: float) -> Array:
    """Return the rows that count as faces on their own."""
    return np.empty((0, 5)) if found is None else found[found[:, 4] >= threshold]
