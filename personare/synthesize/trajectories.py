"""Make up patients' histories of visits with a variational graph autoencoder: a path of visits for each person."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.errors import DataError, OptionError
from personare.core.state import restored, state_of
from personare.core.types import Array, Batch, Spend
from personare.features.visits import VISITS, VisitColumns, histories
from personare.learn.history_net import HistoryNet, draw_latents, fitted_latents, past_of, standard_latents
from personare.learn.loop import one_core, seeded
from personare.learn.privacy import PaidBatch, PrivacyPlan
from personare.learn.private_nets import PrivateSteps, Rows
from personare.learn.sampling import Population, check_group

__all__ = ["Trajectories"]

_FEWEST = 20
_HELD = 5  # of so many public people one stops the training
_GENTLE = 0.1  # pace of private training after public people, whom noise at full pace would unlearn
_DRAWN, _ROUNDS = 400, 9  # people drawn to calibrate, and how often
_CHECK_EVERY, _PATIENCE = 10, 6  # steps between two looks at other people; looks without gain that end training


@dataclass(frozen=True, kw_only=True)
class Trajectories:
    """Learn what kinds of people there are and how one visit follows another; then walk through made-up lives.

    A person is one history and one unit, so that a person-level claim needs no more than the plan. Words and sizes are
    public constants; nothing is scaled. Without ``epsilon`` latents are drawn from a mixture fitted to those of the
    training people. With it training starts from ``public`` people, and latents, classes and constants are theirs;
    without any, latents come from the standard normal, and classes are drawn evenly.

    **Guarantee**: with ``epsilon``, the sampler is (epsilon, delta)-differentially private for one person of ``train``,
    whose number is public. Without it, nothing is promised: see ``evaluate.visits`` for copies. No history is copied
    on purpose, and codes of fewer than ``holders`` people are left out.

    Attributes:
        longest: Most visits of a person; longer histories are cut there. None: as many as ``train`` has; a public
            number is needed under differential privacy.
        latent: Numbers that tell one person from another.
        hidden: Width of the network's layers.
        profiles: Kinds of visits that the mixture knows.
        dropout: Share of the past that is hidden in training.
        beta: Weight of the latent's divergence from its prior, after warming up.
        steps: Batches to learn from.
        batch_size: People in one, on average under differential privacy.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        holders: Fewest people who must have a code that is made up; not under differential privacy.
        epsilon: What training may cost; None: no privacy.
        delta: Chance that the bound fails.
        clip_norm: Longest gradient of one person.

    **Source**: G. Nikolentzos, M. Vazirgiannis, C. Xypolopoulos, M. Lingman, E. G. Brandt, "Synthetic electronic
    health records generated with variational graph autoencoders", npj Digital Medicine 6:83, 2023,
    doi:10.1038/s41746-023-00822-x. Ours: autoregressive decoder over sums of the past, visits as mixtures of profiles,
    the drawn length, early stopping on other people, constants calibrated on freely drawn people (without differential
    privacy only), and differential privacy.

    Example:
        >>> Trajectories(steps=200).latent
        8
        >>> Trajectories(epsilon=1.0)
        Traceback (most recent call last):
        personare.core.errors.OptionError: Under differential privacy longest must be given...
    """

    longest: int | None = None
    latent: int = 8
    hidden: int = 64
    profiles: int = 8
    dropout: float = 0.2
    beta: float = 0.5
    steps: int = 400
    batch_size: int = 16
    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    holders: int = 1
    epsilon: float | None = None
    delta: float = 1e-3
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        """Check the options."""
        sizes = ("latent", "hidden", "profiles", "steps", "batch_size", "holders")
        if wrong := [name for name in sizes if getattr(self, name) < 1]:
            raise OptionError(f"{', '.join(wrong)} must be at least 1.")
        if self.longest is not None and self.longest < 2:
            raise OptionError(f"longest must be at least 2 visits, it is {self.longest}.")
        if not 0 <= self.dropout < 1 or self.beta < 0 or not self.learning_rate > 0:
            raise OptionError("dropout must be in [0, 1), beta at least 0 and learning_rate above 0.")
        if self.epsilon is not None and self.longest is None:
            raise OptionError(
                "Under differential privacy longest must be given, a public number of visits: the longest history of "
                "the data is somebody's. Give e.g. longest=100."
            )
        if self.epsilon is not None and self.holders > 1:
            raise OptionError("holders counts private data: leave it at 1 where epsilon is given; noise hides the few.")

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "TrajectorySampler":
        """Learn from the people of ``train``; see ``core.protocols.Generator``.

        Raises:
            DataError: Too few people, several histories of one person, or rows that are no visits.
        """
        rows, columns = histories(train)
        check_group(train, fewest=_FEWEST)
        if len(set(train.subjects.tolist())) != len(train):
            raise DataError(
                f"Trajectories need one history of each person, given {len(train)} histories of "
                f"{len(set(train.subjects))} people. Choose one of each."
            )
        longest = self.longest or rows.shape[1]
        # codes that somebody has, but fewer people than ``holders``
        codes = np.arange(columns.width)[columns.part("code")]
        holders = rows[..., codes].any(axis=1).sum(axis=0)
        never = codes[(holders > 0) & (holders < self.holders)]
        rows = rows.copy()  # the caller's stay as they are
        rows[..., never] = 0
        data = _tensors(rows, train, longest)
        sizes: dict[str, Any] = {
            "latent": self.latent,
            "hidden": self.hidden,
            "profiles": self.profiles,
            "dropout": self.dropout,
        }
        even = np.full(len(train.classes), 1 / len(train.classes))
        population = Population(classes=train.classes, priors=even, columns=dict(train.columns))
        prior = standard_latents(self.latent)
        with seeded(rng), one_core():
            net = HistoryNet(columns, len(train.classes), **sizes)
            if self.epsilon is None:
                held = _tensors(histories(validation)[0], validation, longest) if len(validation) else None
                population, prior = Population.of(train), self._open(net, data, held, rng)
            else:
                if public is not None:
                    shown, public_columns = histories(public)
                    if public_columns != columns or public.classes != train.classes:
                        raise DataError(
                            "Public histories must have the columns and classes of the others: read them alike."
                        )
                    known = _tensors(shown, public, longest)
                    out = torch.arange(len(public)) % _HELD == 0
                    seen, held = ({name: v[part] for name, v in known.items()} for part in (~out, out))
                    population, prior = Population.of(public), self._open(net, seen, held, rng)
                plan = PrivacyPlan(
                    epsilon=self.epsilon,
                    delta=self.delta,
                    unit="person",
                    units=len(train),
                    expected_batch=min(self.batch_size, len(train)),
                    steps=self.steps,
                )
                self._train(net, data, rng, plan=plan, pace=1.0 if public is None else _GENTLE)
                population = replace(population, spends=(plan.spend(),))
                if public is not None:  # the noise has led what is drawn freely away; the public people cost nothing
                    self._calibrate(net, known, prior, rng)
        weights = {name: values.numpy() for name, values in net.state_dict().items()}
        return TrajectorySampler(
            population=population,
            sizes=sizes,
            weights=weights,
            prior=prior,
            longest=longest,
            never=tuple(int(i) for i in never),
        )

    def _open(self, net: HistoryNet, data: Rows, held: Rows | None, rng: np.random.Generator) -> dict[str, Array]:
        """Train without privacy, until ``held`` are not met any better; return where people's latents come from."""
        self._train(net, data, rng, held=held)
        prior = fitted_latents(*net.encode(data["rows"], data["label"]), rng=rng)
        self._calibrate(net, data, prior, rng)
        return prior

    @staticmethod
    def _calibrate(net: HistoryNet, data: Rows, prior: Mapping[str, Array], rng: np.random.Generator) -> None:
        like = rng.integers(len(data["rows"]), size=_DRAWN)
        net.calibrate(data["rows"], draw_latents(prior, _DRAWN, rng=rng), data["label"][like], rounds=_ROUNDS)

    def _train(
        self,
        net: HistoryNet,
        data: Rows,
        rng: np.random.Generator,
        *,
        held: Rows | None = None,
        plan: PrivacyPlan | None = None,
        pace: float = 1.0,
    ) -> None:
        """Train in place, and end with the weights under which the people of ``held`` were least surprising.

        **Guarantee**: on the batches of a plan, the weights are (epsilon, delta)-differentially private for one person:
        a person is one history, and its gradient is cut and noised with those of the others. Nothing stops it early.
        """
        optimizer = torch.optim.AdamW(net.parameters(), lr=pace * self.learning_rate, weight_decay=self.weight_decay)
        warm = max(1, self.steps // 10)
        schedule = torch.optim.lr_scheduler.LambdaLR(  # up in the first tenth of the steps, then down to 0
            optimizer,
            lambda step: min(1.0, (step + 1) / warm) * 0.5 * (1 + float(np.cos(np.pi * min(1.0, step / self.steps)))),
        )
        looked: list[float] = []
        best = copy.deepcopy(net.state_dict())
        watched = _take(held, torch.arange(len(held["rows"]))) if held else {}
        count = len(data["rows"])
        batches: Iterator[PaidBatch | Tensor] = islice(_batches(count, self.batch_size, rng), self.steps)
        if plan:
            batches = plan.batches(rng, present=count)
        for step, batch in enumerate(batches):
            net.train()
            beta = self.beta * min(1.0, 2 * step / self.steps)  # warming up
            if isinstance(batch, Tensor):
                rows = _take(data, batch)
                optimizer.zero_grad()
                # by visit, not by person: a prevalence counts visits
                lost = _losses(net, rows, beta).sum() / rows["rows"][..., 0].sum()
                lost.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            else:
                loss = partial(_losses_by_visit, beta=beta)
                private = PrivateSteps(network=net, loss=loss, clip_norm=self.clip_norm, chunk=16)
                private.release(batch, _take(data, torch.from_numpy(batch.units)))
            optimizer.step()
            schedule.step()
            if watched and step % _CHECK_EVERY == _CHECK_EVERY - 1:
                net.eval()
                with torch.inference_mode():
                    looked.append(float(_losses(net, watched, 1.0).sum() / watched["rows"][..., 0].sum()))
                if looked[-1] <= min(looked):
                    best = copy.deepcopy(net.state_dict())
                elif len(looked) - int(np.argmin(looked)) > _PATIENCE:
                    break
        if looked:
            net.load_state_dict(best)
        net.eval()

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "TrajectorySampler":
        """Build again what ``state`` of the sampler returned."""
        sampler: TrajectorySampler = restored(TrajectorySampler, tensors, about)
        return sampler


def _tensors(rows: Array, batch: Batch, longest: int) -> dict[str, Tensor]:
    """Return histories cut to the longest allowed, one-hot classes, and 1 where a history was cut, (N,)."""
    return {
        "rows": torch.from_numpy(np.ascontiguousarray(rows[:, :longest])),
        "label": nn.functional.one_hot(torch.from_numpy(batch.labels), len(batch.classes)).float(),
        "open_end": torch.from_numpy((rows[..., 0].sum(axis=1) > longest).astype(np.float32)),
    }


def _take(data: Rows, which: Tensor) -> dict[str, Tensor]:
    """Return these people, cut to the longest of them, with the past of every visit."""
    rows = data["rows"][which]
    rows = rows[:, : int(rows[..., 0].sum(dim=1).max()) if len(rows) else 1]
    return {"rows": rows, "past": past_of(rows), "label": data["label"][which], "open_end": data["open_end"][which]}


def _losses(net: nn.Module, rows: Rows, beta: float, *, packed: bool = True) -> Tensor:
    """Return what each person loses, (N,): surprise at the history plus what the latent tells about the person."""
    assert isinstance(net, HistoryNet)
    mu, log_var = net.encode(rows["rows"], rows["label"])
    z = mu + torch.randn_like(mu) * torch.exp(0.5 * log_var) if net.training else mu
    nll = net.nll(rows["rows"], rows["past"], z, rows["label"], open_end=rows["open_end"], packed=packed)
    return nll + beta * (0.5 * (mu.square() + log_var.exp() - 1 - log_var).sum(dim=1))


def _losses_by_visit(net: nn.Module, rows: Rows, beta: float) -> Tensor:
    """Return them by visit of each person, so that the gradient of a long history is in the range of the others."""
    return _losses(net, rows, beta, packed=False) / rows["rows"][..., 0].sum(dim=1).clamp_min(1)


def _batches(count: int, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    while True:
        yield from torch.split(torch.from_numpy(rng.permutation(count)), size)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrajectorySampler:
    """Makes up histories of people who do not exist.

    Attributes:
        population: Classes and columns, and what training cost.
        sizes: Of the network that draws visits.
        weights: Of the network.
        prior: Mixture that latents are drawn from: ``weights`` (K,), ``means`` and ``deviations`` (K, L).
        longest: Most visits.
        never: Columns that are not made up.
    """

    population: Population
    sizes: Mapping[str, Any]
    weights: Mapping[str, Array]
    prior: Mapping[str, Array]
    longest: int
    never: tuple[int, ...]

    @property
    def spends(self) -> tuple[Spend, ...]:
        """What training cost."""
        return self.population.spends

    @cached_property
    def net(self) -> HistoryNet:
        """Draws visits."""
        columns, classes = VisitColumns(names=self.population.columns[VISITS]), len(self.population.classes)
        with torch.device("meta"):  # no weights are drawn
            net = HistoryNet(columns, classes, **self.sizes)
        net.load_state_dict({name: torch.tensor(values) for name, values in self.weights.items()}, assign=True)
        return net.eval()

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        """Return made-up histories, ``recordings`` lives that each person could have had; one is the usual number."""
        labels, whose = self.population.labels(people, recordings, labels, rng=rng)
        z = draw_latents(self.prior, people, rng=rng)[whose]
        one_hot = nn.functional.one_hot(torch.from_numpy(labels), len(self.population.classes)).float()
        with seeded(rng), one_core():
            drawn = self.net.draw(z, one_hot, longest=self.longest, never=self.never)
        return self.population.batch({VISITS: drawn.numpy()}, labels, whose)

    def state(self) -> tuple[Mapping[str, Array], dict[str, str]]:
        """Return everything that makes the sampler, as arrays and text."""
        return state_of(self)
