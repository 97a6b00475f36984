"""Stress-Predict: wrist sensors (Empatica E4) of people under stress tasks and at rest, cut in windows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Array, Recording, Withheld
from personare.data.index import recording_id
from personare.data.made import Made, address, read_table
from personare.data.media import people_table
from personare.data.windows import check_windows, empatica, make_windows

__all__ = ["StressPredict"]

_LABELS = "hr_rsp_label.csv.gz"
_COLUMNS = ("Participant", "Time(sec)", "Label")
_STRESS = MappingProxyType({0: "rest", 1: "stress"})
_TRACKS = ("acc", "bvp", "eda", "hr", "temp")


@dataclass(frozen=True, kw_only=True)
class StressPredict:
    """Reads Stress-Predict: ``Raw_data/S02/{ACC,BVP,EDA,HR,TEMP}.csv.gz`` and ``hr_rsp_label.csv.gz``, packed or not.

    A recording is a window in which every second has the same label. Signals keep their own rates. What was written
    down by second starts the session; a signal that does not reach over a window is listed and is missing there.

    **Guarantee**: no window crosses a change of the label; each window left out, and each person without labels, is
    listed with the reason.

    **Source**: Iqbal, Simpkin, Roshan, Glynn, Killilea, Walsh, Molloy, Ganly, Ryman, Coen, Elahi, Wijns, Shahzad:
    Stress monitoring using wearable sensors: a pilot study and Stress-Predict dataset. Sensors 22(21):8135, 2022.
    doi:10.3390/s22218135.

    Args:
        window_s: Length of a window in seconds.
        step_s: From one window's start to the next one's; under ``window_s`` windows overlap.
    """

    window_s: int = 60
    step_s: int = 60

    license: ClassVar[str] = "MIT"
    citation: ClassVar[str] = "Iqbal et al., Sensors 22(21): 8135, 2022"
    home: ClassVar[str] = "https://github.com/italha-d/Stress-Predict-Dataset"

    def __post_init__(self) -> None:
        """Check the options."""
        check_windows(self.window_s, self.step_s)

    def __call__(self, source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
        """Read the labels by second; no signal is opened.

        Returns:
            Recordings (tracks ``acc`` 32 Hz, ``bvp`` 64 Hz, ``eda`` and ``temp`` 4 Hz, ``hr`` 1 Hz; label ``stress``,
            ``stress`` or ``rest``), the people, and windows and people left out.

        Raises:
            DataError: The labels cannot be read, or a column is missing.
        """
        table = read_table(_found(source, _LABELS))
        missing = [column for column in _COLUMNS if column not in table]
        if missing:
            raise DataError(f"{_LABELS} must have the columns {', '.join(missing)}. Get the published one.")
        recordings: list[Recording] = []
        skipped = list(_without_labels(source, {int(p) for p in table["Participant"].unique()}))
        for person, rows in table.groupby("Participant"):
            files = {track: _relative(source, int(str(person)), track) for track in _TRACKS}
            seconds, labels = rows["Time(sec)"].to_numpy(np.int64), rows["Label"].to_numpy()
            for number, start in enumerate(self._starts(seconds), start=1):
                inside = labels[(seconds >= start) & (seconds < start + self.window_s)]
                item = f"participant {person}, window {number}"
                if len(inside) != self.window_s or len(set(inside)) > 1 or inside[0] not in _STRESS:
                    skipped.append(_mixed(item))
                    continue
                span = f"{start}+{self.window_s}"
                tracks = {track: address(file, span) for track, file in files.items() if file}
                recordings.append(_recording(int(str(person)), number, tracks, _STRESS[int(inside[0])]))
        return recordings, people_table((r.subject for r in recordings), {}), skipped

    def _starts(self, seconds: Array) -> range:
        return range(int(seconds[0]), int(seconds[-1]) - self.window_s + 2, int(self.step_s))

    def make(self, source: Path) -> Callable[[str], Made]:
        """Return what cuts a window of a signal."""
        return make_windows(lambda file: empatica(source / file))


def _found(source: Path, name: str) -> Path:
    """Return a published file, packed or not."""
    plain = source / name.removesuffix(".gz")
    return plain if plain.is_file() else source / name


def _relative(source: Path, person: int, track: str) -> str:
    path = _found(source, f"Raw_data/S{person:02d}/{track.upper()}.csv.gz")
    return path.relative_to(source).as_posix() if path.is_file() else ""


def _without_labels(source: Path, known: set[int]) -> Iterator[Withheld]:
    folders = sorted(path.name for path in source.glob("Raw_data/S*") if path.name[1:].isdigit())
    for name in folders:
        if int(name[1:]) not in known:
            yield Withheld(item=f"Raw_data/{name}", problem=f"{_LABELS} has no rows for it", fix="Nothing to do.")


def _mixed(item: str) -> Withheld:
    return Withheld(item=item, problem="the label changes or is missing inside it", fix="Shorter windows lose less.")


def _recording(person: int, number: int, tracks: dict[str, str], stress: str) -> Recording:
    return Recording(
        id=recording_id(f"{person:02d}", "01", f"window{number:03d}"),
        subject=f"{person:02d}",
        session="01",
        tracks=tracks,
        labels={"stress": stress},
    )
