"""CMU-MOSI: reviewers of films speak to a camera; text, audio and video features of 2,199 utterances."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd

from personare.core.errors import DataError
from personare.core.types import Recording, Withheld
from personare.data.index import recording_id
from personare.data.made import Made, address, made_from_rows, parted, read_table
from personare.data.media import people_table

__all__ = ["Mosi"]

_SPLITS = ("train", "test")
_MODALITIES = ("text", "audio", "video")
_TRACKS = {"text": "words", "audio": "acoustics", "video": "face"}
_WORDS = "transcripts.csv.gz"
_SENTIMENT = {0: "negative", 1: "positive"}


@dataclass(frozen=True, kw_only=True)
class Mosi:
    """Reads CMU-MOSI as features per utterance: ``{text,audio,video}_{train,test}.csv.gz`` and ``transcripts.csv.gz``.

    The tables have no header. Rows of the three modalities are the same utterances; the first column of a text table
    is the utterance's row in the transcripts, the last one of the others its sentiment. A speaker is a video: its
    published number is the pseudonym, because a video's published name leads to the film of the person.

    **Guarantee**: every row is a recording or listed with the reason; tables that are not aligned are not read.

    **Source**: Zadeh, Zellers, Pincus, Morency: Multimodal sentiment intensity analysis in videos. IEEE Intelligent
    Systems 31(6), 2016. doi:10.1109/MIS.2016.94. Features per utterance, split and two classes as in Poria et al.,
    Context-dependent sentiment analysis in user-generated videos, ACL 2017. doi:10.18653/v1/P17-1081.
    """

    license: ClassVar[str] = "academic research"
    citation: ClassVar[str] = "Zadeh et al., IEEE Intelligent Systems 31(6): 82-88, 2016"
    home: ClassVar[str] = "http://multicomp.cs.cmu.edu/resources/cmu-mosi-dataset/"

    def __call__(self, source: Path) -> tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]:
        """Read the tables.

        Returns:
            Recordings (tracks ``words``, ``acoustics`` and ``face``, tables of features, and ``text``, what was said;
            labels ``sentiment``, ``positive`` or ``negative``, and ``split``, ``train`` or ``test``), the speakers,
            and utterances that cannot be used.

        Raises:
            DataError: A table is missing, cannot be read, or is not aligned with the others.
        """
        said = read_table(source / _WORDS, header=None)
        recordings: list[Recording] = []
        skipped: list[Withheld] = []
        for split in _SPLITS:
            tables = {name: read_table(source / _file(name, split), header=None) for name in _MODALITIES}
            _must_be_aligned(tables, split)
            for row, (utterance, sentiment) in enumerate(
                zip(tables["text"].iloc[:, 0], tables["audio"].iloc[:, -1], strict=True)
            ):
                known = 0 <= utterance < len(said) and said.iloc[int(utterance), 3] == sentiment
                if known:
                    recordings.append(_recording(said.iloc[int(utterance)], int(utterance), split, row))
                else:
                    skipped.append(_unknown(_file("text", split), row))
        return recordings, people_table((r.subject for r in recordings), {}), skipped

    def make(self, source: Path) -> Callable[[str], Made]:
        """Return what makes a track of a row."""

        def load(file: str) -> pd.DataFrame:
            table = read_table(source / file, header=None)
            modality = file.partition("_")[0]
            table = table.iloc[:, 1:] if modality == "text" else table.iloc[:, :-1]
            return table.set_axis([f"{_TRACKS[modality]}{n + 1}" for n in range(table.shape[1])], axis=1)

        rows, said = made_from_rows(load), read_table(source / _WORDS, header=None)[1]

        def make(address: str) -> Made:
            file, row = parted(address)
            return Made(values=str(said[int(row)])) if file == _WORDS else rows(address)

        return make


def _file(modality: str, split: str) -> str:
    return f"{modality}_{split}.csv.gz"


def _must_be_aligned(tables: dict[str, pd.DataFrame], split: str) -> None:
    lengths = {name: len(table) for name, table in tables.items()}
    if len(set(lengths.values())) > 1 or (tables["audio"].iloc[:, -1] != tables["video"].iloc[:, -1]).any():
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise DataError(f"The {split} tables must hold the same utterances row by row; rows: {told}. Get them again.")


def _unknown(file: str, row: int) -> Withheld:
    return Withheld(
        item=address(file, row),
        problem="its transcript is missing or has another sentiment",
        fix="Get text table and transcripts of one edition.",
    )


def _recording(said: "pd.Series[str]", utterance: int, split: str, row: int) -> Recording:
    subject, number = f"{int(said.iloc[2]):02d}", int(str(said.iloc[0]).rpartition("_")[2])
    tracks = {_TRACKS[name]: address(_file(name, split), row) for name in _MODALITIES}
    return Recording(
        id=recording_id(subject, "01", f"utterance{number:02d}"),
        subject=subject,
        session="01",
        tracks={**tracks, "text": address(_WORDS, utterance)},
        labels={"sentiment": _SENTIMENT[int(said.iloc[3])], "split": split},
    )
