"""VQA: questions about photos and drawings, each with the answer that most of ten people gave."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from personare.core.errors import DataError, data_errors
from personare.data.media_files import PICTURES, files_under
from personare.data.reading import Contents, Made, Maker, Reader

__all__ = ["Vqa"]


class Vqa(Reader):
    """Reads pairs of ``*_questions.json`` and ``*_annotations.json`` of one part, and pictures in any folder.

    Pictures have their published names, such as ``COCO_train2014_000000000042.jpg``. A recording is a question about a
    picture: the tracks ``picture`` and ``text``, the labels ``answer``, ``answer_type`` and ``split``, where the
    validation part is the test. Each picture counts as a person of its own, whoever is or is not on it, so that all
    questions about it are on one side of a split.

    **Guarantee**: every question is a recording or listed with the reason; questions without published answers are
    listed by the file.

    **Source**: Goyal et al., CVPR 2017, doi:10.1109/CVPR.2017.670; pictures: Lin et al., COCO, ECCV 2014.
    """

    license = "CC BY 4.0 (questions and answers; pictures: their own terms)"
    citation = "Goyal et al., Making the V in VQA matter, CVPR 2017: 6325-6334"
    home = "https://visualqa.org"
    tracks: ClassVar[dict[str, str]] = {"picture": "picture", "text": "text"}

    def gather(self, source: Path, contents: Contents) -> None:
        pictures = {"_".join(Path(f).stem.split("_")[-2:]): f for f in files_under(source, *PICTURES)}
        answers: dict[str, dict[Any, Any]] = {}
        for file in files_under(source, "annotations.json"):
            part, rows = _rows(source / file, "annotations", ("question_id", "multiple_choice_answer", "answer_type"))
            answers[part] = {row["question_id"]: row for row in rows}
        if not (questions := files_under(source, "questions.json")):
            raise DataError(f"There are no *questions.json in {source}. Give the folder that holds the data set.")
        for file in questions:
            part, rows = _rows(source / file, "questions", ("question_id", "image_id", "question"))
            if part not in answers:
                contents.skipped.note(file, f"there are no answers to the questions of {part}. Add its annotations.")
                continue
            for row in rows:
                address, number = f"{file}#{row['question_id']}", str(row["image_id"])
                picture, given = pictures.get(f"{part}_{number.zfill(12)}"), answers[part].get(row["question_id"])
                if picture is None or given is None:
                    absent = "answer" if picture else f"picture {number} of {part}"
                    contents.skipped.note(address, f"there is no {absent}. Get the data again.")
                    continue
                labels = {"answer": str(given["multiple_choice_answer"]), "answer_type": str(given["answer_type"])}
                labels["split"] = "train" if part.startswith("train") else "test"
                tracks = {"picture": picture, "text": address}
                contents.add(f"{part}{number.zfill(12)}", f"q{row['question_id']}", tracks, labels)

    def make(self, source: Path) -> Maker:
        """Return what makes a text of a question."""

        @lru_cache(maxsize=1)
        def asked(file: str) -> dict[str, str]:
            rows = _rows(source / file, "questions", ("question_id", "question"))[1]
            return {str(row["question_id"]): str(row["question"]) for row in rows}

        return lambda file, key: Made(asked(file)[key])


def _rows(path: Path, what: str, columns: tuple[str, ...]) -> tuple[str, list[dict[str, Any]]]:
    """Return which part of the data a file is about, such as ``train2014``, and its rows."""
    problem = f"{path.name} must be a list of {what} as published, but cannot be read"
    with data_errors(problem, "Get it again.", KeyError, TypeError):
        content = json.loads(path.read_text(encoding="utf-8"))
        return str(content["data_subtype"]), [{column: row[column] for column in columns} for row in content[what]]
