"""Names the speaker from the timbre of the voice: Gaussian mixture, adapted to each person (strong and cheap)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.options import Positive, check_options
from personare.core.protocols import Scorer
from personare.core.types import Array
from personare.evaluate.classifiers import Clips, learn_classes, numbered, standardized

__all__ = ["VoiceGmm"]

_FRAMES = 8000  # frames that the background model learns from; more changed nothing on EmoDB
_ROUNDS = 12
_SUPERVECTOR_RELEVANCE = 2.0  # a clip is short: its own mixture must be allowed to move far
_SHARPNESS = 4  # how much more a description counts that does better
_Statistics = tuple[Array, Array]


@dataclass(frozen=True, kw_only=True)
class VoiceGmm:
    """Listens for how a vocal tract sounds, whatever is said.

    A mixture learned from everybody (UBM) is adapted to each person (MAP, means only). A clip is scored by the linear
    log-likelihood ratio of each person's mixture to everybody's, and by a kernel classifier on the clip's own
    adapted means; both are standardized and added. With and without each clip's mean removed (which hides a
    microphone, and some disguises), and from its plain average: enrollment data say how far to believe each.

    **Guarantee**: what it says of a recording depends on that recording and on what was enrolled, not on other tests.

    **Source**: D. Reynolds, T. Quatieri, R. Dunn, "Speaker verification using adapted Gaussian mixture models", Digital
    Signal Processing 10, 2000; W. Campbell, D. Sturim, D. Reynolds, "Support vector machines using GMM supervectors
    for speaker verification", IEEE SPL 13(5), 2006. Ours: kernel ridge regression instead of a support vector
    machine, linear scoring, and the choice of normalization on enrollment data.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "audio"
    views: ClassVar[tuple[str, ...]] = ("mfcc",)

    components: int = 64  # Gaussians in the mixture
    relevance: Positive = 16.0  # frames' worth of belief in everybody's mixture when adapting it to a person
    stride: int = 2  # every which frame is used; neighbors (10 ms) are alike

    def __post_init__(self) -> None:
        check_options(self, components=2, stride=1)

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> "_Background":
        """Learn everybody's mixture of (T, D) cepstra, with and without each clip's mean."""
        mixtures = []
        for centred in (False, True):
            rows = np.concatenate([_frames(clip, self.stride, centred) for clip in clips.values()])
            mixtures.append(_mixture(rows, self.components, rng))
        return _Background(options=self, mixtures=tuple(mixtures))


def _frames(clip: Array, stride: int, centred: bool) -> Array:
    rows = np.asarray(clip[::stride], dtype=np.float32)
    rows = rows[np.isfinite(rows).all(axis=1)]
    return rows - rows.mean(axis=0) if centred and len(rows) else rows


@dataclass(frozen=True, kw_only=True)
class _Mixture:
    means: Array  # (C, D)
    variances: Array  # (C, D)
    shares: Array  # (C,)

    def responsibilities(self, rows: Array) -> Array:
        """Return (T, C): how much of each frame belongs to each Gaussian."""
        precise = 1 / self.variances
        constant = np.log(self.shares) - 0.5 * (np.log(self.variances) + self.means**2 * precise).sum(axis=1)
        joint = constant - 0.5 * (rows**2) @ precise.T + rows @ (self.means * precise).T
        joint -= joint.max(axis=1, keepdims=True)
        np.exp(joint, out=joint)
        return np.asarray(joint / joint.sum(axis=1, keepdims=True))


def _mixture(rows: Array, components: int, rng: np.random.Generator) -> _Mixture:
    """Expectation and maximization from randomly drawn frames."""
    rows = rows[rng.choice(len(rows), min(_FRAMES, len(rows)), replace=False)]
    count = min(components, max(1, len(rows) // 4))
    floor = 0.05 * rows.var(axis=0) + 1e-6
    mixture = _Mixture(
        means=rows[rng.choice(len(rows), count, replace=False)],
        variances=np.tile(rows.var(axis=0) + 1e-6, (count, 1)),
        shares=np.full(count, 1 / count, dtype=np.float32),
    )
    for _ in range(_ROUNDS):
        belongs = mixture.responsibilities(rows)
        counts = belongs.sum(axis=0) + 1e-6
        means = belongs.T @ rows / counts[:, None]
        variances = np.maximum(belongs.T @ rows**2 / counts[:, None] - means**2, floor)
        mixture = _Mixture(means=means, variances=variances, shares=counts / counts.sum())
    return mixture


@dataclass(frozen=True, kw_only=True)
class _Background:
    options: VoiceGmm
    mixtures: tuple[_Mixture, ...]

    def statistics(self, clip: Array) -> list[_Statistics]:
        """Return of both mixtures how many frames fell to each Gaussian, (C,), and their sums around means, (C, D)."""
        both = []
        for centred, mixture in zip((False, True), self.mixtures, strict=True):
            rows = _frames(clip, self.options.stride, centred)
            belongs = mixture.responsibilities(rows)
            counts = belongs.sum(axis=0)
            both.append((counts, belongs.T @ rows - counts[:, None] * mixture.means))
        return both

    def descriptions(self, clips: Clips, statistics: list[list[_Statistics]]) -> list[Array]:
        """Return adapted means under both mixtures, (N, C * D) each, and what means alone cannot say, (N, 2 C + 2 D).

        If people sound so different that each has Gaussians of their own, the adapted means of all are everybody's
        means: then only which Gaussians are used, and the plain mean and spread, tell them apart.
        """
        adapted = []
        for k, mixture in enumerate(self.mixtures):
            weight = np.sqrt(mixture.shares[:, None] / mixture.variances)
            pairs = [clip[k] for clip in statistics]
            moved = [(sums / (n[:, None] + _SUPERVECTOR_RELEVANCE) * weight).ravel() for n, sums in pairs]
            adapted.append(np.stack(moved))
        shares = np.stack([np.concatenate([np.sqrt(n / max(n.sum(), 1e-6)) for n, _ in clip]) for clip in statistics])
        rows = [_frames(clip, self.options.stride, False) for clip in clips.values()]
        plain = np.stack([np.concatenate([r.mean(axis=0), r.std(axis=0)]) for r in rows])
        return [*adapted, np.hstack([shares, plain])]

    def enroll(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Scorer:
        """Adapt the mixtures to each person; what names left-out enrollment clips better counts more."""
        statistics = [self.statistics(clip) for clip in clips.values()]
        people, number = numbered(clips, subjects)
        classifiers = [
            learn_classes(rows, people[number].tolist(), standardize=k == 2, radial=k == 2)
            for k, rows in enumerate(self.descriptions(clips, statistics))
        ]
        shifts = []
        for k, mixture in enumerate(self.mixtures):
            counts, sums = (np.stack([clip[k][part] for clip in statistics]) for part in (0, 1))  # (N, C), (N, C, D)
            # MAP: how far a person's means lie from everybody's, over the variance; flat (C * D,)
            ours = [(counts[number == p].sum(axis=0), sums[number == p].sum(axis=0)) for p in range(len(people))]
            relevance = self.options.relevance
            shifts.append(np.stack([(f / (n[:, None] + relevance) / mixture.variances).ravel() for n, f in ours]))

        def score(asked: Clips) -> Array:
            statistics = [self.statistics(clip) for clip in asked.values()]
            total = np.zeros((len(statistics), len(people)))
            for k, (classifier, rows) in enumerate(zip(classifiers, self.descriptions(asked, statistics), strict=True)):
                belief = max(classifier.loo_accuracy - 1 / len(people), 1e-3) ** _SHARPNESS
                total += belief * standardized(classifier(rows))
                if k < len(shifts):
                    ratio = [shifts[k] @ clip[k][1].ravel() / max(clip[k][0].sum(), 1) for clip in statistics]
                    total += belief * standardized(np.stack(ratio))
            return total

        return score
