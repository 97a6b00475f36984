"""What they show: action units over time, and faces that face detectors find and read."""

import numpy as np
import pytest

from personare.core.errors import OptionError
from personare.features.centerface import find_faces
from personare.features.expression import BLENDSHAPES, FaceLandmarker
from personare.simulate.expression import ACTION_UNITS, move
from personare.simulate.face import Painter, draw_scene
from personare.simulate.geometry import eye, looking, mouth
from personare.simulate.people import EMOTIONS, person
from personare.simulate.sentences import speak
from personare.simulate.take import perform

REST = dict.fromkeys(ACTION_UNITS, 0.0)


def paint(number=1, size=192, **actions):
    who = person(0, number)
    scene = draw_scene(np.random.default_rng(number))
    painter = Painter(who, scene, size=size, skin=np.random.default_rng(7), camera=np.random.default_rng(8))
    return painter.paint(REST | actions, rounding=0.0, pose=np.zeros(5), gaze=np.zeros(2))


def actions_of(emotion, seed=0, strength=1.0):
    said = speak("S1", voice=person(0, 1).voice, rng=np.random.default_rng(seed))
    style = person(0, 1).style
    motion = move(emotion, said, style, strength=strength, rate_hz=25, rng=np.random.default_rng(seed))
    return said, motion


@pytest.mark.parametrize(
    ("emotion", "unit"),
    [("happiness", "AU12"), ("sadness", "AU01"), ("anger", "AU04"), ("fear", "AU05"), ("disgust", "AU09")],
)
def test_an_emotion_moves_its_own_action_unit_most(emotion, unit):
    column = ACTION_UNITS.index(unit)
    apex = {
        name: np.mean([actions_of(name, s)[1]["action_units"][:, column].max() for s in range(6)]) for name in EMOTIONS
    }
    assert max(apex, key=apex.get) == emotion
    assert apex["neutral"] < 0.2 < apex[emotion]


def test_an_expression_rises_stays_and_falls():
    smiles = [actions_of("happiness", s)[1]["action_units"][:, ACTION_UNITS.index("AU12")] for s in range(12)]
    first, apex, last = (np.mean([pick(smile) for smile in smiles]) for pick in (lambda x: x[0], max, lambda x: x[-1]))
    assert first < 0.2 * apex and 0.1 * apex < last < 0.8 * apex
    assert all(np.median(smile) > 0.7 * smile.max() for smile in smiles)


def test_the_jaw_moves_in_time_with_the_vowels():
    said, motion = actions_of("neutral")
    jaw = motion["action_units"][:, ACTION_UNITS.index("AU26")]

    def during(chosen):
        return [jaw[round((s.start_s + s.end_s) / 2 * 25)] for s in said.sounds if chosen(s.phone)]

    assert jaw[0] == 0
    assert min(during(lambda phone: phone.jaw > 0.8)) > 0.3 > 0.2 > max(during(lambda phone: phone.lips == 0))


def test_all_motion_is_in_range():
    for emotion in EMOTIONS:
        _, motion = actions_of(emotion, 3, strength=1.15)
        assert motion["action_units"].min() >= 0 and motion["action_units"].max() <= 1
        assert np.abs(motion["pose"]).max() <= 14
        assert len(motion["action_units"]) == len(motion["pose"]) == len(motion["gaze"]) == len(motion["lip_rounding"])


def test_an_unknown_emotion_is_refused():
    with pytest.raises(OptionError, match="no emotion 'envy'"):
        perform(person(0, 1), "envy", "DOG", seed=0)


def test_a_smile_lifts_the_corners_and_a_blink_shuts_the_eye():
    who = person(0, 1)
    rest, smile = (mouth(who.face, REST | {"AU12": amount}, who.style, 0.0) for amount in (0, 1))
    assert np.all(smile.upper_inner[[0, -1], 1] < rest.upper_inner[[0, -1], 1] - 0.5)
    assert np.ptp(smile.upper_inner[:, 0]) > np.ptp(rest.upper_inner[:, 0])
    shut = eye(who.face, REST | {"AU45": 1.0}, 1, np.zeros(2))
    assert shut.openness < 0.1 < eye(who.face, REST, 1, np.zeros(2)).openness


def test_turning_the_head_moves_the_nose_more_than_the_ears():
    straight = looking(np.zeros(5), center=np.zeros(2), scale=1.0)
    turned = looking(np.array((10.0, 0, 0, 0, 0)), center=np.zeros(2), scale=1.0)
    nose, ear = np.array(((0.0, 4.5),)), np.array(((7.5, 0.0),))
    moved = [np.abs(turned(point, lift) - straight(point, lift))[0, 0] for point, lift in ((nose, 2.0), (ear, 0.0))]
    assert moved[0] > 2 * moved[1]


@pytest.mark.parametrize("size", [96, 192, 256])
def test_pictures_have_the_size_that_was_asked_for(size):
    image = paint(size=size)
    assert image.shape == (size, size, 3) and image.dtype == np.uint8


def test_the_same_painter_paints_the_same_picture_and_other_people_another():
    np.testing.assert_array_equal(paint(1), paint(1))
    assert np.abs(paint(1).astype(int) - paint(2)).mean() > 5


def test_face_detector_finds_one_face_in_at_least_95_percent_of_frames():
    found = []
    for number in range(1, 13):
        frames = list(perform(person(0, number), EMOTIONS[number % 6], "S1", seed=0).pictures(192))
        found += [len(find_faces(frame, threshold=0.5)) == 1 for frame in frames[::5]]
    assert len(found) > 100
    assert np.mean(found) >= 0.95


def test_the_face_landmarker_reads_the_action_units():
    units = ("AU12", "AU01", "AU04", "AU26", "AU45")
    shapes = ("mouthSmileLeft", "browInnerUp", "browDownLeft", "jawOpen", "eyeBlinkLeft")
    moved = {}
    with FaceLandmarker() as landmarker:
        for number in (1, 3, 4, 8):
            pictures = [paint(number)] + [paint(number, **{unit: 1.0}) for unit in units]
            for row, picture in enumerate(pictures):
                scores, _ = landmarker.measure([picture] * 2, rate_hz=25)
                moved.setdefault(row, []).append(scores[-1])
    scores = {row: np.mean(values, axis=0) for row, values in moved.items()}
    assert np.isfinite(scores[0]).all()
    for row, (unit, shape) in enumerate(zip(units, shapes, strict=True), start=1):
        column = BLENDSHAPES.index(shape)
        assert scores[row][column] > scores[0][column] + 0.08, (unit, scores[row][column], scores[0][column])
    smile = BLENDSHAPES.index("mouthSmileLeft")
    assert scores[1][smile] > 0.4 and scores[0][smile] < 0.15
