"""Stress-Predict: wrist sensors (Empatica E4) of people under stress tasks and at rest, cut in windows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from personare.data.reading import Contents
from personare.data.tables import published, read_published
from personare.data.windows import Wristband

__all__ = ["StressPredict"]

_LABELS = "hr_rsp_label.csv"
_STRESS = {0: "rest", 1: "stress"}


@dataclass(frozen=True, kw_only=True)
class StressPredict(Wristband):
    """Reads Stress-Predict: ``Raw_data/S02/{ACC,BVP,EDA,HR,TEMP}.csv.gz`` and ``hr_rsp_label.csv.gz``, packed or not.

    A recording is a window in which every second has the same label ``stress`` (``stress`` or ``rest``). A signal that
    does not reach over a window is listed and is missing there.

    **Guarantee**: no window crosses a change of the label; each window left out, and each person without labels, is
    listed with the reason.

    **Source**: Iqbal et al., Sensors 22(21): 8135, 2022, doi:10.3390/s22218135.
    """

    license = "MIT"
    citation = "Iqbal et al., Sensors 22(21): 8135, 2022"
    home = "https://github.com/italha-d/Stress-Predict-Dataset"

    def gather(self, source: Path, contents: Contents) -> None:
        table = read_published(source, _LABELS, ("Participant", "Time(sec)", "Label"))
        labelled = {int(person) for person in table["Participant"].unique()}
        for path in sorted(source.glob("Raw_data/S*")):
            if path.name[1:].isdigit() and int(path.name[1:]) not in labelled:
                contents.skipped.note(f"Raw_data/{path.name}", f"{_LABELS} has no rows for it. Nothing to do.")
        for number, rows in table.groupby("Participant"):
            person = int(str(number))
            folder = source / f"Raw_data/S{person:02d}"
            paths = {track: published(folder, f"{track}.csv") for track in self.tracks}
            files = {track: path.relative_to(source).as_posix() for track, path in paths.items() if path}
            seconds = rows["Time(sec)"].to_numpy(np.int64)
            codes = np.full(seconds[-1] - seconds[0] + 1, -1)  # a second without a row has no label
            codes[seconds - seconds[0]] = rows["Label"]
            windows = self.states(codes, 1, _STRESS)
            for window, (start_s, inside) in enumerate(windows, start=1):
                stress = inside.pop()
                if inside or not stress:
                    problem = "the label changes or is missing inside it. Shorter windows lose less."
                    contents.skipped.note(f"participant {person}, window {window}", problem)
                    continue
                span = f"{seconds[0] + start_s}+{self.window_s}"
                tracks = {track: f"{file}#{span}" for track, file in files.items()}
                contents.add(f"{person:02d}", f"window{window:03d}", tracks, {"stress": stress})
