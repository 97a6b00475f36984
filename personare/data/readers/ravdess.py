"""RAVDESS: 24 North American actors speak and sing two sentences in 8 emotions, as sound, as film, and as both."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from personare.data.media_files import media_files, track_of
from personare.data.reading import Contents, Maker, Reader, check_choice, made_from_rows
from personare.data.tables import numbers, read_table

__all__ = ["Ravdess"]

_NAME = re.compile(
    r"(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])-(?P<sentence>0[12])-(?P<repetition>0[12])"
    r"-(?P<actor>\d\d)"
)
_EMOTIONS = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
_CODES = {  # of each part of a name but the actor, in the order of a task
    "channel": {"01": "speech", "02": "song"},
    "emotion": {f"{n:02d}": emotion for n, emotion in enumerate(_EMOTIONS, start=1)},
    "intensity": {"01": "normal", "02": "strong"},
    "sentence": {"01": "kids", "02": "dogs"},
    "repetition": {"01": "1", "02": "2"},
}
_TABLES = {"acoustics": "audio_summary.csv", "face": "video_summary.csv"}
_NO_STATISTICS = ["file", "emotion", "intensity", "actor", "gender"]


@dataclass(frozen=True, kw_only=True)
class Ravdess(Reader):
    """Reads RAVDESS: ``Actor_01/03-01-01-01-01-01-01.wav`` as published, or the same names in any folder and format.

    The sound-only file (``03-``) and the film (``01-`` with sound, else ``02-`` without) of one performance become
    one recording. Odd actors are men, even ones women. Labels ``emotion``, ``sentence``, ``intensity``,
    ``repetition`` and ``channel``.

    Tables of statistics by clip, ``audio_summary.csv`` and ``video_summary.csv`` with the column ``file``, become the
    feature tracks ``acoustics`` and ``face`` of the performances they describe.

    **Guarantee**: every sound or film file and every row of statistics is a track of a recording or listed
    with the reason.

    **Source**: Livingstone and Russo, PLoS ONE 13(5), 2018, doi:10.1371/journal.pone.0196391.

    Args:
        channel: ``speech``, ``song`` or ``both``; what is not asked for is left out without being listed.
    """

    channel: str = "both"

    license = "CC BY-NC-SA 4.0"
    citation = "Livingstone and Russo, PLoS ONE 13(5): e0196391, 2018"
    home = "https://zenodo.org/records/1188976"
    tracks: ClassVar[dict[str, str]] = {"audio": "audio", "video": "video", "acoustics": "audio", "face": "video"}

    def __post_init__(self) -> None:
        check_choice("channel", self.channel, ("speech", "song", "both"))

    def gather(self, source: Path, contents: Contents) -> None:
        files, films = [], dict[str, str]()
        # Sorted by name, so that the film with sound (01-) comes before the silent one (02-).
        for path in sorted(media_files(source), key=lambda path: (Path(path).name, path)):
            modality, clip = _parts(path)
            track = "audio" if modality == "03" else "video"
            if not self._asked_for(clip):
                continue
            if clip and track_of(path) != track:
                problem = f"its name says {track}, its suffix does not"
                contents.skipped.note(path, f"{problem}. Let sound start with 03-, films with 01- or 02-.")
                continue
            film = films.setdefault(clip, path) if clip and track == "video" else path
            if Path(film).stem == Path(path).stem:
                files.append((path, track, clip))
            else:
                contents.skipped.note(path, f"its picture is that of {film}, which has sound too. Nothing to do.")
        for track, name in _TABLES.items():
            if (source / name).is_file():
                clips = [_parts(str(file))[1] for file in read_table(source / name, ("file",))["file"]]
                files += [(f"{name}#{row}", track, clip) for row, clip in enumerate(clips) if self._asked_for(clip)]
        for match, tracks in contents.clips(files, _NAME, "MM-CC-EE-II-SS-RR-AA, such as 03-01-05-01-01-01-12.wav"):
            labels = {part: words[match[part]] for part, words in _CODES.items()}
            contents.add(match["actor"], "".join(labels.values()), tracks, labels)
        contents.people |= {f"{n:02d}": ("M" if n % 2 else "F", float("nan")) for n in range(100)}

    def _asked_for(self, clip: str) -> bool:
        return not clip or self.channel in ("both", _CODES["channel"][clip[:2]])

    def make(self, source: Path) -> Maker:
        """Return what makes the statistics of a clip of their row."""
        return made_from_rows(
            lambda file: numbers(read_table(source / file).drop(columns=_NO_STATISTICS, errors="ignore"))
        )


def _parts(path: str) -> tuple[str, str]:
    """Return modality and clip of a file's name; nothing where it does not follow the rule."""
    modality, _, clip = PurePosixPath(path).stem.partition("-")
    return (modality, clip) if modality in ("01", "02", "03") and _NAME.fullmatch(clip) else ("", "")
