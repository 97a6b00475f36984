"""Find every face in every frame of a video, and say where that cannot be vouched for."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from personare.core.options import Count, Whole, check_options
from personare.core.types import Array, Face, LocatedFrame
from personare.features import face_tracking
from personare.features.centerface import SURE_PX, best, closely, find_large_faces, shared, shrink

_NOBODY = np.empty((0, 5))
_NEW = 0.3  # score from which a detection is a new face
_DOUBTFUL = 0.2  # score from which it is where nobody else is seen: faces in profile
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

    @property
    def rectangle(self) -> Array:
        """All of the frame, (4,)."""
        height, width = self.frame[2].shape[:2]
        return np.array([0.0, 0, width, height])

    def scale(self, picture: Array) -> float:
        """Return the pixels of a small picture per pixel of the frame."""
        return float(picture.shape[1] / self.frame[2].shape[1])

    def show(self, track: _Track, box: Array) -> None:
        """Put a face into the frame."""
        face = Face(box=np.asarray(box, dtype=np.float32), score=track.score, track=track.number)
        self.faces[track.number] = face


@dataclass(kw_only=True)
class FaceLocator:
    """Find the faces of a video, looking at every n-th frame and following them between.

    **Guarantee**: One located frame for each given one, in order. A face that the detector finds at an n-th frame is
    covered in all frames around it: positions between two looks are interpolated and compared with the picture; where
    they disagree, where a face appears or goes, where something new is seen, or where a scene changes, the detector
    looks at more frames, down to each one. Before a face is first seen and after it is last seen, its place is held for
    ``patience`` frames. Where a face that was seen clearly is lost inside the picture, the frame is not ``certain``.
    Wherever a frame shows anything that was not there when the detector last looked closely, it looks there again, at
    a size at which a face of ``smallest_face_px`` is seen: at every n-th frame, and at each frame between two looks
    that shows something neither of them does. ``certain`` with no faces means that it saw nobody. A face too large for
    the picture is looked for too; once lost, frames are uncertain until a face is seen there again, the scene is cut,
    or the picture looks as before. Faces turned within the picture are looked for in the first frame, at every 50th
    look, where no upright face is seen, and where a face is lost. Heads turned away, and faces of fewer pixels, are not
    promised.

    At most ``every + patience + 1`` frames are held in memory, however long the video is.
    """

    every: Count = 5  # frames between two looks
    keep_threshold: float = 0.12  # score from which a detection is a face that was there before
    smallest_face_px: int = 30  # width of the smallest face that is promised to be found, pixels of the video
    patience: Whole = 10  # frames for which a lost face's place is held
    margin: float = 0.08  # share of its size by which each box is enlarged on each side
    threads: Count = 1  # cores for the detector
    near: Callable[[Array, float], Array] | None = None  # in place of ``find_large_faces``
    close: Callable[[Array, float, Array], Array] | None = None  # in place of ``closely``
    _held: dict[int, _Held] = field(default_factory=dict, init=False)
    _tracks: list[_Track] = field(default_factory=list, init=False)
    _count: int = field(default=0, init=False)
    _looks: int = field(default=0, init=False)
    _reference: Array | None = field(default=None, init=False)  # each place when last looked at closely

    def __post_init__(self) -> None:
        check_options(self, keep_threshold=(0.01, _NEW), smallest_face_px=SURE_PX // 2, margin=(0, 2))

    def __call__(self, frames: Iterable[tuple[int, float, Array]]) -> Iterator[LocatedFrame]:
        """Yield each frame, as ``video.read`` gives them, with its faces, a few frames later."""
        search = replace(self)  # each film has one of its own
        position = last_look = -1
        for position, frame in enumerate(frames):
            gray, coarse = face_tracking.small_grays(frame[2], self.smallest_face_px)
            search._held[position] = _Held(frame=frame, gray=gray, coarse=coarse)
            if position % self.every == 0:
                search._advance(last_look, position)
                last_look = position
                yield from search._release(position - self.patience)
        if position > last_look:
            search._advance(last_look, position)
        yield from search._release(position + 1)

    def _release(self, end: int) -> Iterator[LocatedFrame]:
        """Give out the frames before ``end``: nothing can change them any more."""
        for position in sorted(p for p in self._held if p < end):
            held = self._held.pop(position)
            faces = [replace(f, box=face_tracking.enlarge(f.box, self.margin)) for f in held.faces.values()]
            faces.sort(key=lambda f: -float((f.box[2:] - f.box[:2]).prod()))
            index, time_s, image = held.frame
            yield LocatedFrame(
                index=index,
                time_s=time_s,
                image=image,
                faces=tuple(faces),
                certain=held.certain,
                smallest_face_px=self.smallest_face_px,
            )

    def _advance(self, start: int, end: int) -> None:
        """Look at frame ``end`` and settle all frames after ``start`` (-1: ``end`` is the first)."""
        held = self._held[end]
        self._look(held)
        if self._looks % _WIDE_EVERY == 0:
            self._look_close(held, held.rectangle[None], turned=True)
        self._looks += 1
        if self._reference is None or held.whole:
            self._reference = held.coarse.copy()
        else:
            new = face_tracking.changed(held.coarse, self._reference) > 0
            self._reference[new] = held.coarse[new]
        if start < 0:
            self._link(end, {})
        else:
            self._settle(start, end)

    def _look(self, held: _Held) -> Array:
        """Look at the whole of a frame, and closely at what was not looked at closely when it looked the same."""
        if held.looked is None:
            near = self.near or partial(find_large_faces, threads=self.threads)
            held.looked = near(held.frame[2], self.keep_threshold)
            unknown = np.ones_like(held.coarse)
            if self._reference is not None:  # what is known, and a face that will be covered, is not looked at again
                changed = face_tracking.changed(held.coarse, self._reference)
                unknown = self._without(changed, _strong(held.looked), held)
            wide = self._looks % _WIDE_EVERY == 0
            self._look_close(held, self._regions(held, unknown), turned=wide or not len(_strong(held.looked)))
            if not len(_strong(held.looked)):  # where nobody is seen, a doubtful face counts
                doubtful = held.looked[:, 4] >= _DOUBTFUL
                held.looked[doubtful, 4] = _NEW
        return held.looked

    def _without(self, mask: Array, boxes: Array, held: _Held) -> Array:
        """Clear a mask where boxes will be covered."""
        for box in boxes:
            place = face_tracking.enlarge(box, self.margin) * held.scale(mask)
            left, top, right, bottom = place.round().astype(int).clip(0)
            mask[top:bottom, left:right] = 0
        return mask

    def _regions(self, held: _Held, mask: Array) -> Array:
        """Return the rectangles to look at, large enough for faces that are too small for a look at the whole."""
        margin = max(1.5 * self.smallest_face_px, _MARGIN * min(held.frame[2].shape[:2]))
        return face_tracking.regions(mask, held.scale(mask), margin)

    def _look_close(self, held: _Held, regions: Array, *, turned: bool) -> None:
        """Look closely at rectangles of a frame; at all of it if they are more than half."""
        if held.whole or not len(regions):
            return
        if self._is_most(held, regions):
            regions, held.whole = held.rectangle[None], True
        both = np.concatenate([_strong(held.looked, 0), *self._closely(held, regions, turned=turned)])
        both = both[np.argsort(-both[:, 4], kind="stable")]
        held.looked = both[best(both)]

    def _is_most(self, held: _Held, regions: Array) -> bool:
        inside = np.clip(regions, 0, np.tile(held.rectangle[2:], 2))
        area = (inside[:, 2:] - inside[:, :2]).prod(axis=1).sum()
        return bool(area > held.rectangle[2:].prod() / 2)

    def _closely(self, held: _Held, regions: Array, *, turned: bool) -> list[Array]:
        """Return the faces in rectangles of a frame, looked at in a size at which the smallest one is seen."""
        close = self.close or partial(closely, smallest_px=self.smallest_face_px, threads=self.threads, turned=turned)
        limit = np.tile(held.rectangle[2:], 2)
        return [close(held.frame[2], self.keep_threshold, np.clip(region, 0, limit)) for region in regions]

    def _look_for(self, held: _Held, boxes: Array) -> Array:
        """Look at a frame in which faces are expected near the boxes: closely where one is missing."""
        matched = {row for row, _ in face_tracking.matches(boxes, self._look(held))}
        if missing := sorted(set(range(len(boxes))) - matched):
            around = np.stack([face_tracking.enlarge(boxes[row], 1.0) for row in missing])
            self._look_close(held, around, turned=True)
        return self._look(held)

    def _settle(self, start: int, end: int) -> None:
        """Link the faces of two looks if all between agrees with them; otherwise look in the middle, and so on."""
        self._look_for(self._held[end], self._places())
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
        faces = self._look(self._held[end])
        pairs = dict(face_tracking.matches(self._places(), faces))
        lost = any(track.frame < start for track in self._tracks) or len(pairs) < len(self._tracks)
        if lost or len(_strong(np.delete(faces, list(pairs.values()), axis=0))):
            return None
        paths = {}
        for row, column in pairs.items():
            path = self._path(start, end, self._tracks[row].box, faces[column])
            if path is None:
                return None
            paths[self._tracks[row].number] = path
        for at in range(start + 1, end):
            boxes = np.reshape([path[at - start - 1] for path in paths.values()], (-1, 4))
            if self._surprising(at, start, end, boxes):
                return None
        return paths

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
            places.append(face_tracking.union(guess, guess + np.tile(shift, 2)))
        return places

    def _follow(self, position: int, guess: Array, anchor: int, box: Array) -> tuple[float, Array]:
        if anchor not in self._held:  # a face that fills the picture is held for longer than frames are
            return 0.0, np.zeros(2)
        here, there = self._held[position], self._held[anchor]
        return face_tracking.follow(here.gray, guess, there.gray, box, here.scale(here.gray))

    def _surprising(self, position: int, start: int, end: int, faces: Array) -> bool:
        """Look closely where a frame shows, beside its faces, what neither of two looks shows: is a face there?"""
        held, before, after = (self._held[p] for p in (position, start, end))
        new = self._without(face_tracking.changed(held.coarse, before.coarse), faces, held)
        if not new.any():
            return False
        regions = self._regions(held, new & face_tracking.changed(held.coarse, after.coarse))
        if self._is_most(held, regions):
            return True
        near = self._closely(held, regions, turned=not len(faces))
        seen = _strong(np.concatenate([_NOBODY, *near]))
        return any(shared(row[None], faces).max(initial=0) < 0.3 for row in seen)

    def _link(self, end: int, paths: dict[int, list[Array]]) -> None:
        """Carry the faces on to frame ``end``: found again, held where lost, begun where new."""
        if end > 0 and not any(paths.values()) and self._cut(end - 1, end):
            self._tracks = []
        faces = self._look(self._held[end])
        pairs = dict(face_tracking.matches(self._places(), faces))
        tracks = list(enumerate(self._tracks))
        for row, track in tracks:
            if row in pairs:
                self._see_again(track, end, faces[pairs[row]], paths[track.number])
        for row, track in tracks:
            if row not in pairs and not self._hold(track, end):
                self._tracks.remove(track)
        for column, face in enumerate(faces):
            if column not in pairs.values() and face[4] >= _NEW:
                self._begin(end, face)

    def _cut(self, before: int, after: int) -> bool:
        return before in self._held and face_tracking.cut(self._held[before].gray, self._held[after].gray)

    def _see_again(self, track: _Track, end: int, row: Array, path: list[Array]) -> None:
        """A face is seen again; what lies between is filled."""
        box, gap = row[:4], end - track.frame
        track.score = max(track.score, float(row[4]))
        for step in range(max(1, min(self._held) - track.frame), gap):
            held = self._held[track.frame + step]
            guess = (1 - step / gap) * track.box + step / gap * box
            face = held.faces.get(track.number)
            held.show(
                track, path[step - 1] if path else guess if face is None else face_tracking.union(face.box, guess)
            )
        track.frame, track.box, track.place = end, box, box
        track.usual += (1 - math.exp(-gap / _USUAL_FRAMES)) * (_size(box) - track.usual)
        if not self._filling(track):
            track.around = self._held[end].coarse
        self._held[end].show(track, box)

    def _begin(self, end: int, row: Array) -> None:
        """A face is seen for the first time: look for it in the frames before, and hold its place there."""
        box = row[:4]
        track = _Track(number=self._count, frame=end, box=box, place=box, score=float(row[4]), usual=_size(box))
        self._count += 1
        self._tracks.append(track)
        self._held[end].show(track, track.box)
        back = replace(track)
        for position in range(end - 1, end - 1 - 2 * self.patience, -1):
            if position not in self._held or self._cut(position, position + 1):
                return
            held = self._held[position]
            seen = self._look_for(held, back.place[None]) if back.frame - position <= self.every else _NOBODY
            if match := face_tracking.matches(back.place[None], seen):
                box = seen[match[0][1], :4]
                faces = [face.box for face in held.faces.values()]
                if faces and shared(box[None], np.stack(faces)).max() > 0.3:
                    return  # another face's way ends here; it was held by that
                back.frame, back.box, back.place = position, box, box
                held.show(track, box)
            elif not self._hold(back, position):
                return

    def _hold(self, track: _Track, position: int) -> bool:
        """Cover the place where a lost face must be; False once it is given up."""
        held, away = self._held[position], abs(position - track.frame)
        peak, shift = self._follow(position, track.place, track.frame, track.box)
        related = peak >= _RELATED
        filling = self._filling(track) and not self._drawn_back(held, track)
        if away > (self.patience if related else min(self.every, self.patience)) and not filling:
            return False
        track.place = track.place + (np.tile(shift, 2) if related else 0)
        cover = face_tracking.enlarge(track.place, _GROWTH * min(away, self.patience))
        if (filling or not related) and track.score >= _CONFIRMED:
            growing = filling or _size(track.box) > _GROWING * track.usual
            near = _RIM * (cover[2:] - cover[:2])
            at_rim = bool((cover[:2] < near).any() or (cover[2:] > held.rectangle[2:] - near).any())
            seen = shared(cover[None], _strong(held.looked)).max(initial=0) > 0.3
            if not (at_rim and not growing) and not seen:  # it neither left nor is it on a face that is seen
                held.certain = False
        held.show(track, cover)
        return True

    def _filling(self, track: _Track) -> bool:
        """Tell whether a face was last seen so large that it may be too large to be seen now."""
        short_px = min(self._held[max(self._held)].frame[2].shape[:2])
        return track.score >= _CONFIRMED and _size(track.box) > _FILLING * short_px

    def _drawn_back(self, held: _Held, track: _Track) -> bool:
        """Tell whether most of the picture is again as before a face filled it, or a face is seen where it was."""
        if track.around is not None and face_tracking.changed(held.coarse, track.around).mean() < 0.5:
            return True
        seen = _strong(held.looked, _CONFIRMED)
        middle = (seen[:, :2] + seen[:, 2:4]) / 2
        return bool(((middle > track.place[:2]) & (middle < track.place[2:])).all(axis=1).any())


def _size(box: Array) -> float:
    return float(np.sqrt((box[2:4] - box[:2]).prod()))


def _strong(detections: Array | None, threshold: float = _NEW) -> Array:
    """Return the rows that count as faces on their own."""
    return _NOBODY if detections is None else detections[detections[:, 4] >= threshold]


def square(image: Array, box: Array, *, size: int) -> Array:
    """Cut a square around a box, (size, size, 3) uint8; beyond the image, its rim goes on."""
    middle, side = (box[:2] + box[2:4]) / 2, max(1.0, float((box[2:4] - box[:2]).max()))
    left, top = np.floor(middle - side / 2).astype(int)
    columns = np.clip(np.arange(left, left + round(side)), 0, image.shape[1] - 1)
    rows = np.clip(np.arange(top, top + round(side)), 0, image.shape[0] - 1)
    return shrink(image[np.ix_(rows, columns)], (size, size))
