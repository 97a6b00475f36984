import numpy as np
import pytest

from personare.features.expression import BLENDSHAPES
from personare.features.looks import READER, looks_like
from personare.simulate.people import EMOTIONS


def face(**moved):
    """Two frames of a face that moves so; a name without a side moves both."""
    row = [
        max((value for name, value in moved.items() if shape.startswith(name)), default=0.0) for shape in BLENDSHAPES
    ]
    return np.array([row, row])


@pytest.mark.parametrize(
    ("moved", "expression"),
    [
        ({"mouthSmile": 0.8}, "happiness"),
        ({"browInnerUp": 0.5, "mouthFrown": 0.6, "mouthShrugLower": 0.5}, "sadness"),
        ({"browInnerUp": 0.6, "browOuterUp": 0.6, "eyeWide": 0.6}, "fear"),
        ({"mouthUpperUp": 0.5, "mouthShrugUpper": 0.5, "eyeSquint": 0.6}, "disgust"),
        ({"browDown": 0.7, "eyeSquint": 0.9, "mouthPress": 0.6}, "anger"),
    ],
)
def test_a_clear_movement_is_named_as_emfacs_has_it(moved, expression):
    assert looks_like(face(**moved))["expression"] == expression


def test_where_two_are_as_likely_none_is_named():
    chances = [looks_like(face(mouthSmile=x)) for x in np.linspace(0, 0.8, 60)]
    named = [one.get("expression", "") for one in chances]
    assert named[0] != "happiness" and named[-1] == "happiness" and "" in named


def test_eyes_that_turn_away_are_not_at_the_screen():
    away = face(eyeLookOutLeft=0.9, eyeLookInRight=0.9)
    assert looks_like(away)["gaze"] == "elsewhere" and looks_like(face())["gaze"] == "at the screen"
    assert looks_like(face(eyeLookDown=0.9))["gaze"] == "elsewhere"
    assert looks_like(face(eyeLookOut=0.9, eyeLookIn=0.9))["gaze"] == "at the screen", "crossed eyes look nowhere aside"


def test_a_frame_without_a_mesh_is_left_out():
    frames = face(mouthSmile=0.8)
    frames[0] = np.nan
    assert looks_like(frames) == looks_like(face(mouthSmile=0.8))


def test_the_reader_names_the_emotions_of_the_house_by_movements_that_exist():
    assert tuple(READER["expressions"]) == EMOTIONS
    sides = {shape.removesuffix("Left").removesuffix("Right") for shape in BLENDSHAPES}
    for one in READER["expressions"].values():
        assert set(one["weights"]) <= sides and all(weight > 0 for weight in one["weights"].values())
