"""Learn a linear head on a fixed, public description: what differential privacy leaves most of on little data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import torch

from personare.core.errors import OptionError
from personare.core.options import Count, PartShare, Positive, Share, Whole, check_options
from personare.core.types import Array, Batch, Spend
from personare.learn.accounting import check_claim, epsilon_of
from personare.learn.federation import Federation
from personare.learn.fusion import fit_temperature, shares_of
from personare.learn.heads import HeadTraining, fit_head, least_squares_head, predict
from personare.learn.multimodal import check
from personare.learn.privacy import PrivacyPlan, person_means
from personare.learn.public_rows import PublicRows, unit_rows
from personare.learn.secure_aggregation import threshold_of

__all__ = ["PrivateHead"]

_WORTH = 0.35  # longest noise under which a mean is worth its price; people differ from public ones by about 0.7
_OPEN_STEPS = 20  # without privacy steps cost nothing: so many times more of them
_LENGTH = 8.0  # of the rows a head reads: the constant beside them is 1, and small, so takes little of a clipped step
_MASK = 0.25  # what a bit that says that a modality is there counts, where a row counts 1


@dataclass(frozen=True, kw_only=True)
class PrivateHead:
    """Describe recordings by public arithmetic, and learn from the people no more than a linear head.

    A row of fixed statistics for each modality is scaled and turned by what ``public`` people show (constants where
    nobody is public), given length 1, and moved by the private mean of everybody; the head is trained on that.

    **Guarantee:** with ``epsilon``, the model is (epsilon, delta)-differentially private for one ``unit``. Everybody is
    in every step; the mean is paid for as one step more, and is left out where its noise would hide it, which follows
    from public numbers alone. How many units there are counts as public. Validation people are not looked at.

    **Source:** F. Tramer, D. Boneh, ICLR 2021, arXiv:2011.11660 (fixed features and a linear head); the paid mean,
    directions learned from varied public people, and answers softened by the known noise are ours.
    """

    # steps of clipped and noised gradients; or one noised table of sums, better only where there are few numbers and
    # very many recordings
    solver: Literal["logistic", "least_squares"] = "logistic"
    components: Count = 64  # principal directions of the public people, by modality
    discriminants: Whole = 14  # directions that part public people's classes, beside them
    copies: Whole = 4  # how often public spectrograms are varied (other voices and rooms) to fit these
    steps: Count = 20  # of the logistic head; 1 is one noised sum for each class, best where people are few
    learning_rate: Positive = 10.0  # constant
    momentum: PartShare = 0.8
    clip_norm: Positive = 0.9  # longest gradient of one unit
    average: Share = 0.4  # the last share of the steps whose weights are averaged
    epsilon: float | None = None  # privacy bound; None trains in the open, with twenty times the steps
    delta: float = 1e-5  # the chance that it fails, below 1 / units
    unit: Literal["person", "recording"] = "person"  # what is protected: all recordings of a person, or one recording
    federation: Federation = field(default_factory=Federation)  # the sites it is learned over; a plan's entry sets it

    def __post_init__(self) -> None:
        check_options(self)
        check_claim(epsilon=self.epsilon, delta=self.delta)
        if self.federation != Federation() and (self.solver != "logistic" or self.federation.keeps_head):
            raise OptionError(
                "Over sites only the logistic solver is offered, and the head cannot stay: it is all there is."
            )

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "HeadPredictor":
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        check(train, validation)
        predictor = self.fit_many(train, np.ones((1, len(train)), dtype=bool), rng=rng, public=public)[0]
        return predictor if self.epsilon is not None else predictor.calibrated(validation)

    def fit_many(
        self, train: Batch, inside: Array, *, rng: np.random.Generator, public: Batch | None = None
    ) -> "list[HeadPredictor]":
        """Learn one model from each (S, N) choice of recordings, describing them once: shadow models for attacks.

        Each alone is private as asked; together they are not, and are not released.
        """
        describe = PublicRows.of(
            train, public, components=self.components, discriminants=self.discriminants, copies=self.copies, rng=rng
        )
        all_parts, all_present = describe(train)
        owner = np.unique(train.subjects, return_inverse=True)[1] if self.unit == "person" else np.arange(len(train))
        logistic = self.solver == "logistic"
        models = []
        for rows in inside:
            parts, present, labels = [part[rows] for part in all_parts], all_present[rows], train.labels[rows]
            sites = self.federation.parts(train.subjects[rows], labels, private=self.epsilon is not None)
            owners = [np.unique(owner[rows][site], return_inverse=True)[1] for site in sites]
            units, width = [int(whose.max()) + 1 for whose in owners], sum(part.shape[1] + 1 for part in parts)
            shared = self.federation.noise == "shared" and self.epsilon is not None
            counts, shares = units, 1  # of whom the noise is to hide, and in how many shares it comes
            if shared:
                people, number = map(int, self.federation.total([np.array([n, 1.0]) for n in units]))
                counts, shares = [people] * len(units), threshold_of(number)
            plans = [self.plans(n, width, len(parts), shares) if self.epsilon is not None else None for n in counts]
            spends = [plan.whole.spend() for plan in plans if plan]
            self.federation.charge(spends)
            centers = [np.zeros(part.shape[1]) for part in parts]
            without_mean = self.federation.total([np.array([plan is not None and plan.mean is None]) for plan in plans])
            if not without_mean.any():
                means = [
                    _mean_row([part[site] for part in parts], present[site], whose, plan.mean if plan else None, rng)
                    for site, whose, plan in zip(sites, owners, plans, strict=True)
                ]
                mean = self.federation.total(means) / counts[0] if shared else self.federation.mean(means, units)
                centers = _centers(mean.astype(np.float32), [part.shape[1] for part in parts])
            heads = [plan.head if plan else None for plan in plans]
            features, classes = head_features(parts, present, centers), len(train.classes)
            if logistic:
                head = fit_head(
                    [features[site] for site in sites],
                    [labels[site] for site in sites],
                    groups=owners,
                    plans=heads,
                    training=self.training(),
                    federation=self.federation,
                    classes=classes,
                    rng=rng,
                )
            else:
                norm = _LENGTH * math.sqrt(1 + _MASK**2 * (len(parts) > 1))
                head = least_squares_head(
                    features,
                    labels,
                    classes=classes,
                    groups=owners[0],
                    plan=heads[0],
                    rng=rng,
                    feature_norm=norm,
                )
            models.append(
                HeadPredictor(
                    describe=describe,
                    centers=tuple(centers),
                    head=head,
                    classes=train.classes,
                    link="softmax" if logistic else "linear",
                    temperature=self._softened(heads, units) if logistic else 1.0,
                    spends=(max(spends, key=lambda spend: spend.epsilon),) if spends else (),
                )
            )
        return models

    def training(self) -> HeadTraining:
        """Return how the logistic head is trained on rows of the length it reads."""
        return HeadTraining(
            steps=self.steps if self.epsilon is not None else _OPEN_STEPS * self.steps,
            learning_rate=self.learning_rate / _LENGTH**2,
            momentum=self.momentum,
            clip_norm=self.clip_norm * _LENGTH,
            average=self.average,
        )

    def plans(self, units: int, width: int, modalities: int, shares: int = 1) -> "Plans":
        """Split the budget between the mean and the head, as one plan of equal releases of everybody."""
        steps = self.steps if self.solver == "logistic" else 1
        plan = PrivacyPlan(
            epsilon=self.epsilon or 0,
            delta=self.delta,
            unit=self.unit,
            units=units,
            expected_batch=units,
            steps=steps + 1,
            shares=shares,
        )
        noise = plan.noise_multiplier / units * math.sqrt(2 * modalities * width)
        if self.solver != "logistic" or noise > _WORTH:
            single = replace(plan, steps=steps)
            return Plans(whole=single, head=single, mean=None)
        # Gaussian sums of everybody add up exactly, so parts of the plan with its noise cost the plan together
        head, mean = (
            replace(plan, steps=n, epsilon=epsilon_of(plan.noise_multiplier, 1.0, n, plan.delta)) for n in (steps, 1)
        )
        return Plans(whole=plan, head=head, mean=mean)

    def _softened(self, plans: Sequence[PrivacyPlan | None], units: Sequence[int]) -> float:
        """Return the ``moderation`` of a mean over sites, to which each adds as much noise as it counts, or a share."""
        how = self.training()
        excess = [p.units**2 / p.shares * (moderation(p, how) ** 2 - 1) if p else 0.0 for p in plans]
        parts = [np.array(pair) for pair in zip(excess, units, strict=True)]
        squares, count = self.federation.total(parts)
        return math.sqrt(1 + squares / count**2)


class Plans(NamedTuple):
    """What the head and the mean (None: left out) may cost, and both together."""

    whole: PrivacyPlan
    head: PrivacyPlan
    mean: PrivacyPlan | None


def moderation(plan: PrivacyPlan, training: HeadTraining) -> float:
    """Return the temperature that makes answers as unsure as the noise in the weights makes their scores.

    How much noise a weight ends with follows from the plan, so this costs nothing; what the data pull back of it is
    left out. **Source**: D. MacKay, "The evidence framework applied to classification networks", Neural Computation
    4(5) (1992), doi:10.1162/neco.1992.4.5.720, with the noise of privacy in place of a posterior.
    """
    weights, speed, total = np.zeros((3, plan.steps))  # what a push of one in each step has come to
    first = min(plan.steps - 1, round(plan.steps * (1 - training.average)))
    for step in range(plan.steps):
        speed *= training.momentum
        speed[step] += 1
        weights -= training.learning_rate * speed
        total += weights if step >= first else 0
    noise = plan.noise_multiplier * training.clip_norm / plan.expected_batch
    spread = noise * float(np.linalg.norm(total)) / (plan.steps - first) * _LENGTH
    return math.sqrt(1 + math.pi / 8 * spread**2)


def _mean_row(
    parts: Sequence[Array], present: Array, owner: Array, plan: PrivacyPlan | None, rng: np.random.Generator
) -> Array:
    """Return the mean of all rows, and of which modalities are there: noised under a plan, else exact."""
    rows = np.concatenate([*parts, present], axis=1) / math.sqrt(2 * len(parts))  # length 1 at most
    units = person_means(torch.from_numpy(rows), torch.from_numpy(owner), int(owner.max()) + 1)  # (U, D)
    if plan is None:
        return np.asarray(units.mean(dim=0).numpy())
    (batch,) = plan.batches(rng, present=len(units))
    return batch.share(units.numpy(), 1.0) if plan.shares > 1 else batch.release(units.numpy(), 1.0)


def _centers(mean: Array, widths: Sequence[int]) -> list[Array]:
    """Return the mean row of each modality, of so many numbers, over everybody who has it."""
    presence = mean[-len(widths) :]
    sums = np.split(mean[: -len(widths)], np.cumsum(widths)[:-1])
    # Where a modality is rare its mean is mostly noise: it is then drawn to zero
    return [s / max(float(share), 0.1 / math.sqrt(2 * len(widths))) for s, share in zip(sums, presence, strict=True)]


def head_features(parts: Sequence[Array], present: Array, centers: Sequence[Array]) -> Array:
    """Return rows moved by the means and of one length, and, of several modalities, bits of what is there."""
    share = _LENGTH / math.sqrt(len(parts))
    centered = [
        unit_rows(part - center) * mask[:, None] * share
        for part, center, mask in zip(parts, centers, present.T, strict=True)
    ]
    bits = [_MASK * share * present] if len(parts) > 1 else []
    return np.concatenate([*centered, *bits], axis=1).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class HeadPredictor:
    """A linear head and the public description that it reads."""

    describe: PublicRows
    centers: tuple[Array, ...]  # what is subtracted from its rows, by modality
    head: Array  # (D + 1, C), the last row the bias
    classes: tuple[str, ...]
    link: Literal["softmax", "linear"]  # of scores, or scores that estimate probabilities
    temperature: float = 1.0  # of the softmax
    spends: tuple[Spend, ...] = ()

    def __call__(self, batch: Batch) -> Array:
        """Return (N, C) probabilities; chance where all modalities are missing."""
        parts, present = self.describe(batch)
        features = head_features(parts, present, self.centers)
        likely = predict(self.head / self.temperature, features, link=self.link).astype(float)
        likely /= likely.sum(axis=1, keepdims=True)
        return np.where(present.any(axis=1, keepdims=True), likely, 1 / len(self.classes))

    def represent(self, batch: Batch) -> Array:
        """Return (N, D): what the head reads."""
        return head_features(*self.describe(batch), self.centers)

    @property
    def last_layer(self) -> Array:
        """(C, D + 1): the whole head."""
        return self.head.T

    def at(self, weights: Array) -> "HeadPredictor":
        """Return the same with another head; see ``core.protocols.SharedPredictor``."""
        return replace(self, head=np.ascontiguousarray(weights.reshape(self.last_layer.shape).T, dtype=np.float32))

    def weights(self, batch: Batch) -> dict[str, Array]:
        """Return the share of each modality in how far the scores are apart, by modality, (N,)."""
        parts, present = self.describe(batch)
        rows = head_features(parts, present, self.centers)
        starts = np.cumsum([0, *(part.shape[1] for part in parts)])
        spans = [slice(*ends) for ends in pairwise(starts)]
        apart = np.stack([np.ptp(rows[:, span] @ self.head[span], axis=1) for span in spans], axis=1)
        return dict(zip(self.describe.maps, shares_of(apart + 1e-9, present).T, strict=True))

    def calibrated(self, validation: Batch) -> "HeadPredictor":
        """Return the same with a temperature fitted to people it did not learn from."""
        if not len(validation) or self.link != "softmax":
            return self
        scores = np.log(np.maximum(self(validation), 1e-12))
        return replace(self, temperature=self.temperature * fit_temperature(scores, validation.labels))
