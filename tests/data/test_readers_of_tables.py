"""Readers whose tracks are rows, windows and texts: on tiny copies of the published layouts, and on real people."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import DataError, OptionError
from personare.core.registry import create
from personare.core.types import Cohort, Recording, Withheld
from personare.data.importing import import_cohort

READERS = "personare.data.readers"
Read = tuple[Sequence[Recording], pd.DataFrame, Sequence[Withheld]]


def read(name: str, source: Path, **options: object) -> Read:
    found: Read = create(READERS, name, options)(source)
    return found


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")


def track(cohort: Cohort, recording: str, name: str) -> tuple[np.ndarray, Mapping[str, object]]:
    """Return what the import wrote for a track, and its sidecar."""
    path = cohort.root / next(r for r in cohort.recordings if r.id == recording).tracks[name]
    return np.load(path), json.loads(path.with_suffix(".json").read_text())


@pytest.fixture
def crema_d(tmp_path: Path) -> Path:
    table = ",actor_id,sentence,emotion,intensity,audio_duration,sample_rate,pitch\n"
    table += "0,1001,DFA,angry,XX,2.5,22050,110\n1,1002,IEO,happy,LO,1.5,22050,\n2,1002,IEO,hungry,LO,1.5,22050,200\n"
    write(tmp_path / "s/acoustic_features.csv.gz", table + "3,1001,DFA,anger,XX,9,22050,9\n")
    return tmp_path / "s"


def test_crema_d_takes_statistics_by_clip(crema_d: Path, tmp_path: Path) -> None:
    cohort, skipped = import_cohort(crema_d, tmp_path / "c", reader="crema_d")
    values, about = track(cohort, "sub-1001_ses-01_task-DFAANGXX", "acoustics")
    assert values.tolist() == [2.5, 110.0]
    assert about == {"Columns": ["audio_duration", "pitch"]}
    gap, _ = track(cohort, "sub-1002_ses-01_task-IEOHAPLO", "acoustics")
    assert gap[0] == 1.5
    assert np.isnan(gap[1])
    assert sorted(w.item for w in skipped) == ["acoustic_features.csv.gz#2", "acoustic_features.csv.gz#3"]
    origins = pd.read_csv(cohort.root / "imported.tsv", sep="\t")
    assert origins["source"].to_list() == ["acoustic_features.csv.gz#0", "acoustic_features.csv.gz#1"]


def test_ravdess_pairs_tables_with_recordings(tmp_path: Path) -> None:
    source = tmp_path / "s"
    write(source / "speech/03-01-05-02-01-01-12.flac", "x")
    head = "file,emotion,intensity,actor,gender"
    write(source / "audio_summary.csv", f"f0,{head}\n200,01-01-05-02-01-01-12.wav,angry,2,12,female\n")
    rows = "0.5,01-01-05-02-01-01-12.mp4,angry,2,12,female\n0.1,01-01-04-01-01-01-07.mp4,sad,1,7,male\n0.1,hello,,,,\n"
    write(source / "video_summary.csv", f"AU01,{head}\n{rows}0.7,01-01-05-02-01-01-12.mp4,angry,2,12,female\n")
    recordings, people, skipped = read("ravdess", source)
    tracks = {r.subject: sorted(r.tracks) for r in recordings}
    assert tracks == {"12": ["acoustics", "audio", "face"], "07": ["face"]}
    assert people["sex"].to_dict() == {"07": "M", "12": "F"}
    assert sorted(w.item for w in skipped) == ["video_summary.csv#2", "video_summary.csv#3"]
    (source / "speech/03-01-05-02-01-01-12.flac").unlink()
    cohort, _ = import_cohort(source, tmp_path / "c", reader="ravdess")
    values, about = track(cohort, "sub-12_ses-01_task-speechangerstrongkids1", "face")
    assert values.tolist() == [0.5]
    assert about == {"Columns": ["AU01"]}
    write(source / "audio_summary.csv", "f0\n1\n")
    with pytest.raises(DataError, match="column file"):
        read("ravdess", source)


def mosi(source: Path) -> Path:
    said = '"abc_x_1","GOOD FILM","7","1"\n"abc_x_2","BAD FILM","7","0"\n"-d_e_1","FINE","2","1"\n'
    write(source / "transcripts.csv.gz", said)
    write(source / "text_train.csv.gz", '"1","0.1","0.2"\n"0","0.3","0.4"\n')
    write(source / "audio_train.csv.gz", '"10","0"\n"20","1"\n')
    write(source / "video_train.csv.gz", '"5","0"\n"6","1"\n')
    write(source / "text_test.csv.gz", '"2","0.5","0.6"\n"9","0.5","0.6"\n')
    write(source / "audio_test.csv.gz", '"30","1"\n"40","1"\n')
    write(source / "video_test.csv.gz", '"7","1"\n"8","1"\n')
    return source


def test_mosi_rows_are_utterances_of_numbered_people(tmp_path: Path) -> None:
    cohort, skipped = import_cohort(mosi(tmp_path / "s"), tmp_path / "c", reader="mosi")
    assert {r.id: dict(r.labels) for r in cohort.recordings} == {
        "sub-02_ses-01_task-utterance01": {"sentiment": "positive", "split": "test"},
        "sub-07_ses-01_task-utterance01": {"sentiment": "positive", "split": "train"},
        "sub-07_ses-01_task-utterance02": {"sentiment": "negative", "split": "train"},
    }
    good = "sub-07_ses-01_task-utterance01"
    assert track(cohort, good, "words")[0].tolist() == pytest.approx([0.3, 0.4])
    assert track(cohort, good, "acoustics")[0].tolist() == [20.0]
    assert track(cohort, good, "face")[0].tolist() == [6.0]
    assert (cohort.root / cohort.recordings[1].tracks["text"]).read_text() == "GOOD FILM"
    assert [w.item for w in skipped] == ["text_test.csv.gz#1"]
    assert not [path for path in cohort.root.rglob("*") if "abc" in path.name]


def test_mosi_tables_that_are_not_aligned_are_refused(tmp_path: Path) -> None:
    write(mosi(tmp_path) / "video_train.csv.gz", '"5","1"\n"6","1"\n')
    with pytest.raises(DataError, match="row by row"):
        read("mosi", tmp_path)


def pair(source: Path, number: int, text: str = "hi") -> None:
    write(source / f"{number}.txt", text)
    write(source / f"{number}.jpg", "a photo")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("curated", {"1": "positive", "2": "negative", "3": "neutral", "5": "positive"}),
        ("agree", {"1": "positive", "3": "neutral"}),
    ],
)
def test_mvsa_curates_labels_by_the_rule_asked_for(tmp_path: Path, labels: str, expected: dict[str, str]) -> None:
    rows = "1\tpositive,positive\n2\tneutral,negative\n3\tneutral,neutral\n4\tpositive,negative\n5\tpositive,neutral\n"
    odd = "6\tpositive,positive\n7\thappy,neutral\nrubbish\n1\tpositive,positive\n"
    write(tmp_path / "labelResultAll.txt", f"ID\ttext,image\n{rows}{odd}")
    for number in (1, 2, 3, 4, 5, 7):
        pair(tmp_path / "data", number)
    recordings, _, skipped = read("mvsa", tmp_path, labels=labels)
    assert {r.subject.removeprefix("pair"): r.labels["sentiment"] for r in recordings} == expected
    lines = {w.item: w.problem for w in skipped}
    assert lines["labelResultAll.txt line 5"].startswith("text and photo disagree (positive, negative)")
    assert lines["labelResultAll.txt line 7"] == "there is no file data/6.jpg"
    assert "'happy' is not known" in lines["labelResultAll.txt line 8"]
    assert "rule ID" in lines["labelResultAll.txt line 9"]
    assert "listed before" in lines["labelResultAll.txt line 10"]
    assert len(recordings) + len(skipped) == 9


def test_mvsa_knows_two_rules() -> None:
    with pytest.raises(OptionError, match="curated or agree"):
        create(READERS, "mvsa", {"labels": "all"})


def test_tweets_leave_handles_and_links_behind(tmp_path: Path) -> None:
    source = tmp_path / "s"
    write(source / "labels.csv", "guid,tag\n4,positive\n5,joyful\n6,neutral\n../7,neutral\n8,negative\n4,positive\n")
    pair(source / "pairs", 4, "RT @ann: so glad http://t.co/x")
    pair(source / "pairs", 5)
    pair(source / "pairs", 8, " \n")
    cohort, skipped = import_cohort(source, tmp_path / "c", reader="tweets")
    glad, empty = cohort.recordings
    assert (cohort.root / glad.tracks["text"]).read_text() == "RT @user: so glad http"
    assert sorted(empty.tracks) == ["picture"]
    assert not any("ann" in path.read_text() for path in cohort.root.rglob("*.txt"))
    assert len(skipped) == 5
    assert next(w.problem for w in skipped if w.item == "pairs/8.txt#text") == "the text is empty"


def stress_predict(source: Path) -> Path:
    rows = "".join(f"2,80,12,{1000 + second},{int(20 <= second < 40)}\n" for second in range(60))
    write(source / "hr_rsp_label.csv.gz", f"Participant,HR,respr,Time(sec),Label\n{rows}")
    write(source / "Raw_data/S02/EDA.csv.gz", "991.0\n4.0\n" + "".join(f"{n}\n" for n in range(300)))
    write(source / "Raw_data/S02/HR.csv.gz", "1005.0\n1.0\n" + "".join(f"{n}\n" for n in range(60)))
    write(source / "Raw_data/S02/ACC.csv.gz", "991,991,991\n2,2,2\n" + "".join(f"{n},1,2\n" for n in range(150)))
    write(source / "Raw_data/S02/TEMP.csv.gz", "broken\n")
    write(source / "Raw_data/S01/EDA.csv.gz", "991.0\n4.0\n1\n")
    return source


def test_stress_predict_cuts_windows_at_the_right_second(tmp_path: Path) -> None:
    source = stress_predict(tmp_path / "s")
    cohort, skipped = import_cohort(
        source, tmp_path / "c", reader="stress_predict", options={"window_s": 15, "step_s": 15}
    )
    assert {r.id[-3:]: r.labels["stress"] for r in cohort.recordings} == {"001": "rest", "004": "rest"}
    last = "sub-02_ses-01_task-window004"
    values, about = track(cohort, last, "eda")
    # the window starts at 1045 s, 54 s after the signal does: sample 54 * 4
    assert values[:, 0].tolist() == list(range(216, 276))
    assert about == {"SamplingFrequency": 4.0, "Columns": ["eda"], "Units": "microsiemens"}
    assert track(cohort, last, "acc")[0].shape == (30, 3)
    assert sorted(cohort.recordings[0].tracks) == ["acc", "eda"]  # the heart rate starts five seconds later
    told = {w.item: w.problem for w in skipped}
    assert "label changes" in told["participant 2, window 2"]
    assert "no rows" in told["Raw_data/S01"]
    assert "does not reach" in told["Raw_data/S02/HR.csv.gz#1000+15"]
    assert "time and its rate" in told["Raw_data/S02/TEMP.csv.gz#1000+15"]


def test_stress_predict_windows_are_whole_seconds(tmp_path: Path) -> None:
    for bad in ({"window_s": 0}, {"step_s": 1.5}):
        with pytest.raises(OptionError, match="whole seconds"):
            create(READERS, "stress_predict", bad)
    write(tmp_path / "hr_rsp_label.csv", "Participant,Label\n1,0\n")
    with pytest.raises(DataError, match=r"Time\(sec\)"):
        read("stress_predict", tmp_path)


def test_studentlife_reads_codes_of_stress_as_what_they_say(tmp_path: Path) -> None:
    source = tmp_path / "s"
    head = ",student_id,sum,mean,dow,stress_level,stress_level,stress_level\n,,sms,audio,x,min,max,mean\ntime,,,,,,,\n"
    days = "2013-03-24,1,3,,6,2,3,2.5\n2013-03-25,1,4,0.5,0,5,5,5\n2013-03-26,1,4,1,1,3,4,3.5\n2013-03-27,1,4,1,2,,,\n"
    write(source / "student_01.csv", f"{head}{days}soon,1,1,1,1,1,1,1\n")
    write(source / "notes.csv", f"{head}2013-03-24,1,3,,6,2,3,2.5\n")
    write(source / "other.csv", "a,b\n1,2\n")
    cohort, skipped = import_cohort(source, tmp_path / "c", reader="studentlife")
    assert {r.id[-4:]: dict(r.labels) for r in cohort.recordings} == {
        "0324": {"stress": "stressed"},
        "0325": {"stress": "well", "level": "feeling great"},
        "0326": {},
    }
    values, about = track(cohort, "sub-01_ses-01_task-day20130324", "phone")
    assert np.array_equal(values, np.array([3, np.nan, 6], np.float32), equal_nan=True)
    assert about["Columns"] == ["sms_sum", "audio_mean", "day_of_week"]
    assert sorted(w.item for w in skipped) == [
        "notes.csv row 0",
        "other.csv",
        "student_01.csv row 3",
        "student_01.csv row 4",
    ]


def depresjon(source: Path) -> Path:
    def minutes(start: str, count: int, value: int) -> str:
        times = pd.date_range(start, periods=count, freq="min")
        return "timestamp,date,activity\n" + "".join(f"{t},{t:%Y-%m-%d},{value}\n" for t in times)

    write(source / "condition/condition_1.csv.gz", minutes("2004-01-01 23:58", 2 + 2 * 1440 + 5, 7))
    write(source / "control/control_1.csv", minutes("2003-01-01", 1440, 9))
    write(source / "control/control_2.csv", "what,ever\n1,2\n")
    scores = "number,days,gender,age,madrs1,madrs2\ncondition_1,1,2,35-39,19,11\ncontrol_1,5,1,20-24,,\n"
    write(source / "scores.csv", scores)
    return source


def test_depresjon_days_are_whole_and_pseudonyms_say_nothing(tmp_path: Path) -> None:
    cohort, skipped = import_cohort(depresjon(tmp_path / "s"), tmp_path / "c", reader="depresjon")
    assert {r.id: dict(r.labels) for r in cohort.recordings} == {
        "sub-01_ses-01_task-day20030101": {"depression": "control"},
        "sub-02_ses-01_task-day20040102": {"depression": "condition", "madrs_start": "19", "madrs_end": "11"},
    }
    values, about = track(cohort, "sub-02_ses-01_task-day20040102", "activity")
    assert values.shape == (1440, 1)
    assert set(values[:, 0]) == {7.0}
    assert about["SamplingFrequency"] == pytest.approx(1 / 60)
    assert cohort.participants.loc["02"].to_list() == ["M", 37.0]
    told = {w.item: w.problem for w in skipped}
    assert told["condition/condition_1.csv.gz#2004-01-01"] == "the day has 2 of 1440 minutes"
    assert "timestamp" in told["control/control_2.csv"]
    assert len(read("depresjon", tmp_path / "s", days="all")[0]) == 3
    with pytest.raises(OptionError, match="published or all"):
        create(READERS, "depresjon", {"days": "some"})


@pytest.mark.parametrize(("skipped_h", "repeated_h"), [(0, 1), (1, 0), (0, 0)], ids=["25 hours", "23 hours", "24"])
def test_depresjon_takes_the_days_on_which_clocks_are_changed(tmp_path: Path, skipped_h: int, repeated_h: int) -> None:
    hours = [h for h in range(24) if not (skipped_h and h == 2)]
    hours = sorted(hours + [2] * repeated_h)
    times = [f"2003-10-26 {h:02d}:{m:02d}:00" for h in hours for m in range(60)]
    counts = "".join(f"{t},2003-10-26,{n}\n" for n, t in enumerate(times))
    write(tmp_path / "s/condition/condition_1.csv", f"timestamp,date,activity\n{counts}")
    write(tmp_path / "s/scores.csv", "number,days,gender,age\ncondition_1,1,2,35-39\n")
    cohort, skipped = import_cohort(tmp_path / "s", tmp_path / "c", reader="depresjon")
    values, _ = track(cohort, "sub-01_ses-01_task-day20031026", "activity")
    assert values.shape == (1440, 1)
    assert not skipped
    assert int(np.isnan(values).sum()) == 60 * skipped_h
    assert values[-1, 0] == len(times) - 1  # the evening is where it was
    assert values[120:180, 0].tolist() == [120 + n for n in range(60)] or skipped_h


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "folder", "recordings", "people", "skipped", "classes"),
    [
        ("mosi", "cmu-mosi", 2199, 93, 0, {"positive": 1176, "negative": 1023}),
        ("tweets", "tweets", 180, 180, 0, {"positive": 106, "negative": 49, "neutral": 25}),
        ("stress_predict", "stress-predict", 535, 11, 66, {"rest": 372, "stress": 163}),
        ("studentlife", "studentlife", 756, 15, 0, {"stressed": 566, "well": 112}),
        ("depresjon", "depresjon", 342, 28, 56, {"control": 203, "condition": 139}),
    ],
)
def test_published_tables_are_read_whole(
    real_data: Path, name: str, folder: str, recordings: int, people: int, skipped: int, classes: dict[str, int]
) -> None:
    found, table, listed = read(name, real_data / folder)
    assert (len(found), len(table), len(listed)) == (recordings, people, skipped)
    counts = {word: sum(word in r.labels.values() for r in found) for word in classes}
    assert counts == classes


@pytest.mark.real
def test_mosi_splits_people_as_published(real_data: Path) -> None:
    found, _, _ = read("mosi", real_data / "cmu-mosi")
    train, test = ({r.subject for r in found if r.labels["split"] == split} for split in ("train", "test"))
    assert (len(train), len(test), len(train & test)) == (62, 31, 0)


@pytest.mark.real
@pytest.mark.parametrize("reader", ["tweets", "ravdess"])
def test_importing_from_the_command_line(
    real_data: Path, tmp_path: Path, reader: str, run: Callable[..., tuple[int, str]]
) -> None:
    source = tmp_path / "some of it"
    take_some(real_data, source, reader)
    status, said = run("import", source, tmp_path / "c", "--reader", reader, "--consent-all", "evaluation")
    assert status == 0, said
    status, said = run("validate", tmp_path / "c")
    assert status == 0, said


def take_some(real_data: Path, source: Path, reader: str) -> None:
    """Link a few people's files, with the tables that describe them."""
    if reader == "tweets":
        table = pd.read_csv(real_data / "tweets/labels.csv").head(8)
        files = [f"pairs/{guid}.{suffix}" for guid in table["guid"] for suffix in ("jpg", "txt")]
        tables = {"labels.csv": table}
    else:
        files = [f"speech/03-01-05-01-01-01-{actor:02d}.flac" for actor in (1, 2)]
        tables = {
            name: pd.read_csv(real_data / "ravdess" / name).query("actor <= 2 and emotion == 'angry'")
            for name in ("audio_summary.csv", "video_summary.csv")
        }
    for name, rows in tables.items():
        source.mkdir(exist_ok=True)
        rows.to_csv(source / name, index=False)
    for file in files:
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        (source / file).symlink_to(real_data / ("tweets" if reader == "tweets" else "ravdess") / file)
