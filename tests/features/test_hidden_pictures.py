"""What a player hides of a film or picture does not come out, and what it shows comes out in its colors."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from personare.core.errors import DataError
from personare.features import video
from personare.features.files import remarks
from personare.features.pictures import read_picture

OPEN, SECRET = (40, 160, 220), (230, 30, 30)  # colors of what is shown and of what is hidden
WIDTH, HEIGHT = 96, 64


def half_hidden(hidden_alpha=0):
    """A picture whose right half holds the secret, transparent."""
    image = np.full((HEIGHT, WIDTH, 4), (*OPEN, 255), np.uint8)
    image[:, WIDTH // 2 :] = (*SECRET, hidden_alpha)
    return image


def film(path, frames, codec="libx264", form="yuv420p", *, options=None, container=None, tags=None, **settings):
    """Write frames, arrays (RGB or RGBA) or of PyAV, in a codec and pixel format."""
    with av.open(str(path), "w", options=container or {}) as target:
        target.metadata.update(tags or {})
        stream = target.add_stream(codec, rate=25, options=options or {})
        for name, value in settings.items():
            before = stream.codec_context.flags if name == "flags" else 0
            setattr(stream.codec_context, name, before | value if before else value)
        for frame in frames:
            if isinstance(frame, np.ndarray):
                frame = av.VideoFrame.from_ndarray(frame, format="rgba" if frame.shape[2] == 4 else "rgb24")
                frame = frame.reformat(format=form)
            if not stream.codec_context.is_open:
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, form
            frame.pts = None
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    return path


def plain(color=OPEN):
    return np.full((HEIGHT, WIDTH, 3), color, np.uint8)


def pictures(path):
    return [image.astype(int) for _, _, image in video.read(path)]


def assert_no_secret(images):
    """Nowhere is there anything like the secret's color."""
    for image in images:
        assert not ((image[..., 0] > 120) & (image[..., 1] < 90)).any()


def insert(content, path, extra):
    """Return an MP4 file with bytes put at the end of a box, inside all those that hold it; pictures come first."""
    content, at, heads = bytearray(content), 0, []
    for name in path:
        while content[at + 4 : at + 8] != name:
            at += struct.unpack_from(">I", content, at)[0]
        heads.append(at)
        end = at + struct.unpack_from(">I", content, at)[0]
        at += 8 + {b"stsd": 8, b"avc1": 78}.get(name, 0)
    content[end:end] = extra
    for head in heads:
        struct.pack_into(">I", content, head, struct.unpack_from(">I", content, head)[0] + len(extra))
    return bytes(content)


def switched(content, number, on):
    """Return an MP4 file with the ``number``-th track switched on or off."""
    content, at = bytearray(content), 0
    for _ in range(number + 1):
        at = content.index(b"tkhd", at) + 4
    content[at + 3] = content[at + 3] & ~1 | on
    return bytes(content)


@pytest.mark.parametrize(
    ("suffix", "codec", "form"),
    [
        (".webm", "libvpx-vp9", "yuva420p"),
        (".mov", "prores_ks", "yuva444p10le"),
        (".mov", "png", "rgba"),
        (".mov", "qtrle", "argb"),
        (".mkv", "ffv1", "bgra"),
        (".apng", "apng", "rgba"),
    ],
)
@pytest.mark.parametrize("alpha", [0, 20])
def test_what_is_transparent_is_black(tmp_path, suffix, codec, form, alpha):
    path = film(tmp_path / f"a{suffix}", [half_hidden(alpha)] * 3, codec, form)
    with av.open(str(path)) as raw:  # the secret is in the file, and comes out where alpha is not looked at
        colors = next(raw.decode(video=0)).to_ndarray(format="rgb24")
        assert colors[HEIGHT // 2, -WIDTH // 4, 0] > 200
    images = pictures(path)
    assert_no_secret(images)
    np.testing.assert_allclose(images[1][HEIGHT // 2, WIDTH // 4], OPEN, atol=8)
    assert "shown over black" in " ".join(remarks(path))


def transparent_palette(path):
    image = Image.new("P", (WIDTH, HEIGHT), 1)
    image.putpalette([0, 0, 0, *SECRET, *OPEN, *[0] * 759])
    image.paste(2, (0, 0, WIDTH // 2, HEIGHT))
    image.save(path, transparency=1)


STILLS = {
    "a.png": lambda path: Image.fromarray(half_hidden()).save(path),
    "a.webp": lambda path: Image.fromarray(half_hidden()).save(path, lossless=True, exact=True),
    "a.tif": lambda path: Image.fromarray(half_hidden()).save(path),
    "palette.png": transparent_palette,
    "palette.gif": transparent_palette,
    "color.png": lambda path: Image.fromarray(half_hidden()[..., :3]).save(path, transparency=SECRET),
    "deep.png": lambda path: cv2.imwrite(str(path), half_hidden()[..., [2, 1, 0, 3]].astype(np.uint16) * 257),
}


@pytest.mark.parametrize("name", STILLS)
def test_what_is_transparent_in_a_still_picture_is_black(tmp_path, name):
    STILLS[name](tmp_path / name)
    image = pictures(tmp_path / name)[0]
    assert_no_secret([image])
    np.testing.assert_allclose(image[HEIGHT // 2, WIDTH // 4], OPEN, atol=3)
    if not name.endswith(".gif"):
        assert_no_secret([read_picture(tmp_path / name, size=32).transpose(1, 2, 0)])


def test_a_transparent_picture_is_turned_as_its_exif_says(tmp_path):
    for turned, name in ((False, "a.png"), (True, "b.png")):
        exif = Image.Exif()
        exif[0x0112] = 6 if turned else 1
        Image.fromarray(half_hidden()).save(tmp_path / name, exif=exif)
    upright, lying = (pictures(tmp_path / name)[0] for name in ("a.png", "b.png"))
    np.testing.assert_array_equal(lying, np.rot90(upright, -1))


def rimmed(top=0, bottom=0, left=0, right=0):
    image = plain(SECRET)
    image[top : HEIGHT - bottom, left : WIDTH - right] = OPEN
    return image


RIMS = [{"bottom": 16}, {"top": 8, "left": 24}, {"top": 10, "bottom": 6, "left": 4, "right": 12}]


@pytest.mark.parametrize("rim", RIMS)
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("turn", [None, (0, 1, -1, 0), (-1, 0, 0, -1)])
def test_what_a_clean_aperture_cuts_off_is_not_there(tmp_path, rim, suffix, turn):
    path = film(tmp_path / f"a{suffix}", [rimmed(**rim)] * 3, options={"qp": "0"})
    top, bottom, left, right = (rim.get(side, 0) for side in ("top", "bottom", "left", "right"))
    numbers = (WIDTH - left - right, 1, HEIGHT - top - bottom, 1, left - right, 2, top - bottom, 2)
    aperture = struct.pack(">I4sIIIIiIiI", 40, b"clap", *numbers)
    content = insert(path.read_bytes(), (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"), aperture)
    if turn:
        at = content.index(b"tkhd") + 44
        matrix = (turn[0] << 16, turn[1] << 16, 0, turn[2] << 16, turn[3] << 16, 0, 0, 0, 1 << 30)
        content = content[:at] + struct.pack(">9i", *matrix) + content[at + 36 :]
    with pytest.raises(AssertionError):
        assert_no_secret(pictures(path))
    path.write_bytes(content)
    images = pictures(path)
    size = (HEIGHT - top - bottom, WIDTH - left - right)
    assert images[0].shape[:2] == (size[::-1] if turn == (0, 1, -1, 0) else size)
    assert (video.probe(path).height, video.probe(path).width) == images[0].shape[:2]
    np.testing.assert_allclose(images[0], np.broadcast_to(OPEN, images[0].shape), atol=40)  # chroma bleeds at a rim
    assert_no_secret(images)
    assert "is cropped" in " ".join(remarks(path))


@pytest.mark.parametrize(
    ("ids", "rim"), [((b"\xbb", b"\xcc"), ("top", "left")), ((b"\xaa", b"\xdd"), ("bottom", "right"))]
)
@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_what_matroska_crops_is_not_there(tmp_path, ids, rim, suffix):
    codec = {"codec": "libvpx-vp9", "options": {"lossless": "1"}} if suffix == ".webm" else {"options": {"qp": "0"}}
    colors = {"colorspace": 1, "color_trc": 1, "color_primaries": 1, "color_range": 1}
    path = film(tmp_path / f"a{suffix}", [rimmed(**dict.fromkeys(rim, 16))] * 3, **codec, **colors)
    content = path.read_bytes()
    at = content.index(b"\x55\xb0")  # the head of the colors becomes a void, two of the colors become a crop
    content = content[:at] + b"\xec\x81" + content[at + 2 :]
    for color, crop in zip((b"\x55\xba\x81", b"\x55\xbb\x81"), ids, strict=True):
        at = content.index(color)
        content = content[:at] + b"\x54" + crop + b"\x81\x10" + content[at + 4 :]
    with pytest.raises(AssertionError):
        assert_no_secret(pictures(path))
    path.write_bytes(content)
    images = pictures(path)
    assert images[0].shape[:2] == (HEIGHT - 16, WIDTH - 16)
    assert_no_secret(images)


def edited(content, start_s, length_s=None):
    """Return an MP4 file whose edit list shows only a part."""
    content = bytearray(content)
    movie, media = (struct.unpack_from(">I", content, content.index(name) + 16)[0] for name in (b"mvhd", b"mdhd"))
    at = content.index(b"elst") + 12
    struct.pack_into(">Ii", content, at, round((length_s or 0) * movie), round(start_s * media))
    return bytes(content)


FRAMES = [plain(OPEN if 6 <= i < 16 else SECRET) for i in range(20)]


@pytest.mark.parametrize("options", [{"bf": "0", "g": "50"}, {"bf": "2", "g": "50"}, {"bf": "0", "g": "5"}])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_frames_that_an_edit_list_cuts_off_do_not_come_out(tmp_path, options, suffix):
    path = film(tmp_path / f"a{suffix}", FRAMES, options=options)
    with pytest.raises(AssertionError):
        assert_no_secret(pictures(path))
    shift_s = 0.08 if options["bf"] != "0" else 0.0  # frames are decoded that much before they are shown
    path.write_bytes(edited(path.read_bytes(), 0.24 + shift_s, 0.4))
    images = pictures(path)
    assert len(images) == 10
    assert_no_secret(images)
    assert [t for _, t, _ in video.read(path)] == pytest.approx(np.arange(10) / 25, abs=0.002)


@pytest.mark.parametrize("options", [{"bf": "0", "g": "50"}, {"bf": "0", "g": "5"}, {"bf": "2", "g": "50"}])
def test_an_edit_list_of_a_fragmented_film_cuts_off_its_beginning(tmp_path, options):
    flags = {"movflags": "frag_keyframe+empty_moov+delay_moov"}
    path = film(tmp_path / "a.mp4", FRAMES[:16], options=options, container=flags)
    shift_s = 0.08 if options["bf"] != "0" else 0.0
    path.write_bytes(edited(path.read_bytes(), 0.24 + shift_s))
    images = pictures(path)
    assert len(images) == 10
    assert_no_secret(images)
    assert [t for _, t, _ in video.read(path)] == pytest.approx(np.arange(10) / 25, abs=0.002)


def two_films(path, *, sound=False):
    """A film of two picture tracks: the secret, then what is shown."""
    with av.open(str(path), "w") as target:
        streams = [target.add_stream("libx264", rate=25, options={"bf": "0"}) for _ in range(2)]
        track = target.add_stream("aac", rate=16000, layout="mono") if sound else None
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for stream, color in zip(streams, (SECRET, OPEN), strict=True):
            for _ in range(3):
                target.mux(stream.encode(av.VideoFrame.from_ndarray(plain(color), format="rgb24")))
            target.mux(stream.encode())
        if track is not None:
            block = av.AudioFrame.from_ndarray(np.full((1, 1024), 0.1, np.float32), format="fltp", layout="mono")
            block.sample_rate = 16000
            target.mux(track.encode(block))
            target.mux(track.encode())
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_track_that_is_switched_off_is_not_shown(tmp_path, suffix):
    path = two_films(tmp_path / f"a{suffix}")
    path.write_bytes(switched(switched(path.read_bytes(), 0, False), 1, True))
    assert_no_secret(pictures(path))
    assert "left out: 1 video" in " ".join(remarks(path))


def test_a_film_whose_picture_is_switched_off_has_none(tmp_path):
    path = two_films(tmp_path / "a.mp4", sound=True)
    path.write_bytes(switched(switched(path.read_bytes(), 0, False), 1, False))
    for look in (video.probe, video.check, pictures):
        with pytest.raises(DataError, match="no picture that a player shows"):
            look(path)


def test_of_two_films_in_matroska_the_default_is_shown(tmp_path):
    path = two_films(tmp_path / "a.mkv")
    with av.open(str(path)) as source, av.open(str(tmp_path / "b.mkv"), "w") as target:
        streams = [target.add_stream_from_template(stream) for stream in source.streams]
        streams[0].disposition, streams[1].disposition = av.stream.Disposition(0), av.stream.Disposition.default
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    assert_no_secret(pictures(tmp_path / "b.mkv"))


def combed(number):
    """Two moments of a moving bar, in the even and in the odd rows of one picture; (bar's color on black)."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for parity in (0, 1):
        left = 4 * (2 * number + parity) % 64
        image[parity::2, left : left + 12] = OPEN
    return image


def comb(image):
    """How much more a row differs from the next than from the one after."""
    rows = image.sum(axis=2).astype(float)
    return np.abs(np.diff(rows, axis=0)).mean() - np.abs(rows[2:] - rows[:-2]).mean()


@pytest.mark.parametrize(
    ("suffix", "codec", "options", "form"),
    [
        (".mpg", "mpeg2video", {}, "yuv420p"),
        (".mp4", "libx264", {"x264-params": "tff=1", "qp": "0"}, "yuv444p"),
        (".mkv", "libx264", {"x264-params": "bff=1", "bf": "2", "crf": "5"}, "yuv420p"),
    ],
)
def test_of_two_fields_no_comb_is_left(tmp_path, suffix, codec, options, form):
    frames = [combed(i) for i in range(12)]
    settings = {"flags": 0x40000 | 0x20000000, "bit_rate": 2_000_000}
    path = film(tmp_path / f"a{suffix}", frames, codec, form, options=options, **settings)
    images, times = pictures(path), [t for _, t, _ in video.read(path)]
    assert len(images) == 12
    assert np.diff(times) == pytest.approx([0.04] * 11, abs=0.002)
    assert comb(frames[5]) > 20
    assert max(comb(image) for image in images[1:-1]) < 3
    bar = images[5][images[5].sum(axis=2) > 350]
    np.testing.assert_allclose(np.median(bar, axis=0), OPEN, atol=25)
    assert "interlaced" in " ".join(remarks(path))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_interlaced_frames_all_come_out(tmp_path, count):
    settings = {"flags": 0x40000 | 0x20000000}
    path = film(tmp_path / "a.mpg", [combed(i) for i in range(count)], "mpeg2video", **settings)
    assert len(pictures(path)) == count


MATRICES = {"601": (0.299, 0.114, 6), "709": (0.2126, 0.0722, 1), "2020": (0.2627, 0.0593, 9)}


def stored(rgb, matrix, form, *, full):
    """Return a plain frame of a color (0 to 1) as a camera stores it."""
    red, blue, _ = MATRICES[matrix]
    y = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    values = np.array([y, (rgb[2] - y) / (2 - 2 * blue), (rgb[0] - y) / (2 - 2 * red)])
    deep = form.endswith("10le")
    scaled = (values * [219, 224, 224] + np.array([16, 128, 128])) * (4 if deep else 1)
    if full:
        scaled = (values + np.array([0, 0.5, 0.5])) * (1023 if deep else 255)
    frame = av.VideoFrame(WIDTH, HEIGHT, form)
    for plane, value in zip(frame.planes, np.rint(scaled), strict=False):
        kind = np.uint16 if deep else np.uint8
        plane.update(np.full(plane.buffer_size // np.dtype(kind).itemsize, value, kind).tobytes())
    frame.color_range = 2 if full else 1
    return frame


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("form", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("fields", [False, True])
def test_colors_are_those_that_a_player_shows(tmp_path, matrix, full, form, fields):
    space = MATRICES[matrix][2]
    frame = stored(np.array(OPEN) / 255, matrix, form, full=full)
    frame.colorspace = space
    how = {"colorspace": space, "color_range": 2 if full else 1}
    if fields:
        how |= {"flags": 0x40000 | 0x20000000, "options": {"x264-params": "tff=1"}}
    path = film(tmp_path / "a.mkv", [frame] * 3, form=form, **how)
    np.testing.assert_allclose(pictures(path)[1][HEIGHT // 2, WIDTH // 2], OPEN, atol=5)


@pytest.mark.parametrize(("height", "matrix"), [(480, "601"), (720, "709"), (1080, "709")])
def test_where_no_matrix_is_named_a_large_film_is_bt709(tmp_path, monkeypatch, height, matrix):
    monkeypatch.setitem(globals(), "HEIGHT", height)
    frame = stored(np.array(OPEN) / 255, matrix, "yuv420p", full=False)
    path = film(tmp_path / "a.mkv", [frame], "ffv1")
    np.testing.assert_allclose(pictures(path)[0][height // 2, WIDTH // 2], OPEN, atol=4)


def pq(light):
    """SMPTE ST 2084 of light where 1 is white, 203 cd/m2."""
    power = (light * 203 / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(light):
    """ARIB STD-B67 of light where 1 is reference white; a display of 1000 cd/m2 raises the scene's to the power 1.2."""
    scene = light ** (1 / 1.2) * 0.265
    return np.sqrt(3 * scene) if scene <= 1 / 12 else 0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073


@pytest.mark.parametrize(("curve", "transfer"), [(pq, 16), (hlg, 18)])
@pytest.mark.parametrize("gray", [0.3, 0.7, 1.0])
def test_high_dynamic_range_is_brought_to_the_screen(tmp_path, curve, transfer, gray):
    signal = float(curve(np.float64(gray)))
    frame = stored(np.full(3, signal), "2020", "yuv420p10le", full=False)
    tags = {"colorspace": 9, "color_trc": transfer, "color_primaries": 9, "color_range": 1}
    for name, value in tags.items():
        setattr(frame, name, value)
    path = film(tmp_path / "a.mkv", [frame] * 3, form="yuv420p10le", **tags)
    wanted = 255 * (1.055 * gray ** (1 / 2.4) - 0.055)
    shown = pictures(path)[1][HEIGHT // 2, WIDTH // 2]
    assert np.ptp(shown) < 6
    assert abs(shown.mean() - wanted) < 5 < abs(255 * signal - wanted)  # what is stored is far from it
    assert "high dynamic range" in " ".join(remarks(path))


@pytest.mark.parametrize("transfer", [1, 13, 14])
@pytest.mark.parametrize(("primaries", "toward"), [(9, 0.87), (12, 0.97)])
def test_a_wide_gamut_is_brought_to_that_of_the_screen(tmp_path, transfer, primaries, toward):
    rgb = np.array([0.45, 0.35, 0.3])
    frame = stored(rgb, "2020", "yuv420p10le", full=False)
    tags = {"colorspace": 9, "color_trc": transfer, "color_primaries": primaries, "color_range": 1}
    for name, value in tags.items():
        setattr(frame, name, value)
    shown = pictures(film(tmp_path / "a.mkv", [frame] * 3, form="yuv420p10le", **tags))[1][HEIGHT // 2, WIDTH // 2]
    assert shown[0] - shown[2] > 255 * (rgb[0] - rgb[2]) / toward**0.5  # further apart than taken as they are


@pytest.mark.parametrize("form", ["gray", "gray10le", "gray16le"])
@pytest.mark.parametrize("size", [(63, 95), (64, 95), (1, 1)])
def test_gray_films_of_odd_sizes_are_shown_as_they_are(tmp_path, form, size):
    gray = av.VideoFrame.from_ndarray(np.full(size, 77, np.uint8), format="gray").reformat(format=form)
    image = pictures(film(tmp_path / "a.mkv", [gray], "ffv1", form))[0]
    assert image.shape[:2] == size
    np.testing.assert_allclose(image, 77, atol=2)


@pytest.mark.parametrize("turn", [None, (0, 1, -1, 0), (0, -1, 1, 0)])
def test_the_shape_of_pixels_is_turned_with_the_picture(tmp_path, turn):
    path = film(tmp_path / "a.mp4", [plain()] * 2, sample_aspect_ratio=Fraction(2))
    content = path.read_bytes()
    if turn:
        at = content.index(b"tkhd") + 44
        matrix = (turn[0] << 16, turn[1] << 16, 0, turn[2] << 16, turn[3] << 16, 0, 0, 0, 1 << 30)
        path.write_bytes(content[:at] + struct.pack(">9i", *matrix) + content[at + 36 :])
    info = video.probe(path)
    assert info.pixel_aspect == pytest.approx(0.5 if turn else 2)
    assert info.width * info.pixel_aspect / info.height == pytest.approx(
        HEIGHT / (WIDTH * 2) if turn else WIDTH * 2 / HEIGHT
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_nothing_that_is_said_about_a_film_goes_into_its_release(tmp_path, suffix):
    words = ("Anna Beispiel", "+48.2082+016.3738/", "2023-05-04T03:02:01", "Kamera 0815", "Diagnose F32")
    tags = dict(zip(("title", "location", "creation_time", "comment", "description"), words, strict=True))
    source = film(tmp_path / f"Anna Beispiel{suffix}", [plain()] * 5, tags=tags)
    with av.open(str(source), metadata_errors="replace") as raw:
        assert any(word in value for value in raw.metadata.values() for word in words)
    info = video.probe(source)
    for target in (tmp_path / f"out{end}" for end in (".mp4", ".mkv", ".mov")):
        with video.VideoWriter(target, width=info.width, height=info.height, rate_hz=25) as writer:
            for _, time_s, image in video.read(source):
                writer.write(image, time_s=time_s)
        content = target.read_bytes()
        for word in words:
            assert word.encode() not in content
        with av.open(str(target)) as written:
            assert "creation_time" not in written.metadata
            assert [stream.type for stream in written.streams] == ["video"]
