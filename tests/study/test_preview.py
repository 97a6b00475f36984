"""The page of made-up people draws what there is, also where a value is missing."""

import numpy as np

from personare.features.tracks import Track
from personare.study import preview


def test_a_table_with_a_missing_value_is_drawn() -> None:
    (line,) = preview._picture(Track(kind="table", values=np.array([3.0, np.nan, -200.0])))["lines"]
    assert "nan" not in line["path"] and line["path"].count("M") == 3
