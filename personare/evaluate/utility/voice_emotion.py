"""Reads the emotion from the sound of the voice: acoustic functionals by three readers."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.options import Positive, check_options
from personare.core.types import Batch, Result
from personare.evaluate.classifiers import Train, svm
from personare.evaluate.reading import Task, forest_and_adapted, read_and_measure

__all__ = ["VoiceEmotion"]


@dataclass(frozen=True, kw_only=True)
class VoiceEmotion:
    """A support vector machine, a random forest, and a reader that gets used to each voice.

    The last (``voice_emotion_adapted``) standardizes the functionals over the clips of each person, whose emotions it
    does not know, and uses discriminant analysis: it needs several clips of a person.

    **Guarantee**: no reader was trained on the person that it reads.

    **Source**: functionals and SVM as B. Schuller et al., INTERSPEECH 2009 emotion challenge; random forest as the
    2024 USC pipeline. Own choice: settings, adaptation.
    """

    modality: ClassVar[str] = "audio"
    views: ClassVar[tuple[str, ...]] = ("functionals",)

    label: str = "emotion"  # what is read: a column of the table
    kind: str = ""  # ``nominal``, ``ordinal`` or ``continuous``; empty to tell from the values
    folds: int = 6  # in how many groups people are left out; up to eight people, each alone
    penalty: Positive = 3.0  # C of the support vector machine
    trees: int = 100  # trees of the forest

    def __post_init__(self) -> None:
        check_options(self, folds=2, trees=1)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure what both kinds of reader read in ``functionals`` (1, D)."""
        plain = Task(view="functionals", folds=self.folds, label=self.label, kind=self.kind)
        readers: dict[str, tuple[Task, Train]] = {"voice_emotion_svm": (plain, svm(self.penalty))}
        readers |= forest_and_adapted("voice_emotion", plain, self.trees)
        return read_and_measure(original, released, readers, rng=rng)
