import platform
import subprocess
import sys

import numpy as np
import pytest

from personare.core.errors import MissingModelError
from personare.core.types import Face, LocatedFrame
from personare.features.avatar import Avatar
from personare.features.expression import BLENDSHAPES, FaceLandmarker, _window, normalize_landmarks

SMILE = BLENDSHAPES.index("mouthSmileLeft")


@pytest.fixture
def landmarker():
    with FaceLandmarker() as found:
        yield found


def drawn(smile=0.0, size=200):
    shapes = np.zeros(52)
    shapes[[SMILE, SMILE + 1]] = smile
    return Avatar(size=size).draw(shapes, np.zeros(3))


def scene(*places, size=200, canvas=(480, 720)):
    """Drawn faces at (left, top, smile), and boxes around them as a locator gives them."""
    image = np.full((*canvas, 3), (148, 163, 178), np.uint8)
    faces = []
    for track, (left, top, smile) in enumerate(places):
        image[top : top + size, left : left + size] = drawn(smile, size)
        box = np.array([left + 0.28 * size, top + 0.2 * size, left + 0.72 * size, top + 0.82 * size])
        faces.append(Face(box=box, score=0.9, track=track))
    return image, tuple(faces)


def located(image, faces, count=6):
    return [LocatedFrame(index=i, time_s=i / 25, image=image, faces=faces, certain=True) for i in range(count)]


def test_names_are_52_and_unlike():
    assert len(set(BLENDSHAPES)) == 52


def test_without_the_model_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PERSONARE_MODELS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("personare.features.models.installed", lambda _: [])
    with pytest.raises(MissingModelError, match="personare models fetch face_landmarker"), FaceLandmarker():
        pass


def test_each_of_several_faces_gets_its_own_mesh_and_expression(landmarker):
    image, faces = scene((20, 20, 0.0), (400, 150, 0.9))
    last = list(landmarker.locate(located(image, faces)))[-1]
    assert [f.track for f in last.faces] == [0, 1]
    for before, after in zip(faces, last.faces, strict=True):
        assert np.array_equal(before.box, after.box)
        assert after.landmarks.shape == (478, 3)
        assert after.pose.shape == (4, 4)
        middle = after.landmarks[:, :2].mean(axis=0)
        assert (middle > before.box[:2]).all()
        assert (middle < before.box[2:]).all()
    assert last.faces[0].blendshapes[SMILE] < 0.2 < 0.6 < last.faces[1].blendshapes[SMILE]


def test_a_box_where_nobody_is_keeps_none(landmarker):
    image, faces = scene((20, 20, 0.0))
    empty = Face(box=np.array([500.0, 300, 600, 420]), score=0.9, track=7)
    outside = Face(box=np.array([-90.0, -90, -10, -10]), score=0.9, track=8)
    last = list(landmarker.locate(located(image, (*faces, empty, outside))))[-1]
    assert [f.landmarks is None for f in last.faces] == [False, True, True]


def test_a_face_that_jumps_is_found_again_at_once(landmarker):
    here, there = (scene((left, 100, 0.0)) for left in (10, 480))
    frames = located(*here, count=4) + [
        LocatedFrame(index=4 + i, time_s=(4 + i) / 25, image=there[0], faces=there[1], certain=True) for i in range(3)
    ]
    found = [f.faces[0].landmarks for f in landmarker.locate(frames)]
    assert all(mesh is not None for mesh in found)
    assert found[4][:, 0].mean() - found[3][:, 0].mean() == pytest.approx(470, abs=6)


def test_measure_gives_a_row_a_picture_and_nan_where_nobody_is(landmarker):
    blank = np.zeros((200, 200, 3), np.uint8)
    shapes, mesh = landmarker.measure([drawn(0.9), drawn(0.9), blank, blank], rate_hz=10)
    assert shapes.shape == (4, 52)
    assert mesh.shape == (4, 478, 3)
    assert np.isfinite(shapes[:2]).all()
    assert np.isnan(shapes[2:]).all()
    assert np.isnan(mesh[2:]).all()
    assert shapes[1, SMILE] > 0.6


def test_measuring_again_gives_the_same_and_nothing_gives_nothing(landmarker):
    pictures = [drawn(s) for s in (0.0, 0.5, 0.9)]
    once, again = (landmarker.measure(pictures, rate_hz=25)[0] for _ in range(2))
    assert np.allclose(once, again, atol=1e-5)
    assert [len(part) for part in landmarker.measure([], rate_hz=25)] == [0, 0]


def test_padded_rows_are_read_straight(landmarker):
    wide = np.zeros((200, 256, 3), np.uint8)
    wide[:, :200] = drawn(0.9)
    one, other = (landmarker.measure([p] * 2, rate_hz=25)[1][1] for p in (wide[:, :200], wide[:, :200].copy()))
    assert np.allclose(one, other, atol=1e-3)


def test_nothing_is_written_to_the_terminal(landmarker, capfd):
    landmarker.measure([drawn()], rate_hz=25)
    assert capfd.readouterr() == ("", "")


def test_window_stays_while_the_face_sits_well_in_it():
    box, shape = np.array([100.0, 100, 160, 180]), (480, 640, 3)
    first = _window(box, shape, None)
    assert np.array_equal(_window(box + 10, shape, first), first)
    assert not np.array_equal(_window(box + 200, shape, first), first)
    assert not np.array_equal(_window(box * [1, 1, 0.75, 0.68], shape, first), first)
    low, high = _window(np.array([-40.0, -40, 20, 20]), shape, None).reshape(2, 2)
    assert (low >= 0).all()
    assert (high > low).all()


def test_normalize_landmarks_by_hand():
    mesh = np.zeros((1, 478, 3))
    for index, x in ((33, -7), (133, -3), (362, 3), (263, 7)):
        mesh[0, index, :2] = (x, 0)
    mesh[0, 152, :2] = (0, 20)
    turn = np.array([[np.cos(0.5), np.sin(0.5)], [-np.sin(0.5), np.cos(0.5)]])
    moved = mesh.copy()
    moved[..., :2] = 3 * mesh[..., :2] @ turn + [50, 60]
    for given in (mesh, moved):
        out = normalize_landmarks(given)
        assert np.allclose(out[0, 152], [0, 2], atol=1e-5)
        assert np.allclose(out[0, 263], [0.7, 0], atol=1e-5)
    assert np.isnan(normalize_landmarks(np.full((1, 478, 3), np.nan))).all()


# The kernel ends the process at the first call that would send something, whatever language it is made from.
_SEALED = """
import ctypes, platform, struct, sys
calls = {"x86_64": (42, 44, 46, 307), "aarch64": (203, 206, 211, 269)}[platform.machine()]
steps = [struct.pack("HBBI", 0x20, 0, 0, 0)]
for left, call in enumerate(calls[::-1]):
    steps.insert(1, struct.pack("HBBI", 0x15, left + 1, 0, call))
steps += [struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000), struct.pack("HBBI", 0x06, 0, 0, 0x80000000)]
code = ctypes.create_string_buffer(b"".join(steps))
program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
if libc.prctl(22, 2, program, 0, 0):
    sys.exit(77)
"""
_CONNECTS = (
    "import socket; s = socket.socket(); s.settimeout(0.1)\ntry: s.connect(('127.0.0.1', 9))\nexcept OSError: pass"
)
_READS = """
import numpy as np
from personare.features.avatar import Avatar
from personare.features.expression import FaceLandmarker
with FaceLandmarker() as landmarker:
    pictures = [Avatar(size=200).draw(np.zeros(52), np.zeros(3))] * 5
    assert np.isfinite(landmarker.measure(pictures, rate_hz=25)[0]).all()
print("read")
"""


def sealed(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _SEALED + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"), reason="needs Linux's seccomp"
)
def test_no_connection_is_opened():
    control = sealed(_CONNECTS)
    if control.returncode == 77:
        pytest.skip("this kernel allows no seccomp filter")
    assert control.returncode < 0, "the seal must end a process that connects"
    result = sealed(_READS)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "read\n"
    assert result.stderr == ""
