"""CREMA-D: 91 US actors say 12 sentences in 6 emotions, with votes of a crowd on voice, face and both."""

import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Recording, Withheld
from personare.data.index import recording_id
from personare.data.labels import emotion, sex
from personare.data.made import Made, address, made_from_rows, numbers, read_table
from personare.data.media import media_files, not_named, people_table, track_of

__all__ = ["CremaD"]

_NAME = re.compile(
    r"^(?P<actor>\d{4})_(?P<sentence>[A-Z]{3})_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_(?P<level>[A-Z]{1,2})$"
)
_EMOTIONS = MappingProxyType(
    {"A": "anger", "D": "disgust", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness"}
)
_LEVELS = MappingProxyType({"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"})
_VOTES = MappingProxyType({"VoiceVote": "vote_voice", "FaceVote": "vote_face", "MultiModalVote": "vote_both"})
_ACOUSTICS = "acoustic_features.csv"
_NO_STATISTICS = ("", "actor_id", "sentence", "emotion", "intensity", "sample_rate")
_CODES = MappingProxyType(
    {"anger": "ANG", "disgust": "DIS", "fear": "FEA", "happiness": "HAP", "neutral": "NEU", "sadness": "SAD"}
)
_SHAPE = "NNNN_SSS_EEE_LL, such as 1001_DFA_ANG_XX"


@dataclass(frozen=True, kw_only=True)
class CremaD:
    """Reads CREMA-D: ``AudioWAV/*.wav``, ``VideoFlash/*.flv``, the votes and the demographics, as published.

    Also takes log-mel spectrograms, arrays named by clip in any ``.npz`` file, as the feature track ``logmel``, and a
    table of acoustic statistics by clip, ``acoustic_features.csv``, as the feature track ``acoustics``. The
    MP3 copies (``AudioMP3``) are used only for clips without a WAV. Race and ethnicity are not taken in: nothing here
    needs them.

    **Guarantee**: every sound or film file, every spectrogram and every row of statistics is a track of a recording or
    listed with the reason.

    **Source**: Cao, Cooper, Keutmann, Gur, Nenkova, Verma: CREMA-D: Crowd-sourced emotional multimodal actors dataset.
    IEEE Transactions on Affective Computing 5(4), 2014. doi:10.1109/TAFFC.2014.2336244.
    """

    license: ClassVar[str] = "ODbL 1.0"
    citation: ClassVar[str] = "Cao et al., IEEE Transactions on Affective Computing 5(4): 377-390, 2014"
    home: ClassVar[str] = "https://github.com/CheyneyComputerScience/CREMA-D"

    def __call__(self, source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
        """Read the names of files and spectrograms, the votes and the demographics.

        Returns:
            Recordings (tracks ``audio``, ``video``, ``logmel``, ``acoustics``; labels ``emotion`` as intended,
            ``sentence``, ``intensity``, and ``vote_voice``, ``vote_face``, ``vote_both`` where the crowd voted, ties
            as ``anger:disgust``), the actors with sex and age, and what cannot be used.

        Raises:
            DataError: There is no such folder, or a table of it cannot be read.
        """
        files = media_files(source)
        spectrograms, skipped = _spectrograms(source)
        takes: dict[str, dict[str, str]] = {}
        # WAV before MP3: the first file of a track is the one that is used.
        found = [(path, track_of(path)) for path in sorted(files, key=lambda path: path.lower().endswith(".mp3"))]
        named = [(path, track, PurePosixPath(path).stem) for path, track in found]
        named += [(path, "logmel", path.rpartition("#")[2]) for path in spectrograms]
        named += [(path, "acoustics", clip) for path, clip in _statistics(source)]
        for path, track, clip in named:
            if _NAME.match(clip) is None:
                skipped.append(not_named(path, _SHAPE))
                continue
            first = takes.setdefault(clip, {}).setdefault(track, path)
            if first != path and not path.lower().endswith(".mp3"):
                skipped.append(Withheld(item=path, problem=f"the same clip is at {first}", fix="Keep one of the two."))
        votes = _votes(source)
        recordings = [_recording(clip, takes[clip], votes.get(clip, {})) for clip in sorted(takes)]
        return recordings, people_table((r.subject for r in recordings), _demographics(source)), skipped

    def make(self, source: Path) -> Callable[[str], Made]:
        """Return what makes the acoustics of a clip of their row."""

        def load(file: str) -> pd.DataFrame:
            table = read_table(source / file)
            own = [name for name in table.columns if name not in _NO_STATISTICS and not name.startswith("Unnamed")]
            return numbers(table[own])

        return made_from_rows(load)


def _recording(clip: str, tracks: Mapping[str, str], votes: Mapping[str, str]) -> Recording:
    actor, sentence, emotion, level = clip.split("_")
    labels = {"emotion": _EMOTIONS[emotion[0]], "sentence": sentence, "intensity": _LEVELS.get(level, level)}
    return Recording(
        id=recording_id(actor, "01", f"{sentence}{emotion}{level}"),
        subject=actor,
        session="01",
        tracks=dict(sorted(tracks.items())),
        labels={**labels, **votes},
    )


def _spectrograms(source: Path) -> tuple[list[str], list[Withheld]]:
    """Return the address of every array in every ``.npz`` file, and the files that cannot be read."""
    found: list[str] = []
    broken: list[Withheld] = []
    for path in sorted(source.rglob("*.npz")):
        relative = path.relative_to(source).as_posix()
        try:
            with np.load(path, allow_pickle=False) as arrays:
                found += [f"{relative}#{key}" for key in arrays.files]
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            broken.append(Withheld(item=relative, problem=f"it cannot be read: {error}", fix="Get the file again."))
    return found, broken


def _statistics(source: Path) -> Iterator[tuple[str, str]]:
    """Yield address and clip of every row of acoustic statistics."""
    file = next((name for name in (_ACOUSTICS, f"{_ACOUSTICS}.gz") if (source / name).is_file()), "")
    for row, about in enumerate(_table(source, _ACOUSTICS, ("actor_id", "sentence", "emotion", "intensity"))):
        felt = _CODES.get(emotion(about["emotion"]) or "", about["emotion"])
        yield address(file, row), f"{about['actor_id']}_{about['sentence']}_{felt}_{about['intensity']}"


def _votes(source: Path) -> dict[str, dict[str, str]]:
    table = _table(source, "summaryTable.csv", ("FileName", *_VOTES))
    return {
        str(row["FileName"]): {
            label: ":".join(_named(str(row[column]))) for column, label in _VOTES.items() if _named(str(row[column]))
        }
        for row in table
    }


def _named(vote: str) -> list[str]:
    return [_EMOTIONS[letter] for letter in vote.split(":") if letter in _EMOTIONS]


def _demographics(source: Path) -> dict[str, tuple[str | None, float]]:
    table = _table(source, "VideoDemographics.csv", ("ActorID", "Age", "Sex"))
    return {row["ActorID"]: (sex(row["Sex"]), _years(row["Age"])) for row in table}


def _years(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _table(source: Path, name: str, columns: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of a published table, packed or not; none where the table is absent."""
    path = next((p for p in (source / name, source / f"{name}.gz") if p.is_file()), None)
    if path is None:
        return
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} must be a table with commas, but cannot be read: {error}. Get it again.") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise DataError(
            f"{path} must have the columns {', '.join(missing)}; it is not the published one. Get it again."
        )
    for row in table.to_dict("records"):
        yield {str(key): str(value) for key, value in row.items()}
