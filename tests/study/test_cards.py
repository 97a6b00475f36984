"""Cards say what there is: a page of made-up people draws it all, a table leaves no row out."""

from dataclasses import replace

import numpy as np
import pandas as pd

from personare.core.types import Recording, Result, Spend
from personare.data.cohort import CohortWriter
from personare.study.cards import write_card, write_preview
from personare.study.kinds.models import ModelPlan


def test_a_table_with_a_missing_value_is_drawn(tmp_path):
    writer = CohortWriter(tmp_path, name="Nobody", kind="synthetic")
    recording = Recording(id="sub-01_ses-01_task-joy", subject="01", session="01", tracks={})
    path = writer.path(recording, "face", ".npy")
    np.save(path, np.array([3.0, np.nan, -200.0]))
    writer.add(replace(recording, tracks={"face": path.relative_to(tmp_path).as_posix()}))
    cohort = writer.finish(pd.DataFrame(index=["01"]).rename_axis("subject"))
    write_preview(tmp_path, cohort, label="emotion", told="Nothing.")
    page = (tmp_path / "preview.html").read_text()
    drawn = page.partition('<path d="')[2].partition('"')[0]
    assert "3 values" in page and "nan" not in drawn and drawn.count("M") == 3


def test_a_card_has_a_line_for_every_row_and_what_is_missing_by_its_reason(made_up, tmp_path):
    rows = [
        Result(
            question="member",
            method="loss",
            figure="auc",
            attacker="shadow",
            value=0.5,
            low=0.4,
            high=0.6,
            n=6,
            control=0.5,
        ),
        *(
            Result(question="member", method=name, figure="auc", value=np.nan, reason="too few people")
            for name in ("lira", "label")
        ),
    ]
    spend = Spend(
        unit="recording",
        sampling_rate=0.1,
        noise_multiplier=1,
        steps=5,
        epsilon=1,
        delta=1e-3,
        accountant="pld",
        units=72,
    )
    made = {"classes": ["joy", "anger"], "modalities": ["face"], "recordings": 9, "people": 3}
    model = ModelPlan(name="trees", label="emotion", method="forest")
    cards = {}
    for name, spends in (("private", [spend]), ("open", [])):
        write_card(tmp_path / name, made_up, model, spends, rows, made)
        cards[name] = (tmp_path / name).read_text()
    assert "| loss.auc shadow | 0.500 | 0.400–0.600 | 0.500 | 6 |" in cards["private"]
    assert "- Without a figure: lira.auc, label.auc: too few people" in cards["private"]
    assert "**Not measured.**" in cards["private"]  # of what it can do
    assert "is not one for a person" in cards["private"] and "No guarantee" in cards["open"]
