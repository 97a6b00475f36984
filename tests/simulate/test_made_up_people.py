"""Who they are: the same for the same seed and number, clearly different from each other."""

import numpy as np
import pytest

from personare.core.errors import OptionError
from personare.simulate.people import person, traits


def test_a_person_depends_on_seed_and_number_only():
    first = [person(3, number) for number in range(1, 5)]
    again = [person(3, number) for number in (4, 2)]
    assert again == [first[3], first[1]]
    assert person(4, 2) != first[1]


def test_women_and_men_take_turns_and_pseudonyms_count():
    people = [person(0, number) for number in range(1, 14)]
    assert [p.sex for p in people[:4]] == ["F", "M", "F", "M"]
    assert people[12].subject == "13"
    assert all(18 <= p.age <= 70 for p in people)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_voices_and_faces_spread_over_their_range(seed):
    women = [person(seed, number) for number in range(1, 13, 2)]
    pitches = np.sort([p.voice.f0_hz for p in women])
    assert pitches[-1] - pitches[0] > 40 and np.all(np.diff(pitches) > 0)
    widths = [p.face.width_cm for p in women]
    assert max(widths) - min(widths) > 1.5


def test_traits_are_one_row_a_person_and_name_each_number():
    table = traits((person(0, 1), person(0, 2)))
    assert {len(column) for column in table.values()} == {2}
    assert table["voice_f0_hz"] == [person(0, 1).voice.f0_hz, person(0, 2).voice.f0_hz]
    assert table["face_skin_rgb_1"][0] == person(0, 1).face.skin_rgb[0]


def test_a_number_below_one_is_refused():
    with pytest.raises(OptionError, match="at least 1"):
        person(0, 0)
