"""CREMA-D: 91 US actors say 12 sentences in 6 emotions, with votes of a crowd on voice, face and both."""

import re
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from personare.core.errors import DataError, data_errors
from personare.data.labels import emotion, sex
from personare.data.media_files import files_under, media_files, track_of
from personare.data.reading import Contents, Made, Maker, Reader, made_from_rows
from personare.data.tables import number, numbers, published, read_table

__all__ = ["CremaD"]

_EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"}
_NAME = re.compile(
    rf"(?P<actor>\d{{4}})_(?P<sentence>[A-Z]{{3}})_(?P<emotion>{'|'.join(_EMOTIONS)})_(?P<level>[A-Z]{{1,2}})"
)
_LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}
_VOTES = {"VoiceVote": "vote_voice", "FaceVote": "vote_face", "MultiModalVote": "vote_both"}
_ACOUSTICS = "acoustic_features.csv"
_CLIP = ("actor_id", "sentence", "emotion", "intensity")  # the columns that say whose statistics a row holds


class CremaD(Reader):
    """Reads CREMA-D: ``AudioWAV/*.wav``, ``VideoFlash/*.flv``, the votes and the demographics, as published.

    Log-mel spectrograms, arrays named by clip in any ``.npz`` file, become the track ``logmel``, and statistics by
    clip, ``acoustic_features.csv``, the track ``acoustics``. MP3 copies count only without a WAV. Race and ethnicity
    are not taken in. Labels ``emotion`` as intended, ``sentence``, ``intensity``, and the votes, ties as
    ``anger:disgust``.

    **Guarantee**: every sound or film file, every spectrogram and every row of statistics is a track of a recording or
    listed with the reason.

    **Source**: Cao et al., IEEE Transactions on Affective Computing 5(4), 2014, doi:10.1109/TAFFC.2014.2336244.
    """

    license = "ODbL 1.0"
    citation = "Cao et al., IEEE Transactions on Affective Computing 5(4): 377-390, 2014"
    home = "https://github.com/CheyneyComputerScience/CREMA-D"
    tracks: ClassVar[dict[str, str]] = {"audio": "audio", "video": "video", "logmel": "audio", "acoustics": "audio"}

    def gather(self, source: Path, contents: Contents) -> None:
        paths = media_files(source)
        # MP3 copies count only where there is no other sound
        good = {Path(path).stem for path in paths if track_of(path) == "audio" and not path.lower().endswith(".mp3")}
        paths = [path for path in paths if not (path.lower().endswith(".mp3") and Path(path).stem in good)]
        files = [(path, track_of(path), Path(path).stem) for path in paths]
        for file in files_under(source, ".npz"):
            with (
                contents.skipped.listing(file),
                data_errors("it cannot be read", "Get the file again.", zipfile.BadZipFile),
                np.load(source / file, allow_pickle=False) as arrays,
            ):
                files += [(f"{file}#{key}", "logmel", key) for key in arrays.files]
        codes = {word: code for code, word in _EMOTIONS.items()}
        acoustics = published(source, _ACOUSTICS)
        for row, about in enumerate(_rows(source, _ACOUSTICS, *_CLIP)):
            code = codes.get(emotion(about["emotion"]) or "", about["emotion"])
            clip = f"{about['actor_id']}_{about['sentence']}_{code}_{about['intensity']}"
            files.append((f"{acoustics.name if acoustics else ''}#{row}", "acoustics", clip))
        votes = {row["FileName"]: row for row in _rows(source, "summaryTable.csv", "FileName", *_VOTES)}
        letters = {code[0]: word for code, word in _EMOTIONS.items()}
        for match, tracks in contents.clips(files, _NAME, "NNNN_SSS_EEE_LL, such as 1001_DFA_ANG_XX"):
            labels = {"emotion": _EMOTIONS[match["emotion"]], "sentence": match["sentence"]}
            labels["intensity"] = _LEVELS.get(match["level"], match["level"])
            for column, label in _VOTES.items():  # A:D becomes anger:disgust
                cast = votes.get(match.string, {}).get(column, "").split(":")
                words = [letters[letter] for letter in cast if letter in letters]
                labels |= {label: ":".join(words)} if words else {}
            contents.add(match["actor"], match["sentence"] + match["emotion"] + match["level"], tracks, labels)
        for person in _rows(source, "VideoDemographics.csv", "ActorID", "Age", "Sex"):
            contents.people[person["ActorID"]] = (sex(person["Sex"]), number(person["Age"]))

    def make(self, source: Path) -> Maker:
        """Return what makes the spectrogram of a clip of its array, and its acoustics of their row."""

        def load(file: str) -> pd.DataFrame:
            table = read_table(source / file)
            index = [name for name in table.columns if name.startswith("Unnamed")]
            return numbers(table.drop(columns=[*index, *_CLIP, "sample_rate"], errors="ignore"))

        rows = made_from_rows(load)
        opened = lru_cache(maxsize=1)(lambda file: np.load(source / file, allow_pickle=False))

        def make(file: str, key: str) -> Made:
            if not file.endswith(".npz"):
                return rows(file, key)
            problem = f"the array {key} of {file} cannot be read"
            with data_errors(problem, "Get the file again.", KeyError, zipfile.BadZipFile):
                values = opened(file)[key]
            if not np.issubdtype(values.dtype, np.number) or not np.isfinite(values).all():
                raise DataError(f"the array {key} of {file} must hold finite numbers. Get the file again.")
            return Made(values)

        return make


def _rows(source: Path, name: str, *columns: str) -> list[dict[str, str]]:
    """Return the rows of a published table; none where it is absent."""
    path = published(source, name)
    return [] if path is None else read_table(path, columns, text=True).to_dict("records")  # type: ignore[return-value]
