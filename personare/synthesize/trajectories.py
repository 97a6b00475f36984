"""Make up patients' histories of visits with a variational graph autoencoder: a path of visits for each person."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Batch, Spend
from personare.features.visits import VISITS, VisitColumns, histories
from personare.learn.casting import Cast, check_group
from personare.learn.loop import one_core, seeded
from personare.learn.privacy import PrivacyPlan
from personare.learn.visit_latents import draw_latents, fitted_latents, standard_latents
from personare.learn.visit_training import Paths, Schooling, calibrate, learn_paths, learn_paths_privately
from personare.learn.visits import HistoryNet, Shape

__all__ = ["Trajectories"]

_FEWEST = 20
_HELD = 5  # of so many public people one stops the training
_GENTLE = 0.1  # pace of private training after public people, whom noise at full pace would unlearn
_DRAWN, _ROUNDS = 400, 9  # people drawn to calibrate, and how often


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
        never = self._rare(rows, columns)
        rows = rows.copy()  # the caller's stay as they are
        rows[..., never] = 0
        data = _paths(rows, train, longest)
        with seeded(rng), one_core():
            net = HistoryNet(columns, len(train.classes), self._shape())
            if self.epsilon is None:
                held = _paths(histories(validation)[0], validation, longest) if len(validation) else data.of(slice(0))
                cast, prior = Cast.of(train), self._open(net, data, held, rng)
            else:
                cast, prior = self._known(net, train, public, longest, rng)
                gentle = self if public is None else replace(self, learning_rate=_GENTLE * self.learning_rate)
                cast = replace(cast, spends=(gentle._private(net, data, self.epsilon, rng),))
                if public is not None:  # the noise has led what is drawn freely away; the public people cost nothing
                    self._level(net, _paths(histories(public)[0], public, longest), prior, rng)
        return TrajectorySampler(net=net, cast=cast, prior=prior, longest=longest, never=tuple(int(i) for i in never))

    def _open(self, net: HistoryNet, data: Paths, held: Paths, rng: np.random.Generator) -> dict[str, Array]:
        """Train without privacy, until ``held`` are not met any better; return where people's latents come from."""
        learn_paths(net, data, held, schooling=self._schooling(), rng=rng)
        prior = fitted_latents(*net.encode(data.rows, data.label), rng=rng)
        self._level(net, data, prior, rng)
        return prior

    @staticmethod
    def _level(net: HistoryNet, data: Paths, prior: Mapping[str, Array], rng: np.random.Generator) -> None:
        like = rng.integers(len(data), size=_DRAWN)
        calibrate(net, data, draw_latents(prior, _DRAWN, rng=rng), data.label[like], rounds=_ROUNDS)

    def _known(
        self, net: HistoryNet, train: Batch, public: Batch | None, longest: int, rng: np.random.Generator
    ) -> tuple[Cast, dict[str, Array]]:
        """Start from public people, or from constants; return classes, and where people's latents come from."""
        if public is None:
            even = np.full(len(train.classes), 1 / len(train.classes))
            return Cast(classes=train.classes, shares=even, columns=dict(train.columns)), standard_latents(self.latent)
        rows, columns = histories(public)
        if columns != net.columns or public.classes != train.classes:
            raise DataError("Public histories must have the columns and classes of the others: read them alike.")
        paths = _paths(rows, public, longest)
        held = np.arange(len(public)) % _HELD == 0
        seen, held_out = (paths.of(torch.from_numpy(part)) for part in (~held, held))
        return Cast.of(public), self._open(net, seen, held_out, rng)

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "TrajectorySampler":
        """Build again what ``state`` of the sampler returned."""
        cast = Cast.restore(tensors, about)
        try:
            net = HistoryNet(
                VisitColumns(names=cast.columns[VISITS]), len(cast.classes), Shape(**json.loads(about["shape"]))
            )
            weights = {
                n.removeprefix("net."): torch.from_numpy(v.copy()) for n, v in tensors.items() if n[:4] == "net."
            }
            net.load_state_dict(weights)
            return TrajectorySampler(
                net=net.eval(),
                cast=cast,
                prior={name: tensors[f"prior.{name}"] for name in ("weights", "means", "deviations")},
                longest=int(about["longest"]),
                never=tuple(json.loads(about["never"])),
            )
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise DataError(f"This is not the state of trajectories ({error}): fit the generator again.") from error

    def _shape(self) -> Shape:
        return Shape(latent=self.latent, hidden=self.hidden, profiles=self.profiles, dropout=self.dropout)

    def _schooling(self) -> Schooling:
        return Schooling(
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            beta=self.beta,
        )

    def _rare(self, rows: Array, columns: VisitColumns) -> Array:
        """Return the columns of codes that somebody has, but fewer people than ``holders``."""
        codes = np.arange(columns.width)[columns.part("code")]
        people = rows[..., codes].any(axis=1).sum(axis=0)
        rare: Array = codes[(people > 0) & (people < self.holders)]
        return rare

    def _private(self, net: HistoryNet, data: Paths, epsilon: float, rng: np.random.Generator) -> Spend:
        plan = PrivacyPlan(
            epsilon=epsilon,
            delta=self.delta,
            unit="person",
            units=len(data),
            expected_batch=min(self.batch_size, len(data)),
            steps=self.steps,
        )
        return learn_paths_privately(
            net, data, plan=plan, schooling=self._schooling(), clip_norm=self.clip_norm, rng=rng
        )


def _paths(rows: Array, batch: Batch, longest: int) -> Paths:
    """Return histories cut to the longest allowed, as tensors."""
    cut = rows[:, :longest]
    return Paths(
        rows=torch.from_numpy(np.ascontiguousarray(cut)),
        label=torch.nn.functional.one_hot(torch.from_numpy(batch.labels), len(batch.classes)).float(),
        open_end=torch.from_numpy((rows[..., 0].sum(axis=1) > longest).astype(np.float32)),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class TrajectorySampler:
    """Makes up histories of people who do not exist.

    Attributes:
        net: Draws visits.
        cast: Classes and columns, and what training cost.
        prior: Mixture that latents are drawn from: ``weights`` (K,), ``means`` and ``deviations`` (K, L).
        longest: Most visits.
        never: Columns that are not made up.
    """

    net: HistoryNet
    cast: Cast
    prior: Mapping[str, Array]
    longest: int
    never: tuple[int, ...]

    @property
    def spends(self) -> tuple[Spend, ...]:
        """What training cost."""
        return self.cast.spends

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        """Return made-up histories, ``recordings`` lives that each person could have had; one is the usual number.

        Raises:
            OptionError: Nobody is asked for, or labels that are none of the classes.
        """
        chosen, whose = self.cast.labels(people, recordings, labels, rng=rng)
        z = draw_latents(self.prior, people, rng=rng)[whose]
        one_hot = torch.nn.functional.one_hot(torch.from_numpy(chosen), len(self.cast.classes)).float()
        with seeded(rng), one_core():
            drawn = self.net.draw(z, one_hot, longest=self.longest, never=self.never)
        return self.cast.batch({VISITS: drawn.numpy()}, chosen, whose)

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return everything that makes the sampler, as arrays and text."""
        tensors, about = self.cast.state()
        tensors |= {f"net.{name}": values.numpy() for name, values in self.net.state_dict().items()}
        tensors |= {f"prior.{name}": values for name, values in self.prior.items()}
        shape = json.dumps(asdict(self.net.shape))
        return tensors, about | {"shape": shape, "longest": str(self.longest), "never": json.dumps(self.never)}
