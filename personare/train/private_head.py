"""Learn a linear head on a fixed, public description: what differential privacy leaves most of on little data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from personare.core.errors import OptionError
from personare.core.types import Array, Batch
from personare.learn.accounting import epsilon_of
from personare.learn.head_predictor import LENGTH, MASK, HeadPredictor, head_features
from personare.learn.heads import Examples, HeadTraining, fit_heads
from personare.learn.least_squares import LeastSquares, least_squares_heads
from personare.learn.lesson import Privacy
from personare.learn.multimodal import check, check_arrays
from personare.learn.privacy import PrivacyPlan, person_means
from personare.learn.public_rows import PublicRows

__all__ = ["PrivateHead"]

_WORTH = 0.35  # longest noise under which a mean is worth its price; people differ from public ones by about 0.7
_OPEN_STEPS = 20  # without privacy steps cost nothing: so many times more of them


@dataclass(frozen=True, kw_only=True)
class PrivateHead:
    """Describe recordings by public arithmetic, and learn from the people no more than a linear head.

    A row of fixed statistics for each modality is scaled and turned by what ``public`` people show (constants where
    nobody is public), given length 1, and moved by the private mean of everybody; the head is trained on that.

    **Guarantee:** with ``epsilon``, the model is (epsilon, delta)-differentially private for one ``unit``. Everybody is
    in every step; the mean is paid for as one step more, and is left out where its noise would hide it, which follows
    from public numbers alone. How many units there are counts as public. Validation people are not looked at.

    Attributes:
        solver: ``logistic``: steps of clipped and noised gradients. ``least_squares``: one noised table of sums; better
            only where there are few numbers and very many recordings.
        components: Principal directions of the public people, by modality.
        discriminants: Directions that part public people's classes, beside them.
        copies: How often public spectrograms are varied (other voices and rooms) to fit these.
        steps: Of the logistic head; 1 is one noised sum for each class, best for people of whom there are few.
        learning_rate: Constant.
        momentum: Of the steps.
        clip_norm: Longest gradient of one unit.
        average: The last share of the steps whose weights are averaged.
        epsilon: Privacy bound; None trains in the open, with twenty times the steps.
        delta: The chance that it fails, below 1 / units.
        unit: What is protected: all recordings of a ``person``, or one ``recording``.

    **Source:** F. Tramer, D. Boneh, ICLR 2021, arXiv:2011.11660 (fixed features and a linear head); the paid mean, and
    directions learned from varied public people, are ours, and so are
    answers softened by the known noise.

    Example:
        >>> PrivateHead(epsilon=1.0, unit="recording").steps
        20
    """

    solver: Literal["logistic", "least_squares"] = "logistic"
    components: int = 64
    discriminants: int = 14
    copies: int = 4
    steps: int = 20
    learning_rate: float = 10.0
    momentum: float = 0.8
    clip_norm: float = 0.9
    average: float = 0.4
    epsilon: float | None = None
    delta: float = 1e-5
    unit: Literal["person", "recording"] = "person"

    def __post_init__(self) -> None:
        """Check the options."""
        if self.solver not in ("logistic", "least_squares"):
            raise OptionError(f"solver must be logistic or least_squares, it is {self.solver!r}.")
        if self.components < 1 or self.discriminants < 0 or self.copies < 0:
            raise OptionError(
                "components must be at least 1, discriminants and copies not negative; they are "
                f"{self.components}, {self.discriminants} and {self.copies}."
            )
        Privacy.of(self)
        self._training()

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "HeadPredictor":
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        check(train, validation)
        describe = self._description(train, public, rng)
        made = self._head(train, describe, *describe(train), rng=rng)
        return made if self.epsilon is not None else made.calibrated(validation)

    def fit_many(
        self, train: Batch, inside: Array, *, rng: np.random.Generator, public: Batch | None = None
    ) -> "list[HeadPredictor]":
        """Learn one model from each choice of recordings, describing them once: shadow models for attacks.

        Args:
            train: All recordings.
            inside: (S, N) bool, what each model learns from.
            rng: Everything random follows from it.
            public: See ``core.protocols.Learner``.

        Returns:
            S models. Each alone is private as asked; together they are not, and are not released.
        """
        check_arrays(train)
        describe = self._description(train, public, rng)
        parts, present = describe(train)
        return [
            self._head(train.take(rows), describe, [part[rows] for part in parts], present[rows], rng=rng)
            for rows in inside
        ]

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "HeadPredictor":
        """Build again what ``state`` of the predictor returned."""
        return HeadPredictor.restore(tensors, about)

    def _description(self, train: Batch, public: Batch | None, rng: np.random.Generator) -> PublicRows:
        return PublicRows.of(
            train,
            public,
            components=self.components,
            discriminants=self.discriminants,
            copies=self.copies,
            rng=rng,
        )

    def _head(
        self, train: Batch, describe: PublicRows, parts: list[Array], present: Array, *, rng: np.random.Generator
    ) -> "HeadPredictor":
        groups = np.unique(train.subjects, return_inverse=True)[1]
        units = int(groups.max()) + 1 if self.unit == "person" else len(train)
        plans = None if self.epsilon is None else self._plans(units, sum(p.shape[1] + 1 for p in parts), len(parts))
        owner = groups if self.unit == "person" else np.arange(len(train))
        centers = _centers(parts, present, owner, None if plans is None else plans.mean, plans is None, rng)
        examples = Examples(
            features=head_features(parts, present, centers),
            labels=train.labels,
            classes=len(train.classes),
            groups=groups,
        )
        plan = plans.head if plans else None
        if self.solver == "logistic":
            found = fit_heads(examples, plan=plan, options=self._training(), rng=rng)
        else:
            norm = LENGTH * math.sqrt(1 + MASK**2 * (len(parts) > 1))
            found = least_squares_heads(examples, plan=plan, options=LeastSquares(feature_norm=norm), rng=rng)
        return HeadPredictor(
            describe=describe,
            centers=centers,
            head=found[0],
            classes=train.classes,
            link="softmax" if self.solver == "logistic" else "linear",
            temperature=_moderation(plan, self._training()) if plan and self.solver == "logistic" else 1.0,
            spends=(plans.whole.spend(),) if plans else (),
        )

    def _training(self) -> HeadTraining:
        return HeadTraining(
            steps=self.steps if self.epsilon is not None else _OPEN_STEPS * self.steps,
            learning_rate=self.learning_rate / LENGTH**2,
            momentum=self.momentum,
            clip_norm=self.clip_norm * LENGTH,
            average=self.average,
        )

    def _plans(self, units: int, width: int, modalities: int) -> "_Plans":
        """Split the budget between the mean and the head, as one plan of equal releases of everybody."""
        steps = self.steps if self.solver == "logistic" else 1
        plan = PrivacyPlan(
            epsilon=self.epsilon or 0,
            delta=self.delta,
            unit=self.unit,
            units=units,
            expected_batch=units,
            steps=steps + 1,
        )
        noise = plan.noise_multiplier / units * math.sqrt(2 * modalities * width)
        if self.solver != "logistic" or noise > _WORTH:
            alone = replace(plan, steps=steps)
            return _Plans(whole=alone, head=alone, mean=None)
        # Gaussian sums of everybody add up exactly, so parts of the plan with its noise cost the plan together
        head, mean = (replace(plan, steps=n, epsilon=_price(plan, n)) for n in (steps, 1))
        return _Plans(whole=plan, head=head, mean=mean)


@dataclass(frozen=True, kw_only=True)
class _Plans:
    """What the mean and the head may cost, and both together."""

    whole: PrivacyPlan
    head: PrivacyPlan
    mean: PrivacyPlan | None


def _price(plan: PrivacyPlan, steps: int) -> float:
    return epsilon_of(plan.noise_multiplier, 1.0, steps, plan.delta)


def _moderation(plan: PrivacyPlan, training: HeadTraining) -> float:
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
    spread = noise * float(np.linalg.norm(total)) / (plan.steps - first) * LENGTH
    return math.sqrt(1 + math.pi / 8 * spread**2)


def _centers(
    parts: Sequence[Array],
    present: Array,
    owner: Array,
    plan: PrivacyPlan | None,
    free: bool,
    rng: np.random.Generator,
) -> list[Array]:
    """Return the mean row of each modality over everybody who has it: noised under a plan, exact if that is free."""
    if plan is None and not free:
        return [np.zeros(part.shape[1]) for part in parts]
    rows = np.concatenate([*parts, present], axis=1) / math.sqrt(2 * len(parts))  # length 1 at most
    units = person_means(torch.from_numpy(rows), torch.from_numpy(owner), int(owner.max()) + 1)  # (U, D)
    if plan is None:
        mean = units.mean(dim=0).numpy()
    else:
        (batch,) = plan.batches(rng, present=len(units))
        mean = batch.release(units, 1.0).numpy()
    there = mean[-len(parts) :]
    sums = np.split(mean[: -len(parts)], np.cumsum([part.shape[1] for part in parts])[:-1])
    # Where a modality is rare its mean is mostly noise: it is then drawn to zero
    return [s / max(float(share), 0.1 / math.sqrt(2 * len(parts))) for s, share in zip(sums, there, strict=True)]
