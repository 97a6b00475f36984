"""Where a face went between two looks of the detector: cheap comparisons of small gray pictures."""

import cv2
import numpy as np

from personare.core.types import Array
from personare.features.centerface import shrink

_SHORT_SIDE = 144
_BLOCK = 4  # pixels of the small gray picture; the smallest face is as wide
_CHANGE_LEVELS, _MOST_LEVELS = 16, 32  # of 800 faces of the smallest size that came, on four grounds, each counted
_CUT_LEVELS = 40
_TEMPLATE, _REACH = 24, 10  # pixels of a face brought to one size, and how far around it is searched
_FLAT_LEVELS = 2.0
_MOVED, _RESIZED = 0.7, 1.7


def small_grays(image: Array, smallest_px: float) -> tuple[Array, Array]:
    """Return two gray copies in which a face of ``smallest_px`` has 4 pixels; a side of the first has 144 or more."""
    height, width = image.shape[:2]
    scale = min(1.0, max(_SHORT_SIDE / min(height, width), _BLOCK / smallest_px))
    small = shrink(image, (max(_BLOCK * 2, round(width * scale)), max(_BLOCK * 2, round(height * scale))))
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, _BLOCK / (smallest_px * gray.shape[1] / width))
    size = (max(_BLOCK, round(gray.shape[1] * scale)), max(_BLOCK, round(gray.shape[0] * scale)))
    return gray, cv2.resize(gray, size, interpolation=cv2.INTER_AREA)


def cut(one: Array, other: Array) -> bool:
    """Tell whether a new scene begins between two small gray pictures."""
    return bool(cv2.absdiff(one, other).mean() > _CUT_LEVELS)


def changed(gray: Array, other: Array) -> Array:
    """Tell where, uint8, a coarse picture shows what another does not, shifted by a pixel and in another light."""
    light = float(np.median(gray[::2, ::2].astype(np.int16) - other[::2, ::2]))
    padded = cv2.copyMakeBorder(cv2.add(other, (light, 0, 0, 0)), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    height, width = gray.shape
    least = np.full_like(gray, 255)
    for row, column in np.ndindex(3, 3):
        moved = cv2.absdiff(gray, padded[row : row + height, column : column + width])
        moved = np.minimum(moved, _MOST_LEVELS)  # the edge of what moves is thin, however bright
        least = np.minimum(least, cv2.blur(moved, (_BLOCK, _BLOCK)))
    return (least > _CHANGE_LEVELS).astype(np.uint8)


def regions(mask: Array, scale: float, margin: float) -> Array:
    """Return (N, 4) full pixels: what a mask, ``scale`` as large, marks, and ``margin`` around it; none touch."""
    if not mask.any():
        return np.empty((0, 4))
    reach = max(1, round(margin * scale))
    stats = cv2.connectedComponentsWithStats(cv2.dilate(mask, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)))[2]
    corner = stats[1:, :2]
    return np.concatenate([corner, corner + stats[1:, 2:4]], axis=1) / scale


def follow(
    gray: Array, box: Array, anchor: Array, anchor_box: Array, scale: float, *, reach: int = _REACH
) -> tuple[float, Array]:
    """Find, near a box, the face that another picture shows in another box, both in pixels of the full picture.

    The small gray ones are ``scale`` as large. Returns the normalized correlation of the best place, and (2,) how far
    it is from the box; 0 where there is nothing to compare, and where the best place is at the rim of the search. A
    ``reach`` of 0 compares the two boxes alone.
    """
    template = _canonical(anchor, anchor_box * scale, 0)
    if template.std() < _FLAT_LEVELS:
        return 0.0, np.zeros(2)
    scores = cv2.matchTemplate(_canonical(gray, box * scale, reach), template, cv2.TM_CCOEFF_NORMED)
    _, best, _, (column, row) = cv2.minMaxLoc(scores)
    offset = np.array([column, row]) - reach
    if not np.isfinite(best) or (reach and np.abs(offset).max() == reach):
        return 0.0, np.zeros(2)
    return float(best), offset / _TEMPLATE * (box[2:4] - box[:2])


def _canonical(gray: Array, box: Array, reach: int) -> Array:
    """Cut out a box and ``reach`` pixels around it, the box itself brought to ``_TEMPLATE`` pixels."""
    step = (box[2:4] - box[:2]) / _TEMPLATE
    left, top = box[:2] - reach * step
    side = _TEMPLATE + 2 * reach
    place = np.array([[step[0], 0, left], [0, step[1], top]], dtype=np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch: Array = cv2.warpAffine(gray, place, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return patch


def matches(one: Array, other: Array) -> list[tuple[int, int]]:
    """Return pairs of indices of two looks' boxes, nearest first, that moved and grew as little as one face may."""
    if not len(one) or not len(other):
        return []
    middle = [(b[:, :2] + b[:, 2:4]) / 2 for b in (one, other)]
    side = [np.sqrt(np.maximum(1e-6, (b[:, 2:4] - b[:, :2]).prod(axis=1))) for b in (one, other)]
    ratio = np.abs(np.log(side[0][:, None] / side[1][None]))
    far = np.linalg.norm(middle[0][:, None] - middle[1][None], axis=2) / np.minimum(side[0][:, None], side[1][None])
    cost = np.where((far < _MOVED) & (ratio < np.log(_RESIZED)), far + ratio, np.inf)
    pairs = []
    while np.isfinite(cost).any():
        row, column = divmod(int(np.argmin(cost)), cost.shape[1])
        pairs.append((row, column))
        cost[row], cost[:, column] = np.inf, np.inf
    return pairs


def enlarge(box: Array, share: float) -> Array:
    """Return a box that reaches further by a share of its size on each side."""
    more = share * (box[2:4] - box[:2])
    return np.concatenate([box[:2] - more, box[2:4] + more])


def union(one: Array, other: Array) -> Array:
    """Return the smallest box around two."""
    return np.concatenate([np.minimum(one[:2], other[:2]), np.maximum(one[2:4], other[2:4])])
