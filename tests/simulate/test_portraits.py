"""Still faces of people who do not exist."""

import numpy as np
import pytest

from personare.core.errors import OptionError
from personare.data.cohort import open_cohort
from personare.simulate.people import EMOTIONS, person
from personare.simulate.portraits import portrait, simulate_portraits


def test_guarantee_portraits_are_the_same_for_the_same_seed_and_show_the_person(tmp_path):
    who, other = person(3, 1), person(3, 2)
    first, again = (portrait(who, "anger", "S1", seed=3, size=48) for _ in range(2))
    assert np.array_equal(first, again)
    assert first.shape == (48, 48, 3)
    assert not np.array_equal(first, portrait(other, "anger", "S1", seed=3, size=48))
    cohort = simulate_portraits(tmp_path, people=2, sentences=1, seed=3, size=48)
    assert {r.labels["emotion"] for r in cohort.recordings} == {*EMOTIONS}
    assert set(open_cohort(tmp_path).participants.columns) >= {"sex", "age", "skin"}
    with pytest.raises(OptionError):
        simulate_portraits(tmp_path / "more", people=0)
