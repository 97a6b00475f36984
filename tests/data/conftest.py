"""A small cohort with real sound files, made in a temporary folder."""

import wave
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
import pytest

from personare.core.types import Cohort, Recording
from personare.data.cohort import CohortWriter, recording_id
from personare.govern.consent import consent_all


def write_tone(path: Path, *, seconds: float = 0.2, rate_hz: int = 16000) -> Path:
    """Write a sine as 16-bit WAV, of another level for each name: no two recordings are the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    level = 7000 + crc32(path.name.encode()) % 2000
    samples = (level * np.sin(2 * np.pi * 220 * np.arange(int(seconds * rate_hz)) / rate_hz)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.tobytes())
    return path


@pytest.fixture
def tone() -> Callable[..., Path]:
    """Writes a sine as 16-bit WAV."""
    return write_tone


@pytest.fixture
def small_cohort(tmp_path: Path) -> Cohort:
    """Two people, two sound recordings each; only 01 consented, to evaluation."""
    writer = CohortWriter(tmp_path / "cohort", name="small")
    for subject in ("01", "02"):
        for task in ("anger01", "calm01"):
            path = write_tone(writer.path((subject, "01", task), "audio", ".wav"))
            writer.add(
                Recording(
                    id=recording_id(subject, "01", task),
                    subject=subject,
                    session="01",
                    tracks={"audio": path.relative_to(writer.root).as_posix()},
                    labels={"emotion": task[:-2]},
                )
            )
    people = pd.DataFrame({"sex": ["F", "M"], "age": [30.0, 40.0]}, index=["01", "02"])
    return writer.finish(people, consent_all(["01"], ["evaluation"]))


@pytest.fixture
def run() -> Callable[..., tuple[int, str]]:
    """Types a command of personare; returns its exit status and all that it said."""
    from click.testing import CliRunner

    from personare import cli

    def typed(*words: object) -> tuple[int, str]:
        result = CliRunner().invoke(cli.cli, [str(word) for word in words])
        return result.exit_code, result.output

    return typed
