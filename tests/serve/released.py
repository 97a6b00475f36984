"""A small release to review: voices and a body signal of people, which a browser can play and draw."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from personare.core.types import Cohort, Recording
from personare.data.cohort import CohortWriter, Kind, recording_id

RATE_HZ = 8000


def write_released(root: Path, *, kind: Kind = "synthetic", people: int = 3, each: int = 4) -> Cohort:
    """Write a cohort of hums of a fifth of a second, with a signal of the same length."""
    writer, time_s = CohortWriter(root, name="hums", kind=kind), np.arange(RATE_HZ // 5) / RATE_HZ
    for person in (f"{p + 1:02d}" for p in range(people)):
        for take in range(each):
            parts = (person, "01", f"hum{take}")
            audio, pulse = writer.path(parts, "audio", ".wav"), writer.path(parts, "pulse", ".npy")
            soundfile.write(audio, 0.3 * np.sin(2 * np.pi * (120 + 40 * int(person) + take) * time_s), RATE_HZ)
            np.save(pulse, np.sin(np.arange(20) + take).astype(np.float32)[:, None])
            pulse.with_suffix(".json").write_text(json.dumps({"SamplingFrequency": 100.0, "Columns": ["pulse"]}))
            tracks = {"audio": audio.relative_to(root).as_posix(), "pulse": pulse.relative_to(root).as_posix()}
            writer.add(Recording(id=recording_id(*parts), subject=person, session="01", tracks=tracks))
    return writer.finish(pd.DataFrame(index=[f"{p + 1:02d}" for p in range(people)]))
