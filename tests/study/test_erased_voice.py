"""A real voice is erased: an attacker who has other recordings of the person finds it in nothing that is left."""

import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from personare.anonymize.voice_mcadams import VoiceMcadams
from personare.cli import cli
from personare.core.registry import create
from personare.core.types import Signal
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


def mfcc(sound: Signal) -> np.ndarray:
    return describe(sound, ["mfcc"])["mfcc"]


@pytest.mark.real
@pytest.mark.slow
def test_no_verification_attack_finds_an_erased_voice_in_what_is_left(real_data, tmp_path):
    """The attacker has other recordings of everybody, and hides them as the release does to learn its voices."""
    files = sorted((real_data / "emodb").glob("*.flac"))
    speakers = sorted({file.name[:2] for file in files})
    known = {file.stem: audio.read(file) for s in speakers for file in [f for f in files if f.name[:2] == s][:12]}
    whose = {name: name[:2] for name in known}
    rng = np.random.default_rng(1)
    hidden = {name: VoiceMcadams()(sound, rng=rng) for name, sound in known.items()}

    def scorer(sounds: dict[str, Signal]):
        attack, clips = create("personare.evaluate.attacks", "voice_gmm"), {n: mfcc(s) for n, s in sounds.items()}
        first, second = np.random.default_rng(0), np.random.default_rng(0)
        return attack.fit(clips, whose, rng=first).enroll(clips, whose, rng=second)

    attackers = {"people": scorer(known), "run": scorer(hidden)}  # retrained for the release

    def found(place: str) -> int:
        """How many sounds of a place are taken for the person's."""
        files = [path for path in (tmp_path / place).rglob("*_audio.*") if path.suffix in (".flac", ".wav")]
        named = standardized(attackers[place]({str(path): mfcc(audio.read(path)) for path in files})).argmax(axis=1)
        return int((named == speakers.index(WHO)).sum())

    (tmp_path / "source").mkdir()
    for file in (f for s in speakers for f in [f for f in files if f.name[:2] == s][12:20]):  # which the attacker lacks
        shutil.copy(file, tmp_path / "source")
    people = tmp_path / "people"
    typed("import", tmp_path / "source", people, "--reader", "emodb", "--consent-all", "evaluation,training")
    (tmp_path / "study.toml").write_text(STUDY)
    typed("study", people, "--config", tmp_path / "study.toml", "--out", tmp_path / "run", "--jobs", 1)
    before = {place: found(place) for place in attackers}
    typed("erase", people, WHO, "--yes", "--jobs", 1)
    after = {place: found(place) for place in attackers}
    assert before["people"] >= 8 and before["run"] >= 4  # of eight each: the attack
    assert max(after.values()) <= 3  # of 32 each: others who are taken for them
    assert "unbroken" in typed("ledger", "verify", people)
