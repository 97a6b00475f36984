"""Recorders of body signals: EDF, EDF+, BDF and XDF files cut in windows, without what headers say of people."""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np

from personare.core.errors import DataError, MissingModelError, OptionError
from personare.data.media_files import files_under
from personare.data.reading import Contents, Maker
from personare.data.windows import Sampled, Windowed, make_windows

__all__ = ["Biosignals"]

_WORDS: Final = {
    "ecg": "ecg|ekg", "bvp": "bvp|ppg|plet", "eda": "eda|gsr|scl|skin cond", "temp": r"temp(erature)?\b",
    "resp": r"resp(iration|iratory)?\b|breath", "acc": "acc", "activity": r"activity\b", "hr": r"hr\b|heart ?rate",
}  # fmt: skip
"""Of which signal a channel is, by the first word of its label that begins so."""
_MICRO = {"us": 1, "µs": 1, "μs": 1, "microsiemens": 1, "s": 1e6, "ms": 1e3, "ns": 1e-3, "": 1}
_CELSIUS = dict.fromkeys(("degc", "deg c", "°c", "c", "celsius", "degree celsius", ""), 1)
_UNITS: Final[Mapping[str, tuple[str, Mapping[str, float]]]] = {
    "eda": ("microsiemens", _MICRO),
    "temp": ("degree Celsius", _CELSIUS),
}
"""Of signals whose height means something, the unit that is written, and what others are multiplied by."""
_PAUSE = 4  # samples of an XDF stream, and a second, that make a gap when they are missing
_DRIFT = 0.05  # of an XDF stream's rate, by which its samples may come more or less often


class _Channel(NamedTuple):
    kind: str  # of ``_WORDS``; empty where its label names none
    unit: str  # in small letters
    signal: Sampled  # (T, 1)
    fault: str  # why it cannot be used


class _Mark(NamedTuple):
    at_s: float  # on the clock of the signals
    lasting_s: float  # 0 where it does not say
    text: str


class _File(NamedTuple):
    tracks: dict[str, Sampled]
    marks: Sequence[_Mark]
    left_out: dict[str, list[int]]  # channels by the reason, counted from 1


@dataclass(frozen=True, kw_only=True)
class Biosignals(Windowed):
    """Reads ``.edf``, ``.bdf`` and ``.xdf`` files, a session each; needs the extra ``biosignals``.

    What a channel records is told by its label (or its stream's type), each signal at its own rate. A table
    ``labels.csv`` in the folder says whose the files are, as for ``signals``; without it each file is one person. A
    person's sessions are numbered by the names of files.

    **Guarantee**: of what a file says nothing goes on but texts named in ``annotations``: no patient, date,
    recorder or label. Each channel that is not taken is listed by its number with the reason; a file with gaps between
    its records (EDF+D) or with more gap than signal (XDF) is refused, and gaps of an XDF stream are NaN.

    **Source**: B. Kemp, J. Olivan, "European data format 'plus'", Clinical Neurophysiology 114, 2003,
    doi:10.1016/S1388-2457(03)00123-8; XDF 1.0 of the Lab Streaming Layer.

    Args:
        annotations: Texts of annotations (EDF+) or markers (XDF). Only windows that lie in one are taken, with its text
            as the label ``state``; one that does not say how long it lasts does so until the next.
    """

    annotations: Sequence[str] = ()

    tracks: ClassVar[dict[str, str]] = dict.fromkeys(_WORDS, "physio")

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.annotations, str) or not all(isinstance(text, str) and text for text in self.annotations):
            raise OptionError(f"annotations must be a list of texts, not {self.annotations!r}. Give e.g. ['rest'].")

    def gather(self, source: Path, contents: Contents) -> None:
        root, names = source.parent, [source.name]
        if not source.is_file():
            root, names = source, files_under(source, ".edf", ".bdf", ".xdf")
        sessions: dict[str, dict[str, tuple[str, Sampled]]] = {}
        stretches: dict[str, list[dict[str, str]]] = {}
        for name in names:
            with contents.skipped.listing(name):
                file = _read(root / name)
                for reason, channels in file.left_out.items():
                    contents.skipped.note(f"{name}, channels {', '.join(map(str, channels))}", reason)
                if not file.tracks:
                    raise DataError(f"no channel is a known signal ({', '.join(_WORDS)}). Name them so.")
                sessions[name] = {track: (f"{name}#{track}", signal) for track, signal in file.tracks.items()}
                if self.annotations:
                    begin_s = min(signal.begin_s for signal in file.tracks.values())
                    stretches[name] = list(_stretches(file.marks, self.annotations, begin_s))
        self.add_sessions(contents, source / "labels.csv", "file", sessions, stretches)

    def make(self, source: Path) -> Maker:
        """Return what cuts a window of a signal; one file is held at a time."""
        read = lru_cache(maxsize=1)(lambda file: _read((source.parent if source.is_file() else source) / file))

        def load(address: str, _: str) -> Sampled:
            file, _, track = address.rpartition("#")
            return read(file).tracks[track]

        return make_windows(load)


def _read(path: Path) -> _File:
    """Return a file's signals by kind, in known units and under names that are not the file's, and its annotations."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as that a last record is cut short
            channels, marks = (_edf if path.suffix.lower() in (".edf", ".bdf") else _xdf)(path)
    except DataError:
        raise
    except ImportError as error:
        raise MissingModelError("It takes two packages: run pip install 'personare[biosignals]'.") from error
    except Exception as error:  # whatever a broken file makes a decoder say, which may quote its header
        raise DataError(f"It cannot be read ({type(error).__name__}). Export it again.") from error
    tracks, left_out = _by_kind(channels)
    return _File(tracks, marks, left_out)


def _by_kind(channels: Sequence[_Channel]) -> tuple[dict[str, Sampled], dict[str, list[int]]]:
    parts: dict[str, list[Sampled]] = {}
    left_out: dict[str, list[int]] = {}
    for number, (kind, unit, signal, fault) in enumerate(channels, start=1):
        name, factors = _UNITS.get(kind, ("", {unit: 1}))
        first = parts.get(kind, [signal])[0]
        if not kind:
            fault = f"the label names no known signal ({', '.join(_WORDS)}). Rename it if it is one."
        elif unit not in factors:
            fault = f"{kind} must be in {name}, and it is in another unit. Convert it."
        elif (first.rate_hz, first.begin_s, len(first.values)) != (signal.rate_hz, signal.begin_s, len(signal.values)):
            fault = f"the {kind} before it has another rate or length. Leave one of them out."
        if fault:
            left_out.setdefault(fault, []).append(number)
        else:
            parts.setdefault(kind, []).append(signal._replace(values=signal.values * factors[unit], unit=name))
    tracks = {}
    for kind, same in parts.items():
        columns = (kind,) if len(same) == 1 else tuple(f"{kind}{n}" for n in range(1, len(same) + 1))
        columns = ("x", "y", "z") if kind == "acc" and len(same) == 3 else columns
        tracks[kind] = same[0]._replace(values=np.concatenate([p.values for p in same], axis=1), columns=columns)
    return tracks, left_out


def _kind(label: str) -> str:
    words = re.sub(r"[\W_]+", " ", label.lower())
    return next((kind for kind, pattern in _WORDS.items() if re.search(rf"\b(?:{pattern})", words)), "")


def _edf(path: Path) -> tuple[list[_Channel], list[_Mark]]:
    import edfio

    read = edfio.read_bdf if path.suffix.lower() == ".bdf" else edfio.read_edf
    file = read(path, header_encoding="latin-1")
    if not file.is_continuous:
        raise DataError("there are gaps between its records. Export each piece as a file of its own (EDF+C).")
    channels = []
    for signal in file.signals:
        kind = _kind(signal.label)
        scaled = signal.physical_max != signal.physical_min and signal.digital_max != signal.digital_min
        fault = "" if scaled else "its header gives no range of values. Export it again."
        values = np.asarray(signal.data if kind and scaled else [], np.float32)  # a night of EEG is not decoded
        sampled = Sampled(values[:, None], 0.0, signal.sampling_frequency, ())  # its date stays in the file
        channels.append(_Channel(kind, signal.physical_dimension.strip().lower(), sampled, fault))
    return channels, [_Mark(note.onset, note.duration or 0.0, note.text) for note in file.annotations]


def _xdf(path: Path) -> tuple[list[_Channel], list[_Mark]]:
    import pyxdf

    channels, marks = list[_Channel](), list[_Mark]()
    with path.open("rb") as file:
        # else a pause of less than 500 samples, two minutes of skin conductance, would be stretched over
        streams, _ = pyxdf.load_xdf(file, jitter_break_threshold_samples=_PAUSE)
    for stream in streams:
        info, stamps, series = stream["info"], stream["time_stamps"], stream["time_series"]
        if info["channel_format"][0] == "string":
            marks += [_Mark(at, 0.0, row[0]) for at, row in zip(stamps, series, strict=True)]
            continue
        nominal_hz, rate_hz = float(_said(info, "nominal_srate")), float(info["effective_srate"] or 0)
        at = np.round((stamps - stamps[:1]) * rate_hz).astype(int)
        fault, values = "", np.empty((0, series.shape[1]), np.float32)
        if not (nominal_hz > 0 and abs(rate_hz / nominal_hz - 1) < _DRIFT and (np.diff(stamps) > 0).all()):
            fault = "its samples are not evenly spaced, or its clock goes back. Resample or cut it."
        elif at[-1] > 2 * len(at):
            fault = "it has more gap than signal. Cut it."
        else:
            values = np.full((at[-1] + 1, series.shape[1]), np.nan, np.float32)
            values[at] = series
        listed = (((info["desc"][0] or {}).get("channels") or [None])[0] or {}).get("channel", [])
        listed = listed if len(listed) == len(values.T) else [{}] * len(values.T)
        for column, about in zip(values.T, listed, strict=True):
            kind = _kind(f"{_said(about, 'type')} {_said(about, 'label')} {_said(info, 'type')}")
            sampled = Sampled(column[:, None], float(stamps[0]) if len(stamps) else 0.0, rate_hz, ())
            channels.append(_Channel(kind, _said(about, "unit").strip().lower(), sampled, fault))
    return channels, marks


def _said(about: dict[str, Any], key: str) -> str:
    """Return what XML says under a key, where each value is a list; empty where it says nothing."""
    return str((about.get(key) or [""])[0] or "")


def _stretches(marks: Sequence[_Mark], texts: Sequence[str], begin_s: float) -> Iterator[dict[str, str]]:
    """Yield start and end, in seconds from a session's start, of each time in which a state lasts, and the state."""
    chosen = sorted(mark for mark in marks if mark.text in texts)
    for mark, after in zip(chosen, [*chosen[1:], _Mark(np.inf, 0.0, "")], strict=True):
        end_s = (mark.at_s + mark.lasting_s if mark.lasting_s else after.at_s) - begin_s
        if end_s > max(0.0, mark.at_s - begin_s):
            yield {"start": str(max(0.0, mark.at_s - begin_s)), "end": str(end_s), "state": mark.text}
