"""Reads the emotion from face and voice together: the fixed 60-40 vote, and weights learned on other people."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from personare.core.errors import DataError
from personare.core.options import Share, check_options
from personare.core.types import Batch, Result
from personare.evaluate.classifiers import svm
from personare.evaluate.clips import expressive_motion
from personare.evaluate.reading import Task, measure_reading, quality_on_others, read_view, unread

__all__ = ["FusedEmotion"]

_WEIGHTS = np.linspace(0, 1, 21)


@dataclass(frozen=True, kw_only=True)
class FusedEmotion:
    """Adds what a reader of the voice and a reader of the face find likely.

    ``fused_emotion_60_40`` gives the face 60 % (the better channel for people and for the 2024 pipeline); in
    ``fused_emotion_stacked`` the weight is the one that reads best on all people but those being read.

    **Guarantee**: no reader was trained on the person that it reads, and no weight was learned on that person's clips.

    **Source**: late fusion as in the 2024 USC pipeline, whose text does not say which channel has the 60 %.
    """

    modality: ClassVar[str] = "audio+video"
    views: ClassVar[tuple[str, ...]] = ("functionals", "blendshapes")

    label: str = "emotion"  # what is read: a column of the table
    kind: str = ""  # ``nominal``, ``ordinal`` or ``continuous``; empty to tell from the values
    folds: int = 6  # in how many groups people are left out; up to eight people, each alone
    face_share: Share = 0.6  # weight of the face in the fixed vote

    def __post_init__(self) -> None:
        check_options(self, folds=2)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure what both kinds of reader read in ``functionals`` (1, D) and ``blendshapes`` (F, 52)."""
        voice_task = Task(view="functionals", folds=self.folds, label=self.label, kind=self.kind)
        face_task = replace(voice_task, view="blendshapes", describe=expressive_motion)
        names = ("fused_emotion_60_40", "fused_emotion_stacked")
        try:
            voices, faces = (read_view(original, released, t, svm(), rng=rng) for t in (voice_task, face_task))
        except DataError as error:
            return [row for name in names for row in unread(name, error)]
        rows: list[Result] = []
        for voice, face in zip(voices, faces, strict=True):
            joint = [replace(voice, likely=share * face.likely + (1 - share) * voice.likely) for share in _WEIGHTS]
            shares = np.empty(len(voice.ids))
            for asked, qualities in quality_on_others(joint, self.folds, rng=rng):
                # a plateau's middle is less of an accident than its edge
                shares[asked] = _WEIGHTS[qualities >= qualities.max() - 1e-9].mean()
            fixed = np.full_like(shares, self.face_share)
            for name, share in zip(names, (fixed[:, None], shares[:, None]), strict=True):
                both = replace(voice, likely=share * face.likely + (1 - share) * voice.likely)
                rows += measure_reading(both, name, rng=rng)
        return rows
