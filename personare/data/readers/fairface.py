"""FairFace: 97,698 photos of faces, each with an age group and a sex that people judged."""

import re
from pathlib import Path
from typing import ClassVar

from personare.data.labels import sex
from personare.data.reading import Contents, Reader
from personare.data.tables import read_rows

__all__ = ["FairFace"]

_FILE = re.compile(r"(train|val)/(\d+)\.jpg")
_BAND = re.compile(r"(\d+)-(\d+)|more than (70)")


class FairFace(Reader):
    """Reads ``train/1.jpg``, ``val/1.jpg`` and so on, ``fairface_label_train.csv`` and ``fairface_label_val.csv``.

    The race that somebody saw in a face is not taken in. Who is on a photo was not published, so each is a person of
    its own, and somebody who is on two may be on both sides of a split. An age is the middle of its group, or 75;
    labels ``age_band``, the group as published, and ``split``, of which the published validation part is the test.

    **Guarantee**: every row is a recording or listed with the reason.

    **Source**: Kärkkäinen and Joo, WACV 2021, doi:10.1109/WACV48630.2021.00159.
    """

    license = "CC BY 4.0"
    citation = "Kärkkäinen and Joo, FairFace, WACV 2021: 1548-1558"
    home = "https://github.com/joojs/fairface"
    tracks: ClassVar[dict[str, str]] = {"picture": "picture"}

    def gather(self, source: Path, contents: Contents) -> None:
        tables = [source / f"fairface_label_{part}.csv" for part in ("train", "val")]
        for path in [path for path in tables if path.is_file()] or tables[:1]:
            for line, row in read_rows(path, required=("file", "age", "gender")):
                file, band = _FILE.fullmatch(row["file"]), _BAND.fullmatch(row["age"])
                item = f"{path.name} line {line}: {row['file']}"
                if not file or not band:
                    contents.skipped.note(item, f"its name or its age {row['age']!r} is not FairFace's. Correct it.")
                elif not (source / file[0]).is_file():
                    contents.skipped.note(item, "there is no such file. Get the photos again.")
                elif (subject := f"{file[1]}{int(file[2]):05d}") in contents.subjects:
                    contents.skipped.note(item, "the photo was listed before. Remove one of the rows.")
                else:
                    labels = {"age_band": row["age"], "split": "test" if file[1] == "val" else "train"}
                    contents.add(subject, "photo", {"picture": file[0]}, labels)
                    age = 75.0 if band[3] else (int(band[1]) + int(band[2]) + 1) / 2
                    contents.people[subject] = (sex(row["gender"]), age)
