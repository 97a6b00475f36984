"""CMU-MOSI: reviewers of films speak to a camera; text, audio and video features of 2,199 utterances."""

from pathlib import Path
from typing import ClassVar

import pandas as pd

from personare.core.errors import DataError
from personare.data.reading import Contents, Made, Maker, Reader, made_from_rows
from personare.data.tables import read_table

__all__ = ["Mosi"]

_TRACKS = {"text": "words", "audio": "acoustics", "video": "face"}  # of features, by modality
_WORDS = "transcripts.csv.gz"
_SENTIMENT = {0: "negative", 1: "positive"}


class Mosi(Reader):
    """Reads CMU-MOSI as features per utterance: ``{text,audio,video}_{train,test}.csv.gz`` and ``transcripts.csv.gz``.

    The tables have no header. Rows of the three modalities are the same utterances; the first column of a text table
    is the utterance's row in the transcripts, the last one of the others its sentiment. A speaker is a video, by its
    published number, because a video's name leads to the film of the person. Labels ``sentiment`` and ``split``.

    **Guarantee**: every row is a recording or listed with the reason; tables that are not aligned are not read.

    **Source**: Zadeh et al., IEEE Intelligent Systems 31(6), 2016, doi:10.1109/MIS.2016.94; features, split and two
    classes as in Poria et al., ACL 2017, doi:10.18653/v1/P17-1081.
    """

    license = "academic research"
    citation = "Zadeh et al., IEEE Intelligent Systems 31(6): 82-88, 2016"
    home = "http://multicomp.cs.cmu.edu/resources/cmu-mosi-dataset/"
    tracks: ClassVar[dict[str, str]] = {"text": "text", **{track: modality for modality, track in _TRACKS.items()}}

    def gather(self, source: Path, contents: Contents) -> None:
        spoken = read_table(source / _WORDS, header=None)
        for split in ("train", "test"):
            files = {name: f"{name}_{split}.csv.gz" for name in _TRACKS}
            tables = {name: read_table(source / file, header=None) for name, file in files.items()}
            felt = tables["audio"].iloc[:, -1]
            lengths = {name: len(table) for name, table in tables.items()}
            if len(set(lengths.values())) > 1 or (felt != tables["video"].iloc[:, -1]).any():
                counts = ", ".join(f"{name} {length}" for name, length in lengths.items())
                raise DataError(
                    f"The {split} tables must hold the same utterances row by row; rows: {counts}. Get them again."
                )
            for row, (utterance, sentiment) in enumerate(zip(tables["text"].iloc[:, 0], felt, strict=True)):
                if not (0 <= utterance < len(spoken) and spoken.iloc[int(utterance), 3] == sentiment):
                    problem = "its transcript is missing or has another sentiment. Get tables of one edition."
                    contents.skipped.note(f"{files['text']}#{row}", problem)
                    continue
                name, _, video, _ = spoken.iloc[int(utterance), :4]
                number = int(str(name).rpartition("_")[2])
                tracks = {_TRACKS[modality]: f"{file}#{row}" for modality, file in files.items()}
                tracks["text"] = f"{_WORDS}#{int(utterance)}"
                labels = {"sentiment": _SENTIMENT[int(sentiment)], "split": split}
                contents.add(f"{int(video):02d}", f"utterance{number:02d}", tracks, labels)

    def make(self, source: Path) -> Maker:
        """Return what makes a track of a row."""

        def load(file: str) -> pd.DataFrame:
            table, modality = read_table(source / file, header=None), file.partition("_")[0]
            table = table.iloc[:, 1:] if modality == "text" else table.iloc[:, :-1]
            return table.set_axis([f"{_TRACKS[modality]}{n + 1}" for n in range(table.shape[1])], axis=1)

        rows, spoken = made_from_rows(load), read_table(source / _WORDS, header=None)[1]

        return lambda file, row: Made(str(spoken[int(row)])) if file == _WORDS else rows(file, row)
