"""One fit of a network from checked recordings: in the open with validation people, or under differential privacy."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch

from personare.core.errors import OptionError
from personare.core.types import Array, Batch, Spend
from personare.learn.descent import Adjust, Training, class_weights, descend
from personare.learn.encoders import choose
from personare.learn.fusion import Fusion
from personare.learn.loop import seeded
from personare.learn.multimodal import Network, Shape, Tensors, build, check, prepare, set_scaling
from personare.learn.predicting import NetworkPredictor
from personare.learn.private_descent import Pace, descend_privately, plan_for

__all__ = ["Lesson", "Privacy"]


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """What differential privacy is asked of a training.

    Attributes:
        epsilon: The bound, above 0.
        delta: The chance that it fails, below 1 / units.
        unit: All recordings of one ``person``, or one ``recording``.
        clip_norm: Longest gradient of one unit.
    """

    epsilon: float
    delta: float = 1e-5
    unit: Literal["person", "recording"] = "person"
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        """Check the options."""
        if not self.epsilon > 0 or not 0 < self.delta < 1 or not self.clip_norm > 0:
            raise OptionError(
                "epsilon and clip_norm must be above 0 and delta between 0 and 1, they are "
                f"{self.epsilon}, {self.clip_norm} and {self.delta}."
            )
        if self.unit not in ("person", "recording"):
            raise OptionError(f"unit must be person or recording, it is {self.unit!r}.")

    @classmethod
    def of(cls, learner: Any) -> "Privacy | None":
        """Return a learner's options of these names; None where it asks for no privacy."""
        if getattr(learner, "epsilon", None) is None:
            return None
        return cls(epsilon=learner.epsilon, delta=learner.delta, unit=learner.unit, clip_norm=learner.clip_norm)


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Everything a network is fitted with.

    Attributes:
        train: Recordings to learn from.
        validation: Other people's; not looked at under differential privacy.
        public: Recordings that need no protection; None where there are none.
        training: The options of training.
        privacy: None for training in the open.
        encoders: Choices of encoder by modality.
    """

    train: Batch
    validation: Batch
    public: Batch | None = None
    training: Training = field(default_factory=Training)
    privacy: Privacy | None = None
    encoders: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, learner: Any, train: Batch, validation: Batch, public: Batch | None) -> "Lesson":
        """Return the lesson that a learner's options ask for, its recordings checked.

        Raises:
            DataError: Nothing sound can be learned from these recordings.
        """
        check(train, validation)
        return cls(
            train=train,
            validation=validation,
            public=public,
            training=Training.of(learner),
            privacy=Privacy.of(learner),
            encoders=dict(getattr(learner, "encoders", {})),
        )

    @property
    def open_batch(self) -> Batch:
        """What may be looked at to calibrate: validation people, under differential privacy only public ones."""
        if self.privacy is None:
            return self.validation
        return self.public if self.public else self.train.take(np.arange(0))

    def only(self, modality: str) -> "Lesson":
        """Return the same lesson with one modality alone."""
        public = self.public.only(modality) if self.public else None
        return replace(self, train=self.train.only(modality), validation=self.validation.only(modality), public=public)

    def fit(
        self,
        shape: Shape,
        *,
        fusion: Fusion,
        rng: np.random.Generator,
        adjust: Adjust | None = None,
        stacked: bool = False,
    ) -> NetworkPredictor:
        """Train a network and calibrate it.

        Args:
            shape: ``joined`` (one opinion of all modalities), ``shared`` (an opinion each through one head) or
                ``separate`` (an opinion and a head each).
            fusion: How opinions become one.
            rng: Everything random follows from it.
            adjust: Changes gradients before a step; not under differential privacy.
            stacked: Fit fixed shares of the opinions too.
        """
        encodings = {m: choose(m, values, self.encoders) for m, values in self.train.arrays.items()}
        data = prepare(self.train, encodings)
        public = prepare(self.public, encodings) if self.public else data.take(torch.arange(0))
        open_data = prepare(self.open_batch, encodings)
        classes, width = self.train.classes, self.training.width
        dropout = 0.0 if self.privacy else self.training.dropout
        with seeded(rng):
            net = build(shape, encodings, width=width, dropout=dropout, classes=len(classes))
            set_scaling(net, public if self.privacy else data)
            spends = self._train(net, data, open_data, adjust=adjust, rng=rng)
        whole: dict[str, Any] = {"net": net, "shape": shape, "width": width, "encodings": encodings, "classes": classes}
        return NetworkPredictor(**whole, fusion=fusion, spends=spends).calibrated(self.open_batch, stacked=stacked)

    def _train(
        self, net: Network, data: Tensors, open_data: Tensors, *, adjust: Adjust | None, rng: np.random.Generator
    ) -> tuple[Spend, ...]:
        if self.privacy is None:
            descend(net, data, open_data, training=self.training, rng=rng, adjust=adjust)
            return ()
        return (self._train_privately(net, data, rng),)

    def _train_privately(self, net: Network, data: Tensors, rng: np.random.Generator) -> Spend:
        assert self.privacy is not None
        people, owner = np.unique(self.train.subjects, return_inverse=True)
        if self.privacy.unit == "recording":
            people, owner = np.array(self.train.ids), np.arange(len(data))
        weights = torch.ones(len(self.train.classes))
        if self.training.class_weights:
            weights = class_weights(torch.from_numpy(self._public_labels()), len(weights))
        p = self.privacy
        plan = plan_for(net, self.training, units=len(people), epsilon=p.epsilon, delta=p.delta, unit=p.unit)
        pace = Pace(training=self.training, clip_norm=p.clip_norm, class_weights=weights)
        return descend_privately(net, data, owner, plan=plan, pace=pace, rng=rng)

    def _public_labels(self) -> Array:
        if self.public is None:
            raise OptionError(
                "Class weights under differential privacy are counted on public recordings, and there are none: give "
                "public ones or leave class_weights out."
            )
        return self.public.labels
