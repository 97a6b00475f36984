"""EmoDB, the Berlin database of emotional speech: 10 German actors, 10 sentences, 7 emotions, sound only."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import pandas as pd

from personare.core.types import Recording, Withheld
from personare.data.index import recording_id
from personare.data.media import media_files, not_named, people_table

__all__ = ["EmoDb"]

_NAME = re.compile(r"^(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<emotion>[WLEAFTN])(?P<version>[a-z]?)$")
_EMOTIONS = MappingProxyType(
    {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral"}
)
_SPEAKERS: MappingProxyType[str, tuple[str | None, float]] = MappingProxyType(
    {
        "03": ("M", 31), "08": ("F", 34), "09": ("F", 21), "10": ("M", 32), "11": ("M", 26),
        "12": ("M", 30), "13": ("F", 32), "14": ("F", 35), "15": ("M", 25), "16": ("F", 31),
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class EmoDb:
    """Reads EmoDB: ``wav/03a01Fa.wav`` as published, or the same names in any folder and sound format.

    **Guarantee**: every sound file is either a recording or listed with the reason.

    **Source**: Burkhardt, Paeschke, Rolfes, Sendlmeier, Weiss: A database of German emotional speech. Interspeech
    2005. doi:10.21437/Interspeech.2005-446. Sex and age of the speakers as its authors publish them.
    """

    license: ClassVar[str] = "free for research, with citation"
    citation: ClassVar[str] = "Burkhardt et al., A database of German emotional speech, Interspeech 2005"
    home: ClassVar[str] = "http://emodb.bilderbar.info"

    def __call__(self, source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
        """Read the names of the files under ``source``; nothing is opened.

        Returns:
            Recordings (track ``audio``; labels ``emotion``, ``sentence`` such as ``a01``, ``repetition``), the
            speakers with sex and age, and files whose name says nothing.

        Raises:
            DataError: There is no such folder.
        """
        recordings: dict[str, Recording] = {}
        skipped: list[Withheld] = []
        for path in media_files(source, tracks=("audio",)):
            match = _NAME.match(Path(path).stem)
            if match is None:
                skipped.append(not_named(path, "SSTTTEv, such as 03a01Fa.wav"))
                continue
            recording = _recording(match, path)
            if recording.id in recordings:
                first = recordings[recording.id].tracks["audio"]
                skipped.append(Withheld(item=path, problem=f"the same clip is at {first}", fix="Keep one of the two."))
            else:
                recordings[recording.id] = recording
        people = people_table((r.subject for r in recordings.values()), dict(_SPEAKERS))
        return list(recordings.values()), people, skipped


def _recording(match: re.Match[str], path: str) -> Recording:
    return Recording(
        id=recording_id(match["speaker"], "01", match["text"] + match["emotion"] + match["version"]),
        subject=match["speaker"],
        session="01",
        tracks={"audio": path},
        labels={
            "emotion": _EMOTIONS[match["emotion"]],
            "sentence": match["text"],
            "repetition": match["version"] or "a",
        },
    )
