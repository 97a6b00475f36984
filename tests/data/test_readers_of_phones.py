"""StudentLife's raw layout, with all that goes wrong in logs."""

import json
from pathlib import Path

import numpy as np
import pytest

from personare.data.readers.studentlife_raw import StudentlifeRaw

HOUR = 3600
MARCH = 1362805200  # Saturday 9 March 2013, midnight in New York; on the 10th there is no hour 2
AUTUMN = 1383451200  # Sunday 3 November 2013, midnight there; the hour 1 comes twice


def write(root: Path, name: str, *lines: object) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\ufeff" + "\n".join(map(str, lines)) + "\n", encoding="utf-8")


def week(root: Path, number: int = 0) -> tuple[dict[str, np.ndarray], list[str]]:
    reader = StudentlifeRaw()
    recordings, people, skipped = reader(root)
    file, _, key = recordings[number].tracks["phone"].rpartition("#")
    values, about = reader.make(root)(file, key)
    assert values.shape == (168, 8) and about["SamplingFrequency"] == 1 / 3600 and list(people.index) == ["03"]
    return dict(zip(about["Columns"], values.T, strict=True)), [f"{w.item}: {w.problem}" for w in skipped]


def test_guarantee_hours_are_those_on_the_wall(tmp_path: Path) -> None:
    spring = [MARCH + 24 * HOUR + n * HOUR for n in range(4)]  # 0, 1, 3 and 4 o'clock
    write(
        tmp_path,
        "sms/sms_u03.csv",
        "id,device,timestamp,MESSAGES_date",
        f"a,b,{MARCH},",
        *(f"a,b,,{t}000" for t in spring),
    )
    messages = week(tmp_path)[0]["messages"][-24:]  # the recording is the week from Monday to this Sunday
    assert messages[[0, 1, 3, 4]].tolist() == [1, 1, 1, 1] and np.isnan(messages[[2, 5]]).all()
    autumn = [AUTUMN + n * HOUR for n in range(4)]  # 0, 1, 1 and 2 o'clock
    write(tmp_path, "sms/sms_u03.csv", "id,device,timestamp,MESSAGES_date", *(f"a,b,,{t}000" for t in autumn))
    assert week(tmp_path)[0]["messages"][-24:][:4].tolist() == pytest.approx([1, 2, 1, np.nan], nan_ok=True)


def test_each_log_is_counted_by_the_hour(tmp_path: Path) -> None:
    t = MARCH
    calls = [
        "id\tdevice\ttimestamp\tCALLS_date",
        f"a\tb\t{t}\t{t}000",
        f"a\tb\t{t + 9000}\t{t}000",
        f"a\tb\t{t + 60}\t{t + 7300}000",
    ]
    write(tmp_path, "call_log/call_log_u03.csv", *calls)  # polled twice is one call; not in order
    apps = [
        "timestamp,RUNNING_TASKS_topActivity_mPackage",
        f"{t},mail",
        f"{t},mail",
        f"{t + 60},maps",
        f"{t + 4000},mail",
        ",",
    ]
    write(tmp_path, "app_usage/running_app_u03.csv", *apps)
    write(
        tmp_path,
        "sensing/activity/activity_u03.csv",
        "timestamp, activity inference",
        f"{t},0",
        f"{t + 5},1",
        f"{t + 9},2",
    )
    write(
        tmp_path,
        "sensing/conversation/conversation_u03.csv",
        "start_timestamp, end_timestamp",
        f"{t + 3000},{t + 4200}",
    )
    fixes = [
        "time,provider,accuracy,latitude,longitude",
        f"{t},gps,20,43.7,-72.3,",
        f"{t + 5},cell,5000,10,10,",
        f"{t + 9},gps,,43.8,-72.3,",
    ]
    write(tmp_path, "sensing/gps/gps_u03.csv", *fixes)
    answers = [
        {"location": "43.9,-72.5", "resp_time": t + HOUR},
        {"null": "2", "resp_time": t},
        {"location": "Unknown"},
    ]
    write(tmp_path, "EMA/response/Class 2/Class 2_u03.json", json.dumps(answers))
    log, skipped = week(tmp_path)
    day = {name: values[-48:][:4].tolist() for name, values in log.items()}
    nan = float("nan")
    expected: dict[str, list[float]] = {
        "calls": [1, 0, 1, nan], "apps": [2, 1, nan, nan], "moving": [2, nan, nan, nan], "talk_min": [10, 10, nan, nan],
        "lat": [43.75, 43.9, nan, nan], "lon": [-72.3, -72.5, nan, nan],
    }  # fmt: skip
    for name, values in expected.items():
        assert day[name] == pytest.approx(values, nan_ok=True), name
    assert np.isnan(log["locked_min"]).all() and skipped == []


def test_guarantee_what_cannot_be_is_left_out_and_counted(tmp_path: Path) -> None:
    t = MARCH
    locks = [f"{t},{t + 600}", f"{t + 900},{t}", f"{t},{t + 4 * 86400}", "0,600", f"{t}000,{t}999", "x,y"]
    write(tmp_path, "sensing/phonelock/phonelock_u03.csv", "start,end", *locks)
    write(
        tmp_path,
        "sensing/gps/gps_u03.csv",
        "time,accuracy,latitude,longitude",
        f"{t},5,43.7,-72.3",
        f"{t},5,99,0",
        f"{t},5,0,0",
        "0,5,43,-72",
    )
    write(tmp_path, "sms/sms_u03.csv", "id,device,timestamp,MESSAGES_date", ",,,")
    write(tmp_path, "call_log/call_log_u03.csv", "nothing,known", "1,2")
    write(tmp_path, "EMA/response/Mood/Mood_u03.json", "{[")
    (tmp_path / "sensing/activity").mkdir()
    (tmp_path / "sensing/activity/activity_u03.csv").write_bytes(b"")
    log, skipped = week(tmp_path)
    assert log["locked_min"][-48] == 10 and log["lat"][-48] == pytest.approx(43.7)
    problems = {"phonelock": "4 of 5 entries", "gps": "3 of 4 entries", "sms": "no entry with a time"}
    problems |= dict.fromkeys(("call_log", "Mood", "activity"), "not as published")
    for name, problem in problems.items():
        assert any(name in line and problem in line for line in skipped), (name, skipped)
    assert len(skipped) == 6


def test_a_week_is_as_stressed_as_its_answers_say(tmp_path: Path) -> None:
    t = MARCH - 3 * 24 * HOUR
    answers: list[dict[str, object]] = [{"level": str(code), "resp_time": t + code} for code in range(1, 6)]
    answers += [
        {"null": "2", "resp_time": t},
        {"level": "1", "resp_time": 0},
        {"level": "4", "resp_time": t + 7 * 86400},
    ]
    answers += [{"location": "43.9,-72.5", "resp_time": t + k * 604800} for k in range(3)]
    write(tmp_path, "EMA/response/Stress/Stress_u03.json", json.dumps(answers))
    recordings, _, skipped = StudentlifeRaw()(tmp_path)
    assert [r.labels for r in recordings] == [{"stress": "0.600"}, {"stress": "0.000"}, {}] and skipped == []
    write(tmp_path, "EMA/response/Stress/Stress_u03.json", json.dumps(answers[-3:]))
    recordings, _, skipped = StudentlifeRaw()(tmp_path)
    assert [r.labels for r in recordings] == [{}, {}, {}] and "tells no stress" in skipped[0].problem


@pytest.mark.real
def test_the_published_folder_is_read(real_data: Path) -> None:
    recordings, people, _ = StudentlifeRaw()(real_data / "studentlife-raw/dataset")
    assert {"00", "01", "02"} <= set(people.index) and len(recordings) > 30
    assert sum("stress" in r.labels for r in recordings) > 20
