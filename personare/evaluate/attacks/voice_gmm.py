"""Names the speaker from the timbre of the voice: Gaussian mixture, adapted to each person (strong and cheap)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.options import Positive, check_options
from personare.core.protocols import Scorer
from personare.core.types import Array
from personare.evaluate.classifiers import Clips, learn_classes, standardized

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
        return _Background(
            options=self,
            mixtures=tuple(
                _mixture(
                    np.concatenate([_ready(c, self.stride, centred) for c in clips.values()]), self.components, rng
                )
                for centred in (False, True)
            ),
        )


def _ready(clip: Array, stride: int, centred: bool) -> Array:
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

    def statistics(self, rows: Array) -> _Statistics:
        """Return the frames that fell to each Gaussian, (C,), and their sum around its mean, (C, D)."""
        belongs = self.responsibilities(rows)
        counts = belongs.sum(axis=0)
        return counts, belongs.T @ rows - counts[:, None] * self.means


def _mixture(rows: Array, components: int, rng: np.random.Generator) -> _Mixture:
    """Expectation and maximization from randomly drawn frames."""
    rows = rows[rng.choice(len(rows), min(_FRAMES, len(rows)), replace=False)]
    count = min(components, max(1, len(rows) // 4))
    floor = 0.05 * rows.var(axis=0) + 1e-6
    found = _Mixture(
        means=rows[rng.choice(len(rows), count, replace=False)],
        variances=np.tile(rows.var(axis=0) + 1e-6, (count, 1)),
        shares=np.full(count, 1 / count, dtype=np.float32),
    )
    for _ in range(_ROUNDS):
        belongs = found.responsibilities(rows)
        counts = belongs.sum(axis=0) + 1e-6
        means = belongs.T @ rows / counts[:, None]
        variances = np.maximum(belongs.T @ rows**2 / counts[:, None] - means**2, floor)
        found = _Mixture(means=means, variances=variances, shares=counts / counts.sum())
    return found


@dataclass(frozen=True, kw_only=True)
class _Background:
    options: VoiceGmm
    mixtures: tuple[_Mixture, ...]

    def statistics(self, clip: Array) -> list[_Statistics]:
        """Return the statistics of one clip under both mixtures."""
        return [
            mixture.statistics(_ready(clip, self.options.stride, centred))
            for centred, mixture in zip((False, True), self.mixtures, strict=True)
        ]

    def descriptions(self, clips: Clips, found: list[list[_Statistics]]) -> list[Array]:
        """Return adapted means under both mixtures, (N, C * D) each, and what means alone cannot say, (N, 2 C + 2 D).

        If people sound so different that each has Gaussians of their own, the adapted means of all are everybody's
        means: then only which Gaussians are used, and the plain mean and spread, tell them apart.
        """
        adapted = []
        for k, m in enumerate(self.mixtures):
            weight = np.sqrt(m.shares[:, None] / m.variances)
            moved = [
                sums / (counts[:, None] + _SUPERVECTOR_RELEVANCE) * weight for counts, sums in (f[k] for f in found)
            ]
            adapted.append(np.stack([rows.ravel() for rows in moved]))
        shares = np.stack([np.concatenate([np.sqrt(n / max(n.sum(), 1e-6)) for n, _ in clip]) for clip in found])
        rows = [_ready(clip, self.options.stride, False) for clip in clips.values()]
        plain = np.stack([np.concatenate([r.mean(axis=0), r.std(axis=0)]) for r in rows])
        return [*adapted, np.hstack([shares, plain])]

    def enroll(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Scorer:
        """Adapt the mixtures to each person; what names left-out enrollment clips better counts more."""
        found = [self.statistics(clip) for clip in clips.values()]
        labels = np.array([subjects[name] for name in clips])
        classifiers = [
            learn_classes(rows, labels.tolist(), standardize=k == 2, radial=k == 2)
            for k, rows in enumerate(self.descriptions(clips, found))
        ]
        shifts = []
        for k, mixture in enumerate(self.mixtures):
            # MAP: how far a person's means lie from everybody's, over the variance; flat (C * D,)
            own = [[f[k] for f, who in zip(found, labels, strict=True) if who == p] for p in np.unique(labels)]
            counts = [sum((n for n, _ in clips), start=np.zeros(())) for clips in own]
            sums = [sum((f for _, f in clips), start=np.zeros(())) for clips in own]
            relevance, pairs = self.options.relevance, zip(counts, sums, strict=True)
            shifts.append(np.stack([(f / (n[:, None] + relevance) / mixture.variances).ravel() for n, f in pairs]))

        def score(asked: Clips) -> Array:
            told = [self.statistics(clip) for clip in asked.values()]
            total = np.zeros((len(told), len(classifiers[0].classes)))
            for k, (classifier, rows) in enumerate(zip(classifiers, self.descriptions(asked, told), strict=True)):
                belief = max(classifier.loo_accuracy - 1 / total.shape[1], 1e-3) ** _SHARPNESS
                total += belief * standardized(classifier(rows))
                if k < len(shifts):
                    ratio = [shifts[k] @ clip[k][1].ravel() / max(clip[k][0].sum(), 1) for clip in told]
                    total += belief * standardized(np.stack(ratio))
            return total

        return score
