"""What leaves with released recordings: every byte is searched for what must stay."""

import gzip
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from personare.anonymize._recordings import Disguise, Masks
from personare.core.errors import DataError
from personare.core.types import Face, LocatedFrame, Recording, Signal
from personare.data.cohort import CohortWriter, open_cohort, recording_id
from personare.features import audio, video
from personare.govern.consent import consent_all
from personare.study.anonymizing import anonymize_path, key_of
from personare.study.parallel import Workers

SECRETS = {
    "name": "Annegret Beispiel",
    "birthday": "1971-03-29",
    "email": "annegret@example.org",
    "diagnosis": "F41 panic disorder",
    "notes": "lives in Tuebingen, plays the cello",
    "original": "Beispiel_Annegret_12.wav",
    "mood": "lugubrious",
}
COLUMNS = {"sex": "F", "age": "53", "address": "Neckargasse 7", "phone": "+49 7071 000"}
FOLDER = "Klinikum_Neckar_Annegret"
DISGUISE = Disguise(name="mask", voice="voice_mcadams")


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Two people, three recordings, secrets wherever a cohort can hold them."""
    root = tmp_path / FOLDER
    writer = CohortWriter(root, name=FOLDER, description={"Authors": [SECRETS["name"]], "Reader": "folder"})
    t = np.arange(8000) / 16000
    for subject, task in (("01", "anger01"), ("01", "fear01"), ("02", "anger01")):
        tracks = {}
        for track, suffix in (("audio", ".wav"), ("events", ".tsv"), ("text", ".txt"), ("physio", ".tsv.gz")):
            path = writer.path((subject, "20240229", task), track, suffix)
            tracks[track] = path.relative_to(root).as_posix()
            if track == "audio":
                buzz = 0.1 * np.sin(2 * np.pi * (130 + len(task)) * t)[:, None].astype(np.float32)
                audio.write(path, Signal(values=buzz, rate_hz=16000), note=SECRETS["name"])
            elif track == "physio":
                path.write_bytes(gzip.compress(SECRETS["name"].encode()))
            else:
                path.write_text("onset\tduration\ttrial_type\n0\t1\t" + SECRETS["notes"])
        name = recording_id(subject, "20240229", task)
        labels = {**SECRETS, "emotion": task[:-2], "sentence": "s1"}
        writer.add(Recording(id=name, subject=subject, session="20240229", tracks=tracks, labels=labels))
    people = pd.DataFrame([COLUMNS] * 2, index=["01", "02"])
    writer.finish(people, consent_all(["01", "02"], ["anonymization"]))
    return root


def every_byte(root: Path) -> str:
    """All that is in a folder, what is packed unpacked, and all names."""
    parts = []
    for path in sorted(root.rglob("*")):
        parts.append(path.relative_to(root).as_posix())
        if path.is_file():
            content = path.read_bytes()
            parts.append(content.decode("latin-1"))
            if path.suffix == ".gz":
                parts.append(gzip.decompress(content).decode("latin-1"))
            if path.suffix == ".parquet":
                table = pq.read_table(path)
                parts.append(f"{table.to_pydict()} {table.schema.metadata}")
    return "\n".join(parts)


def test_the_search_finds_what_is_there(cohort):
    said = every_byte(cohort)
    assert [word for word in (*SECRETS.values(), *COLUMNS.values(), FOLDER) if word not in said] == []


@pytest.mark.parametrize("labels", [(), ("emotion",), ("emotion", "mood")])
def test_only_the_labels_asked_for_leave(cohort, tmp_path, labels):
    release = anonymize_path(cohort, tmp_path / "out", DISGUISE, labels=labels, workers=Workers(jobs=1, quiet=True))
    assert not release.withheld
    shown = open_cohort(tmp_path / "out")
    assert all(set(r.labels) == set(labels) and set(r.tracks) == {"audio"} for r in shown.recordings)
    said = every_byte(tmp_path / "out")
    stays = [word for label, word in SECRETS.items() if label not in labels]
    stays += [label for label in ("email", "diagnosis", "birthday", "mood") if label not in labels]
    stays += [*COLUMNS.values(), "address", FOLDER, "Neckar", "Annegret", "20240229", "anger01", "fear01"]
    assert [word for word in stays if len(word) > 2 and word in said] == []
    assert list(shown.participants.columns) == []
    key = key_of(tmp_path / "out")
    assert "sub-01_ses-01_task-001\tsub-01_ses-20240229_task-" in key.read_text()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_label_that_nobody_has_is_refused(cohort, tmp_path):
    with pytest.raises(DataError, match=r"There is no label moood.*mood"):
        anonymize_path(cohort, tmp_path / "out", DISGUISE, labels=("moood",))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("policy", ["recording", "person", "common"])
def test_a_fitted_method_keeps_the_policy_that_was_asked_for(tmp_path, policy):
    """Whoever fits a method need not carry its policy along: the option says whose randomness a recording gets."""
    drawn = {}

    def fitted(speech, *, rng):
        drawn[len(drawn)] = rng.random()
        return Signal(values=speech.values / 2, rate_hz=speech.rate_hz)

    source = tmp_path / "a.wav"
    audio.write(source, Signal(values=np.full((800, 1), 0.1, np.float32), rate_hz=16000))
    disguise = Disguise(name="mask", voice="voice_codebook", voice_options={"policy": policy})
    for number, subject in enumerate(("01", "01", "02")):
        recording = Recording(id=str(number), subject=subject, session="01", tracks={})
        masks = Masks(disguise=disguise, by_modality={"audio": {"": fitted}}, seed=0)
        work = recording, {"audio": source}, {"audio": tmp_path / f"{number}.wav"}
        outcome = masks(work, lambda frames: iter(()))
        assert outcome.tracks and not outcome.withheld
    assert (drawn[0] == drawn[1], drawn[0] == drawn[2]) == (policy != "recording", policy == "common")
    for again in (0.1, 0.2):  # seed 0 and a name can be guessed, what was said cannot
        audio.write(source, Signal(values=np.full((800, 1), again, np.float32), rate_hz=16000))
        recording = Recording(id="0", subject="01", session="01", tracks={})
        assert masks((recording, {"audio": source}, {"audio": tmp_path / "0.wav"}), lambda frames: iter(())).tracks
    assert drawn[3] == drawn[0]
    assert (drawn[4] == drawn[0]) == (policy != "recording")


@pytest.mark.parametrize("face", ["face_k_same", "face_autoencoder", "face_avatar"])
def test_a_film_that_cannot_be_read_stops_no_fit(tmp_path, face):
    sources = {name: {"video": tmp_path / f"{name}.mp4"} for name in "abcd"}
    for name in "abc":
        with video.VideoWriter(sources[name]["video"], width=64, height=64, rate_hz=25) as writer:
            for shade in range(6):
                writer.write(np.full((64, 64, 3), 20 * shade, np.uint8))
    sources["d"]["video"].write_bytes(b"no film")
    shapes = np.random.default_rng(0).random((6, 52))

    def locate(frames):
        for index, time_s, image in frames:
            mesh = {"landmarks": np.full((478, 3), 32.0), "blendshapes": shapes[index], "pose": np.eye(4)}
            found = Face(box=np.array([16, 16, 48, 48]), score=1, track=0, **mesh)
            yield LocatedFrame(index=index, time_s=time_s, image=image, faces=(found,), certain=True)

    recordings = [Recording(id=name, subject=name, session="01", tracks={}) for name in sources]
    options = {"steps": 1} if face == "face_autoencoder" else {}
    masks = Disguise(name="mask", face=face, face_options=options).fit(recordings, sources, lambda _: locate, seed=0)
    made = [masks((r, sources[r.id], {"video": tmp_path / f"hidden-{r.id}.mp4"}), locate) for r in recordings]
    assert [len(outcome.tracks) for outcome in made] == [1, 1, 1, 0]
    assert "d.mp4" in made[-1].withheld[0].problem


def test_habits_are_those_of_the_people_to_be_hidden_and_of_no_namesake_among_others(cohort):
    recordings = open_cohort(cohort).recordings
    sources = {r.id: {"audio": cohort / r.tracks["audio"]} for r in recordings}
    disguise = Disguise(name="mask", voice="voice_resynthesis", voice_options={"codes": 2})

    def masks(outside):
        return disguise.fit(recordings, sources, lambda _: lambda frames: iter(()), seed=0, outside=outside)

    others = masks(True)
    known = others.adapted_to(recordings[:1], sources, lambda _: lambda frames: iter(()))
    people = [sorted(made.by_modality["audio"]) for made in (masks(False), others, known)]
    assert people == [["", "01", "02"], [""], ["", recordings[0].subject]]
    sources[recordings[0].id]["audio"].write_bytes(b"RIFF")  # is withheld where it is to be hidden, and stops no fit
    left = others.adapted_to(recordings, sources, lambda _: lambda frames: iter(()))
    assert sorted(left.by_modality["audio"]) == ["", *sorted({r.subject for r in recordings[1:]})]
