"""What was made up becomes files that end where the recording ends."""

from pathlib import Path

import numpy as np

from personare.core.types import Batch
from personare.features.tracks import TrackForm, read_track
from personare.study.rendering import rendering_of, write_recording


def test_a_made_up_signal_ends_and_does_not_fall_to_zero(tmp_path: Path) -> None:
    values = np.zeros((1, 80, 2), np.float32)
    values[0, :50] = np.random.default_rng(0).normal(5, 1, (50, 2))
    row = Batch(
        ids=("a",),
        arrays={"physio": values},
        present={"physio": np.ones(1, dtype=bool)},
        labels=np.zeros(1, np.int64),
        classes=("calm",),
        subjects=np.array(["synthetic-0001"]),
        columns={"physio": ("pulse", "skin")},
    )
    form = TrackForm(kind="signal", suffix=".tsv.gz", about={"SamplingFrequency": 4.0}, whole=False, every={})
    how = rendering_of(row, {"physio": form}, note={"Description": "made up"})
    assert write_recording(how, 0, (row, {"physio": tmp_path / "physio.tsv.gz"})) == (["physio"], [])
    np.testing.assert_allclose(read_track(tmp_path / "physio.tsv.gz").values, values[0, :50], rtol=1e-5)
