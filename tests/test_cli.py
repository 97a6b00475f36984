"""What a user types: clear messages, exit status 2 for mistakes, nothing half-written."""

import csv
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from personare.core.types import Signal
from personare.features import audio, video
from personare.simulate.people import person
from personare.simulate.take import perform


def voice(path, seconds=1.0, rate_hz=16000, channels=1):
    t = np.arange(int(rate_hz * seconds)) / rate_hz
    buzz = 0.1 * np.asarray(sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 20)))
    values = np.repeat(buzz[:, None], channels, axis=1).astype(np.float32)
    audio.write(path, Signal(values=values, rate_hz=rate_hz))


def test_help_and_methods_answer_at_once_without_heavy_imports():
    code = (
        "import sys; import personare, personare.cli; from personare.core import registry;"
        "registry.find('personare.anonymize');"
        "print([m for m in ('torch', 'cv2', 'mediapipe', 'pandas', 'sklearn') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("method", "heavy"),
    [
        (["--face", "face_blur"], ["scipy"]),
        (["--face", "face_solid"], ["scipy"]),
        (["--voice", "voice_mcadams"], []),
        (["--voice", "voice_vocoder"], []),
    ],
)
def test_one_file_is_done_in_this_process_without_heavy_imports(tmp_path, method, heavy):
    voice(tmp_path / "in.wav")
    with video.VideoWriter(tmp_path / "in.mp4", width=64, height=48, rate_hz=25) as writer:
        writer.write(np.full((48, 64, 3), 90, np.uint8))
    source, target = ("in.mp4", "out.mp4") if "--face" in method else ("in.wav", "out.wav")
    code = (
        "import sys, subprocess, joblib; subprocess.Popen = joblib.Parallel = None; import personare.cli as c\n"
        f"sys.argv = ['personare', 'anonymize', {source!r}, {target!r}, *{method!r}]\n"
        "try: c.main()\n"
        "except SystemExit as end: assert end.code == 3\n"
        f"heavy = ['torch', 'sklearn', 'pandas', 'matplotlib', 'mediapipe', 'pyarrow', 'sqlalchemy', *{heavy!r}]\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["anonymize", "absent.wav", "out.wav", "--voice", "voice_noise"], "no file or folder"),
        (["anonymize", "in.wav", "out.wav"], "hides nothing"),
        (["anonymize", "in.wav", "out.wav", "--voice", "voice_magic"], "Choose one of"),
        (["anonymize", "in.wav", "out.wav", "--voice", "voice_noise", "-o", "x"], "METHOD.NAME=VALUE"),
        (["anonymize", "in.wav", "out.wav", "--voice", "voice_noise", "-o", "face_blur.x=1"], "none of the methods"),
        (["anonymize", "in.wav", "out.wav", "--voice", "voice_noise", "-o", "voice_noise.x=1"], "no option x"),
        (["anonymize", "in.wav", "out.wav", "--voice", "voice_codebook"], "--background"),
        (["study", "absent"], "absent"),
        (["study", "--preset", "absent"], "quick"),
        (["ledger", "verify", "absent"], "no ledger"),
        (["import", "absent", "out", "--reader", "emodb"], "absent"),
        (["import", ".", "out", "--reader", "magic"], "emodb"),
        (["report", "absent"], "absent"),
    ],
)
def test_a_mistake_ends_with_a_sentence_and_status_2(typed, tmp_path, words, said):
    voice(tmp_path / "in.wav")
    answer = typed(*words)
    assert answer.status == 2, answer.err
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert not (tmp_path / "out.wav").exists()
    assert not (tmp_path / "out").exists()


def test_a_path_with_spaces_and_accents(typed, tmp_path):
    folder = tmp_path / "été à Zürich"
    folder.mkdir()
    voice(folder / "Gespräch 1.wav", channels=2, rate_hz=44100)
    answer = typed("anonymize", folder / "Gespräch 1.wav", folder / "verhüllt.wav", "--voice", "voice_mcadams")
    assert answer.status == 0, answer.err
    assert audio.read(folder / "verhüllt.wav").values.shape == (44100, 2)


def test_a_folder_is_done_and_what_cannot_be_is_withheld(typed, tmp_path):
    (tmp_path / "in/deep").mkdir(parents=True)
    voice(tmp_path / "in/a.wav")
    voice(tmp_path / "in/deep/b.wav")
    (tmp_path / "in/zero.wav").write_bytes(b"")
    (tmp_path / "in/text.mp4").write_text("not a video")
    answer = typed("anonymize", "in", "out", "--voice", "voice_mcadams", "--jobs", "1")
    assert answer.status == 3
    assert "out: 2 recordings, 2 withheld" in answer.out
    assert "zero.wav" in answer.err
    assert "text.mp4" in answer.err
    written = sorted(f.relative_to(tmp_path / "out").as_posix() for f in (tmp_path / "out").rglob("*") if f.is_file())
    assert len(written) == 2
    assert all(name.startswith("recording-") for name in written)


def test_a_target_that_exists_is_not_overwritten(typed, tmp_path):
    voice(tmp_path / "in.wav")
    (tmp_path / "out.wav").write_bytes(b"precious")
    assert typed("anonymize", "in.wav", "out.wav", "--voice", "voice_noise").status == 2
    assert (tmp_path / "out.wav").read_bytes() == b"precious"


def test_a_face_method_on_a_sound_file_withholds_it(typed, tmp_path):
    voice(tmp_path / "in.wav")
    answer = typed("anonymize", "in.wav", "out.mp4", "--face", "face_solid")
    assert answer.status == 3
    assert not (tmp_path / "out.mp4").exists()


def test_doctor_looks_at_a_file(typed, tmp_path):
    (tmp_path / "broken.mp4").write_text("text renamed")
    answer = typed("doctor", "broken.mp4")
    assert answer.status == 2
    assert "broken.mp4" in answer.out
    machine = typed("doctor")
    assert machine.status == 0 and "face_dlib (with pip install 'personare[face-attack]')" in machine.out


@pytest.mark.parametrize("extra", [(), ("--watermark",)])
def test_a_hidden_voice_says_that_it_was_changed_and_carries_a_watermark_where_asked_to(typed, tmp_path, extra):
    audio.write(tmp_path / "in.wav", perform(person(3, 1), "anger", "S1", seed=3).sound)
    answer = typed("anonymize", "in.wav", "out.wav", "--voice", "voice_mcadams", *extra)
    assert answer.status == 0, answer.err
    told = typed("doctor", "out.wav").out
    assert "compositeWithTrainedAlgorithmicMedia" in told
    assert ("watermark: there" in told) == bool(extra) and ("watermark: not found" in told) != bool(extra)
    assert typed("anonymize", "in.wav", "out.mp4", "--face", "face_solid", "--watermark").status == 2
    told = typed("doctor", "in.wav").out
    assert "mark: none" in told and "watermark: not found" in told


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        ([], ["evaluation", "training", "anonymization"]),
        (["--consent-all", "evaluation"], ["training", "anonymization"]),
        (["--consent-all", "evaluation,training, anonymization"], []),
        (["--consent-all", "evaluation", "--consent-all", "training", "--consent-all", "anonymization"], []),
    ],
)
def test_one_import_notes_consent_for_every_verb_and_says_what_is_missing(typed, tmp_path, words, missing):
    (tmp_path / "s").mkdir()
    voice(tmp_path / "s/Anna_Beispiel_1.wav")
    (tmp_path / "s/labels.csv").write_text("file,subject,dob\nAnna_Beispiel_1.wav,Anna Beispiel,1984-03-12\n")
    answer = typed("import", "s", "c", "--reader", "folder", *words)
    assert answer.status == 0, answer.err
    told = answer.out.partition("--consent-all ")[2].strip().rstrip(".")
    assert [purpose for purpose in told.split(",") if purpose] == missing
    again = typed("import", "s", "c", "--reader", "folder", *(["--consent-all", told] if told else words))
    assert "--consent-all" not in again.out
    for sentence in ("1 of 1 people got numbers", "column dob looks like a date"):
        assert sentence in answer.err
    assert "1984" not in answer.err + answer.out
    assert not [path for path in (tmp_path / "c").rglob("*") if "Anna" in path.name]


@pytest.mark.parametrize("name", [b"Gespr\xe4ch.wav", b"-o 'a': \"b\";.wav", "übung ä.wav".encode()])
@pytest.mark.parametrize("in_table", [True, False])
def test_files_are_imported_or_listed_whatever_they_are_called(typed, tmp_path, name, in_table):
    (tmp_path / "s").mkdir()
    voice(tmp_path / "s/good.wav", seconds=1.5)
    voice(tmp_path / "x.wav")
    (tmp_path / "x.wav").rename(tmp_path / "s" / os.fsdecode(name))
    written = name.decode("cp1252") if b"\xe4" in name else name.decode()
    with (tmp_path / "s/labels.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [("good.wav", "P1"), (written, "P1")] if in_table else [("good.wav", "P1")]
        csv.writer(file).writerows([("file", "subject"), *rows])
    answer = typed("import", "s", "c", "--reader", "folder")
    assert answer.status == 0, answer.err
    taken, skipped = (int(n) for n in re.findall(r"(\d+) (?:recordings|skipped)", answer.out))
    assert (taken, skipped) == ((2, 0) if in_table else (1, 1))
    assert skipped == answer.err.count("skipped ") == len((tmp_path / "c/skipped.tsv").read_text().splitlines()) - 1


@pytest.mark.parametrize("change", ["too loud", "a length of half", "nothing"])
def test_what_was_repaired_is_said_of_each_file(typed, tmp_path, change):
    (tmp_path / "s").mkdir()
    voice(tmp_path / "s/good.wav")
    voice(tmp_path / "s/odd.wav", seconds=1.5)
    if change == "too loud":
        soundfile.write(tmp_path / "s/odd.wav", 30 * audio.read(tmp_path / "s/odd.wav").values, 16000, subtype="FLOAT")
    elif change == "a length of half":
        content = (tmp_path / "s/odd.wav").read_bytes()
        at = content.index(b"data") + 4
        half = (int.from_bytes(content[at : at + 4], "little") // 2).to_bytes(4, "little")
        (tmp_path / "s/odd.wav").write_bytes(content[:at] + half + content[at + 4 :])
    (tmp_path / "s/labels.csv").write_text("file,subject\ngood.wav,P1\nodd.wav,P2\n")
    answer = typed("import", "s", "c", "--reader", "folder")
    assert answer.status == 0 and "2 recordings" in answer.out
    assert ("note: odd.wav: The " in answer.err) == (change != "nothing")
    assert "note: good.wav" not in answer.err


@pytest.mark.parametrize("options", [["--pseudonyms", "some"], ["-o", "pseudonyms=number"], ["-o", "colour=1"]])
def test_an_option_of_import_that_there_is_not(typed, tmp_path, options):
    voice(tmp_path / "a.wav")
    assert typed("import", ".", "out", "--reader", "folder", *options).status == 2
    assert not (tmp_path / "out").exists()
