"""What learners of several modalities share: their options, how a network is fitted, and the predictor it becomes."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from personare.core.errors import OptionError
from personare.core.options import Count, NotNegative, PartShare, Positive, check_options
from personare.core.types import Array, Batch, Spend
from personare.learn.accounting import check_claim
from personare.learn.federation import Federation, hold_near
from personare.learn.fusion import Fusion, fit_temperature, shares_of, stacked_shares
from personare.learn.loop import descend, seeded, shuffled, warm_cosine
from personare.learn.multimodal import Encoding, Network, Shape, check, prepare, take
from personare.learn.privacy import PaidBatch, PrivacyPlan, gather
from personare.learn.private_nets import PrivateSteps, Rows

_CHUNK = 256  # recordings that pass through a network together; bounds the memory
_CAP = 64  # most recordings of one person in a private step; a constant, so that it tells nothing about anybody
_DROPOUT = 0.3  # under differential privacy 0: noise does that
_MASKING = 0.2  # longest share of the frequencies, and of the time, that is blanked in spectrograms

Adjust = Callable[[Network, Rows, int, float], None]
"""Changes gradients before a step, given network, mini-batch, turn, and how much of the epoch has gone, in [0, 1)."""


@dataclass(frozen=True, kw_only=True)
class NetworkLearner:
    """The options that all learners of networks share."""

    epochs: Count = 60  # most passes over the recordings; under differential privacy, exactly so many on average
    batch_size: Count = 32  # recordings a step; under differential privacy, the expected number of units
    learning_rate: Positive = 2e-3  # its highest value; it rises over the first tenth and falls as a cosine
    weight_decay: NotNegative = 1e-2
    width: Count = 128  # numbers that describe a modality
    modality_dropout: PartShare = 0.1  # chance of each modality to be hidden in a step, where another one remains
    class_weights: bool = False  # rare classes count more, each as much in total
    patience: Count = 12  # epochs without a better validation loss before training stops; the best weights are kept
    # by modality, where the shape of the arrays shall not decide; see ``multimodal.Encoding``
    encoders: Mapping[str, str] = field(default_factory=dict)
    federation: Federation = field(default_factory=Federation)  # the sites it is learned over; a plan's entry sets it

    def __post_init__(self) -> None:
        check_options(self)
        if self.federation.noise == "shared":
            raise OptionError("Networks do not learn under noise that sites share: leave it to each, noise='site'.")

    @property
    def private(self) -> "PrivateNetworkLearner | None":
        """These options where they ask for differential privacy, else None."""
        return self if isinstance(self, PrivateNetworkLearner) and self.epsilon is not None else None

    def calibration_batch(self, train: Batch, validation: Batch, public: Batch | None) -> Batch:
        """Return who may be looked at to calibrate: validation people, under differential privacy only public ones."""
        if not self.private:
            return validation
        return public if public else train.take(np.arange(0))

    def make_optimizer(self, net: nn.Module) -> torch.optim.Optimizer:
        """Return what moves the weights."""
        return torch.optim.AdamW(net.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)

    def fit_network(
        self,
        train: Batch,
        validation: Batch,
        public: Batch | None,
        *,
        shape: Shape,
        rng: np.random.Generator,
        only: str = "",
        fusion: Fusion | None = None,
        adjust: Callable[[], Adjust] | None = None,
    ) -> "NetworkPredictor":
        """Train a network of a ``shape`` on all modalities, or ``only`` one, and calibrate it.

        ``fusion`` makes one posterior of those of several turns; ``adjust`` makes, for each site, what may change
        gradients where there is no differential privacy. For the rest see ``protocols.Learner``.
        """
        check(train, validation)
        if only:
            train, validation = train.only(only), validation.only(only)
            public = public.only(only) if public else None
        calibration = self.calibration_batch(train, validation, public)
        encodings = {m: Encoding.of(m, values, self.encoders) for m, values in train.arrays.items()}
        data, classes = prepare(train, encodings), len(train.classes)
        counted = public if self.private else train  # whose classes and features may be counted
        federation = self.federation
        parts = federation.parts(train.subjects, train.labels, private=bool(self.private))
        rows = [data if len(part) == len(train) else take(data, torch.from_numpy(part)) for part in parts]
        with seeded(rng if federation.seed is None else np.random.default_rng(federation.seed)):
            net = Network(encodings, shape, self.width, classes, 0.0 if self.private else _DROPOUT)
            if counted:
                set_scaling(net, [prepare(counted, encodings)] if self.private else rows, federation)
            weights = torch.ones(classes)
            if self.class_weights and not counted:
                raise OptionError(
                    "Class weights under differential privacy are counted on public recordings, and there are none: "
                    "give public ones or leave class_weights out."
                )
            if self.class_weights and counted:
                of_sites = [counted.labels] if self.private else [train.labels[part] for part in parts]
                counts = federation.total([np.bincount(labels, minlength=classes) for labels in of_sites])
                weights = class_weights(counts)
            watched = prepare(calibration, encodings)
            # of several sites none has validation people: the server stops by them
            at_site = watched if len(parts) == 1 else take(watched, torch.arange(0))
            sites: list[Iterator[Sequence[Spend]]] = []
            for part, own in zip(parts, rows, strict=True):
                if self.private:
                    subjects = train.subjects[part]
                    sites.append(self.private.private_rounds(net, own, subjects, weights, rng=rng))
                else:
                    change = adjust() if adjust else None
                    rounds = self.open_rounds(net, own, at_site, weights, rng=rng, adjust=change)
                    sites.append(() for _ in rounds)
            heads = {id(p) for p in net.heads.parameters()} if federation.keeps_head else set()
            stop = not self.private and len(parts) > 1 and not heads and len(calibration) > 0
            spends = federation.in_rounds(
                [p for p in net.parameters() if id(p) not in heads],
                sites,
                [len(np.unique(train.subjects[part])) for part in parts],
                kept=[p for p in net.parameters() if id(p) in heads],
                judge=partial(mean_loss, net, watched, weights) if stop else None,
            )
        predictor = NetworkPredictor(net=net, classes=train.classes, fusion=fusion or Fusion(), spends=spends)
        return predictor.calibrated(calibration)

    def open_rounds(
        self,
        net: Network,
        data: Rows,
        validation: Rows,
        weights: Tensor,
        *,
        rng: np.random.Generator,
        adjust: Adjust | None,
    ) -> Iterator[list[float]]:
        """Train in place for a round's share of the epochs whenever asked, going on where the last round stopped.

        A round ends early where other people are read no better; it yields their loss after each of its epochs.
        """
        size = len(data["labels"])
        count = math.ceil(size / self.batch_size)
        optimizer = self.make_optimizer(net)

        def epochs() -> Iterator[Iterator[tuple[Rows, float]]]:
            for _ in range(self.epochs):
                yield (
                    (vary(take(data, positions), self.modality_dropout, rng), number / count)
                    for number, positions in enumerate(shuffled(size, self.batch_size, rng))
                )

        def loss(turn: int, batch: tuple[Rows, float]) -> Tensor:
            count_read = int(net.turn_mask(batch[0]["present"])[:, turn].sum())
            return losses(net, batch[0], turn=turn, weights=weights).sum() / max(1, count_read)

        passes, schedule = epochs(), warm_cosine(optimizer, self.epochs * count)
        hold = hold_near(optimizer, net.parameters(), self.federation.proximal)
        for share in self.federation.shares(self.epochs):
            hold()
            yield descend(
                net,
                islice(passes, share),
                [partial(loss, turn) for turn in range(net.turns)],
                optimizer=optimizer,
                schedule=schedule,
                adjust=(lambda batch, turn: adjust(net, batch[0], turn, batch[1])) if adjust else None,
                judge=partial(mean_loss, net, validation, weights) if len(validation["labels"]) else None,
                patience=self.patience,
            )[1]


@dataclass(frozen=True, kw_only=True)
class PrivateNetworkLearner(NetworkLearner):
    """The options of learners that can train with differential privacy."""

    epsilon: float | None = None  # privacy bound; None trains in the open
    delta: float = 1e-5  # the chance that it fails, below 1 / units
    unit: Literal["person", "recording"] = "person"  # what is protected: all recordings of a person, or one recording
    clip_norm: Positive = 1.0  # longest gradient of one unit in one turn

    def __post_init__(self) -> None:
        super().__post_init__()
        check_claim(epsilon=self.epsilon, delta=self.delta)

    def private_rounds(
        self, net: Network, data: Rows, subjects: Array, weights: Tensor, *, rng: np.random.Generator
    ) -> Iterator[tuple[Spend, ...]]:
        """Train in place on a round's share of the batches of one plan; nothing stops it early, nobody validates it.

        **Guarantee:** the weights are (epsilon, delta)-differentially private for one unit: every turn moves only what
        it reads with, by gradients cut for each unit and noised as the joint release of all turns.
        """
        assert self.epsilon is not None
        owner = np.unique(subjects, return_inverse=True)[1] if self.unit == "person" else np.arange(len(subjects))
        units = int(owner.max()) + 1
        expected = min(self.batch_size, units)
        plan = PrivacyPlan(
            epsilon=self.epsilon,
            delta=self.delta,
            unit=self.unit,
            units=units,
            expected_batch=expected,
            steps=max(1, round(self.epochs * units / expected)),
            releases=net.turns,
        )

        def batches() -> Iterator[tuple[PaidBatch, Rows, Tensor | None]]:
            for batch in plan.batches(rng):
                positions, whose = gather(batch.units, owner, cap=_CAP, rng=rng)
                rows = vary(take(data, torch.from_numpy(positions)), self.modality_dropout, rng)
                yield batch, rows, torch.from_numpy(whose) if self.unit == "person" else None

        turns = []
        for turn in range(net.turns):
            moved = None if net.joined else [*net.encoders[turn].parameters(), *net.head(turn).parameters()]
            loss = partial(losses, turn=turn, weights=weights)
            turns.append(PrivateSteps(network=net, loss=loss, clip_norm=self.clip_norm, parameters=moved))
        optimizer = self.make_optimizer(net)
        schedule, paid = warm_cosine(optimizer, plan.steps), batches()
        hold = hold_near(optimizer, net.parameters(), self.federation.proximal)
        for share in self.federation.shares(plan.steps):
            hold()
            descend(net, [islice(paid, share)], turns, optimizer=optimizer, schedule=schedule)
            yield (plan.spend(),)


def set_scaling(net: Network, sites: Sequence[Rows], federation: Federation) -> None:
    """Give every encoder the mean, over recordings of all sites, of each site's own mean and deviation."""
    scalings = [getattr(encoder, "scaling", None) for encoder in net.encoders]
    given: list[list[Array]] = []
    for rows in sites:
        net.set_scaling(rows)
        given.append([torch.stack([s.center, s.scale]).double().flatten().numpy() for s in scalings if s is not None])
    counts = [rows["present"].sum(dim=0).tolist() for rows in sites]
    place = 0
    for m, scaling in enumerate(scalings):
        if scaling is not None:
            mean = federation.mean([site[place] for site in given], [count[m] for count in counts])
            center, scale = torch.from_numpy(mean).reshape(2, *scaling.center.shape)
            scaling.center.copy_(center)
            scaling.scale.copy_(scale)
        place += scaling is not None


@torch.inference_mode()
def mean_loss(net: Network, rows: Rows, weights: Tensor) -> float:
    """Return what recordings lose in a turn, on average over all that there is to read."""
    parts = [take(rows, positions) for positions in torch.split(torch.arange(len(rows["labels"])), _CHUNK)]
    turns = [(part, turn) for part in parts for turn in range(net.turns)]
    total = sum(float(losses(net, part, turn=turn, weights=weights).sum()) for part, turn in turns)
    return total / max(1, int(net.turn_mask(rows["present"]).sum()))


def class_weights(counts: Array) -> Tensor:
    """Return a weight for each class, (C,), under which all classes that occur, (C,) times, count the same in total."""
    weights = np.where(counts > 0, counts.sum() / np.maximum(counts, 1) / max(1, (counts > 0).sum()), 0)
    return torch.from_numpy(weights.astype(np.float32))


def losses(net: nn.Module, rows: Rows, *, turn: int, weights: Tensor) -> Tensor:
    """Return what each recording loses in one turn, (B,): weighted cross-entropy, 0 where there is nothing to read."""
    assert isinstance(net, Network)
    loss_each = nn.functional.cross_entropy(net(rows, turn), rows["labels"], weight=weights, reduction="none")
    return loss_each * net.turn_mask(rows["present"])[:, turn]


def vary(rows: Rows, modality_dropout: float, rng: np.random.Generator, masking: float = _MASKING) -> Rows:
    """Hide modalities and blank stripes of spectrograms, so that no recording looks the same twice.

    **Source:** Neverova et al., ModDrop, TPAMI 2016, doi:10.1109/TPAMI.2015.2461544 (whole modalities); Park et al.,
    SpecAugment, Interspeech 2019, doi:10.21437/Interspeech.2019-2680 (stripes, blanked with the recording's mean).
    """
    varied, present = dict(rows), rows["present"]
    left = present & ~torch.from_numpy(rng.random(tuple(present.shape)) < modality_dropout)
    varied["present"] = torch.where(left.any(dim=1, keepdim=True), left, present)
    for name, x in rows.items():
        for axis in (2, 3) if x.ndim == 4 and x.shape[1] == 1 else ():
            size = x.shape[axis]
            wide = rng.uniform(0, masking * size, (len(x), 1))
            start = rng.uniform(0, size - wide)
            place = np.arange(size)[None]
            blank = torch.from_numpy((place >= start) & (place < start + wide))
            blank = blank[:, None, :, None] if axis == 2 else blank[:, None, None, :]
            varied[name] = torch.where(blank, varied[name].mean(dim=(2, 3), keepdim=True), varied[name])
    return varied


@dataclass(frozen=True, kw_only=True)
class NetworkPredictor:
    """A trained network, never changed again: reads classes from recordings with any modality missing."""

    net: Network
    classes: tuple[str, ...]
    fusion: Fusion  # how the posteriors of the network's turns become one
    spends: tuple[Spend, ...] = ()

    @property
    def encodings(self) -> Mapping[str, Encoding]:
        """How each modality is read, in the network's order."""
        return self.net.encodings

    def _chunks(self, batch: Batch) -> Iterator[Rows]:
        for positions in torch.split(torch.arange(len(batch)), _CHUNK):
            yield prepare(batch.take(positions.numpy()), self.encodings)

    @torch.inference_mode()
    def logits(self, batch: Batch) -> tuple[Array, Array]:
        """Return logits (N, turns, C), and where there was something to read, (N, turns)."""
        logits, masks = [], []
        for rows in self._chunks(batch):
            logits.append(torch.stack([self.net(rows, turn) for turn in range(self.net.turns)], dim=1))
            masks.append(self.net.turn_mask(rows["present"]))
        return torch.cat(logits).numpy(), torch.cat(masks).numpy()

    def __call__(self, batch: Batch) -> Array:
        """Return (N, C) probabilities; chance where all modalities are missing."""
        return self.fusion(*self.logits(batch))

    def weights(self, batch: Batch) -> dict[str, Array]:
        """Return how much each modality counted in each recording, by modality, (N,) in [0, 1].

        Of posteriors that are fused, their weight. Of a network that reads all together, how much the answer changes
        when the modality is hidden, as a share of all such changes.
        """
        if self.net.joined:
            whole = self(batch)
            present = np.stack([batch.present[m] for m in self.encodings], axis=1)  # (N, M)
            changes = np.zeros(present.shape)
            for i, hidden in enumerate(self.encodings):
                rest = {m: p & (m != hidden) for m, p in batch.present.items()}
                changes[:, i] = np.abs(self(replace(batch, present=rest)) - whole).sum(axis=1) + 1e-9
            shares = shares_of(changes, present)
        else:
            logits, mask = self.logits(batch)
            shares = self.fusion.weights(self.fusion.posteriors(logits), mask)
        return dict(zip(self.encodings, shares.T, strict=True))

    @torch.inference_mode()
    def represent(self, batch: Batch) -> Array:
        """Return (N, D): what the classes are read from, zeros where a modality is missing."""
        return torch.cat([self.net.represent(rows) for rows in self._chunks(batch)]).numpy()

    @property
    def last_layer(self) -> Array:
        """(C, F + 1): the head, the first one where there are several."""
        head = self.net.head(0)
        return torch.cat([head.weight, head.bias[:, None]], dim=1).detach().numpy()

    def at(self, weights: Array) -> Self:
        """Return the same with other weights of all layers, or of all but the heads that stay at their sites."""
        net = deepcopy(self.net)
        whole = parameters_to_vector(net.parameters())  # the heads come last
        whole = torch.cat([torch.from_numpy(weights).float(), whole[len(weights) :]])
        vector_to_parameters(whole, net.parameters())
        return replace(self, net=net)

    def calibrated(self, batch: Batch, *, stacked: bool = False) -> "NetworkPredictor":
        """Return the same predictor with temperatures (and shares) fitted on people it was not trained on.

        Under differential privacy ``batch`` must be public. Nothing changes where it is empty.
        """
        if not len(batch):
            return self
        (logits, mask), labels = self.logits(batch), batch.labels
        temperatures = tuple(fit_temperature(logits[rows, k], labels[rows]) for k, rows in enumerate(mask.T))
        fusion = replace(self.fusion, temperatures=temperatures, temperature=1.0)
        if stacked:
            shares = stacked_shares(fusion.posteriors(logits), mask, labels, fusion.pool)
            fusion = replace(fusion, rule="fixed", shares=shares)
        temperature = fit_temperature(np.log(np.maximum(fusion(logits, mask), 1e-12)), labels)
        return replace(self, fusion=replace(fusion, temperature=temperature))
