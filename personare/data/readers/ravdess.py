"""RAVDESS: 24 North American actors speak and sing two sentences in 8 emotions, as sound, as film, and as both."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import pandas as pd

from personare.core.errors import DataError, OptionError
from personare.core.types import Recording, Withheld
from personare.data.index import recording_id
from personare.data.made import Made, address, made_from_rows, numbers, read_table
from personare.data.media import media_files, not_named, people_table, track_of

__all__ = ["Ravdess"]

_NAME = re.compile(
    r"^(?P<modality>0[1-3])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])"
    r"-(?P<sentence>0[12])-(?P<repetition>0[12])-(?P<actor>\d\d)$"
)
_EMOTIONS = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
_CHANNELS = MappingProxyType({"01": "speech", "02": "song"})
_SENTENCES = MappingProxyType({"01": "kids", "02": "dogs"})
_INTENSITIES = MappingProxyType({"01": "normal", "02": "strong"})

_TABLES = MappingProxyType({"acoustics": "audio_summary.csv", "face": "video_summary.csv"})
_NO_STATISTICS = ("file", "emotion", "intensity", "actor", "gender")
_RENAME = "Let sound files start with 03-, films with 01- or 02-."


@dataclass(frozen=True, kw_only=True)
class Ravdess:
    """Reads RAVDESS: ``Actor_01/03-01-01-01-01-01-01.wav`` as published, or the same names in any folder and format.

    The sound-only file (``03-``) and the film (``01-`` with sound, else ``02-`` without) of one performance become
    one recording. Odd actors are men, even ones women.

    Tables of statistics by clip, ``audio_summary.csv`` and ``video_summary.csv`` with the column ``file``, become the
    feature tracks ``acoustics`` and ``face`` of the performances they describe.

    **Guarantee**: every sound or film file and every row of statistics is a track of a recording or listed
    with the reason.

    **Source**: Livingstone, Russo: The Ryerson Audio-Visual Database of Emotional Speech and Song. PLoS ONE 13(5),
    2018. doi:10.1371/journal.pone.0196391.

    Args:
        channel: ``speech``, ``song`` or ``both``; what is not asked for is left out without being listed.
    """

    channel: str = "both"

    license: ClassVar[str] = "CC BY-NC-SA 4.0"
    citation: ClassVar[str] = "Livingstone and Russo, PLoS ONE 13(5): e0196391, 2018"
    home: ClassVar[str] = "https://zenodo.org/records/1188976"

    def __post_init__(self) -> None:
        """Check the options."""
        if self.channel not in ("speech", "song", "both"):
            raise OptionError(f"channel must be speech, song or both, not {self.channel!r}. Choose one of them.")

    def __call__(self, source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
        """Read the names of the files under ``source`` and, where they are there, the tables; no recording is opened.

        Returns:
            Recordings (tracks ``audio``, ``video``, ``acoustics``, ``face``; labels ``emotion``, ``sentence``,
            ``intensity``, ``repetition``, ``channel``), the actors with sex, and files that cannot be used.

        Raises:
            DataError: There is no such folder, or a table of statistics cannot be read.
        """
        takes: dict[str, tuple[re.Match[str], dict[str, str]]] = {}
        skipped: list[Withheld] = []
        # Sorted by name, so that the film with sound (01-) comes before the silent one (02-).
        for path in sorted(media_files(source), key=lambda path: (Path(path).name, path)):
            match = _NAME.match(Path(path).stem)
            if match is None:
                skipped.append(not_named(path, "MM-CC-EE-II-SS-RR-AA, such as 03-01-05-01-01-01-12.wav"))
            elif self.channel in ("both", _CHANNELS[match["channel"]]):
                _, tracks = takes.setdefault(Path(path).stem[3:], (match, {}))
                skipped += _take_in(path, match["modality"], tracks)
        for path, track, clip in _statistics(source):
            match = _NAME.match(clip)
            if match is None:
                skipped.append(not_named(path, "MM-CC-EE-II-SS-RR-AA, such as 01-01-05-01-01-01-12.mp4"))
            elif self.channel in ("both", _CHANNELS[match["channel"]]):
                first = takes.setdefault(clip[3:], (match, {}))[1].setdefault(track, path)
                skipped += [_double(path, first)] if first != path else []
        recordings = [_recording(match, tracks) for match, tracks in takes.values() if tracks]
        sexes = {f"{n:02d}": ("M" if n % 2 else "F", float("nan")) for n in range(100)}
        return recordings, people_table((r.subject for r in recordings), dict(sexes)), skipped

    def make(self, source: Path) -> Callable[[str], Made]:
        """Return what makes the statistics of a clip of their row."""

        def load(file: str) -> pd.DataFrame:
            table = read_table(source / file)
            own = [name for name in table.columns if name not in _NO_STATISTICS]
            return numbers(table[own])

        return made_from_rows(load)


def _statistics(source: Path) -> Iterator[tuple[str, str, str]]:
    """Yield address, track and clip of every row of the tables of statistics."""
    for track, name in _TABLES.items():
        if (source / name).is_file():
            table = read_table(source / name)
            if "file" not in table:
                raise DataError(f"{source / name} must have the column file, the clip's name. Add or rename it.")
            yield from ((address(name, row), track, Path(str(clip)).stem) for row, clip in enumerate(table["file"]))


def _take_in(path: str, modality: str, tracks: dict[str, str]) -> list[Withheld]:
    """Add a file to its take, or say why it is left out."""
    track = "audio" if modality == "03" else "video"
    if track_of(path) != track:
        return [Withheld(item=path, problem=f"its name says {track}, its suffix does not", fix=_RENAME)]
    if track not in tracks:
        tracks[track] = path
        return []
    first = tracks[track]
    if Path(first).stem != Path(path).stem:
        return [
            Withheld(item=path, problem=f"its picture is that of {first}, which has sound too", fix="Nothing to do.")
        ]
    return [_double(path, first)]


def _double(path: str, first: str) -> Withheld:
    return Withheld(item=path, problem=f"the same clip is at {first}", fix="Keep one of the two.")


def _recording(match: re.Match[str], tracks: dict[str, str]) -> Recording:
    labels = {
        "emotion": _EMOTIONS[int(match["emotion"]) - 1],
        "sentence": _SENTENCES[match["sentence"]],
        "intensity": _INTENSITIES[match["intensity"]],
        "repetition": str(int(match["repetition"])),
        "channel": _CHANNELS[match["channel"]],
    }
    task = f"{labels['channel']}{labels['emotion']}{labels['intensity']}{labels['sentence']}{labels['repetition']}"
    return Recording(
        id=recording_id(match["actor"], "01", task),
        subject=match["actor"],
        session="01",
        tracks=dict(sorted(tracks.items())),
        labels=labels,
    )
