"""Draws faces again from what a model shows of them, and names the people of the drawings among real pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from personare.core.errors import DataError
from personare.core.options import check_options
from personare.core.types import Array, Batch, Result
from personare.data.splits import content_halves, person_folds
from personare.evaluate.classifiers import Kernel, unit, vectors
from personare.evaluate.metrics import mean_over_people, no_narrower, over_people, top1_credit
from personare.evaluate.selftest import marked

__all__ = ["FaceReconstruction"]

_RIDGES = (0.01, 0.1, 1.0, 10.0, 100.0)
_FOLDS = 3  # groups of the people learned from, by whom a decoder is chosen


@dataclass(frozen=True, kw_only=True)
class FaceReconstruction:
    """Learns from half of the people the way from what a model shows back to their pictures, and draws the other half.

    Whoever has the model can make such pairs of faces of their own. The decoder is a ridge regression, linear or with a
    radial kernel, whichever best draws people it did not learn from. ``top1`` is the share of drawings that a
    classifier of real pictures, other ones of the same people, names right. ``face_similarity`` is the correlation of a
    drawing with its picture once the mean face is taken from both, ``psnr_gain`` how many dB nearer it is than the mean
    face; of both, 0 is the mean face. Pictures drawn from themselves are the self-test.

    **Guarantee**: nothing was learned from the person who is drawn.

    **Source**: reconstructed faces named among other pictures of a person: G. Mai, K. Cao, P. Yuen, A. Jain, "On the
    reconstruction of face images from deep face templates", IEEE TPAMI 41(5), 2019, doi:10.1109/TPAMI.2018.2827389.
    The decoder is ours: for tens of people a perceptron draws no nearer (measured on made-up faces).
    """

    question: ClassVar = "identify"
    kinds: ClassVar[tuple[str, ...]] = ("model",)

    fewest: int = 8  # least people with two recordings each

    def __post_init__(self) -> None:
        check_options(self, fewest=2 * _FOLDS)

    def __call__(self, original: Batch, released: Batch, *, rng: np.random.Generator) -> list[Result]:
        """Measure ``top1``, ``face_similarity`` and ``psnr_gain`` of each track, as ``face_reconstruction_<track>``.

        ``raw`` of the originals are flat pictures of one size, or other numbers of one scale.
        """
        if (table := original.table) is None:
            raise DataError("Drawing people takes a table of facts beside their recordings.")
        halves = content_halves(table, rng=rng)[:2]
        subjects = {i: str(table.loc[i, "subject"]) for half in halves for i in half}
        if (people := len(set(subjects.values()))) < self.fewest:
            raise DataError(
                f"Drawing people takes {self.fewest} with two recordings each, there are {people}. Add some."
            )
        parts, seed = person_folds(subjects, 2, rng=rng), int(rng.integers(2**31))  # the same for all tracks

        def measure(batch: Batch, track: str) -> list[Result]:
            clips = dict(zip(batch.ids, batch.arrays[track], strict=True))
            return _measured(clips, pictures, subjects, parts, halves, np.random.default_rng(seed))

        pictures = dict(zip(original.ids, np.stack(list(original.arrays["raw"])).astype(float), strict=True))
        before = measure(original, "raw")
        rows: list[Result] = []
        for track in released.arrays:
            name = f"face_reconstruction_{track}"
            pairs = zip(measure(released, track), before, strict=True)
            after = [replace(row, method=name, baseline=b.value) for row, b in pairs]
            rows += marked(after, [replace(b, method=name) for b in before])
        return rows


def _measured(
    clips: Mapping[str, Array],
    pictures: Mapping[str, Array],
    subjects: Mapping[str, str],
    parts: Sequence[tuple[list[str], list[str]]],
    halves: Sequence[list[str]],
    rng: np.random.Generator,
) -> list[Result]:
    """Draw the people of each part by what was learned from the other one, and compare with their pictures."""
    drawings, real, credit, guess = (dict[str, Any]() for _ in range(4))  # of faces without the mean face
    for learned, others in parts:
        mean = np.mean([pictures[i] for i in learned], axis=0)  # (D,)
        search = GridSearchCV(
            make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), KernelRidge()),
            {"kernelridge__kernel": ["linear", "rbf"], "kernelridge__alpha": _RIDGES},
            cv=GroupKFold(_FOLDS),
            scoring="neg_mean_squared_error",
        )
        targets, groups = [pictures[i] - mean for i in learned], [subjects[i] for i in learned]
        decoder = search.fit(vectors({i: clips[i] for i in learned}), targets, groups=groups)
        drawings |= zip(others, decoder.predict(vectors({i: clips[i] for i in others})), strict=True)
        real |= {i: pictures[i] - mean for i in others}
        people = sorted({subjects[i] for i in others})
        guess |= dict.fromkeys(others, 1 / len(people))
        for enrolled, asked in (halves, halves[::-1]):
            gallery, trials = (
                {i: of[i] for i in ids if i in others} for ids, of in ((enrolled, real), (asked, drawings))
            )
            scores = Kernel().enroll(gallery, subjects, rng=rng)(trials)  # (N, P)
            truth = np.searchsorted(people, [subjects[i] for i in trials])
            credit |= zip(trials, top1_credit(scores, truth), strict=True)
    person = np.array([subjects[i] for i in credit])
    right, chance = (np.array([of[i] for i in credit]) for of in (credit, guess))
    drawing, picture = (np.stack([of[i] for i in credit]) for of in (drawings, real))  # (N, D)
    shapes = (unit(rows - rows.mean(axis=1, keepdims=True)) for rows in (drawing, picture))
    errors = np.stack([(picture**2).mean(axis=1), ((drawing - picture) ** 2).mean(axis=1)], axis=1)
    top1 = no_narrower(mean_over_people(right, person, rng=rng), len(set(person)))
    similarity = mean_over_people(np.einsum("nd,nd->n", *shapes), person, rng=rng)
    gain = over_people(errors, person, lambda sums: 10 * np.log10(sums[:, 0] / np.maximum(sums[:, 1], 1e-12)), rng=rng)
    row = Result(question="identify", method="", figure="", attacker="semi_informed", kind="model", value=0.0)
    row = replace(row, better="lower", control=0.0)
    return [
        replace(row, figure="top1", **top1.columns, control=float(chance.mean())),
        replace(row, figure="face_similarity", unit="correlation", **similarity.columns),
        replace(row, figure="psnr_gain", unit="dB", **gain.columns),
    ]
