"""Readers of pictures and what is said of them, on tiny copies of the published layouts."""

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from personare.core.errors import DataError, OptionError
from personare.core.registry import create
from personare.data.importing import import_cohort
from personare.features.tracks import read_track

READERS = "personare.data.readers"


def read(name, source, **options):
    return create(READERS, name, options)(source)


def paint(path: Path, gray: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((8, 8, 3), gray, np.uint8))


def png(gray: int, size=(8, 6)) -> dict:
    content = io.BytesIO()
    Image.new("RGB", size, (gray, gray, gray)).save(content, "PNG")
    return {"bytes": content.getvalue(), "path": "x.png"}


FAIRFACE = """file,age,gender,race,service_test
train/1.jpg,20-29,Male,East Asian,True
train/2.jpg,more than 70,Female,Indian,False
train/1.jpg,20-29,Male,East Asian,True
train/3.jpg,0-2,Female,Black,False
../secret.jpg,3-9,Female,Black,False
train/2.jpg,old,Female,White,False
"""


def test_fairface_reads_photos_with_age_and_sex_and_no_race(tmp_path):
    for name in ("train/1.jpg", "train/2.jpg", "val/1.jpg", "../secret.jpg"):
        paint(tmp_path / "s" / name, 90)
    (tmp_path / "s/fairface_label_train.csv").write_text(FAIRFACE)
    (tmp_path / "s/fairface_label_val.csv").write_text("file,age,gender,race\nval/1.jpg,3-9,Female,White\n")
    recordings, people, skipped = read("fairface", tmp_path / "s")
    assert [r.tracks for r in recordings] == [{"picture": n} for n in ("train/1.jpg", "train/2.jpg", "val/1.jpg")]
    assert recordings[0].labels == {"age_band": "20-29", "split": "train"}
    assert recordings[2].labels == {"age_band": "3-9", "split": "test"}
    assert people.loc["train00001"].to_list() == ["M", 25.0]
    assert people.loc["train00002"].to_list() == ["F", 75.0]
    assert people.loc["val00001"].to_list() == ["F", 6.5]
    assert [w.problem.split(",")[0] for w in skipped] == [
        "the photo was listed before",
        "there is no such file",
        "its name or its age '3-9' is not FairFace's",
        "its name or its age 'old' is not FairFace's",
    ]
    cohort, _ = import_cohort(tmp_path / "s", tmp_path / "c", reader="fairface")
    written = [p.read_bytes() for p in cohort.root.rglob("*") if p.is_file()]
    assert len(cohort.recordings) == 3 and not any(b"Asian" in text or b"race" in text for text in written)


@pytest.fixture
def vqa(tmp_path):
    source = tmp_path / "s"
    paint(source / "train2014/COCO_train2014_000000000042.jpg", 10)
    asked = [(420, 42, "Is it dark?"), (421, 42, "How many dogs?"), (430, 43, "Why?"), (422, 42, "Where?")]
    questions = [dict(zip(("question_id", "image_id", "question"), row, strict=True)) for row in asked]
    given = [
        {"question_id": q, "image_id": q // 10, "multiple_choice_answer": a, "answer_type": t, "answers": []}
        for q, a, t in ((420, "yes", "yes/no"), (421, "0", "number"), (430, "rain", "other"))
    ]
    about = {"data_type": "mscoco", "data_subtype": "train2014"}
    files = {
        "v2_OpenEnded_mscoco_train2014_questions.json": {**about, "questions": questions},
        "v2_mscoco_train2014_annotations.json": {**about, "annotations": given},
        "v2_OpenEnded_mscoco_test2015_questions.json": {"data_subtype": "test2015", "questions": questions},
    }
    for name, content in files.items():
        (source / name).write_text(json.dumps(content))
    return source


def test_vqa_pairs_questions_answers_and_pictures(vqa, tmp_path):
    cohort, skipped = import_cohort(vqa, tmp_path / "c", reader="vqa")
    dark, dogs = cohort.recordings
    assert dark.subject == dogs.subject == "train2014000000000042"
    assert (dogs.labels["answer"], dogs.labels["answer_type"], dogs.labels["split"]) == ("0", "number", "train")
    assert (cohort.root / dark.tracks["text"]).read_text() == "Is it dark?"
    assert (cohort.root / dark.tracks["picture"]).suffix == ".jpg"
    assert [w.problem for w in skipped] == [
        "there are no answers to the questions of test2015",
        "there is no picture 43 of train2014",
        "there is no answer",
    ]


def test_vqa_names_the_file_that_is_not_as_published(vqa, tmp_path):
    with pytest.raises(DataError, match=r"no \*questions.json"):
        read("vqa", vqa / "train2014")
    (vqa / "v2_mscoco_train2014_annotations.json").write_text('{"data_subtype": "train2014"}')
    with pytest.raises(DataError, match=r"v2_mscoco_train2014_annotations.json must be a list of annotations"):
        read("vqa", vqa)


def table(path: Path, **columns) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns).to_parquet(path)


def test_user_vlm_profiles_lose_the_race_and_rows_of_a_picture_are_one_person(tmp_path):
    profiles = ["A happy East Asian woman, 20-29.", "Age: 30-39, Latino_Hispanic male, sad.", "A southeast asian man."]
    file = tmp_path / "s/data/train-00000-of-00001.parquet"
    table(file, image=[png(10), png(200), png(10)], text=profiles)
    cohort, skipped = import_cohort(tmp_path / "s", tmp_path / "c", reader="user_vlm", options={"size_px": 4})
    assert [r.subject for r in cohort.recordings] == ["picture000001", "picture000001", "picture000002"] and not skipped
    by_row = {r.id.rpartition("row")[2]: r for r in cohort.recordings}
    texts = [(cohort.root / by_row[f"00000{n}"].tracks["text"]).read_text() for n in (1, 2, 3)]
    assert texts == ["A happy woman, 20-29.", "Age: 30-39, male, sad.", "A man."]
    picture = read_track(cohort.root / by_row["000002"].tracks["picture"])
    assert (picture.kind, picture.values.shape, picture.values.max()) == ("picture", (3, 4, 4), 200)
    assert by_row["000001"].labels == {"set": "pt"}


def test_user_vlm_reads_questions_and_preferences(tmp_path):
    table(tmp_path / "instruct/a.parquet", image=[png(1), png(2)], question=["Who?", " "], answer=["You.", "Me."])
    table(
        tmp_path / "dpo/a.parquet", image=[png(1)], prompt=["Why?"], chosen=["So."], rejected=["No."], category=["race"]
    )
    table(tmp_path / "other/a.parquet", image=[png(1)], caption=["a"])
    cohort, skipped = import_cohort(tmp_path, tmp_path / "c", reader="user_vlm")
    preferred, answered = sorted(cohort.recordings, key=lambda r: r.labels["set"])
    assert set(answered.tracks) == {"picture", "text", "answer"} and preferred.subject == answered.subject
    assert preferred.labels == {"set": "dpo", "category": "race"}
    texts = [(cohort.root / preferred.tracks[name]).read_text() for name in ("text", "answer", "rejected")]
    assert texts == ["Why?", "So.", "No."]
    assert [w.problem for w in skipped] == ["its question is empty", "its columns are those of no set of User-VLM"]


def test_user_vlm_reads_lines_beside_files_and_nothing_outside(tmp_path):
    paint(tmp_path / "s/faces/1.png", 10)
    paint(tmp_path / "secret.png", 10)
    rows = [{"file_name": name, "text": "A man."} for name in ("faces/1.png", "../secret.png", "faces/2.png")]
    (tmp_path / "s/metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recordings, _, skipped = read("user_vlm", tmp_path / "s")
    assert [r.tracks["picture"] for r in recordings] == ["faces/1.png"] and len(skipped) == 2


def test_user_vlm_lists_a_broken_picture_and_refuses_what_is_no_table(tmp_path):
    table(tmp_path / "s/a.parquet", image=[{"bytes": b"no picture", "path": ""}, png(3)], text=["A man.", "A woman."])
    cohort, skipped = import_cohort(tmp_path / "s", tmp_path / "c", reader="user_vlm")
    assert len(skipped) == 1 and "the picture of a.parquet row 0 cannot be read" in skipped[0].problem
    assert sum("picture" in r.tracks for r in cohort.recordings) == 1
    (tmp_path / "s/b.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match=r"b\.parquet must be a table of rows"):
        read("user_vlm", tmp_path / "s")
    with pytest.raises(DataError, match=r"no \.parquet"):
        read("user_vlm", cohort.root / "sub-picture000001")
    with pytest.raises(OptionError, match="size_px"):
        create(READERS, "user_vlm", {"size_px": 0})
