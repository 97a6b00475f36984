"""Bodies hidden: what a person's signals are like goes, what happens in them stays; what is of no body is refused."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from personare.anonymize._recordings import Disguise
from personare.anonymize.physio_noise import PhysioNoise
from personare.anonymize.physio_resynth import PhysioResynth
from personare.anonymize.physio_windows import PhysioWindows
from personare.core import registry
from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.types import Batch, Recording, Track
from personare.data.windows import empatica
from personare.evaluate.attacks.physio_identity import PhysioIdentity
from personare.evaluate.judging import judge
from personare.features.physio import FEATURES, USUAL, signals_of, view, windows_of
from personare.features.tracks import TrackForm, write_track
from personare.learn.accounting import epsilon_of

METHODS = ["physio_windows", "physio_resynth"]  # which take one recording alone
RATE_HZ = 32.0


def body(person: int, take: int, seconds: int = 60) -> Track:
    """Return somebody's signals: pulse, skin, temperature and movement with habits of the person's own."""
    rng, times = generator(person, "take", str(take)), np.arange(seconds * RATE_HZ) / RATE_HZ
    excited = take % 2
    beats = np.cumsum(60 / (60 + 6 * person + 10 * excited) * (1 + 0.04 * rng.standard_normal(3 * seconds)))
    phase = np.interp(times, beats, np.arange(len(beats)))
    pulse = np.cos(2 * np.pi * phase) + 0.12 * person * np.cos(4 * np.pi * phase + person)
    responses = np.sort(rng.uniform(0, seconds, 3 + 4 * excited))
    skin = 1 + person + 0.3 * sum(np.exp(-((np.maximum(times - at, -3) / 2) ** 2)) for at in responses)
    temp = 30 + person / 2 - 0.3 * excited + 0.02 * rng.standard_normal(len(times))
    acc = 64 * np.array([np.sin(person), 0, np.cos(person)]) + (1 + person + 6 * excited) * rng.standard_normal(
        (len(times), 3)
    )
    values = np.column_stack([pulse, np.where(np.arange(len(times)) % 8, np.nan, skin), temp, acc])
    names = ("bvp", "eda", "temp", "acc_x", "acc_y", "acc_z")
    return Track(kind="signal", values=values.astype(np.float32), columns=names, rate_hz=RATE_HZ)


@pytest.fixture(scope="module")
def bodies() -> dict[str, tuple[str, Track]]:
    """Five people, ten recordings each."""
    return {f"{p}-{take}": (str(p), body(p, take)) for p in range(5) for take in range(10)}


def hidden(method, bodies):
    fitted = method.fit(iter(bodies.values()), rng=generator(0, "fit"))
    return {i: fitted(track, subject=who, rng=generator(1, i)) for i, (who, track) in bodies.items()}


def batch(tracks, bodies) -> Batch:
    rows = {i: {"subject": who, "stress": ("rest", "stress")[int(i[-1]) % 2]} for i, (who, _) in bodies.items()}
    return Batch.of(pd.DataFrame.from_dict(rows, orient="index"), {"physio": {i: view(t) for i, t in tracks.items()}})


def test_guarantee_noise_is_what_all_windows_of_a_person_cost(bodies):
    method = PhysioNoise(features=("rate_bpm", "skin_c"))
    people = method.fit(iter(bodies.values()), rng=generator(0, "fit"))
    spend, fitted = people.spend, people.by_subject["4"]
    assert (spend.unit, spend.units, spend.steps, spend.sampling_rate) == ("person", 5, 10, 1)
    assert 7.5 < epsilon_of(spend.noise_multiplier, 1.0, 10, 1e-5) <= 8
    assert fitted.deviation == pytest.approx(spend.noise_multiplier * np.sqrt(2))
    assert hasattr(fitted, "epsilon")  # which keeps its noise from the seed
    skinless = replace(bodies["4-1"][1], values=bodies["4-1"][1].values[:, :2], columns=("bvp", "eda"))
    for track, skin in ((bodies["4-1"][1], "cut"), (skinless, "usual")):
        rows = np.array([fitted(track, subject="4", rng=generator(n)).values[0] for n in range(200)])
        (rate, rate_spread), (usual, skin_spread) = USUAL["rate_bpm"], USUAL["skin_c"]
        noise = 4 * fitted.deviation * np.array([rate_spread, skin_spread])
        assert rows.std(axis=0) == pytest.approx(noise, rel=0.2)
        told = windows_of(signals_of(track), 60)[0][0]
        true = min(told[FEATURES.index("rate_bpm")], rate + 2 * rate_spread)
        skin_told = usual if skin == "usual" else told[FEATURES.index("skin_c")]
        assert rows.mean(axis=0) == pytest.approx([true, skin_told], abs=4 * noise.max() / 200**0.5)
    with pytest.raises(DataError, match="Hide their cohort"):  # of another, whose windows were not counted
        people(skinless, subject="4", rng=generator(0))
    with pytest.raises(OptionError, match="not none"):
        PhysioNoise(features=())
    with pytest.raises(DataError, match="no body signals"):
        method.fit(iter([]), rng=generator(0))


def test_guarantee_no_seed_tells_the_noise_and_no_background_how_much(tmp_path):
    sources, form = {}, TrackForm(kind="signal", suffix=".tsv.gz", about={"SamplingFrequency": RATE_HZ})
    for name in ("1", "2"):
        sources[name] = {"physio": tmp_path / f"{name}_physio.tsv.gz"}
        track = body(int(name), 0)
        write_track(sources[name]["physio"], track.values, form, columns=track.columns, note={})
    people = [Recording(id=name, subject=name, session="01", tracks={}) for name in sources]
    disguise = Disguise(name="mask", body="physio_noise")

    def hide(number, **how):
        masks = disguise.fit(people, sources, lambda _: pytest.fail("no film"), seed=0, **how)
        target = tmp_path / f"{number}_physio.tsv.gz"
        return masks((people[0], sources["1"], {"physio": target}), lambda frames: frames), masks.spends, target

    (first, spends, one), (_, _, other) = hide(3), hide(4)
    assert first.tracks == ("physio",) and len(spends) == 1
    assert gzip.decompress(one.read_bytes()) != gzip.decompress(other.read_bytes())
    strange, _, target = hide(5, outside=True)
    assert "Hide their cohort" in strange.withheld[0].problem and not target.exists()


def test_ranks_of_windows_name_nobody_and_still_tell_stress(bodies):
    before = batch({i: track for i, (_, track) in bodies.items()}, bodies)
    after = batch(hidden(PhysioWindows(), bodies), bodies)
    how = {"modality": "physio", "seed": 0, "label": "stress"}
    rows = judge(before, after, **how, attacks=["physio_identity"], utilities=["physio_state"])
    found = {(r.method, r.figure): r for r in rows if r.attacker in ("semi_informed", "retrained_reader")}
    top1, recall = found["physio_identity", "top1"], found["reader", "uar"]
    assert top1.baseline > 0.8 and top1.status == "ok"  # the attack works before, and fails after
    assert top1.value < 2 * top1.control
    assert recall.value > 0.9


def test_movement_alone_names_people_by_its_spectrum_before_and_not_after():
    times, alike = np.arange(20 * RATE_HZ) / RATE_HZ, {}
    for n in range(40):  # four people who move as much as each other, each at a frequency of the person's own
        phase, rng = generator(n, "phase").uniform(0, 6), generator(n, "noise")
        shake = 0.3 * np.sin(2 * np.pi * (5 + n // 10) * times + phase) + 0.2 * rng.standard_normal(len(times))
        values = np.stack([shake, 0 * shake, 1 + 0 * shake], axis=1).astype(np.float32)
        track = Track(kind="signal", values=values, columns=("x", "y", "z"), rate_hz=RATE_HZ)
        alike[f"{n // 10}-{n % 10}"] = (str(n // 10), track)
    before = batch({i: track for i, (_, track) in alike.items()}, alike)
    after = batch(hidden(PhysioResynth(), alike), alike)
    rows = judge(before, after, modality="physio", seed=0, attacks=["physio_identity"], utilities=[])
    top1 = next(r for r in rows if (r.method, r.figure, r.attacker) == ("physio_identity", "top1", "semi_informed"))
    assert top1.baseline > 0.8 and top1.value < 2 * top1.control


def test_guarantee_a_score_depends_on_that_recording_alone(bodies):
    clips, whose = {i: view(t) for i, (_, t) in bodies.items()}, {i: who for i, (who, _) in bodies.items()}
    known = {i: clip for i, clip in clips.items() if int(i[-1]) < 6}
    score = PhysioIdentity().fit(known, whose, rng=generator(0)).enroll(known, whose, rng=generator(0))
    asked = {i: clips[i] for i in ("0-8", "3-9")}
    assert np.allclose(score(asked)[1], score({"3-9": clips["3-9"]})[0])


def test_guarantee_every_level_is_as_often_as_every_other_in_everybody(bodies):
    tracks = hidden(PhysioWindows(levels=5, features=("rate_bpm", "skin_c", "movement_log_g")), bodies)
    assert {track.columns for track in tracks.values()} == {next(iter(tracks.values())).columns}
    for person in "04":
        values = np.concatenate([t.values for i, t in tracks.items() if bodies[i][0] == person])
        for column in values.T:
            assert np.unique(column, return_counts=True)[1].tolist() == [2] * 5
    quiet = {
        f"0-{n}": ("0", replace(track, values=0 * track.values + 32))
        for n, (_, track) in enumerate([bodies["0-0"]] * 40)
    }
    column = np.concatenate([t.values[:, -1] for t in hidden(PhysioWindows(levels=2), quiet).values()])
    assert 8 < (column == column.min()).sum() < 32, "what is at rest all the time is at every level as well"


def test_guarantee_events_are_kept_and_their_form_is_everybodys(bodies):
    tracks = hidden(PhysioResynth(), bodies)
    for i, (_, track) in bodies.items():
        before, after = (windows_of(signals_of(t), 60)[0][0] for t in (track, tracks[i]))
        assert abs(before[FEATURES.index("rate_bpm")] - after[FEATURES.index("rate_bpm")]) < 1
        assert abs(before[FEATURES.index("responses_per_min")] - after[FEATURES.index("responses_per_min")]) <= 2
    form = slice(len(FEATURES) + 6, len(FEATURES) + 18)  # up to where the next beat may begin
    before, after = (
        [view(t)[0, form] for t in (a, b)]
        for a, b in ((bodies["0-0"][1], bodies["4-0"][1]), (tracks["0-0"], tracks["4-0"]))
    )
    assert np.abs(before[0] - before[1]).max() > 3 * np.abs(after[0] - after[1]).max()
    third = {i: track for i, (who, track) in bodies.items() if who == "3"}
    louder = {i: ("3", replace(track, values=track.values * [7, 1, 1, 3, 3, 3])) for i, track in third.items()}
    assert np.allclose(hidden(PhysioResynth(), louder)["3-1"].values, tracks["3-1"].values, atol=1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_comes_out_new_and_reproducible_also_of_somebody_alone(name, bodies):
    method, track = registry.create("personare.anonymize", name), body(1, 1, seconds=180)
    once, again = (method(track, subject="", rng=generator(1)) for _ in range(2))
    assert np.array_equal(once.values, again.values) and np.isfinite(once.values).all()
    assert once.rate_hz > 0 and len(once.columns) == once.values.shape[1]
    minutes = Track(kind="signal", values=np.full((1440, 1), 3.0), columns=("activity",), rate_hz=1 / 60)
    assert np.isfinite(method(minutes, subject="", rng=generator(1)).values).all()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: np.full_like(v, np.nan), "with values"),
        (lambda v: v[:0], "with values"),
        (lambda v: v * [1, 1, 3, 1, 1, 1], "temp must lie"),  # degrees Fahrenheit
        (lambda v: v * [1, -1, 1, 1, 1, 1], "eda must lie"),
        (lambda v: np.full_like(v, np.inf), "with values"),
    ],
)
def test_what_cannot_be_of_a_body_is_refused(name, change, said):
    track, method = body(0, 0), registry.create("personare.anonymize", name)
    with pytest.raises(DataError, match=said):
        method(replace(track, values=change(track.values)), subject="0", rng=generator(0))
    slow_ecg = replace(track, columns=("ecg", "eda", "temp", "x", "y", "z"), rate_hz=10.0)
    no_rate = [replace(track, rate_hz=rate_hz) for rate_hz in (0.0, -1.0, np.nan, np.inf)]
    for broken in (*no_rate, slow_ecg, replace(track, columns=("a",) * 6), replace(track, columns=())):
        with pytest.raises(DataError):
            method.fit([("0", broken), ("1", track)], rng=generator(0))(broken, subject="0", rng=generator(0))
        with pytest.raises(DataError):
            view(broken)


def test_gaps_are_no_events_and_impossible_values_are_gaps():
    track = body(0, 0, seconds=120)
    track.values[: int(60 * RATE_HZ)] = np.nan
    track.values[::200, 2] = 382.2  # as an E4 says now and then
    rows, _ = windows_of(signals_of(track), 60)
    assert np.isnan(rows[0]).all()
    assert rows[1, FEATURES.index("rate_bpm")] == pytest.approx(60, abs=1.5)
    assert rows[1, FEATURES.index("skin_c")] == pytest.approx(30, abs=0.2)
    with pytest.raises(DataError, match="no rank"):
        PhysioWindows()(body(0, 0), subject="", rng=generator(0))
    with pytest.raises(OptionError, match="features"):
        PhysioWindows(features=("charm",))


@pytest.mark.parametrize("ratio", [7.0, 10.9375])  # 700 beside 64 Hz, as in WESAD
def test_signals_of_other_rates_keep_theirs_and_their_gaps(ratio):
    slow = np.sin(np.arange(640) / 5)
    values = np.full((round(640 * ratio), 2), np.nan)
    values[:, 0], values[np.round(np.arange(640) * ratio).astype(int), 1] = 30.0, slow
    values[: round(100 * ratio), 1] = np.nan
    track = Track(kind="signal", values=values, columns=("temp", "resp"), rate_hz=64 * ratio)
    signal = signals_of(track)["resp"]
    assert signal.rate_hz == pytest.approx(64, rel=1e-3) and len(signal.values) == 640
    assert np.isnan(signal.values[:100]).all() and np.allclose(signal.values[100:, 0], slow[100:])


def test_infinite_values_and_an_axis_that_was_not_recorded_are_no_movement():
    track = body(1, 0)
    whole, broken = track.values.copy(), track.values.copy()
    broken[100, 4], broken[200, 3], broken[:, 5], whole[:, 5] = np.inf, -np.inf, np.nan, 0
    moved = [windows_of(signals_of(replace(track, values=v)), 60)[0][0] for v in (whole, broken)]
    assert np.allclose(*moved, rtol=0.05, equal_nan=True)


@pytest.mark.parametrize("pulse", [np.full(5760, 3.0), np.r_[np.full(5400, np.nan), np.sin(np.arange(360.0))]])
def test_windows_that_tell_nothing_are_withheld_not_released_empty(pulse):
    track = Track(kind="signal", values=pulse[:, None], columns=("bvp",), rate_hz=32.0)
    with pytest.raises(DataError, match="No window of it tells"):
        PhysioWindows()(track, subject="", rng=generator(0))


def test_an_ecg_beats_as_a_pulse_does():
    times, beats = np.arange(60 * 128) / 128, np.arange(0.4, 60, 0.75)
    ecg = np.exp(-(((times[:, None] - beats) / 0.015) ** 2)).sum(axis=1, keepdims=True)
    rows, _ = windows_of(signals_of(Track(kind="signal", values=ecg, columns=("ecg",), rate_hz=128.0)), 60)
    assert rows[0, FEATURES.index("rate_bpm")] == pytest.approx(80, abs=0.5)
    assert rows[0, FEATURES.index("rmssd_ms")] < 10


def stressed(root: Path) -> dict[str, tuple[str, Track]]:
    """Return twelve minutes, three apart, of each of four people of Stress-Predict."""
    bodies = {}
    for person in ("02", "05", "08", "11"):
        signals = [empatica(root / f"Raw_data/S{person}/{name}.csv.gz") for name in ("BVP", "EDA", "TEMP")]
        for take in range(12):
            rows = np.full((60 * 64, 3), np.nan, np.float32)
            for n, signal in enumerate(signals):
                first, every = round((200 + 180 * take) * signal.rate_hz), round(64 / signal.rate_hz)
                rows[::every, n] = signal.values[first : first + len(rows) // every, 0]
            track = Track(kind="signal", values=rows, columns=("bvp", "eda", "temp"), rate_hz=64.0)
            bodies[f"{person}-{take}"] = (person, track)
    return bodies


def moved(root: Path) -> dict[str, tuple[str, Track]]:
    """Return ten days of each of sixteen people of Depresjon."""
    bodies = {}
    for person in range(1, 17):
        counts = pd.read_csv(root / f"control/control_{person}.csv.gz")["activity"].to_numpy(np.float32)
        for day, values in enumerate(counts[: 10 * 1440].reshape(10, 1440, 1)):
            track = Track(kind="signal", values=values, columns=("activity",), rate_hz=1 / 60)
            bodies[f"{person}-{day}"] = (str(person), track)
    return bodies


@pytest.mark.real
@pytest.mark.parametrize(("folder", "read", "left"), [("stress-predict", stressed, 0.4), ("depresjon", moved, 0.7)])
def test_real_people_are_named_before_and_much_less_after(real_data, folder, read, left):
    bodies = read(real_data / folder)
    originals = {i: track for i, (_, track) in bodies.items()}
    before, after = (batch(tracks, bodies) for tracks in (originals, hidden(PhysioWindows(), bodies)))
    rows = judge(before, after, modality="physio", seed=0, attacks=["physio_identity"], utilities=[])
    top1 = next(r for r in rows if (r.method, r.figure, r.attacker) == ("physio_identity", "top1", "semi_informed"))
    assert top1.baseline > 3 * top1.control
    assert top1.value - top1.control < left * (top1.baseline - top1.control)
    if folder == "stress-predict":
        drawn = batch(hidden(PhysioResynth(), bodies), bodies)
        rows = judge(before, drawn, modality="physio", seed=0, attacks=[], utilities=["physio_rate"])
        error = {row.figure: row for row in rows}
        assert error["rate_error"].high < 1, "beats a minute"
        assert 0 < error["rmssd_error"].value < 10 and error["rate_error"].control > 5
