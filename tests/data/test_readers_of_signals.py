"""Sensors: Empatica's folders, single tables with or without a header, WESAD, and the consent that each track needs."""

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import DataError, OptionError
from personare.core.registry import create
from personare.data.importing import import_cohort
from personare.data.vault import Vault
from personare.govern.consent import consent_all
from personare.govern.ledger import Ledger

READERS = "personare.data.readers"
BEGIN = 1574158612


def write(path: Path, text: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def session(folder: Path, *, seconds: int = 150, begin: int = BEGIN, suffix: str = ".csv") -> Path:
    """Write a session of an Empatica E4 as it is exported."""
    write(folder / f"EDA{suffix}", f"{begin}.0\n4.0\n" + "".join(f"{n / 8}\n" for n in range(4 * seconds)))
    write(folder / f"HR{suffix}", f"{begin + 10}.0\n1.0\n" + "70.5\n" * (seconds - 10))
    acc = f"{begin}.0, {begin}.0, {begin}.0\n32.0, 32.0, 32.0\n" + "1,-2,63\n" * (32 * seconds)
    write(folder / f"ACC{suffix}", acc)
    write(folder / f"IBI{suffix}", f"{begin}.0, IBI\n1.5,0.8\n")
    write(folder / f"tags{suffix}", f"{begin + 60}.0\n")
    write(folder / "info.txt", "ACC.csv\n3-axis accelerometer\n")
    return folder


def values(cohort, number, track):
    path = cohort.root / cohort.recordings[number].tracks[track]
    return np.load(path), json.loads(path.with_suffix(".json").read_text())


@pytest.mark.parametrize("ibi", ["", "missing", f"{BEGIN}.0, IBI\n"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_a_session_is_taken_whatever_its_beats_are(tmp_path, ibi, suffix):
    folder = session(tmp_path / "s" / "Anna_Beispiel" / "1574158612_A01234", suffix=suffix)
    (folder / f"IBI{suffix}").unlink() if ibi == "missing" else write(folder / f"IBI{suffix}", ibi)
    write(folder / f"tags{suffix}", "")
    cohort, skipped = import_cohort(tmp_path / "s", tmp_path / "c", reader="empatica")
    assert [(r.subject, r.session, sorted(r.tracks)) for r in cohort.recordings] == [
        ("01", "01", ["acc", "eda"]),  # the heart rate starts ten seconds later
        ("01", "01", ["acc", "eda", "hr"]),
    ]
    assert not skipped
    eda, about = values(cohort, 1, "eda")
    assert eda[:, 0].tolist() == [n / 8 for n in range(240, 480)]
    assert about == {"SamplingFrequency": 4.0, "Columns": ["eda"], "Units": "microsiemens"}
    assert values(cohort, 0, "acc")[0].shape == (60 * 32, 3)
    assert not [p for p in cohort.root.rglob("*") if "Anna" in p.name]


def test_a_table_says_whose_sessions_they_are_and_what_happened(tmp_path):
    source = tmp_path / "s"
    session(source / "a", seconds=90, begin=BEGIN + 5000)
    session(source / "b", seconds=90)
    session(source / "c", seconds=90)
    session(source / "d", seconds=20)
    write(source / "c" / "HR.csv", "")
    rows = [
        "folder,subject,start,end,stress",
        "a,P7,0,30,low",
        "a,P7,30,60,high",
        "b,P7,,,low",
        "c/,P8,40,,high",
        "d,P9",
    ]
    write(source / "labels.csv", "\n".join([*rows, "e,P9"]) + "\n")
    cohort, skipped = import_cohort(source, tmp_path / "c", reader="empatica", options={"window_s": 30, "step_s": 30})
    found = [(r.subject, r.session, r.id.rpartition("window")[2], r.labels.get("stress")) for r in cohort.recordings]
    assert found == [
        ("P7", "01", "000000", "low"), ("P7", "01", "000030", "low"), ("P7", "01", "000060", "low"),
        ("P7", "02", "000000", "low"), ("P7", "02", "000030", "high"), ("P8", "01", "000040", "high"),
    ]  # fmt: skip
    told = {w.item: w.problem for w in skipped}
    assert set(told) == {"c/HR.csv", "d", "e"}
    assert "no window of 30 s" in told["d"]
    write(source / "labels.csv", "folder,subject\na,P1\na,P2\n")
    with pytest.raises(DataError, match="two people"):
        import_cohort(source, tmp_path / "c2", reader="empatica")


def test_a_folder_without_a_session_says_what_one_is(tmp_path):
    write(tmp_path / "1574158612_A01234.zip", "PK")
    with pytest.raises(DataError, match="Unpack"):
        create(READERS, "empatica", {})(tmp_path)


SAMPLES = np.sin(np.arange(130) / 3).round(4)
CLOCK = [f"2024-03-01 10:{n // 60:02d}:{n % 60:02d}" for n in range(130)]


@pytest.mark.parametrize(
    ("text", "options", "columns"),
    [
        ("\n".join(f"{v}" for v in SAMPLES), {"rate_hz": 1}, ["channel1"]),
        ("ecg\n" + "\n".join(f"{v}" for v in SAMPLES), {"rate_hz": 1}, ["ecg"]),
        ("time,ecg,resp\n" + "\n".join(f"{n},{v},2" for n, v in enumerate(SAMPLES)), {}, ["ecg", "resp"]),
        ("t_ms;ECG\n" + "\n".join(f"{n * 1000};{v}".replace(".", ",") for n, v in enumerate(SAMPLES)), {}, ["ECG"]),
        ("timestamp\tecg\n" + "\n".join(f"{t}\t{v}" for t, v in zip(CLOCK, SAMPLES, strict=True)), {}, ["ecg"]),
        ("\n".join(f"{v} 7" for v in SAMPLES), {"rate_hz": 1}, ["channel1", "channel2"]),
    ],
    ids=["one column", "one named column", "seconds", "milliseconds and decimal commas", "dates", "blanks"],
)
@pytest.mark.parametrize("as_file", [True, False])
def test_one_table_of_a_signal_is_read_as_it_is(tmp_path, text, options, columns, as_file):
    write(tmp_path / "s" / "Anna.csv", text)
    source = tmp_path / "s" / "Anna.csv" if as_file else tmp_path / "s"
    try:
        cohort, skipped = import_cohort(source, tmp_path / "c", reader="signals", options=options)
    except DataError as error:
        pytest.fail(str(error))
    assert not skipped
    assert [(r.subject, sorted(r.tracks)) for r in cohort.recordings] == [("01", ["physio"])] * 2
    cut, about = values(cohort, 1, "physio")
    assert cut[:, 0] == pytest.approx(SAMPLES[60:120])
    assert about["Columns"] == columns
    assert about["SamplingFrequency"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("ecg\n1\n2\n", {}, "-o rate_hz"),
        ("time,ecg\n" + "".join(f"{n + 50 * (n > 60)},1\n" for n in range(130)), {}, "evenly spaced"),
        ("time,ecg\n" + "".join(f"{n * n},1\n" for n in range(130)), {}, "evenly spaced"),
        ("time\n" + "".join(f"{n}\n" for n in range(130)), {}, "no signal beside"),
        ("ecg\n1\n2\n", {"rate_hz": 1}, "no window of 60 s"),
        ("", {"rate_hz": 1}, "cannot be read"),
        ("a note, in words\nof nobody\n", {"rate_hz": 1}, ""),
    ],
)
def test_what_is_no_even_signal_is_listed(tmp_path, text, options, says):
    write(tmp_path / "x.csv", text)
    recordings, _, skipped = create(READERS, "signals", options)(tmp_path)
    assert not recordings
    assert [w.item for w in skipped] == ["x.csv"]
    assert says in f"{skipped[0].problem}. {skipped[0].fix}"


@pytest.mark.parametrize(
    ("begin", "usable"), [("2024-03-31 00:30", False), ("2024-10-27 00:30", False), ("2024-06-01 00:30", True)]
)
def test_a_day_on_which_clocks_are_changed_needs_the_zone_of_its_times(tmp_path, begin, usable):
    times = pd.date_range(pd.Timestamp(begin, tz="Europe/Berlin"), periods=1440, freq="min")
    for name, shown in (("wall", times.tz_localize(None)), ("zone", times)):
        stamps = [time.isoformat() for time in shown]
        text = "time,eda\n" + "".join(f"{time},{n}\n" for n, time in enumerate(stamps))
        write(tmp_path / name / "x.csv", text)
    read = create(READERS, "signals", {"window_s": 3600, "step_s": 3600})
    assert bool(read(tmp_path / "wall")[0]) == usable
    assert len(read(tmp_path / "zone")[0]) == 24
    made = read.make(tmp_path / "zone")(*read(tmp_path / "zone")[0][20].tracks["physio"].rsplit("#", 1))
    assert made.about["SamplingFrequency"] == pytest.approx(1 / 60) and made.values[0, 0] == 20 * 60


def test_a_table_says_whose_signals_they_are(tmp_path):
    for name in ("a.csv", "b.csv", "c.csv", "d.csv"):
        write(tmp_path / name, "\n".join(str(v) for v in SAMPLES))
    rows = "file,subject,start,end,mood\na.csv,P2,0,60,good\na.csv,P2,60,120,bad\nb.csv,P1,,,bad\nd.csv,P1\nd.csv,P3\n"
    write(tmp_path / "labels.csv", rows)
    recordings, _, skipped = create(READERS, "signals", {"rate_hz": 1})(tmp_path)
    assert [(r.subject, r.labels.get("mood")) for r in recordings] == [
        ("P2", "good"), ("P2", "bad"), ("P1", "bad"), ("P1", "bad")
    ]  # fmt: skip
    assert {w.item: w.problem for w in skipped}["d.csv"] == "labels.csv gives it to two people, P1 and P3"
    assert {w.item for w in skipped} == {"c.csv", "d.csv"}


@pytest.mark.parametrize("reader", ["empatica", "signals", "stress_predict", "wesad"])
@pytest.mark.parametrize("bad", [{"window_s": 0}, {"step_s": 1.5}])
def test_windows_are_whole_seconds(reader, bad):
    with pytest.raises(OptionError, match="whole seconds"):
        create(READERS, reader, bad)


def wesad(source: Path) -> Path:
    """Write a file in WESAD's layout: 4 s of baseline, 1 s of nothing, 3 s of stress."""
    states = np.repeat(np.array([1, 1, 1, 1, 0, 2, 2, 2], np.int32), 700)
    wrist = {
        "ACC": np.ones((256, 3)),
        "BVP": np.arange(512.0)[:, None],
        "EDA": np.arange(32.0)[:, None],
        "TEMP": np.ones((8, 1)),
    }
    chest = {name: np.zeros((5600, 1), np.float32) for name in ("ECG", "EMG", "EDA", "Temp", "Resp")}
    content = {
        "signal": {"wrist": wrist, "chest": {**chest, "ACC": np.zeros((5600, 3))}},
        "label": states,
        "subject": "S2",
    }
    file = source / "S2/S2.pkl"
    file.parent.mkdir(parents=True)
    file.write_bytes(pickle.dumps(content, protocol=2))
    write(source / "S2/S2_readme.txt", "### Personal information\nAge: 27\nGender: male\n")
    return file


def test_wesad_is_cut_where_the_state_is_one(tmp_path):
    file = wesad(tmp_path / "s")
    (file.parent / "S3.pkl").write_bytes(b"cos\nsystem\n(S'touch it_ran'\ntR.")
    cohort, skipped = import_cohort(
        tmp_path / "s", tmp_path / "c", reader="wesad", options={"window_s": 2, "step_s": 2}
    )
    assert [r.labels["state"] for r in cohort.recordings] == ["baseline", "baseline", "stress"]
    path = cohort.root / cohort.recordings[1].tracks["eda"]
    assert np.load(path)[:, 0].tolist() == list(range(8, 16))  # seconds 2 to 4 at 4 Hz
    assert json.loads(path.with_suffix(".json").read_text())["SamplingFrequency"] == 4
    assert cohort.participants.loc["02"].tolist() == ["M", 27]
    items = sorted(w.item for w in skipped)
    assert "S2/S2.pkl from 4 s" in items
    assert any("os.system" in w.problem for w in skipped)
    assert sum("temp" in w.item.lower() for w in skipped) == 2  # its signal ends after 2 s
    recordings, _, _ = create(READERS, "wesad", {"window_s": 2, "chest": True})(tmp_path / "s")
    assert {"ecg", "resp", "bvp"} <= set(recordings[0].tracks)
    with pytest.raises(OptionError, match="whole seconds"):
        create(READERS, "wesad", {"window_s": 0})


@pytest.mark.parametrize("modalities", ["physio", "all", "audio"])
@pytest.mark.parametrize("again", [False, True])
def test_tracks_of_the_chest_are_opened_under_consent_to_physio_and_stay_closed_without(tmp_path, modalities, again):
    wesad(tmp_path / "s")
    options = {"window_s": 2, "step_s": 2, "chest": True}
    cohort, _ = import_cohort(tmp_path / "s", tmp_path / "c", reader="wesad", options=options)
    if again:  # what a cohort declares is taken along by an import of it
        cohort, _ = import_cohort(cohort.root, tmp_path / "c2", reader="bids")
    consent = consent_all(["02"], ["evaluation"]).assign(modalities=modalities)
    consent.to_csv(cohort.root / "consent.tsv", sep="\t", index=False)
    vault = Vault(cohort, purpose="evaluation", ledger=Ledger(tmp_path / "ledger.sqlite"))
    for track in ("ecg", "emg", "resp", "chestacc", "chesteda", "chesttemp", "acc", "eda"):
        opened, refused = vault.admit(cohort.recordings, track)
        assert bool(opened) == (modalities != "audio") and bool(refused) == (modalities == "audio"), track


def test_a_track_that_nobody_declared_needs_its_own_name_in_the_consent(tmp_path):
    wesad(tmp_path / "s")
    options = {"window_s": 2, "step_s": 2, "chest": True}
    cohort, _ = import_cohort(tmp_path / "s", tmp_path / "c", reader="wesad", options=options)
    description = json.loads((cohort.root / "dataset_description.json").read_text())
    description["Personare"]["Tracks"] = {"acc": "text"}  # and what a usual name means cannot be declared away
    (cohort.root / "dataset_description.json").write_text(json.dumps(description))
    consent_all(["02"], ["evaluation"]).assign(modalities="physio,text").to_csv(
        cohort.root / "consent.tsv", sep="\t", index=False
    )
    vault = Vault(cohort, purpose="evaluation", ledger=Ledger(tmp_path / "ledger.sqlite"))
    assert not vault.admit(cohort.recordings, "emg")[0] and vault.admit(cohort.recordings, "eda")[0]
    consent_all(["02"], ["evaluation"]).assign(modalities="text").to_csv(
        cohort.root / "consent.tsv", sep="\t", index=False
    )
    assert not vault.admit(cohort.recordings, "acc")[0]


@pytest.mark.real
def test_real_sessions_are_read_as_exported(real_data, tmp_path):
    source = real_data / "stress-predict" / "Raw_data"
    recordings, _, _ = create(READERS, "empatica", {})(source)
    assert len({r.subject for r in recordings}) == 12
    assert len(recordings) > 500
    make = create(READERS, "empatica", {}).make(source)
    assert make(*recordings[3].tracks["bvp"].split("#")).values.shape == (3840, 1)
