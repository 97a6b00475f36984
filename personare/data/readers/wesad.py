"""WESAD: chest and wrist sensors of people at rest, amused, under stress and in meditation, cut in windows."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Array, Recording, Withheld
from personare.data.index import recording_id
from personare.data.labels import sex
from personare.data.made import Made, address, parted
from personare.data.media import people_table
from personare.data.pickled_arrays import read_pickled_arrays
from personare.data.windows import check_windows

__all__ = ["Wesad"]

_HZ = 700  # of the labels and of the chest
_STATES = MappingProxyType({1: "baseline", 2: "stress", 3: "amusement", 4: "meditation"})
_SIGNALS = MappingProxyType(
    {
        "acc": ("wrist", "ACC", 32, "1/64 g"), "bvp": ("wrist", "BVP", 64, "a.u."),
        "eda": ("wrist", "EDA", 4, "microsiemens"), "temp": ("wrist", "TEMP", 4, "degree Celsius"),
        "chestacc": ("chest", "ACC", _HZ, "g"), "ecg": ("chest", "ECG", _HZ, "mV"), "emg": ("chest", "EMG", _HZ, "mV"),
        "chesteda": ("chest", "EDA", _HZ, "microsiemens"), "chesttemp": ("chest", "Temp", _HZ, "degree Celsius"),
        "resp": ("chest", "Resp", _HZ, "%"),
    }
)  # fmt: skip
_WRIST = ("acc", "bvp", "eda", "temp")
_NAME = re.compile(r"^S(?P<number>\d+)\.pkl$")


@dataclass(frozen=True, kw_only=True)
class Wesad:
    """Reads ``S2/S2.pkl`` and so on, and sex and age from ``S2/S2_readme.txt``.

    A recording is a window in which the state is the same all the time; times between tasks and questionnaires are
    left out. The published files are pickles: of these only arrays, texts and numbers are read, and nothing in them is
    run (``data/pickled_arrays.py``).

    **Guarantee**: no window crosses a change of the state; each one of a known state that is left out, and each file
    that cannot be read, is listed with the reason.

    **Source**: Schmidt, Reiss, Duerichen, Marberger, Van Laerhoven: Introducing WESAD, a multimodal dataset for
    wearable stress and affect detection. ICMI 2018. doi:10.1145/3242969.3242985.

    Args:
        window_s: Length of a window in seconds.
        step_s: From one window's start to the next one's.
        chest: Also take the chest's six signals, 700 Hz each.
    """

    window_s: int = 60
    step_s: int = 60
    chest: bool = False

    license: ClassVar[str] = "academic research, non-commercial"
    citation: ClassVar[str] = "Schmidt et al., ICMI 2018: 400-408"
    home: ClassVar[str] = "https://ubicomp.eti.uni-siegen.de/home/datasets/icmi18/"

    def __post_init__(self) -> None:
        """Check the options."""
        check_windows(self.window_s, self.step_s)

    def __call__(self, source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
        """Read the states of every person, a file at a time.

        Returns:
            Recordings (tracks of the wrist ``acc`` 32 Hz, ``bvp`` 64 Hz, ``eda`` and ``temp`` 4 Hz, and of the chest if
            asked for; label ``state``), the people with sex and age, and windows and files left out.

        Raises:
            DataError: There is no such folder.
        """
        if not source.is_dir():
            raise DataError(f"There is no folder {source}. Give the folder that holds S2/S2.pkl and so on.")
        recordings: list[Recording] = []
        skipped: list[Withheld] = []
        people: dict[str, tuple[str | None, float]] = {}
        for path in sorted(source.rglob("*.pkl")):
            file, match = path.relative_to(source).as_posix(), _NAME.match(path.name)
            try:
                states, tracks = _states(path), (*_SIGNALS,) if self.chest else _WRIST
            except DataError as error:
                skipped.append(Withheld(item=file, problem=str(error), fix="Get the file again, or remove it."))
                continue
            if match is None:
                skipped.append(Withheld(item=file, problem="it is not named like S2.pkl", fix="Give it its own name."))
                continue
            subject = f"{int(match['number']):02d}"
            people[subject] = _about(path.with_name(f"{path.stem}_readme.txt"))
            found, mixed = self._windows(states)
            skipped += [_mixed(f"{file} from {start_s} s") for start_s in mixed]
            recordings += [self._recording(subject, file, start_s, state, tracks) for start_s, state in found]
        return recordings, people_table((r.subject for r in recordings), people), skipped

    def _windows(self, states: Array) -> tuple[list[tuple[int, str]], list[int]]:
        """Return start and state of each whole window, and the starts of those that change."""
        found, mixed = [], []
        for start_s in range(0, len(states) // _HZ - self.window_s + 1, int(self.step_s)):
            inside = np.unique(states[start_s * _HZ : (start_s + self.window_s) * _HZ])
            if len(inside) == 1 and int(inside[0]) in _STATES:
                found.append((start_s, _STATES[int(inside[0])]))
            elif set(inside.tolist()) & set(_STATES):
                mixed.append(start_s)
        return found, mixed

    def _recording(self, subject: str, file: str, start_s: int, state: str, tracks: Sequence[str]) -> Recording:
        return Recording(
            id=recording_id(subject, "01", f"{state}{start_s:05d}"),
            subject=subject,
            session="01",
            tracks={track: address(file, f"{track}@{start_s}+{self.window_s}") for track in tracks},
            labels={"state": state},
        )

    def make(self, source: Path) -> Callable[[str], Made]:
        """Return what cuts a window of a signal; the file of one person is held at a time."""
        load = lru_cache(maxsize=1)(lambda file: _content(source / file))

        def make(address: str) -> Made:
            file, key = parted(address)
            track, _, span = key.partition("@")
            start_s, window_s = map(int, span.split("+"))
            place, name, rate_hz, unit = _SIGNALS[track]
            try:
                values = np.asarray(load(file)["signal"][place][name], np.float32)
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{file} has no signal {place} {name}. Get the published one.") from error
            cut = values.reshape(len(values), -1)[start_s * rate_hz : (start_s + window_s) * rate_hz]
            if len(cut) != window_s * rate_hz:
                raise DataError(
                    f"{file}: {place} {name} does not reach over {window_s} s from {start_s} s. Nothing to do."
                )
            columns = ["x", "y", "z"] if name == "ACC" else [track]
            return Made(values=cut, about={"SamplingFrequency": rate_hz, "Columns": columns, "Units": unit})

        return make


def _content(path: Path) -> Mapping[str, Any]:
    return read_pickled_arrays(path)


def _states(path: Path) -> Array:
    """Return the state at 700 Hz, (samples,) whole numbers."""
    states = read_pickled_arrays(path).get("label")
    if not isinstance(states, np.ndarray) or states.ndim != 1 or states.dtype.kind not in "iu":
        raise DataError(f"{path.name} must have a row of whole numbers called label. Get the published one.")
    return states


def _about(readme: Path) -> tuple[str | None, float]:
    """Return sex and age as a person's readme says."""
    try:
        text = readme.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None, float("nan")
    age, gender = re.search(r"Age:\s*(\d+)", text), re.search(r"Gender:\s*(\w+)", text)
    return sex(gender[1]) if gender else None, float(age[1]) if age else float("nan")


def _mixed(item: str) -> Withheld:
    return Withheld(item=item, problem="the state changes inside it", fix="Shorter windows lose less.")
