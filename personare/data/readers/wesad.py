"""WESAD: chest and wrist sensors of people at rest, amused, under stress and in meditation, cut in windows."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from personare.core.errors import DataError
from personare.data.labels import sex
from personare.data.media_files import files_under
from personare.data.pickled_arrays import read_pickled_arrays
from personare.data.reading import Contents, Maker
from personare.data.windows import Sampled, Windowed, make_windows

__all__ = ["Wesad"]

_HZ = 700  # of the labels and of the chest
_STATES = {1: "baseline", 2: "stress", 3: "amusement", 4: "meditation"}
_SIGNALS = {
    "acc": ("wrist", "ACC", 32, "1/64 g"), "bvp": ("wrist", "BVP", 64, "a.u."),
    "eda": ("wrist", "EDA", 4, "microsiemens"), "temp": ("wrist", "TEMP", 4, "degree Celsius"),
    "chestacc": ("chest", "ACC", _HZ, "g"), "ecg": ("chest", "ECG", _HZ, "mV"), "emg": ("chest", "EMG", _HZ, "mV"),
    "chesteda": ("chest", "EDA", _HZ, "microsiemens"), "chesttemp": ("chest", "Temp", _HZ, "degree Celsius"),
    "resp": ("chest", "Resp", _HZ, "%"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Wesad(Windowed):
    """Reads ``S2/S2.pkl`` and so on, and sex and age from ``S2/S2_readme.txt``.

    A recording is a window in which the label ``state`` is the same all the time; times between tasks and
    questionnaires are left out. Nothing in the published pickles is run (``data/pickled_arrays.py``).

    **Guarantee**: no window crosses a change of the state; each one of a known state that is left out, and each file
    that cannot be read, is listed with the reason.

    **Source**: Schmidt et al., Introducing WESAD, ICMI 2018, doi:10.1145/3242969.3242985.

    Args:
        chest: Also take the chest's six signals, 700 Hz each.
    """

    chest: bool = False

    license = "academic research, non-commercial"
    citation = "Schmidt et al., ICMI 2018: 400-408"
    home = "https://ubicomp.eti.uni-siegen.de/home/datasets/icmi18/"
    tracks = dict.fromkeys(_SIGNALS, "physio")

    def gather(self, source: Path, contents: Contents) -> None:
        taken = [track for track, (place, *_) in _SIGNALS.items() if self.chest or place == "wrist"]
        for file in files_under(source, ".pkl"):
            path = source / file
            match = re.fullmatch(r"S(\d+)\.pkl", path.name)
            with contents.skipped.listing(file):
                states = read_pickled_arrays(path).get("label")
                if not isinstance(states, np.ndarray) or states.ndim != 1 or states.dtype.kind not in "iu":
                    raise DataError(f"{path.name} must have whole numbers called label. Get the published one.")
                if match is None:
                    raise DataError("it is not named like S2.pkl. Give it its own name.")
                subject = f"{int(match[1]):02d}"
                contents.people[subject] = _sex_and_age(path.with_name(f"{path.stem}_readme.txt"))
                for start_s, inside in self.states(states, _HZ, _STATES):
                    state = inside.pop()
                    if inside:
                        problem = "the state changes inside it. Shorter windows lose less."
                        contents.skipped.note(f"{file} from {start_s} s", problem)
                    elif state:
                        tracks = {track: f"{file}#{track}@{start_s}+{self.window_s}" for track in taken}
                        contents.add(subject, f"{state}{start_s:05d}", tracks, {"state": state})

    def make(self, source: Path) -> Maker:
        """Return what cuts a window of a signal; the file of one person is held at a time."""
        content = lru_cache(maxsize=1)(lambda file: read_pickled_arrays(source / file))

        def load(file: str, track: str) -> Sampled:
            place, name, rate_hz, unit = _SIGNALS[track]
            try:
                values = np.asarray(content(file)["signal"][place][name], np.float32)
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{file} has no signal {place} {name}. Get the published one.") from error
            columns = ("x", "y", "z") if name == "ACC" else (track,)
            return Sampled(values.reshape(len(values), -1), 0.0, rate_hz, columns, unit)  # (T, D)

        return make_windows(load)


def _sex_and_age(readme: Path) -> tuple[str | None, float]:
    try:
        text = readme.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None, float("nan")
    age, gender = re.search(r"Age:\s*(\d+)", text), re.search(r"Gender:\s*(\w+)", text)
    return sex(gender[1]) if gender else None, float(age[1]) if age else float("nan")
