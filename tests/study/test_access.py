from pathlib import Path

import pandas as pd
import pytest

from personare.core.types import Cohort, Recording
from personare.study.access import table


@pytest.mark.parametrize("label", ["id", "subject", "session", "sex", "age"])
def test_a_label_takes_the_place_of_no_fact(label: str) -> None:
    names = ("sub-01_ses-01_task-a", "sub-02_ses-01_task-a")
    recordings = tuple(
        Recording(
            id=name, subject=name[4:6], session="01", tracks={"audio": "x"}, labels={label: "same", "mood": "low"}
        )
        for name in names
    )
    people = pd.DataFrame({"sex": ["F", "M"], "age": [30.0, 40.0]}, index=pd.Index(["01", "02"], name="subject"))
    facts = table(Cohort(root=Path(), name="c", recordings=recordings, participants=people), recordings)
    assert list(facts.index) == list(names)
    assert facts[["subject", "sex", "age", "mood"]].to_numpy().tolist() == [
        ["01", "F", 30.0, "low"],
        ["02", "M", 40.0, "low"],
    ]
