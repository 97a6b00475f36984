"""The cohort they make: whole, reproducible, with truth that matches what was recorded."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import DataError, OptionError
from personare.data.cohort import cohort_kind, open_cohort
from personare.data.validate import validate
from personare.features import audio, video
from personare.simulate.cohort import simulate_cohort
from personare.simulate.people import person
from personare.simulate.take import perform

EMOTIONS = ("neutral", "fear")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    root = tmp_path_factory.mktemp("made up") / "cohort"
    seen = []

    def progress(jobs):
        seen.append(len(jobs))
        return jobs

    made = simulate_cohort(root, people=2, emotions=EMOTIONS, sentences=1, seed=9, size=128, progress=progress)
    assert seen == [4]
    return made


def take_of(recording):
    who = person(9, int(recording.subject))
    return perform(who, recording.labels["emotion"], recording.labels["sentence"], seed=9)


def test_every_recording_has_every_track_and_label(cohort):
    assert len(cohort.recordings) == 4
    for recording in cohort.recordings:
        assert set(recording.tracks) == {"audio", "video", "physio", "text", "truth"}
        assert recording.labels["sentence"] == "S1" and recording.labels["emotion"] in EMOTIONS
    assert list(cohort.participants["sex"]) == ["F", "M"]
    assert cohort_kind(cohort.root) == "synthetic"


def test_it_opens_again_and_nothing_is_wrong_with_it(cohort):
    assert open_cohort(cohort.root).recordings == cohort.recordings
    assert validate(cohort.root) == []


def test_truth_needs_no_pickle_and_is_what_was_performed(cohort):
    for recording in cohort.recordings:
        with np.load(cohort.root / recording.tracks["truth"], allow_pickle=False) as saved:
            expected = take_of(recording).truth
            assert set(saved) == set(expected)
            for name, value in expected.items():
                np.testing.assert_array_equal(saved[name], value)


def test_the_recorded_sound_and_pictures_are_what_was_performed(cohort):
    recording = cohort.recordings[0]
    take = take_of(recording)
    heard = audio.read(cohort.root / recording.tracks["audio"])
    np.testing.assert_allclose(heard.values, take.sound.values, atol=1.01 / 32768)
    path = cohort.root / recording.tracks["video"]
    seen = [image for _, _, image in video.read(path)]
    painted = list(take.pictures(128))
    assert len(seen) == len(painted) == len(take.truth["pose"])
    assert np.abs(seen[10].astype(int) - painted[10]).mean() < 6
    assert video.probe(path).has_sound and video.probe(path).duration_s == pytest.approx(heard.duration_s, abs=0.15)


def test_same_seed_same_arrays_whatever_the_number_of_people_and_workers(cohort, tmp_path):
    again = simulate_cohort(tmp_path / "c", people=1, emotions=("fear",), sentences=1, seed=9, size=128, workers=2)
    name = again.recordings[0].id
    before = next(r for r in cohort.recordings if r.id == name)
    for track in ("truth", "audio", "physio"):
        assert (again.root / again.recordings[0].tracks[track]).read_bytes() == (
            cohort.root / before.tracks[track]
        ).read_bytes()
    frames = [
        [i for _, _, i in video.read(c.root / r.tracks["video"])]
        for c, r in ((again, again.recordings[0]), (cohort, before))
    ]
    np.testing.assert_array_equal(*frames)


def test_another_seed_gives_other_people():
    first, other = (next(perform(person(seed, 1), "neutral", "S1", seed=seed).pictures(128)) for seed in (9, 10))
    assert np.abs(first.astype(int) - other).mean() > 5


def test_physio_and_its_sidecar_agree(cohort):
    path = cohort.root / cohort.recordings[0].tracks["physio"]
    sidecar = json.loads(path.with_name(path.name.replace(".tsv.gz", ".json")).read_text())
    with gzip.open(path, "rt") as file:
        table = pd.read_csv(file, sep="\t", names=sidecar["Columns"], na_values="n/a")
    assert sidecar["SamplingFrequency"] == 4 and sidecar["StartTime"] == -4
    values = take_of(cohort.recordings[0]).physio
    np.testing.assert_allclose(table.to_numpy(), values, atol=1e-4)


def test_words_and_people_are_written_down(cohort):
    assert (cohort.root / cohort.recordings[0].tracks["text"]).read_text() == "Anna may see you at noon today.\n"
    people = pd.read_csv(cohort.root / "phenotype" / "people.tsv", sep="\t")
    assert list(people["participant_id"]) == ["sub-01", "sub-02"]
    assert people["voice_tract"][0] == person(9, 1).voice.tract


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"people": 0}, "at least one person"),
        ({"emotions": ("envy",)}, "Emotions must be"),
        ({"emotions": ()}, "Emotions must be"),
        ({"sentences": 5}, "1 to 4"),
        ({"size": 51}, "from 96 to 1024"),
        ({"rate_hz": 0}, "frames a second"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_written(tmp_path, option, message):
    with pytest.raises(OptionError, match=message):
        simulate_cohort(tmp_path / "c", **option)
    assert not (tmp_path / "c").exists()


def test_a_finished_cohort_is_not_written_over(cohort):
    with pytest.raises(DataError, match="not written over"):
        simulate_cohort(cohort.root, people=1)
