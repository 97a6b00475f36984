"""Where in a recording something is said that names somebody."""

from personare.core.errors import DataError
from personare.core.types import Signal
from personare.features.corrections import Bleep
from personare.features.identifiers import find_identifiers
from personare.features.resynthesis import samples_of
from personare.features.transcription import Recognizer, transcribe

_MARGIN_S = 0.2  # times of words are known to about this, and to _REACH_S where nobody speaks beside them
_REACH_S = 0.5
_UNSURE = 0.3  # probability under which a word may be any other


def spoken_names(speech: Signal, *, recognize: Recognizer = transcribe) -> tuple[Bleep, ...]:
    """Return the stretches in which names, places, numbers, dates and the like are said, or a word nobody is sure of.

    Speech that is not English, or without words, is refused: what names somebody in it is not known.
    """
    transcript = recognize(samples_of(speech))
    if transcript.words and transcript.language != "en":
        raise DataError(f"Spoken names are found in English only, this was taken for '{transcript.language}'.")
    identifiers, at, bleeps = find_identifiers(transcript.text), 0, list[Bleep]()
    words = transcript.words
    befores = [0.0, *(word.end_s for word in words)]
    afters = [*(word.start_s for word in words[1:]), speech.duration_s]
    for word, before, after in zip(words, befores, afters, strict=False):
        names = any(start < at + len(word.text) and at < end for start, end, _ in identifiers)
        if names or word.probability < _UNSURE:
            begin = min(word.start_s - _MARGIN_S, max(before, word.start_s - _REACH_S))
            end = max(word.end_s + _MARGIN_S, min(after, word.end_s + _REACH_S))
            begin, end = max(0.0, begin), min(end, speech.duration_s)
            bleeps.append(Bleep(from_s=speech.start_s + begin, to_s=speech.start_s + end))
        at += len(word.text) + 1
    return tuple(bleeps)
