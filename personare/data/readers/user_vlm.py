"""User-VLM's sets: pictures of people with a profile, a question and its answer, or an answer preferred to another."""

import hashlib
import io
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from personare.core.errors import DataError, data_errors
from personare.core.options import Count, check_options
from personare.data.media_files import PICTURES, files_under
from personare.data.reading import Contents, Made, Maker, Reader

__all__ = ["UserVlm"]

# by set, the column of each text track
_SETS = {
    "dpo": {"text": "prompt", "answer": "chosen", "rejected": "rejected"},
    "instruct": {"text": "question", "answer": "answer"},
    "pt": {"text": "text"},
}
_RACES = re.compile(
    r"\b(?:(?:(?:south)?east[ _-])?asian|middle[ _-]eastern|(?:latino[ _-])?hispanic|latin[oa]|indian|black|white)\b"
    r"\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class UserVlm(Reader):
    """Reads ``user-vlm-pt``, ``-instruct`` and ``-dpo``: ``data/*.parquet`` as published, or ``metadata.jsonl``.

    The second has the same columns, and ``file_name``, a picture beside it, in place of ``image``. Which set a table is
    of, its columns say. A recording is a row: the tracks ``picture`` and ``text``, which is the profile, the question
    or the prompt, ``answer`` and ``rejected``; the labels ``set`` and, of ``-dpo``, ``category``. Rows of the very same
    picture are one person. FairFace's names of races are cut out of the profiles; whatever else they say of a person
    stays. Nothing is cut out of ``-dpo``, for its texts are about them.

    **Guarantee**: every row is a recording or listed with the reason.

    **Source**: Rahimi et al., arXiv:2502.10636, 2025.

    Args:
        size_px: Side of the squares to which pictures inside a table are squeezed; files are copied as they are.
    """

    size_px: Count = 64

    license = "MIT by its card; pictures partly of FairFace (CC BY 4.0) and other sets, under their own terms"
    citation = "Rahimi et al., User-VLM 360, arXiv:2502.10636, 2025"
    home = "https://huggingface.co/ACIDE"
    tracks: ClassVar[dict[str, str]] = {"picture": "picture", **dict.fromkeys(("text", "answer", "rejected"), "text")}

    def __post_init__(self) -> None:
        check_options(self)

    def gather(self, source: Path, contents: Contents) -> None:
        if not (files := files_under(source, ".parquet", "metadata.jsonl")):
            raise DataError(f"There is no .parquet and no metadata.jsonl in {source}. Give the folder of the data set.")
        pictures, people = set(files_under(source, *PICTURES)), dict[str, str]()  # people by the digest of a picture
        for file in files:
            rows = _read(source / file)
            columns = next((item for item in _SETS.items() if set(item[1].values()) <= set(rows)), None)
            if columns is None:
                contents.skipped.note(file, "its columns are those of no set of User-VLM. Leave it out.")
                continue
            name, texts = columns
            for number, row in enumerate(rows.to_dict("records")):
                item, path = f"{file} row {number}", (Path(file).parent / str(row.get("file_name"))).as_posix()
                picture = row["image"].get("bytes") if isinstance(row.get("image"), dict) else None
                if empty := [c for c in texts.values() if not isinstance(row[c], str) or not row[c].strip()]:
                    contents.skipped.note(item, f"its {empty[0]} is empty. Nothing to do.")
                elif picture is None and path not in pictures:
                    contents.skipped.note(item, "it has no picture. Get the data again.")
                else:
                    digest = hashlib.sha256(picture or (source / path).read_bytes()).hexdigest()
                    subject = people.setdefault(digest, f"picture{len(people) + 1:06d}")
                    tracks = {track: f"{file}#{number}.{column}" for track, column in texts.items()}
                    tracks["picture"] = f"{file}#{number}.image" if picture else path
                    labels = {"set": name} | ({"category": str(row["category"])} if "category" in row else {})
                    contents.add(subject, f"row{len(contents.recordings) + 1:06d}", tracks, labels)

    def make(self, source: Path) -> Maker:
        """Return what makes a picture or a text of a row."""
        loaded = lru_cache(maxsize=1)(lambda file: _read(source / file))

        def make(file: str, key: str) -> Made:
            row, _, column = key.partition(".")
            value = loaded(file)[column].iloc[int(row)]
            if column != "image":
                return Made(_RACES.sub("", value) if column == "text" else str(value))
            problem = f"the picture of {file} row {row} cannot be read"
            with data_errors(problem, "Get it again.", Image.DecompressionBombError):
                image = ImageOps.exif_transpose(Image.open(io.BytesIO(value["bytes"]))).convert("RGB")
                square = image.resize((self.size_px, self.size_px), Image.Resampling.BOX)
            return Made(np.asarray(square).transpose(2, 0, 1))  # (3, H, W)

        return make


def _read(path: Path) -> pd.DataFrame:
    with data_errors(f"{path.name} must be a table of rows, but cannot be read", "Get it again."):
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        lines = path.read_text(encoding="utf-8").splitlines()
        return pd.DataFrame([json.loads(line) for line in lines if line.strip()])
