"""EDF, BDF and XDF: signals by kind, at their rates, in the house's units; what cannot be used is listed, and why."""

import json
from pathlib import Path

import numpy as np
import pytest
from recorders import edf, xdf

from personare.core.errors import DataError, OptionError
from personare.core.registry import create
from personare.data.importing import import_cohort
from personare.features.physio import signals_of
from personare.features.tracks import read_channel

pytest.importorskip("edfio", reason="the extra biosignals is not installed")
pytest.importorskip("pyxdf", reason="the extra biosignals is not installed")

READER = "personare.data.readers"
WAVE = np.sin(np.arange(130 * 64) / 9)
SKIN = 2 + np.arange(130 * 4) / 1000
SIGNALS = [
    ("ECG II", "mV", 64, WAVE), ("GSR", "mS", 4, SKIN / 1000), ("Temp rectal", "degC", 1, np.linspace(36, 37, 130)),
    ("EEG Fpz-Cz", "uV", 64, WAVE), ("Muscle", "uV", 64, WAVE),
    *((f"Acc {axis}", "g", 32, np.full(130 * 32, level)) for axis, level in zip("XYZ", (0, 0.5, 1), strict=True)),
]  # fmt: skip


def streams(step_s: float = 0.0, gap_s: float = 0.0) -> list:
    """Skin at 4 Hz over 130 s that starts 2 s after the pulse, and markers; from the 61st second on a gap or a step."""
    times = 5000 + np.arange(520) / 4
    times[240:] += gap_s + step_s
    skin = [("GSR", "microsiemens", 4, times + 2, SKIN), ("PPG", "", 64, 5000 + np.arange(130 * 64) / 64, WAVE)]
    return [*skin, ("Markers", "", 0, [5005.0, 5070.0], ["rest", "Mr Miller coughs"])]


def imported(source: Path, **options):
    cohort, skipped = import_cohort(source, source.parent / "c", reader="biosignals", options=options)
    found = []
    for recording in cohort.recordings:
        paths = {track: cohort.root / path for track, path in recording.tracks.items()}
        about = {track: json.loads(path.with_suffix(".json").read_text()) for track, path in paths.items()}
        found.append((recording, paths, about))
    return found, skipped


@pytest.mark.parametrize("suffix", [".edf", ".bdf"])
def test_an_edf_is_read_by_kind_at_each_rate_and_in_known_units(tmp_path, suffix):
    edf(tmp_path / "s" / f"Anna{suffix}", SIGNALS)
    found, skipped = imported(tmp_path / "s")
    assert [r.id for r, _, _ in found] == [f"sub-01_ses-01_task-window{n:06d}" for n in (0, 60)]
    _, paths, about = found[1]
    assert {track: (one["SamplingFrequency"], *one["Columns"]) for track, one in about.items()} == {
        "acc": (32, "x", "y", "z"), "ecg": (64, "ecg"), "eda": (4, "eda"), "temp": (1, "temp")
    }  # fmt: skip
    assert about["eda"]["Units"] == "microsiemens" and about["temp"]["Units"] == "degree Celsius"
    assert np.load(paths["eda"])[:, 0] == pytest.approx(SKIN[240:480], abs=1e-3)
    assert np.load(paths["acc"])[0] == pytest.approx([0, 0.5, 1], abs=1e-3)
    assert [w.item for w in skipped] == [f"Anna{suffix}, channels 4, 5"]
    assert "#eda#60.000+60" in (tmp_path / "c" / "imported.tsv").read_text()  # seconds of the file, of no date
    together = signals_of(read_channel("physio", paths))
    assert {kind: round(signal.rate_hz) for kind, signal in together.items()} == {
        "pulse": 64, "eda": 4, "temp": 1, "acc": 32
    }  # fmt: skip


def test_streams_keep_their_own_starts_and_gaps_are_nan(tmp_path):
    xdf(tmp_path / "s" / "a.xdf", streams(gap_s=100.5))
    found, skipped = imported(tmp_path / "s")
    assert [sorted(paths) for _, paths, _ in found] == [["bvp"], ["bvp", "eda"], ["eda"]]
    assert not skipped
    assert np.load(found[0][1]["bvp"])[:, 0] == pytest.approx(WAVE[: 60 * 64], abs=1e-5)
    values = np.load(found[1][1]["eda"])[:, 0]  # from 58 s of its own on: two seconds, then the gap
    assert values[:8] == pytest.approx(SKIN[232:240]) and np.isnan(values[8:]).all()


def test_annotations_that_are_named_become_states_and_others_go_nowhere(tmp_path):
    notes = [(0, 70, "rest"), (30, None, "Mr Miller coughs"), (75, 0, "stress")]
    edf(tmp_path / "s" / "a.edf", SIGNALS[:1], notes)
    xdf(tmp_path / "s" / "b.xdf", streams())
    found, _ = imported(tmp_path / "s", annotations=["rest", "stress"], window_s=25, step_s=25)
    states = [(r.subject, r.id[-6:], r.labels.get("state")) for r, _, _ in found]
    assert states == [
        ("01", "000000", "rest"), ("01", "000025", "rest"), ("01", "000075", "stress"), ("01", "000100", "stress"),
        *(("02", f"{5 + 25 * n:06d}", "rest") for n in range(5)),
    ]  # fmt: skip
    (tmp_path / "s" / "labels.csv").write_text("file,subject,start,end\na.edf,P1,0,60\nb.xdf,P2\n")
    recordings, _, skipped = create(READER, "biosignals", {"annotations": ["rest"]})(tmp_path / "s")
    assert {r.subject for r in recordings} == {"P2"}
    assert "Take one of them away" in next(w for w in skipped if w.item == "a.edf").fix
    with pytest.raises(OptionError, match="list of texts"):
        create(READER, "biosignals", {"annotations": "rest"})


def gapped(path: Path) -> None:
    """An EDF+D: of its records, each a second, the last one hundred come an hour later."""
    content = edf(path, SIGNALS[:1]).read_bytes()
    for second in range(30, 130):
        before, after = (f"+{at}\x14\x14".encode() for at in (second, second + 3600))
        assert content.count(before) == 1
        content = content.replace(before + b"\0\0", after)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "write", "says"),
    [
        ("a.edf", lambda path: edf(path, [("EEG", "uV", 64, WAVE)]), "no channel is a known signal"),
        ("a.edf", lambda path: edf(path, [("EDA", "kOhm", 4, SKIN)]), "must be in microsiemens"),
        ("a.edf", lambda path: edf(path, [("Temp", "degF", 4, SKIN)]), "must be in degree Celsius"),
        ("a.edf", lambda path: path.write_bytes(b""), "cannot be read"),
        ("a.bdf", lambda path: path.write_text("Xanthippe" * 99), "cannot be read"),
        ("a.edf", gapped, "gaps between its records"),
        ("a.xdf", lambda path: path.write_text("Xanthippe" * 99), "cannot be read"),
        ("a.xdf", lambda path: xdf(path, streams(gap_s=9e7)[:1]), "more gap than signal"),
        ("a.xdf", lambda path: xdf(path, streams(step_s=-50)[:1]), "clock goes back"),
        ("a.xdf", lambda path: xdf(path, [("GSR", "", 64, np.arange(520) / 4, SKIN)]), "not evenly spaced"),
    ],
)
def test_what_cannot_be_used_is_listed_with_the_reason(tmp_path, name, write, says):
    write(tmp_path / name)
    recordings, _, skipped = create(READER, "biosignals", {})(tmp_path)
    assert not recordings
    assert any(says in w.problem for w in skipped), skipped
    assert "Xanthippe" not in str(skipped)
    with pytest.raises(DataError, match="no usable recording"):
        import_cohort(tmp_path, tmp_path / "c", reader="biosignals")


def test_a_second_signal_of_a_kind_joins_the_first_or_is_listed(tmp_path):
    edf(tmp_path / "a.edf", [("ECG I", "mV", 64, WAVE), ("ECG II", "mV", 64, -WAVE), ("ECG III", "mV", 32, WAVE[::2])])
    reader = create(READER, "biosignals", {})
    recordings, _, skipped = reader(tmp_path)
    made = reader.make(tmp_path)(*recordings[0].tracks["ecg"].rsplit("#", 1))
    assert made.about["Columns"] == ["ecg1", "ecg2"] and made.values[:, 1] == pytest.approx(-WAVE[:3840], abs=1e-3)
    assert [w.item for w in skipped] == ["a.edf, channels 3"]
