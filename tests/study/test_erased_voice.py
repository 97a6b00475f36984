"""A real voice is erased: an attacker who has other recordings of the person finds it in nothing that is left."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from personare.cli import cli
from personare.core import registry
from personare.evaluate.classifiers import standardized
from personare.features import audio
from personare.features.functionals import describe

WHO = "03"
STUDY = """
attacks = ["voice_gmm"]
shadows = 0
[[releases]]
name = "mcadams"
voice = "voice_mcadams"
"""


def typed(*words: object) -> str:
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exception is None, (result.output, result.exception)
    return result.output


def mfcc(file: Path) -> np.ndarray:
    return describe(audio.read(file), ["mfcc"])["mfcc"]


@pytest.mark.real
@pytest.mark.slow
def test_no_verification_attack_finds_an_erased_voice_in_what_is_left(real_data, tmp_path):
    files = sorted((real_data / "emodb").glob("*.flac"))
    speakers = sorted({file.name[:2] for file in files})
    known = {file.stem: mfcc(file) for s in speakers for file in [f for f in files if f.name[:2] == s][:12]}
    whose = {name: name[:2] for name in known}
    attack = registry.create("personare.evaluate.attacks", "voice_gmm", {})

    def rng():
        return np.random.default_rng(0)

    scorer = attack.fit(known, whose, rng=rng()).enroll(known, whose, rng=rng())

    def found() -> int:
        """How many sounds in all that is there are taken for the person's."""
        clips = {str(path): mfcc(path) for path in tmp_path.rglob("*_audio.*") if path.suffix in (".flac", ".wav")}
        named = standardized(scorer(clips)).argmax(axis=1)
        return int((named == speakers.index(WHO)).sum())

    (tmp_path / "source").mkdir()
    for file in (f for s in speakers for f in [f for f in files if f.name[:2] == s][12:20]):  # which the attacker lacks
        shutil.copy(file, tmp_path / "source")
    people = tmp_path / "people"
    typed("import", tmp_path / "source", people, "--reader", "emodb", "--consent-all", "evaluation,training")
    (tmp_path / "study.toml").write_text(STUDY)
    typed("study", people, "--config", tmp_path / "study.toml", "--out", tmp_path / "run", "--jobs", 1)
    before = found()
    typed("erase", people, WHO, "--yes", "--jobs", 1)
    assert before >= 8  # the attack: all of the originals, if not of the changed ones
    assert found() <= before - 8  # others who are taken for them, as before
    assert "unbroken" in typed("ledger", "verify", people)
