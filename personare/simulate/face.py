"""The made-up faces, painted: hair, skin, brows, eyes, nose and lips as a person, an expression and a pose set them."""

from dataclasses import dataclass

import cv2
import numpy as np

from personare.core.types import Array
from personare.features.painting import Camera, Color, blobs, curve, darker, disc, fill, line, mixed
from personare.simulate.geometry import Actions, Eye, Mouth, brow, eye, head_outline, looking, mouth
from personare.simulate.people import Face, Person

_WHITE = (255, 255, 255)
_BOUNDS_CM = (-9.5, -13.5, 9.5, 16.0)  # left, top, right, bottom of the skin's picture


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What surrounds the person in one recording; it changes from take to take, so it names nobody."""

    wall_rgb: Color
    clothes_rgb: Color
    light: float  # side the light comes from, -1 left to 1 right
    exposure: float  # factor of all brightness
    distance: float  # factor of the head's size, 1 for the usual distance
    offset: tuple[float, float]  # where the head is beside the middle, right and down, as a share of the picture


def draw_scene(rng: np.random.Generator) -> Scene:
    """Return a random scene, in colors that are not loud."""

    def muted(low: float, high: float) -> Color:
        grey, tint = rng.uniform(low, high), rng.normal(0, 18, 3)
        red, green, blue = (int(np.clip(grey + shift, 10, 245)) for shift in tint)
        return red, green, blue

    return Scene(
        wall_rgb=muted(100, 215),
        clothes_rgb=muted(35, 190),
        light=float(rng.uniform(-1, 1)),
        exposure=float(rng.uniform(0.88, 1.08)),
        distance=float(rng.uniform(0.95, 1.06)),
        offset=(float(rng.uniform(-0.02, 0.02)), float(rng.uniform(-0.015, 0.015))),
    )


class Painter:
    """Paints one person in one scene, frame after frame."""

    def __init__(
        self, person: Person, scene: Scene, *, size: int, skin: np.random.Generator, camera: np.random.Generator
    ) -> None:
        """Prepare what stays the same in one recording.

        From ``skin`` come freckles, moles and strands: the same generator gives the same person. From ``camera`` come
        the things on the wall and the grain of the picture.
        """
        self._face, self._style, self._scene, self._size = person.face, person.style, scene, size
        self._scale = size / 192 * 6.1 * scene.distance
        self._center = size * (np.array((0.5, 0.475)) + scene.offset)
        self._strands = skin.uniform(-1, 1, size=(22, 3))
        self._skin = _paint_skin(person.face, scale=self._scale, light=scene.light, rng=skin)
        wall = np.full((size, size, 3), scene.wall_rgb, dtype=np.uint8)
        for _ in range(2):  # things on it
            left, top = camera.integers(-size // 4, size, 2)
            color = tuple(int(c) for c in np.clip(np.array(scene.wall_rgb) + int(camera.integers(-35, 35)), 0, 255))
            cv2.rectangle(wall, (int(left), int(top)), (int(left + size * 0.4), int(top + size * 0.5)), color, -1)
        wall = cv2.GaussianBlur(wall, (0, 0), size / 30)
        fall = 1 + 0.18 * scene.light * np.linspace(-1, 1, size)[None, :, None]
        self._wall = np.clip(wall * fall, 0, 255).astype(np.uint8)
        self._grain = camera.integers(0, 5, size=(size + 64, size + 64, 3), dtype=np.uint8)

    def paint(self, actions: Actions, *, rounding: float, pose: Array, gaze: Array, frame: int = 0) -> Array:
        """Return one picture, uint8 RGB (size, size, 3), of one row of each of a truth's arrays.

        ``frame`` chooses the camera's grain.
        """
        face, style = self._face, self._style
        camera = looking(pose, center=self._center, scale=self._scale)
        body = looking(pose * (0, 0, 0.15, 0.6, 0.3), center=self._center, scale=self._scale)
        image = self._wall.copy()
        _paint_hair_behind(image, camera, face)
        _paint_body(image, body, camera, face, self._scene.clothes_rgb)
        left, top, right, bottom = _BOUNDS_CM
        corners = np.array(((-5.0, -5.0), (5.0, -5.0), (0.0, 7.0)))
        height, width = self._skin.shape[:2]
        texel = (corners - (left, top)) * ((width - 1) / (right - left), (height - 1) / (bottom - top))
        warp = cv2.getAffineTransform(texel.astype(np.float32), camera(corners).astype(np.float32))
        skin = cv2.warpAffine(self._skin, warp, (self._size, self._size), borderMode=cv2.BORDER_REPLICATE)
        outline = camera(head_outline(face, 2.4 * actions["AU26"] - 0.25 * actions["AU17"]))
        shade = _shade(self._size, camera, face, actions, outline)
        image = cv2.multiply(_inside(image, outline, skin), cv2.merge((shade, shade, shade)), scale=1 / 128)
        _paint_nose(image, camera, face, actions)
        _paint_mouth(image, camera, face, mouth(face, actions, style, rounding))
        brow_rgb = mixed(darker(face.hair_rgb, 0.75), face.skin_rgb, 0.15)
        for side in (-1, 1):
            _paint_eye(image, camera, face, eye(face, actions, side, gaze))
            fill(image, camera(brow(face, actions, style, side), 0.4), brow_rgb)
        _paint_hair_front(image, camera, face, self._strands)
        row, column = frame * 17 % 64, frame * 29 % 64
        grain = self._grain[row : row + self._size, column : column + self._size]
        return np.asarray(cv2.convertScaleAbs(cv2.add(image, grain), alpha=self._scene.exposure))


def _paint_skin(face: Face, *, scale: float, light: float, rng: np.random.Generator) -> Array:
    """Return the skin's picture, uint8 RGB, over ``_BOUNDS_CM``, ``scale`` pixels a centimetre.

    The light comes from -1 left to 1 right; the same ``rng`` gives a person the same freckles.
    """
    left, top, right, bottom = _BOUNDS_CM
    x = np.linspace(left, right, round((right - left) * scale), dtype=np.float32)[None, :]
    y = np.linspace(top, bottom, round((bottom - top) * scale), dtype=np.float32)[:, None]
    half, eyes, tip = face.width_cm / 2, face.eye_distance_cm / 2, face.nose_length_cm
    relief = blobs(
        x,
        y,
        (0, -5.5, 5.0, 2.6, 0.07),  # forehead
        (eyes, -0.4, 2.3, 1.5, -0.15),  # sockets
        (eyes * 0.35, -0.6, 0.9, 1.4, -0.10),  # beside the bridge
        (eyes, 1.3, 1.9, 0.45, -0.05 - 0.06 * face.wrinkles),  # below the eyes
        (eyes + 0.6, 3.2, 2.0, 1.5, 0.09),  # cheekbones
        (0, 1.5, 0.55, 3.0, 0.12),  # bridge of the nose
        (0, tip - 0.6, 0.8, 0.7, 0.13),  # tip
        (face.nose_width_cm * 0.40, tip - 0.2, 0.55, 0.8, -0.10),  # beside the tip
        (0, tip + 0.7, 1.4, 0.45, -0.08),  # below the nose
        (0, face.mouth_cm - face.upper_lip_cm - 0.45, 0.28, 0.5, -0.05),  # philtrum
        (0, face.mouth_cm + face.lower_lip_cm + 0.6, 1.8, 0.4, -0.12),  # below the lip
        (0, face.chin_cm - 1.4, 1.6, 0.8, 0.08),  # chin
        (face.mouth_width_cm / 2 + 0.5, face.mouth_cm + 0.2, 0.7, 1.0, -0.05),
    )
    edge = np.clip(np.abs(x) / half, 0, 1.2) ** 4 + 0.6 * np.clip((y - 3) / (face.chin_cm - 3), 0, 1.4) ** 4
    brightness = np.asarray(1.0 + relief - 0.22 * edge + 0.13 * light * x / half, dtype=np.float32)  # (H, W)
    cheek = (eyes + 0.8, 3.6, 2.0, 1.5, 0.5)
    red = blobs(x, y, cheek, (0, tip - 0.3, 1.1, 0.9, 0.35), (0, face.chin_cm - 1.2, 1.5, 1.0, 0.2))
    # freckles on nose and cheeks, and two moles that everybody has somewhere
    count = round(60 * face.freckles)
    spots = np.stack([rng.normal(0, 3.6, count), rng.normal(3.0, 1.2, count)], axis=1)
    moles = np.stack([rng.uniform(-5.5, 5.5, 2), rng.uniform(2.5, 9.0, 2)], axis=1)
    sizes = np.concatenate([np.full(count, 0.10), rng.uniform(0.13, 0.26, 2)])
    dark = np.zeros_like(brightness)
    for (spot_x, spot_y), size in zip(np.concatenate([spots, moles]), sizes, strict=True):
        depth = 0.35 if size < 0.12 else 0.8
        dark += depth * np.exp(-(((x - spot_x) / size) ** 2)) * np.exp(-(((y - spot_y) / size) ** 2))
    dark = np.clip(dark, 0, 1)
    if face.stubble > 0:
        beard = blobs(x, y, (0, face.chin_cm - 0.8, 4.2, 2.0, 1.0), (4.6, 6.5, 1.7, 3.5, 0.9))
        moustache = blobs(x, y, (0, face.mouth_cm - 1.2, 2.2, 0.5, 0.9))
        dark = np.asarray(np.clip(beard + moustache, 0, 1) * 0.9 * face.stubble, dtype=np.float32) + dark
    color = np.array(face.skin_rgb, dtype=np.float32) * brightness[..., None]  # (H, W, 3)
    color *= 1 - dark[..., None] * np.array((0.5, 0.6, 0.6), dtype=np.float32)
    color *= 1 + red[..., None] * np.array((0.10, -0.18, -0.14), dtype=np.float32)
    return np.asarray(np.clip(color, 0, 255).astype(np.uint8))


def _inside(image: Array, outline: Array, picture: Array) -> Array:
    """Return the image with another picture of its size inside an outline."""
    mask = np.zeros_like(image)
    fill(mask, outline, _WHITE)
    kept = cv2.multiply(image, 255 - mask, scale=1 / 255)
    return np.asarray(cv2.add(kept, cv2.multiply(picture, mask, scale=1 / 255)))


def _shade(size: int, camera: Camera, face: Face, actions: Actions, outline: Array) -> Array:
    """Return soft light and shadow, (size, size), 128 for none: the chin's on the neck, and folds of the face.

    Age and action units draw them: forehead, crow's feet, bags, frown, laugh lines, nose, chin.
    """
    layer = np.full((size, size), 128, dtype=np.uint8)

    def crease(points: Array, depth: float, width: float) -> None:
        if abs(depth) > 0.02:
            line(layer, points, (round(128 * (1 - depth)),) * 3, width)

    half, low = face.width_cm * 0.26, face.chin_cm
    under = ((-half, low - 4), (half, low - 4), (half, low + 0.4), (0, low + 2.2), (-half, low + 0.4))
    fill(layer, camera(curve(under, closed=True)), (100, 100, 100))
    fill(layer, outline, (128, 128, 128))
    old, thin, smile, sneer = 0.10 * face.wrinkles, 0.3 * camera.scale, actions["AU12"], actions["AU09"]
    raised = max(actions["AU01"], actions["AU02"])
    span = 3.6 if actions["AU02"] > 0.4 * actions["AU01"] else 2.0
    bend = curve(((-span, 0.25), (-span / 2, 0), (0, 0.15), (span / 2, 0), (span, 0.25)))
    for row in (0, 1, 2):
        y = -face.brow_cm - 1.9 - 0.95 * row - 0.4 * raised
        crease(camera(np.add(bend, (0, y))), old + 0.11 * raised, thin)
    middle, outer = face.eye_distance_cm / 2, face.eye_distance_cm / 2 + face.eye_width_cm / 2
    bag = curve(np.add(((-1.3, 1.2), (0, 1.55), (1.3, 1.2)), (middle, -0.3 * actions["AU06"])))
    furrow = np.array(((0.35, -face.brow_cm + 0.9), (0.5, -face.brow_cm - 0.5)))
    reach, tip = face.nose_width_cm / 2, face.nose_length_cm
    strength = max(smile, 0.9 * sneer, 0.35 * actions["AU20"])
    wide = face.mouth_width_cm / 2 + 0.75 + 0.75 * smile
    laugh = curve(((reach + 0.15, tip - 0.5), (wide * 0.93, tip + 1.1), (wide, face.mouth_cm - 0.1)))
    laugh += (0, -0.4 * strength)
    for side in ((-1, 1), (1, 1)):
        for spread in (-0.5, 0.15, 0.8):
            crow = np.array(((outer + 0.45, 0.25 + 0.4 * spread), (outer + 1.5, 0.25 + spread)))
            crease(camera(crow * side), 0.8 * old + 0.24 * actions["AU06"], 0.7 * thin)
        crease(camera(bag * side), 0.04 + old + 0.22 * actions["AU06"] + 0.12 * actions["AU07"], thin)
        crease(camera(furrow * side), old + 0.2 * actions["AU04"], 1.1 * thin)
        crease(camera(laugh * side), 0.05 + old + 0.17 * strength, 1.5 * thin)
        crease(camera(np.array(((0.3, 0.6), (0.75, 1.3))) * side, 1.5), 0.22 * sneer, thin)
    chin = curve(np.add(((-1.0, -0.2), (0, -0.55), (1.0, -0.2)), (0, face.chin_cm - 1.7)))
    crease(camera(chin), 0.3 * actions["AU17"], 0.4 * camera.scale)
    return np.asarray(cv2.GaussianBlur(layer, (0, 0), size / 192 * 1.25))


def _paint_eye(image: Array, camera: Camera, face: Face, lines: Eye) -> None:
    """Paint one eye in place: white, iris, pupil and glint inside the lids, then lashes and crease."""
    upper, lower = camera(lines.upper), camera(lines.lower)
    outline = np.concatenate([upper, lower[::-1]])
    low = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 2, 0)
    high = np.ceil(outline.max(axis=0)).astype(int) + 3
    piece = image[low[1] : high[1], low[0] : high[0]]
    if piece.size and lines.openness > 0.1:
        eyeball = np.full_like(piece, mixed((238, 234, 230), face.skin_rgb, 0.12))
        center = camera(lines.iris[None, :])[0] - low
        disc(eyeball, center, 0.66 * camera.scale, darker(face.iris_rgb, 0.55))
        disc(eyeball, center, 0.56 * camera.scale, face.iris_rgb)
        disc(eyeball, center, 0.27 * camera.scale, (14, 12, 12))
        fill(eyeball, np.concatenate([upper, np.add(upper[::-1], (0, 0.22 * camera.scale))]) - low, (120, 110, 108))
        disc(eyeball, center + np.array((0.2, -0.22)) * camera.scale, 0.15 * camera.scale, _WHITE)
        piece[:] = _inside(piece, outline - low, eyeball)
    lash = mixed(darker(face.hair_rgb, 0.3), darker(face.skin_rgb, 0.4), 0.3)
    thick = np.array((0, 0.17 * camera.scale))
    fill(image, np.concatenate([upper - thick, upper[::-1] + 0.3 * thick]), lash)
    line(image, lower, darker(face.skin_rgb, 0.66), 0.12 * camera.scale)
    line(image, camera(lines.crease), darker(face.skin_rgb, 0.70), 0.12 * camera.scale)


def _paint_nose(image: Array, camera: Camera, face: Face, actions: Actions) -> None:
    size = np.array((face.nose_width_cm / 2 * (1 + 0.10 * actions["AU09"]), 1))
    tip = np.array((0, face.nose_length_cm - 0.4 * actions["AU09"]))
    wing = curve(((0.80, -0.75), (1.0, -0.3), (0.95, 0.15), (0.70, 0.28))) * size + tip
    hole = curve(((0.25, 0.1), (0.5, -0.12), (0.68, 0.1), (0.45, 0.25)), closed=True) * size + tip
    for side in ((-1, 1), (1, 1)):
        line(image, camera(wing * side, 1.2), darker(face.skin_rgb, 0.62), 0.22 * camera.scale)
        fill(image, camera(hole * side, 1.8), darker(face.skin_rgb, 0.30))
    base = curve(((-0.28, 0.2), (0, 0.36), (0.28, 0.2))) * size + tip
    line(image, camera(base, 1.9), darker(face.skin_rgb, 0.62), 0.18 * camera.scale)


def _paint_mouth(image: Array, camera: Camera, face: Face, lines: Mouth) -> None:
    """Paint the lips in place, and between parted ones darkness, teeth along the lips, and the tongue."""
    upper, lower = camera(lines.upper_inner, 0.6), camera(lines.lower_inner, 0.6)
    apart, gap_cm = lower - upper, lines.gap_cm
    lip = mixed(face.lip_rgb, darker(face.skin_rgb, 0.75), 0.35)
    if gap_cm > 0.1:
        fill(image, np.concatenate([upper, lower[::-1]]), (52, 16, 20))
        if gap_cm > 0.7:
            fill(image, np.concatenate([(lower - 0.38 * apart)[5:-5], lower[5:-5][::-1]]), (158, 72, 74))
        teeth = upper + min(0.7, 0.34 / gap_cm) * apart
        fill(image, np.concatenate([upper[3:-3], teeth[3:-3][::-1]]), (236, 231, 220))
        if gap_cm > 1.2:
            fill(image, np.concatenate([(lower - 0.16 * apart)[6:-6], lower[6:-6][::-1]]), (214, 206, 194))
    fill(image, np.concatenate([camera(lines.upper_outer, 0.6), upper[::-1]]), darker(lip, 0.86))
    fill(image, np.concatenate([lower, camera(lines.lower_outer, 0.6)[::-1]]), lip)
    glow = lines.lower_inner + 0.45 * (lines.lower_outer - lines.lower_inner)
    line(image, camera(glow[7:14], 0.6), darker(lip, 1.13), 0.22 * camera.scale)
    if gap_cm <= 0.25:
        line(image, upper, darker(lip, 0.42), 0.16 * camera.scale)
    for corner in (0, -1):
        disc(image, upper[corner], 0.16 * camera.scale, darker(lip, 0.5))


def _paint_body(image: Array, body: Camera, head: Camera, face: Face, clothes: Color) -> None:
    half = face.width_cm / 2
    neck = half * 0.57
    right = ((-neck, 5), (neck, 5), (neck * 0.98, 13), (neck * 1.5, 16.5), (neck, 22), (-neck, 22))
    throat = (*right, (-neck * 1.5, 16.5), (-neck * 0.98, 13))
    shirt = ((-2.4 * half, 19.5), (-1.3 * half, 16.2), (-neck * 1.15, 15.0), (0, 18.4), (neck * 1.15, 15.0))
    shoulders = (*shirt, (1.3 * half, 16.2), (2.4 * half, 19.5), (2.6 * half, 40), (-2.6 * half, 40))
    for outline, color in ((throat, darker(face.skin_rgb, 0.84)), (shoulders, clothes)):
        fill(image, body.center + body.scale * curve(outline, closed=True), color)
    lobe = ((0, -1.4), (0.7, -1.7), (1.0, -0.4), (0.5, 1.5), (0, 1.9))
    ear = curve(np.add(lobe, (half - 0.25, 1.0)), closed=True)
    for side in ((-1, 1), (1, 1)):
        fill(image, head(ear * side), darker(face.skin_rgb, 0.86))


def _hair_edge(face: Face) -> tuple[float, float, float]:
    """Return half width, top and lowest point of the hair in cm."""
    half, volume = face.width_cm / 2, face.hair_volume_cm
    return half + volume, -face.crown_cm - volume, max(face.hair_length_cm, -2.0)


def _paint_hair_behind(image: Array, camera: Camera, face: Face) -> None:
    wide, top, low = _hair_edge(face)
    wide = wide if low > 5 else face.width_cm / 2 + 0.25 * face.hair_volume_cm
    side = np.array(((wide * 0.7, top + 1.6), (wide, -4.5), (wide * 1.02, 0.5 * low - 2.2), (wide * 0.97, low)))
    outline = np.concatenate([((0, top),), side, side[::-1] * (-1, 1)])
    fill(image, camera(curve(outline, closed=True), -2), darker(face.hair_rgb, 0.7))


def _paint_hair_front(image: Array, camera: Camera, face: Face, strands: Array) -> None:
    """Paint the hair above the forehead and beside the face in place.

    ``strands`` is (N, 3) in [-1, 1]: where each strand begins, ends, and how light it is.
    """
    wide, top, low = _hair_edge(face)
    half, part, line_y = face.width_cm / 2, face.hair_parting * 3, -face.hairline_cm
    temple, end = half * 0.97, max(min(low, 1.5), -2.0)
    foot = half + (0.35 if low <= 5 else 0.9) * face.hair_volume_cm
    outer = np.array(((-foot, end), (-0.5 * (foot + wide), -5), (-wide * 0.72, top + 1.5), (0, top)))
    outer = np.concatenate([outer, outer[-2::-1] * (-1, 1)])
    inner = np.array(((temple, end), (temple * 0.94, -3.6), (temple * 0.72, line_y + 0.8)))
    middle = np.array(((part + 1.2, line_y - 0.5), (part, line_y - 1.3), (part - 1.2, line_y - 0.5)))
    crown = curve(np.concatenate([outer, inner, middle, inner[::-1] * (-1, 1)]), closed=True, per=5)
    fill(image, camera(crown, -0.5), face.hair_rgb)
    # Strands run from the parting to the hairline.
    start, finish, tone = strands.T
    reach = 0.35 + 0.62 * np.abs(finish)
    root = np.stack([part * 0.6 + start * 1.5, np.full(len(start), top + 0.5)], axis=1)
    tip = np.stack([np.sign(start) * half * reach, line_y - 0.3 + 3.2 * np.clip(reach - 0.72, 0, 1)], axis=1)
    bend = np.stack([0.62 * tip[:, 0] + start, 0.5 * (root[:, 1] + tip[:, 1]) - 0.8], axis=1)
    curves = np.stack([curve(np.stack(points), per=5) for points in zip(root, bend, tip, strict=True)])
    pixels = camera(curves.reshape(-1, 2), -0.5).reshape(curves.shape)  # (strands, points, 2)
    for strand, shade in zip(pixels, tone, strict=True):
        line(image, strand, darker(face.hair_rgb, 1 + 0.22 * shade), 0.2 * camera.scale)
    if low > 5:
        for side in (-1, 1):
            lock = np.array(((0.82, -6), (1.0, -5), (1.03, low * 0.4), (0.98, low), (0.84, low - 1), (0.86, 2)))
            fill(image, camera(curve(lock * (side * wide, 1), closed=True), -1), darker(face.hair_rgb, 0.92))
