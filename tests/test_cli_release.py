"""What a user types to make people up, or to describe behavior without the person: all of it from the command line."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from personare.core.state import load_weights
from personare.core.types import Recording
from personare.data.cohort import CohortWriter, cohort_kind, open_cohort, recording_id
from personare.govern.consent import consent_all

COLUMNS = [f"level{n}" for n in range(20)]


def cohort(root: Path, *, people: int, first: int = 1) -> Path:
    """People whose voice tells two emotions, and each person, in a table and a small spectrogram."""
    rng = np.random.default_rng(first)
    writer = CohortWriter(root, name=root.name)
    subjects = [f"{first + n:02d}" for n in range(people)]
    for subject in subjects:
        self = rng.normal(0, 0.5, 20)
        for emotion in ("anger", "sadness"):
            for take in range(3):
                own = (subject, "01", f"{emotion}{take}")
                strength = 1.0 if emotion == "anger" else -1.0
                row = (self + strength * np.tile([1, -1, 0, 0, 1], 4) + rng.normal(0, 0.3, 20)).astype(np.float32)
                mel = np.clip(128 + 40 * strength + 20 * self[0] + rng.normal(0, 10, (128, 24)), 0, 255)
                paths = {track: writer.path(own, track, ".npy") for track in ("acoustics", "logmel")}
                np.save(paths["acoustics"], row)
                np.save(paths["logmel"], mel.astype(np.uint8))
                paths["acoustics"].with_suffix(".json").write_text(json.dumps({"Columns": COLUMNS}))
                tracks = {track: path.relative_to(root).as_posix() for track, path in paths.items()}
                labels = {"emotion": emotion}
                writer.add(
                    Recording(id=recording_id(*own), subject=subject, session="01", tracks=tracks, labels=labels)
                )
    writer.finish(pd.DataFrame(index=subjects), consent_all(subjects, ["training", "evaluation"]))
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("making")
    cohort(root / "real", people=14)
    cohort(root / "public", people=8, first=41)
    cohort(root / "few", people=3, first=81)
    return root


@pytest.fixture
def call(typed, monkeypatch, tmp_path):
    """Type a command whose ledger lies beside what it makes."""
    monkeypatch.setenv("PERSONARE_LEDGER", str(tmp_path / "ledger.sqlite"))
    return typed


@pytest.mark.slow
def test_people_are_made_up_validated_and_learned_from_like_any_others(call, folder, tmp_path):
    words = ["--people", 6, "--recordings", 4, "--jobs", 1, "--held-out", 0.3]
    said = call("synthesize", folder / "real", "people", *words)
    assert said.status == 0, said.err
    assert "24 recordings of 6 people who do not exist" in said.out
    assert call("validate", "people").out.strip() == "0 problems."
    made = open_cohort(tmp_path / "people")
    assert cohort_kind(made.root) == "synthetic"
    assert {track for r in made.recordings for track in r.tracks} == {"acoustics", "logmel", "audio"}
    assert "synthetic_membership" in (made.root / "README.md").read_text()
    learned = ["--method", "unimodal", "--modality", "acoustics", "--shadows", 0, "--out", "model"]
    said = call("train", "people", *learned)
    assert said.status == 0, said.err
    rows = json.loads((tmp_path / "model" / "results.json").read_text())
    recall = next(row["value"] for row in rows if row["figure"] == "uar")
    assert recall > 0.8  # the two emotions can be told in the made-up people as in the real ones


def test_people_are_made_up_under_differential_privacy(call, folder, tmp_path):
    words = ["--people", 4, "--recordings", 4, "--no-media", "--jobs", 1, "--modality", "acoustics", "--epsilon", 8]
    refused = call("synthesize", folder / "real", "people", *words)
    assert refused.status == 2 and "public" in refused.err and not (tmp_path / "people").exists()
    said = call("synthesize", folder / "real", "people", *words, "--unit", "person", "--public", folder / "public")
    assert said.status == 0, said.err
    told = json.loads((tmp_path / "people" / "croissant.json").read_text())["personare:privacy"]
    assert told["privacyUnit"] == "person" and told["spends"][0]["epsilon"] <= 8.01
    assert "spent" in call("ledger", "show", tmp_path / "ledger.sqlite", "--last", 100).out


@pytest.mark.parametrize(("method", "held_out"), [("leace", 0.5), ("noise", 0), ("bottleneck", 0.5)])
def test_behavior_is_described_without_the_person(call, folder, tmp_path, method, held_out):
    words = ["--method", method, "--modality", "acoustics", "--held-out", held_out]
    said = call("represent", folder / "real", "shown", *words)
    assert said.status == 0, said.err
    assert call("validate", "shown").out.strip() == "0 problems."
    shown = open_cohort(tmp_path / "shown")
    assert cohort_kind(shown.root) == "release" and len(shown.recordings) == 84
    assert {track for r in shown.recordings for track in r.tracks} == {"representation"}
    rows = [np.load(shown.root / r.tracks["representation"]) for r in shown.recordings]
    assert np.isfinite(rows).all() and len({len(row) for row in rows}) == 1
    _, about = load_weights(shown.root / "transform.safetensors")
    page = (shown.root / "README.md").read_text()
    assert about["guarantee"] in page and ("strongest." if held_out else "Not measured") in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["synthesize", "REAL", "out", "--method", "nobody"], "Choose one of"),
        (["synthesize", "REAL", "out", "-o", "magic=1"], "no option magic"),
        (["synthesize", "REAL", "out", "--class", "joy"], "Choose from: anger, sadness"),
        (["synthesize", "REAL", "out", "--people", "0"], "at least one person"),
        (["synthesize", "REAL", "out", "--unit", "recording"], "person"),
        (["synthesize", "FEW", "out"], "people"),
        (["synthesize", "ABSENT", "out"], "no cohort"),
        (["synthesize", "REAL", "REAL"], "empty folder"),
        (["represent", "REAL", "out", "--method", "nobody"], "Choose one of"),
        (["represent", "REAL", "out", "--method", "leace", "--epsilon", "1"], "no option epsilon"),
        (["represent", "REAL", "REAL", "--method", "leace"], "empty folder"),
        (["represent", "REAL", "out", "--method", "leace", "--held-out", "1"], "held_out"),
    ],
)
def test_mistakes_end_with_a_sentence_and_leave_nothing(call, folder, tmp_path, words, said):
    named = {"REAL": folder / "real", "FEW": folder / "few", "ABSENT": folder / "absent"}
    answer = call(*[named.get(word, word) for word in words])
    assert answer.status == 2 and said in answer.err, answer.err
    assert {path.name for path in tmp_path.iterdir()} <= {"ledger.sqlite"}
