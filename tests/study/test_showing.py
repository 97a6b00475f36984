"""What people are shown of a recording."""

import json
from pathlib import Path

import numpy as np

from personare.core.types import Recording, Signal
from personare.data.visit_codes import history_columns
from personare.features import audio
from personare.study.showing import shown_items, waves


def recording(**tracks: str) -> Recording:
    return Recording(id="r", subject="01", session="01", tracks=tracks)


def test_visits_have_their_place_in_time(tmp_path: Path) -> None:
    columns = (*history_columns(["urgent"], {})[:2], "code=drug.opioids", *history_columns(["urgent"], {})[2:])
    rows = np.zeros((3, len(columns)), np.float32)
    rows[:, [columns.index(name) for name in ("visit", "type=urgent", "length=under_1_day")]] = 1
    for row, gap in zip(rows, ("first", "under_1_month", "over_2_years"), strict=True):
        row[columns.index(f"gap={gap}")] = 1
    np.save(tmp_path / "r_visits.npy", rows)
    (tmp_path / "r_visits.json").write_text(json.dumps({"Columns": columns, "SamplingFrequency": 1}))
    (item,) = shown_items(tmp_path, recording(visits="r_visits.npy"))
    # the middle of 7 to 30 days (18.5), then of two to four years (1095)
    assert [visit["day"] for visit in item["visits"]] == [0, 18, 1114]


def test_a_waveform_spans_the_sound_and_shows_its_level(tmp_path: Path) -> None:
    values = np.concatenate([np.zeros(8000), np.resize([0.5, -1.0], 8000)]).astype(np.float32)
    audio.write(tmp_path / "r.wav", Signal(values=values[:, None], rate_hz=16000))
    (wave,) = waves(tmp_path, recording(audio="r.wav", eda="r.npy"))
    assert (wave["kind"], wave["seconds"]) == ("wave", 1.0)
    strokes = wave["path"].split("M")[1:]
    assert len(strokes) == 400
    assert strokes[0] == "0.5 50.0V50.0"
    assert strokes[-1].startswith("399.5 26.")
    assert strokes[-1].endswith("V98.0")
    assert [*waves(tmp_path, recording(eda="r.npy"))] == []
