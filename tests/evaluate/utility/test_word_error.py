"""Words that are heard otherwise are counted, by hand."""

import numpy as np
import pandas as pd
import pytest

from personare.core.types import Batch
from personare.evaluate.utility.word_error import WordError
from personare.features.transcription import Transcript, Word

SAID = {"a": "Dogs are sitting by the door.", "b": "Kids are talking.", "c": ""}
TOLD = {"a": "dogs sitting by a door now", "b": "Kids are talking!", "c": "Hello."}


def batch(texts):
    table = pd.DataFrame({"subject": ["1", "2", "2"]}, index=list(texts))
    return Batch.of(
        table, {"waveform": {i: np.frombuffer(t.encode() or b" ", np.uint8) + 0.0 for i, t in texts.items()}}
    )


def recognize(samples):
    words = bytes(samples.astype(np.uint8)).decode().split()
    return Transcript(language="en", words=tuple(Word(text=w, start_s=0, end_s=0, probability=1) for w in words))


def wer(released):
    (row,) = WordError()(batch(SAID), batch(released), rng=np.random.default_rng(0), recognize=recognize)
    return row


def test_errors_by_hand_and_nothing_heard_in_the_original_is_left_out():
    assert wer(SAID).value == 0
    row = wer(TOLD)  # left out, another one, put in: three of six words; none of three
    assert (row.value, row.n, row.better) == (pytest.approx(1 / 4), 2, "lower")
