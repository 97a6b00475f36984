"""A drawn face that does what the statistics say, and speaks when there is a voice."""

import av
import numpy as np
import pytest

from personare.core.errors import DataError, OptionError
from personare.core.types import Signal
from personare.features import audio, video
from personare.features.avatar import Avatar
from personare.features.expression import BLENDSHAPES
from personare.features.face_animation import course_of, film_course, knows_face, rest_of

SMILE, JAW = BLENDSHAPES.index("mouthSmileLeft"), BLENDSHAPES.index("jawOpen")
STATISTICS = ("mean", "std", "p10", "p90")


def statistics(**known):
    """Every shape still but those named: (mean, std, p10, p90)."""
    columns = [f"{shape}_{what}" for what in STATISTICS for shape in BLENDSHAPES]
    values = np.zeros(len(columns))
    for shape, four in known.items():
        for what, value in zip(STATISTICS, four, strict=True):
            values[columns.index(f"{shape}_{what}")] = value
    return values, columns


def test_the_course_has_the_statistics_it_was_made_of():
    values, columns = statistics(mouthSmileLeft=(0.4, 0.1, 0.2, 0.7), browInnerUp=(0.5, 0.2, 0.25, 0.75))
    course = course_of(values, columns, seconds=60, rng=np.random.default_rng(0))
    assert course.shape == (1500, 52) and course.min() >= 0 and course.max() <= 1
    assert np.percentile(course[:, SMILE], [10, 50, 90]) == pytest.approx([0.2, 0.4, 0.7], abs=0.06)
    assert course[:, BLENDSHAPES.index("browInnerUp")].mean() == pytest.approx(0.5, abs=0.03)
    assert np.abs(np.diff(course[:, SMILE])).max() < 0.2  # a face does not jump
    assert course[:, BLENDSHAPES.index("cheekPuff")].max() == 0


def test_action_units_move_the_drawing_on_both_sides():
    columns = [f"AU{n:02d}_mean" for n in (1, 4, 6, 12, 25)]
    course = course_of(np.array([0, 0, 0.2, 0.9, 0]), columns, seconds=2, rng=np.random.default_rng(0))
    right = BLENDSHAPES.index("mouthSmileRight")
    assert course[:, SMILE] == pytest.approx(0.9) and course[:, right] == pytest.approx(0.9)


def test_the_mouth_opens_with_the_voice():
    loud = np.repeat([0.0, 0.3, 0.0, 0.3], 16000)
    hiss = np.random.default_rng(1).uniform(-1, 1, len(loud)) * loud
    voice = Signal(values=hiss[:, None].astype(np.float32), rate_hz=16000)
    values, columns = statistics(jawOpen=(0.3, 0.2, 0.0, 0.6))
    course = course_of(values, columns, seconds=4, voice=voice, rng=np.random.default_rng(0))
    envelope = np.repeat([0.0, 1.0, 0.0, 1.0], 25)
    assert np.corrcoef(course[:, JAW], envelope)[0, 1] > 0.9
    mute = course_of(values, columns, seconds=4, rng=np.random.default_rng(0))
    assert abs(np.corrcoef(mute[:, JAW], envelope)[0, 1]) < 0.9


def test_a_given_course_is_kept():
    given = np.zeros((10, len(BLENDSHAPES)))
    given[:, SMILE] = np.linspace(0, 1, 10)
    course = course_of(given, BLENDSHAPES, seconds=2, rng=np.random.default_rng(0))
    assert course[[0, -1], SMILE].tolist() == [0, 1] and (np.diff(course[:, SMILE]) > 0).all()


def test_the_group_rests_where_half_of_its_recordings_are():
    values = np.stack([statistics(browDownLeft=(mean, 0, 0, 0))[0] for mean in (0.3, 0.4, 0.9)])
    rest = rest_of(values, statistics()[1])
    assert rest[BLENDSHAPES.index("browDownLeft")] == pytest.approx(0.4) and rest[SMILE] == 0


def test_the_film_has_picture_sound_and_a_note(tmp_path):
    path = tmp_path / "a.mp4"
    rng = np.random.default_rng(0)
    voice = Signal(values=(0.1 * rng.standard_normal((16000, 1))).astype(np.float32), rate_hz=16000)
    still, smiling = np.zeros((25, 52)), np.zeros((25, 52))
    smiling[:, [SMILE, BLENDSHAPES.index("mouthSmileRight"), JAW]] = 0.9
    film_course(path, smiling, np.zeros(52), voice=voice, note="nobody", rng=np.random.default_rng(2))
    info = video.probe(path)
    assert (info.width, info.rate_hz, info.has_sound) == (192, 25, True)
    video.check(path)
    audio.check(path)
    with av.open(str(path)) as film:
        assert film.metadata["comment"] == "nobody"
    film_course(tmp_path / "b.mp4", still, np.zeros(52), voice=None, note="", rng=np.random.default_rng(2))
    pictures = [next(iter(video.read(tmp_path / name)))[2].astype(int) for name in ("a.mp4", "b.mp4")]
    assert np.abs(pictures[0] - pictures[1]).max() > 60  # the smile is seen


def test_in_a_short_film_the_head_sways_about_the_middle(tmp_path, monkeypatch):
    seen = []
    draw = Avatar.draw
    monkeypatch.setattr(Avatar, "draw", lambda self, shapes, angles: seen.append(angles) or draw(self, shapes, angles))
    for seed in range(5):
        course = np.zeros((25, 52))  # one second: shorter than the head takes to turn
        rng = np.random.default_rng(seed)
        film_course(tmp_path / f"{seed}.mp4", course, np.zeros(52), voice=None, note="made up", rng=rng)
    assert np.abs(seen).max() < 0.2  # radians: nobody looks over the shoulder


def test_a_short_course_has_its_mean():
    values, columns = statistics(mouthSmileLeft=(0.4, 0.05, np.nan, np.nan))
    means = [course_of(values, columns, seconds=0.6, rng=np.random.default_rng(s))[:, SMILE].mean() for s in range(20)]
    assert np.allclose(means, 0.4, atol=0.02)


def test_columns_that_tell_of_no_face_are_refused():
    assert not knows_face(["mfcc_1_mean", "mfcc_2_mean", "pitch_std"]) and not knows_face([])
    with pytest.raises(DataError, match="tell of no expression"):
        course_of(np.zeros(2), ["a_mean", "b_mean"], seconds=1, rng=np.random.default_rng(0))
    with pytest.raises(OptionError, match="at least one frame"):
        course_of(*statistics(), seconds=0, rng=np.random.default_rng(0))
