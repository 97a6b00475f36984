"""The frames in memory and the faces followed through them: what ``FaceLocator`` runs on."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from personare.core.types import Array, Face, LocatedFrame
from personare.features import tracking
from personare.features.centerface import best, shared

__all__ = ["FaceSearch"]

_CONFIRMED = 0.5  # a face once seen this clearly does not vanish without the frame being covered
_RELATED = 0.6  # correlation from which two patches show the same face
_WIDE_EVERY = 50  # of so many looks, one goes closely over the whole picture even where nothing has changed
_MARGIN = 1 / 16  # of the picture's shorter side: nearly as much as a face needs to be seen by the look at the whole
_FILLING = 0.7  # of the picture's shorter side: a face as large as this may outgrow the picture
_GROWING = 1.1  # times its usual size, which follows within about so many frames:
_USUAL_FRAMES = 14
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
    usual: float
    around: Array | None = None  # the coarse picture when the face did not fill it


@dataclass(kw_only=True)
class _Held:
    """One frame waiting to be released."""

    frame: tuple[int, float, Array]
    gray: Array
    coarse: Array  # the same, in which the smallest face has 4 pixels
    looked: Array | None = None  # (N, 5) what the detector found here
    whole: bool = False  # looked at closely all over
    faces: dict[int, Face] = field(default_factory=dict)
    certain: bool = True


@dataclass(kw_only=True)
class FaceSearch:
    """Takes frames in order, decides where to look, and releases frames once nothing can change them any more.

    Attributes:
        near: The detector for every look: picture, lowest score.
        close: The detector at a size at which the smallest face is seen: picture, lowest score, and the rectangle
            (4,) that is looked at.
        smallest_px: Width of that face.
        thresholds: Scores of a new face, and of one that was there before.
        every: Frames between two looks.
        patience: Frames for which a lost face's place is held.
        margin: Share by which each released box is enlarged.
    """

    near: Callable[[Array, float], Array]
    close: Callable[[Array, float, Array], Array]
    smallest_px: float
    thresholds: tuple[float, float]
    every: int
    patience: int
    margin: float
    _held: dict[int, _Held] = field(default_factory=dict)
    _tracks: list[_Track] = field(default_factory=list)
    _count: int = 0
    _looks: int = 0
    _known: Array | None = None  # what each place looked like when it was last looked at closely

    def run(self, frames: Iterable[tuple[int, float, Array]]) -> Iterator[LocatedFrame]:
        """Yield each frame with its faces, a few frames later."""
        position = last_look = -1
        for position, frame in enumerate(frames):
            gray = tracking.small_gray(frame[2], self.smallest_px)
            coarse = tracking.coarse(gray, self.smallest_px * gray.shape[1] / frame[2].shape[1])
            self._held[position] = _Held(frame=frame, gray=gray, coarse=coarse)
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
            yield LocatedFrame(
                index=index,
                time_s=time_s,
                image=image,
                faces=tuple(faces),
                certain=held.certain,
                smallest_face_px=self.smallest_px,
            )

    def _advance(self, start: int, end: int) -> None:
        """Look at frame ``end`` and settle all frames after ``start`` (-1: ``end`` is the first)."""
        self._look_around(end)
        if start < 0:
            self._link(end, {})
        else:
            self._settle(start, end)

    # Looking

    def _look_around(self, position: int) -> None:
        """Look at a frame, closely where it is new, and now and then all over."""
        held = self._held[position]
        self._look(position)
        if self._looks % _WIDE_EVERY == 0:
            self._look_close(position, self._whole(position))
        self._looks += 1
        if self._known is None or held.whole:
            self._known = held.coarse.copy()
        else:
            new = tracking.changed(held.coarse, self._known) > 0
            self._known[new] = held.coarse[new]

    def _look(self, position: int) -> Array:
        """Look at the whole of a frame, and closely at what was not looked at closely when it looked the same."""
        held = self._held[position]
        if held.looked is None:
            held.looked = self.near(held.frame[2], self.thresholds[1])
            self._look_close(position, self._regions(position, self._unknown(position)))
        return held.looked

    def _unknown(self, position: int) -> Array:
        """Mark where a frame shows neither what is known nor a face that will be covered."""
        held = self._held[position]
        if self._known is None or held.looked is None:
            return np.ones_like(held.coarse)
        faces = _strong(held.looked, self.thresholds[0])
        return self._without(tracking.changed(held.coarse, self._known), faces, position)

    def _without(self, mask: Array, boxes: Array, position: int) -> Array:
        """Clear a mask where boxes will be covered."""
        for box in boxes:
            place = tracking.enlarge(box, self.margin) * self._scale(position, mask)
            left, top, right, bottom = place.round().astype(int).clip(0)
            mask[top:bottom, left:right] = 0
        return mask

    def _regions(self, position: int, mask: Array) -> Array:
        """Return the rectangles to look at, large enough for faces that are too small for a look at the whole."""
        margin = max(1.5 * self.smallest_px, _MARGIN * min(self._held[position].frame[2].shape[:2]))
        return tracking.regions(mask, self._scale(position, mask), margin)

    def _scale(self, position: int, picture: Array) -> float:
        """Return the pixels of a small picture per pixel of a frame."""
        return float(picture.shape[1] / self._held[position].frame[2].shape[1])

    def _whole(self, position: int) -> Array:
        height, width = self._held[position].frame[2].shape[:2]
        return np.array([[0.0, 0, width, height]])

    def _look_close(self, position: int, regions: Array) -> None:
        """Look closely at rectangles of a frame; at all of it if they are more than half."""
        held = self._held[position]
        if held.whole or not len(regions):
            return
        if self._is_most(position, regions):
            regions, held.whole = self._whole(position), True
        looked = [np.empty((0, 5))] if held.looked is None else [held.looked]
        both = np.concatenate([*looked, *self._closely(position, regions)])
        both = both[np.argsort(-both[:, 4], kind="stable")]
        held.looked = both[best(both)]

    def _is_most(self, position: int, regions: Array) -> bool:
        inside = np.clip(regions, 0, np.tile(self._whole(position)[0, 2:], 2))
        area = (inside[:, 2:] - inside[:, :2]).prod(axis=1).sum()
        return bool(area > self._whole(position)[0, 2:].prod() / 2)

    def _closely(self, position: int, regions: Array) -> list[Array]:
        image, limit = self._held[position].frame[2], np.tile(self._whole(position)[0, 2:], 2)
        return [self.close(image, self.thresholds[1], np.clip(region, 0, limit)) for region in regions]

    def _look_for(self, position: int, boxes: Array) -> Array:
        """Look at a frame in which faces are expected near the boxes: closely where one is missing."""
        found = self._look(position)
        missing = sorted(set(range(len(boxes))) - {row for row, _ in tracking.matches(boxes, found)})
        if missing:
            self._look_close(position, np.stack([tracking.enlarge(boxes[row], 1.0) for row in missing]))
        return self._look(position)

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
        if lost or fresh:
            return None
        paths = {}
        for row, column in pairs:
            path = self._path(start, end, self._tracks[row].box, found[column])
            if path is None:
                return None
            paths[self._tracks[row].number] = path
        for position in range(start + 1, end):
            boxes = [path[position - start - 1] for path in paths.values()]
            if self._surprising(position, start, end, np.reshape(boxes, (-1, 4))):
                return None
        return paths

    def _surprising(self, position: int, start: int, end: int, faces: Array) -> bool:
        """Look closely where a frame shows, beside its faces, what neither of two looks shows: is a face there?"""
        held, before, after = (self._held[p] for p in (position, start, end))
        new = self._without(tracking.changed(held.coarse, before.coarse), faces, position)
        if not new.any():
            return False
        regions = self._regions(position, new & tracking.changed(held.coarse, after.coarse))
        if self._is_most(position, regions):
            return True
        found = _strong(np.concatenate([np.empty((0, 5)), *self._closely(position, regions)]), self.thresholds[0])
        return any(shared(row[None], faces).max(initial=0) < 0.3 for row in found)

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
        if anchor not in self._held:  # a face that fills the picture is held for longer than frames are
            return 0.0, np.zeros(2)
        here, there = self._held[position], self._held[anchor]
        return tracking.follow(here.gray, guess, there.gray, box, self._scale(position, here.gray))

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
        for step in range(max(1, min(self._held) - track.frame), gap):
            position = track.frame + step
            guess = (1 - step / gap) * track.box + step / gap * box
            known = self._held[position].faces.get(track.number)
            place = path[step - 1] if path else guess if known is None else tracking.union(known.box, guess)
            self._show(position, track, place)
        track.frame, track.box, track.place = end, box, box
        track.usual += (1 - math.exp(-gap / _USUAL_FRAMES)) * (_size(box) - track.usual)
        if not self._filling(track):
            track.around = self._held[end].coarse
        self._show(end, track, box)

    def _begin(self, end: int, row: Array) -> None:
        """A face is seen for the first time: look for it in the frames before, and hold its place there."""
        box = row[:4]
        track = _Track(number=self._count, frame=end, box=box, place=box, score=float(row[4]), usual=_size(box))
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
        held = self._held[position]
        filling = self._filling(track) and not self._room(track, position) and not self._back(held, track)
        if away > (self.patience if related else min(self.every, self.patience)) and not filling:
            return False
        track.place = track.place + (np.tile(shift, 2) if related else 0)
        cover = tracking.enlarge(track.place, _GROWTH * min(away, self.patience))
        growing = filling or _size(track.box) > _GROWING * track.usual
        left = self._rim(held, cover) and not growing
        if (filling or not related) and track.score >= _CONFIRMED and not left and not self._seen(held, cover):
            held.certain = False
        self._show(position, track, cover)
        return True

    def _filling(self, track: _Track) -> bool:
        """Tell whether a face was last seen so large that it may be too large to be seen now."""
        short_px = min(self._held[max(self._held)].frame[2].shape[:2])
        return track.score >= _CONFIRMED and _size(track.box) > _FILLING * short_px

    def _room(self, track: _Track, position: int) -> bool:
        """Tell whether most of the picture looks again as it did before a face filled it."""
        now = self._held[position].coarse
        return track.around is not None and bool(tracking.changed(now, track.around).mean() < 0.5)

    def _back(self, held: _Held, track: _Track) -> bool:
        """Tell whether a face is seen where a larger one was lost: it has drawn back."""
        seen = _strong(held.looked, _CONFIRMED)
        middle = (seen[:, :2] + seen[:, 2:4]) / 2
        return bool(((middle > track.place[:2]) & (middle < track.place[2:])).all(axis=1).any())

    def _rim(self, held: _Held, box: Array) -> bool:
        """Tell whether a box is at the picture's rim."""
        height, width = held.frame[2].shape[:2]
        near = _RIM * (box[2:] - box[:2])
        return bool((box[:2] < near).any() or (box[2:] > np.array([width, height]) - near).any())

    def _seen(self, held: _Held, box: Array) -> bool:
        """Tell whether a box is on a face that the detector does see."""
        return bool(shared(box[None], _strong(held.looked, self.thresholds[0])).max(initial=0) > 0.3)

    def _show(self, position: int, track: _Track, box: Array) -> None:
        face = Face(box=np.asarray(box, dtype=np.float32), score=track.score, track=track.number)
        self._held[position].faces[track.number] = face


def _size(box: Array) -> float:
    return float(np.sqrt((box[2:4] - box[:2]).prod()))


def _strong(found: Array | None, threshold: float) -> Array:
    """Return the rows that count as faces on their own."""
    return np.empty((0, 5)) if found is None else found[found[:, 4] >= threshold]
