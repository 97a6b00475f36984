"""Make up patients' histories of visits with a variational graph autoencoder: a path of visits for each person."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.errors import DataError, OptionError
from personare.core.options import Count, Delta, Epsilon, NotNegative, PartShare, Positive, Range, check_options
from personare.core.types import Array, Batch, Latents, Spend
from personare.features.visits import VISITS, histories
from personare.learn.history_net import HistoryNet, draw_normal, fitted_latents, latents_of, past_of, standard_latents
from personare.learn.loop import descend, one_core, seeded, shuffled, warm_cosine
from personare.learn.privacy import PrivacyPlan
from personare.learn.private_nets import PrivateSteps, Rows
from personare.learn.sampling import Density, Population, check_group

__all__ = ["Trajectories"]

_FEWEST = 20
_VALIDATION_FOLDS = 5  # of so many public people one is for early stopping
_GENTLE = 0.1  # pace of private training after public people, whom noise at full pace would unlearn
_DRAWN = 300  # people who tell how far a decoder went
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

    **Source**: G. Nikolentzos, M. Vazirgiannis, C. Xypolopoulos, M. Lingman, E. G. Brandt, "Synthetic electronic
    health records generated with variational graph autoencoders", npj Digital Medicine 6:83, 2023,
    doi:10.1038/s41746-023-00822-x. Ours: autoregressive decoder over sums of the past, visits as mixtures of profiles,
    the drawn length, early stopping on other people, constants calibrated on freely drawn people (without differential
    privacy only), and differential privacy.
    """

    # most visits of a person, longer histories are cut there; None: as many as ``train`` has, but not in private
    longest: Annotated[int | None, Range("at least 2 visits", lambda value: value is None or value >= 2)] = None
    latent: Count = 8  # numbers that tell one person from another
    hidden: Count = 64
    profiles: Count = 8  # kinds of visits that the mixture knows
    dropout: PartShare = 0.2  # share of the past that is hidden in training
    beta: NotNegative = 0.5  # weight of the latent's divergence from its prior, after warming up
    steps: Count = 400
    batch_size: Count = 16  # people; on average under differential privacy
    learning_rate: Positive = 5e-3
    weight_decay: NotNegative = 1e-2
    holders: Count = 1  # fewest people who must have a code that is made up; not under differential privacy
    epsilon: Epsilon = None
    delta: Delta = 1e-3
    clip_norm: Positive = 1.0  # longest gradient of one person

    def __post_init__(self) -> None:
        check_options(self)
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
        """Learn from the people of ``train``, one history of each; see ``core.protocols.Generator``."""
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
        never = codes[(holders > 0) & (holders < self.holders)].tolist()
        rows = rows.copy()  # the caller's stay as they are
        rows[..., never] = 0
        data = base = _tensors(rows, train, longest)
        even = np.full(len(train.classes), 1 / len(train.classes))
        population = Population(classes=train.classes, priors=even, columns=dict(train.columns))
        prior, validation_set = standard_latents(self.latent), None
        source = train if self.epsilon is None else public  # whom all but the private steps look at
        if self.epsilon is None and len(validation):
            validation_set = _tensors(histories(validation)[0], validation, longest)
        elif self.epsilon is not None and public is not None:
            public_rows, public_columns = histories(public)
            if public_columns != columns or public.classes != train.classes:
                raise DataError("Public histories must have the columns and classes of the others: read them alike.")
            public_data = _tensors(public_rows, public, longest)
            stop = torch.arange(len(public)) % _VALIDATION_FOLDS == 0
            base, validation_set = (
                {name: values[part] for name, values in public_data.items()} for part in (~stop, stop)
            )
        plan, n, size = None, len(train), min(self.batch_size, len(train))
        if self.epsilon is not None:
            plan = PrivacyPlan(
                epsilon=self.epsilon, delta=self.delta, unit="person", units=n, expected_batch=size, steps=self.steps
            )
        sizes = {"latent": self.latent, "hidden": self.hidden, "profiles": self.profiles}
        with seeded(rng), one_core():
            net = HistoryNet(columns, len(train.classes), **sizes, dropout=self.dropout)
            if source is not None:
                self._train(net, base, rng, validation_set=validation_set)
                population = Population.of(source)
                prior = fitted_latents(*net.encode(base["rows"], base["label"]), rng=rng)
                net.calibrate(base["rows"], base["label"], prior, rng=rng)
            if plan:
                self._train(net, data, rng, plan=plan, pace=1.0 if public is None else _GENTLE)
                population = replace(population, spends=(plan.spend(),))
                if public is not None:  # the noise has led what is drawn freely away; the public people cost nothing
                    net.calibrate(public_data["rows"], public_data["label"], prior, rng=rng)
        return TrajectorySampler(population=population, net=net, prior=prior, longest=longest, never=tuple(never))

    def _train(
        self,
        net: HistoryNet,
        data: Rows,
        rng: np.random.Generator,
        *,
        validation_set: Rows | None = None,
        plan: PrivacyPlan | None = None,
        pace: float = 1.0,
    ) -> None:
        """Train in place, and end with the weights under which the people of ``validation_set`` were least surprising.

        **Guarantee**: on the batches of a plan, the weights are (epsilon, delta)-differentially private for one person:
        a person is one history, and its gradient is cut and noised with those of the others. Nothing stops it early.
        """

        def by_visit(rows: Rows) -> Tensor:  # not by person: a prevalence counts visits
            return _losses(net, rows).sum() / rows["rows"][..., 0].sum()

        def by_visit_of_each(net: nn.Module, rows: Rows) -> Tensor:  # so that a long history's gradient is no longer
            return _losses(net, rows, packed=False) / rows["rows"][..., 0].sum(dim=1).clamp_min(1)

        @torch.inference_mode()
        def judge() -> float:
            return float(by_visit(validation_rows))

        validation_rows = (
            _take(validation_set, torch.arange(len(validation_set["rows"])), 1.0) if validation_set else {}
        )
        count = len(data["rows"])
        betas = [self.beta * min(1.0, 2 * step / self.steps) for step in range(self.steps)]  # warming up
        batches: Iterator[Any]
        if plan:
            pairs = zip(plan.batches(rng, present=count), betas, strict=True)
            batches = ((batch, _take(data, torch.from_numpy(batch.units), beta), None) for batch, beta in pairs)
        else:
            passes = (shuffled(count, self.batch_size, rng) for _ in betas)
            batches = (
                _take(data, which, beta) for beta, which in zip(betas, chain.from_iterable(passes), strict=False)
            )
        private = PrivateSteps(network=net, loss=by_visit_of_each, clip_norm=self.clip_norm, chunk=16)
        optimizer = torch.optim.AdamW(net.parameters(), lr=pace * self.learning_rate, weight_decay=self.weight_decay)
        descend(
            net,
            (islice(batches, _CHECK_EVERY) for _ in betas[::_CHECK_EVERY]),
            [private if plan else by_visit],
            optimizer=optimizer,
            schedule=warm_cosine(optimizer, self.steps),
            longest=1.0,
            judge=judge if validation_set else None,
            patience=_PATIENCE,
        )


def _tensors(rows: Array, batch: Batch, longest: int) -> dict[str, Tensor]:
    """Return histories cut to the longest allowed, one-hot classes, and 1 where a history was cut, (N,)."""
    return {
        "rows": torch.from_numpy(np.ascontiguousarray(rows[:, :longest])),
        "label": nn.functional.one_hot(torch.from_numpy(batch.labels), len(batch.classes)).float(),
        "open_end": torch.from_numpy((rows[..., 0].sum(axis=1) > longest).astype(np.float32)),
    }


def _take(data: Rows, which: Tensor, beta: float) -> Rows:
    """Return these people, cut to the longest of them, with the past of every visit and the weight of divergences."""
    rows = data["rows"][which]
    rows = rows[:, : int(rows[..., 0].sum(dim=1).max()) if len(rows) else 1]
    batch = {"label": data["label"][which], "open_end": data["open_end"][which]}
    return {"rows": rows, "past": past_of(rows), "beta": torch.full((len(rows),), beta), **batch}


def _losses(net: nn.Module, rows: Rows, *, packed: bool = True) -> Tensor:
    """Return what each person loses, (N,): surprise at the history plus what the latent tells about the person."""
    assert isinstance(net, HistoryNet)
    mu, log_var = net.encode(rows["rows"], rows["label"])
    z = mu + torch.randn_like(mu) * torch.exp(0.5 * log_var) if net.training else mu
    nll = net.nll(rows["rows"], rows["past"], z, rows["label"], open_end=rows["open_end"], packed=packed)
    return nll + rows["beta"] * (0.5 * (mu.square() + log_var.exp() - 1 - log_var).sum(dim=1))


@dataclass(frozen=True, kw_only=True)
class TrajectorySampler:
    """Makes up histories of people who do not exist, of at most ``longest`` visits, without the columns ``never``."""

    population: Population
    net: HistoryNet
    prior: Mapping[str, Array]  # the mixture that latents are drawn from: weights (K,), means, deviations (K, L)
    longest: int
    never: tuple[int, ...]

    @property
    def spends(self) -> tuple[Spend, ...]:
        """What training cost."""
        return self.population.spends

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        """Return made-up histories, ``recordings`` lives that each person could have had; one is the usual number."""
        return self.decoded(self.latents(people, recordings, rng=rng, labels=labels), rng=rng)

    def latents(
        self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None
    ) -> Latents:
        """Draw who people are; see ``core.protocols.LatentSampler``. What happens to them follows in ``decoded``."""
        labels, whose = self.population.labels(people, recordings, labels, rng=rng)
        person = draw_normal(self.prior, people, rng=rng)
        return Latents(labels=labels, whose=whose, person=person, moment=np.empty((len(whose), 0)))

    def decoded(self, latents: Latents, *, rng: np.random.Generator) -> Batch:
        """Return a history for each of the latents."""
        z = latents_of(self.prior, latents.person)[latents.whose]
        one_hot = nn.functional.one_hot(torch.from_numpy(latents.labels), len(self.population.classes)).float()
        with seeded(rng), one_core():
            rows = self.net.draw(z, one_hot, longest=self.longest, never=self.never)
        return self.population.batch({VISITS: rows.numpy()}, latents.labels, latents.whose)

    def density(self, items: Batch) -> "HistoryBound":
        """Return a lower bound of how likely histories are; see ``learn.sampling.DensitySampler``."""
        items = self.population.recognized(items)
        return HistoryBound(self, _tensors(histories(items)[0], items, self.longest))

    def adapted(self, density: Density) -> "TrajectorySampler":
        """Return the same with another decoder, and other people drawn."""
        net, prior = density.model()
        return replace(self, net=net, prior=prior)


class HistoryBound(nn.Module):
    """The evidence lower bound of histories: who is drawn and the decoder are trained, the encoder stays as it is."""

    def __init__(self, sampler: TrajectorySampler, items: Rows) -> None:
        super().__init__()
        self.sampler, self.items = sampler, items
        self.net = copy.deepcopy(sampler.net).requires_grad_(True)
        for part in (self.net.read, self.net.messages, self.net.attention, self.net.latent):
            part.requires_grad_(False)
        parts = {name: torch.from_numpy(values) for name, values in sampler.prior.items()}
        self.before, self.deviations = torch.log(parts["weights"] / parts["weights"].sum()), parts["deviations"]
        self.weights = nn.Parameter(self.before.clone())
        self.shifts = nn.Parameter(torch.zeros_like(self.deviations))  # of the mixture's means, in deviations
        self.means = parts["means"]

    def forward(self, rows: Tensor) -> Tensor:
        self.net.eval()  # nothing of the past is hidden
        batch = _take(self.items, rows, 1.0)
        mu, log_var = self.net.encode(batch["rows"], batch["label"])
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * log_var)
        away = (z[:, None] - self.means) / self.deviations - self.shifts  # (n, K, L)
        parts = -(0.5 * away.square() + torch.log(self.deviations)).sum(dim=2) + torch.log_softmax(self.weights, dim=0)
        divergence = -0.5 * (log_var + 1).sum(dim=1) - torch.logsumexp(parts, dim=1)
        nll = self.net.nll(batch["rows"], batch["past"], z, batch["label"], open_end=self._open_end(batch["rows"]))
        return -nll - divergence

    @torch.no_grad()
    def drift(self) -> float:
        """Return the divergence in nats of a history together with its latent, over freely drawn people."""
        rng, priors = np.random.default_rng(0), self.sampler.population.priors
        net, prior = self.model()
        z = latents_of(prior, draw_normal(prior, _DRAWN, rng=rng))
        label = torch.eye(len(priors))[rng.choice(len(priors), size=_DRAWN, p=priors)]
        with seeded(rng), one_core():
            rows = net.draw(z, label, longest=self.sampler.longest, never=self.sampler.never)
        past, open_end = past_of(rows), self._open_end(rows)
        before, now = (part.nll(rows, past, z, label, open_end=open_end) for part in (self.sampler.net, net))
        weights = torch.log_softmax(self.weights, dim=0)
        people = weights.exp() @ (weights - self.before + 0.5 * self.shifts.square().sum(dim=1))
        return float(people + (before - now).mean().clamp_min(0))

    def model(self) -> tuple[HistoryNet, dict[str, Array]]:
        """Return the network and the mixture as they were trained."""
        means, weights = self.means + self.deviations * self.shifts, torch.softmax(self.weights, dim=0)
        prior = {"weights": weights.detach().numpy(), "means": means.detach().numpy()}
        return copy.deepcopy(self.net).eval().requires_grad_(False), {**self.sampler.prior, **prior}

    def _open_end(self, rows: Tensor) -> Tensor:
        """Return 1 where a drawn history (N, T, D) is as long as can be: nothing tells whether it ends, (N,)."""
        return (rows[..., 0].sum(dim=1) == self.sampler.longest).to(rows)
