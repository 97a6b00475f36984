"""Corrections on the way out: of the right original alone, in the sound and the picture that leave, and counted."""

import json

import numpy as np
import pytest

from personare.anonymize._recordings import Disguise
from personare.core.atomic import write_json
from personare.core.errors import DataError
from personare.core.types import Recording, Signal
from personare.data.cohort import CohortWriter, read_description
from personare.features import audio, video
from personare.features.corrections import VERSION, Bleep, Box, Corrections, Stretch
from personare.govern.consent import consent_all
from personare.study.anonymizing import anonymize_path, content_digest
from personare.study.parallel import Workers

ALONE = Workers(jobs=1, quiet=True)
FACE = Disguise(name="face", face="face_solid")
VOICE = Disguise(name="voice", voice="voice_mcadams")
HELD = (Bleep(from_s=0.2, to_s=0.4, sound="silence"),)


def buzz(seconds=0.6, pitch_hz=130):
    t = np.arange(int(16000 * seconds)) / 16000
    values = 0.1 * np.asarray(sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 20)))
    return Signal(values=values[:, None].astype(np.float32), rate_hz=16000)


def film(path, level=90):
    """Write a film of a patch that no detector takes for a face, with sound."""
    rows, columns = np.mgrid[:32, :32]
    patch = 128 + 60 * np.sin(rows / 3) * np.cos(columns / 4)
    with video.VideoWriter(path, width=128, height=96, rate_hz=25) as writer:
        writer.write_sound(buzz())
        for index in range(15):
            image = np.full((96, 128, 3), level, np.uint8)
            image[30:62, 20 + index : 52 + index] = patch[..., None]
            writer.write(image)
    return path


def corrected(path, **kinds):
    return Corrections(digest=content_digest(path), name=path.name, **kinds)


def box(index=7):
    return Box(at_s=index / 25, left=(20 + index) / 128, top=30 / 96, right=(52 + index) / 128, bottom=62 / 96)


def state(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_film_in_which_nobody_was_found_leaves_with_the_face_that_was_added(tmp_path):
    source, target = film(tmp_path / "talk.mp4"), tmp_path / "hidden.mp4"
    refused = anonymize_path(source, target, FACE, workers=ALONE)
    assert "No face was found" in refused.withheld[0].problem
    release = anonymize_path(source, target, FACE, corrections=[corrected(source, add=[box()])], workers=ALONE)
    assert release.counts["corrections_add"] == 1
    for index, _, image in video.read(target):
        inner = image[36:56, 26 + index : 46 + index].astype(int)
        assert np.ptp(inner) < 30, "one color"


@pytest.mark.parametrize("keep_sound", [True, False])
def test_what_is_bleeped_is_not_in_the_film_whatever_is_done_to_the_voice(tmp_path, keep_sound):
    source, target = film(tmp_path / "talk.mp4"), tmp_path / "hidden.mp4"
    voice = "" if keep_sound else "voice_mcadams"
    disguise = Disguise(name="both", face="face_solid", voice=voice, keep_sound=keep_sound)
    mended = [corrected(source, bleep=HELD, cover=[Stretch()])]
    release = anonymize_path(source, target, disguise, corrections=mended, workers=ALONE)
    assert not release.withheld
    assert (release.counts["corrections_bleep"], release.counts["frames_covered_whole"]) == (1, 15)
    heard = audio.read(target).values
    assert np.abs(heard[round(0.23 * 16000) : round(0.37 * 16000)]).max() < 0.01
    assert np.abs(heard[: round(0.15 * 16000)]).max() > 0.05


def test_no_method_hears_what_is_bleeped(tmp_path):
    """Whatever a method carries from one moment to another, it cannot carry this."""
    disguise = Disguise(name="voice", voice="voice_mcadams", voice_options={"alpha": 0.8})
    released = []
    for pitch_hz in (130, 190):
        sound = buzz().values.copy()
        sound[3200:6400] = buzz(pitch_hz=pitch_hz).values[3200:6400]
        source, target = tmp_path / f"{pitch_hz}.wav", tmp_path / f"hidden{pitch_hz}.wav"
        audio.write(source, Signal(values=sound, rate_hz=16000))
        anonymize_path(source, target, disguise, corrections=[corrected(source, bleep=HELD)], workers=ALONE)
        released.append(audio.read(target).values)
    np.testing.assert_array_equal(*released)
    assert not released[0][3200:6400].any()
    assert released[0].any()


@pytest.mark.parametrize("where", ["file", "folder"])
def test_corrections_of_another_original_are_refused_and_nothing_is_written(tmp_path, where):
    source, other = film(tmp_path / "in.mp4"), film(tmp_path / "other.mp4", level=91)
    (tmp_path / "in").mkdir()
    source = source.rename(tmp_path / "in" / "talk.mp4")
    before = state(tmp_path)
    given, target = (source, "new/out.mp4") if where == "file" else (source.parent, "new/out")
    mended = [corrected(source, add=[box()]), corrected(other, add=[box()])]
    with pytest.raises(DataError, match=r"those of other\.mp4 are of another original"):
        anonymize_path(given, tmp_path / target, FACE, corrections=mended, workers=ALONE)
    assert state(tmp_path) == before


def test_a_correction_that_cannot_be_made_withholds_the_recording(tmp_path):
    source, target = film(tmp_path / "talk.mp4"), tmp_path / "hidden.mp4"
    mended = [corrected(source, add=[box()], cover=[Stretch(from_s=5)])]
    release = anonymize_path(source, target, FACE, corrections=mended, workers=ALONE)
    assert "begins after the film" in release.withheld[0].problem
    assert not any(name.startswith("corrections_") for name in release.counts)
    assert not target.exists()


def test_a_folder_takes_the_corrections_of_each_of_its_files(typed, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    films = [film(folder / "a.mp4"), film(folder / "b.mp4", level=100)]
    audio.write(folder / "c.wav", buzz())
    recordings = [corrected(path, add=[box()]) for path in films]
    write_json(tmp_path / "mended.json", {"version": VERSION, "recordings": recordings})
    command = ("anonymize", "in", "out", "--face", "face_solid", "--jobs", 1, "--corrections", "mended.json")
    answer = typed(*command)
    assert "corrected by hand: 2 add" in answer.out
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".mp4", ".mp4"]
    assert "is the key of another release" in typed(*command[:-2]).err, "one folder is made in one way"


def test_a_malformed_file_is_a_mistake_of_the_user(typed, tmp_path):
    source = film(tmp_path / "talk.mp4")
    content = {"version": VERSION, "recordings": [{"digest": content_digest(source), "hide": []}]}
    (tmp_path / "mended.json").write_text(json.dumps(content))
    answer = typed("anonymize", source, "out.mp4", "--face", "face_solid", "--corrections", "mended.json")
    assert (answer.status, answer.out) == (2, "")
    assert "mended.json" in answer.err
    assert "hide is missing or not known" in answer.err
    assert not (tmp_path / "out.mp4").exists()


def test_a_cohort_says_how_much_was_corrected(tmp_path):
    writer = CohortWriter(tmp_path / "cohort", name="people")
    path = writer.path(("01", "01", "talk"), "audio", ".wav")
    audio.write(path, buzz())
    tracks = {"audio": path.relative_to(writer.root).as_posix()}
    writer.add(Recording(id="sub-01_ses-01_task-talk", subject="01", session="01", tracks=tracks))
    import pandas as pd

    writer.finish(pd.DataFrame(index=["01"]), consent_all(["01"], ["anonymization"]))
    mended = [corrected(path, bleep=(*HELD, Bleep(from_s=0.5)))]
    anonymize_path(writer.root, tmp_path / "out", VOICE, corrections=mended, workers=ALONE)
    made_by = read_description(tmp_path / "out")["Personare"]["GeneratedBy"][0]
    assert made_by["corrections_bleep"] == 2
