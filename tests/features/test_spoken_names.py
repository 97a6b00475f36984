"""Names that are said are bleeped; speech in which they are not known to be found is refused."""

import numpy as np
import pytest

from personare.anonymize._recordings import Disguise
from personare.core.errors import DataError, OptionError
from personare.core.types import Signal
from personare.features import audio
from personare.features import spoken_names as module
from personare.features.corrections import Bleep, Corrections
from personare.features.spoken_names import spoken_names
from personare.features.transcription import Transcript, Word
from personare.study.anonymizing import anonymize_path
from personare.study.parallel import Workers

SPEECH = Signal(values=np.full((32000, 1), 0.5, np.float32), rate_hz=16000)


def heard(text, language="en", probability=0.9):
    words = [
        Word(text=word, start_s=0.4 * at, end_s=0.4 * at + 0.3, probability=probability)
        for at, word in enumerate(text.split())
    ]
    return lambda samples: Transcript(language=language, words=tuple(words))


@pytest.fixture
def finder(monkeypatch):
    """Takes Ann for a name."""
    monkeypatch.setattr(
        module, "find_identifiers", lambda text: [(at, at + 3, "name") for at in [text.find("Ann")] if at >= 0]
    )


def test_guarantee_nothing_of_a_name_stays(finder):
    bleeps = spoken_names(SPEECH, recognize=heard("I am Ann. Hello there"))
    assert [(round(b.from_s, 2), round(b.to_s, 2)) for b in bleeps] == [(0.6, 1.3)]
    after = Corrections(digest="", bleep=bleeps).bleeped(SPEECH, tone=True).values[:, 0]
    assert not (after[9601:20799] == 0.5).any()
    assert (after[:9500] == 0.5).all() and (after[20900:] == 0.5).all()


def test_a_word_nobody_is_sure_of_is_bleeped(finder):
    assert len(spoken_names(SPEECH, recognize=heard("I am here", probability=0.2))) == 3
    assert spoken_names(SPEECH, recognize=heard("I am here")) == ()


def test_other_languages_and_no_words_are_refused():
    for recognize in (heard("Ich bin Anna", language="de"), heard("")):
        with pytest.raises(DataError):
            spoken_names(SPEECH, recognize=recognize)


def test_a_release_without_sound_has_no_names_to_bleep():
    with pytest.raises(OptionError, match="no sound"):
        Disguise(name="mask", face="face_solid", bleep_names=True)


def test_names_are_bleeped_whatever_is_done_to_the_voice(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "spoken_names", lambda speech: (Bleep(from_s=0.5, to_s=1),))
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    audio.write(source, Signal(values=SPEECH.values * np.sin(np.arange(32000) / 20)[:, None], rate_hz=16000))
    disguise = Disguise(name="voice", voice="voice_mcadams", bleep_names=True)
    anonymize_path(source, target, disguise, workers=Workers(jobs=1, quiet=True))
    spectrum = np.abs(np.fft.rfft(audio.read(target).values[8000:16000, 0])) ** 2
    assert spectrum[498:503].sum() > 0.99 * spectrum.sum()  # 1000 Hz alone
