"""Reads the emotion from the sound of the voice: acoustic functionals by three readers."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.types import Evidence, Result
from personare.evaluate.reading import Question, measure_reading, read_view, unread
from personare.evaluate.trainers import Discriminant, Forest, Svm

__all__ = ["VoiceEmotion"]


@dataclass(frozen=True, kw_only=True)
class VoiceEmotion:
    """A support vector machine, a random forest, and a reader that gets used to each voice.

    The last (``voice_emotion_adapted``) standardizes the functionals over the clips of each person, whose emotions it
    does not know, and uses discriminant analysis: it needs several clips of a person.

    **Guarantee**: no reader was trained on the person that it reads.

    Attributes:
        label: What is read: a column of the table.
        kind: ``nominal``, ``ordinal`` or ``continuous``; empty to tell from the values.
        folds: In how many groups people are left out; up to eight people, each alone.
        penalty: C of the support vector machine.
        trees: Trees of the forest.

    **Source**: functionals and SVM as B. Schuller et al., INTERSPEECH 2009 emotion challenge; random forest as the
    2024 USC pipeline. Own choice: settings, adaptation.

    Example:
        >>> VoiceEmotion().views
        ('functionals',)
    """

    modality: ClassVar[str] = "audio"
    views: ClassVar[tuple[str, ...]] = ("functionals",)

    label: str = "emotion"
    kind: str = ""
    folds: int = 6
    penalty: float = 3.0
    trees: int = 100

    def __post_init__(self) -> None:
        """Check the options."""
        if self.folds < 2 or self.trees < 1 or not self.penalty > 0:
            raise OptionError(
                "voice_emotion needs folds of at least 2, trees of at least 1 and a penalty above 0, "
                f"given {self.folds}, {self.trees} and {self.penalty}."
            )

    def __call__(self, original: Evidence, released: Evidence, *, rng: np.random.Generator) -> list[Result]:
        """Measure what both kinds of reader read: recall and accuracy; of numbers, their concordance.

        Args:
            original: Recordings before, with ``functionals`` (1, D) and the label.
            released: The same after.
            rng: Folds, trees, bootstrap.
        """
        plain = Question(view="functionals", folds=self.folds, label=self.label, kind=self.kind)
        adapted = Question(view="functionals", folds=self.folds, label=self.label, kind=self.kind, adapt=True)
        readers = (
            ("voice_emotion_svm", plain, Svm(penalty=self.penalty)),
            ("voice_emotion_rf", plain, Forest(trees=self.trees)),
            ("voice_emotion_adapted", adapted, Discriminant()),
        )
        rows: list[Result] = []
        for name, question, train in readers:
            try:
                for reading in read_view(original, released, question, train, rng=rng):
                    rows += measure_reading(reading, name, modality="audio", rng=rng)
            except DataError as error:
                rows += unread(name, error, modality="audio")
        return rows
