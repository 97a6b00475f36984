"""Files of recorders with something in every place where one can hold words."""

import datetime
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

START = datetime.date(2024, 3, 31)  # the day on which clocks are put forward


def edf(path: Path, signals: Sequence[tuple[str, str, float, Any]], notes: Sequence[Any] = (), word: str = "x") -> Path:
    """Write an EDF+ or BDF+ of (label, unit, rate in Hz, values) signals and (onset, duration, text) annotations."""
    import edfio

    kind, of = (edfio.Bdf, edfio.BdfSignal) if path.suffix == ".bdf" else (edfio.Edf, edfio.EdfSignal)
    made = [
        of(np.asarray(v, float), rate_hz, label=label, physical_dimension=unit, transducer_type=word, prefiltering=word)
        for label, unit, rate_hz, v in signals
    ]
    file = kind(
        made,
        patient=edfio.Patient(name=word, code=word, birthdate=datetime.date(1980, 5, 4), additional=[word]),
        recording=edfio.Recording(
            startdate=START, hospital_administration_code=word, investigator_technician_code=word, equipment_code=word
        ),
        starttime=datetime.time(1, 59, 30),
        annotations=[edfio.EdfAnnotation(*note) for note in notes],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    file.write(path)
    return path


def xdf(path: Path, streams: Sequence[tuple[str, str, float, Any, Any]], word: str = "x") -> Path:
    """Write an XDF of (type, unit, rate in Hz, times, values) streams; rate 0 and texts are markers."""

    def chunk(tag: int, content: bytes) -> bytes:
        return b"\4" + struct.pack("<I", len(content) + 2) + struct.pack("<H", tag) + content

    parts = [b"XDF:", chunk(1, f"<info><version>1.0</version><datetime>{word}</datetime></info>".encode())]
    for number, (kind, unit, rate_hz, times, values) in enumerate(streams, start=1):
        texts, head = isinstance(values[0], str), struct.pack("<I", number)
        wide = 1 if texts else np.atleast_2d(np.asarray(values).T).shape[0]
        one = f"<channel><label>{word}</label><unit>{unit}</unit></channel>"
        about = f"<info><name>{word}</name><type>{kind}</type><channel_count>{wide}</channel_count>"
        about += f"<nominal_srate>{rate_hz}</nominal_srate><source_id>{word}</source_id><hostname>{word}</hostname>"
        about += f"<channel_format>{'string' if texts else 'double64'}</channel_format>"
        about += f"<desc><channels>{one * wide}</channels><subject><name>{word}</name></subject></desc></info>"
        samples = b"\4" + struct.pack("<I", len(times))
        for at, value in zip(times, values, strict=True):
            said = value.encode() if texts else np.asarray(value, "<f8").tobytes()
            samples += b"\10" + struct.pack("<d", at) + (b"\4" + struct.pack("<I", len(said)) if texts else b"") + said
        footer = f"<info><first_timestamp>{times[0]}</first_timestamp></info>".encode()
        parts += [chunk(2, head + about.encode()), chunk(3, head + samples), chunk(6, head + footer)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(parts))
    return path
