"""Rounds of learning over sites in one process: people stay with their site, and what sites came to is aggregated."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.errors import DataError, OptionError
from personare.core.options import Count, Whole, check_options
from personare.core.protocols import FederatedAlgorithm, ServerStep
from personare.core.randomness import part_of
from personare.core.types import Array, Spend
from personare.learn.secure_aggregation import secure_sum

__all__ = ["Federation", "Observed", "ServerStep", "averaged", "hold_near"]

_POISON = -10.0  # what a poisoned update is multiplied with: away from where the site's people would lead, and far


def averaged(weights: Array, mean: Array) -> Array:
    """Go on from the mean of what the sites came to."""
    return mean


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a server saw of one round."""

    before: Array  # (D,) the weights that it sent
    after: Array  # (S, D) what came back: of each site that takes part; with ``secure`` one row, the mean of all


@dataclass(frozen=True, kw_only=True)
class Federation:
    """Over which sites, in how many rounds, and how something is learned; one site and one round are plain training.

    **Guarantee**: a site learns from its own people alone, and what the server gets of it is a sum of weights (with
    ``secure``, of all sites together). What sites have paid for privacy holds over them, for nobody is in two.
    """

    sites: Count = 1  # over which people are dealt out, unless ``site_of`` says where each is
    rounds: Count = 1
    algorithm: FederatedAlgorithm | None = None  # None averages
    secure: bool = False  # add up what the sites send so that nobody sees what one sent
    # what hides people: noise of each site for its own, or one of all together, of which each site adds a share
    noise: Literal["site", "shared"] = "site"
    poisoned: Whole = 0  # sites, the first, whose updates are turned round and made far too long
    # of a site in a process of its own, which is the one that is here; ``study/federating.py`` sets these
    # gives the sum over all sites; True where it is of values that were weighted, with the weight at the end
    add_up: Callable[[Array, bool], Array] | None = field(default=None, repr=False, compare=False)
    charge: Callable[[Sequence[Spend]], object] = field(default=lambda spends: None, repr=False, compare=False)
    seed: int | None = None  # of the network that all begin with, where each draws chance of its own
    site_of: Mapping[str, str] = field(default_factory=dict)  # by subject
    tell: Callable[[str], object] = field(default=lambda message: None, repr=False, compare=False)
    observe: Callable[[Observed], object] | None = field(default=None, repr=False, compare=False)  # of each round

    def __post_init__(self) -> None:
        check_options(self)
        if self.secure and self._combine:
            raise OptionError("This algorithm must see each site's update, and secure aggregation hides it: take one.")
        if self.noise == "shared" and not self.secure:
            raise OptionError("A share of the noise hides nobody: shared noise needs secure aggregation (secure).")

    @property
    def _combine(self) -> Callable[[Array, Array], Array] | None:
        return getattr(self.algorithm, "combine", None)

    @property
    def proximal(self) -> float:
        """How strongly sites are held near to where a round began."""
        return float(getattr(self.algorithm, "proximal", 0.0))

    @property
    def keeps_head(self) -> bool:
        """Whether the last layer stays at its site."""
        return bool(getattr(self.algorithm, "keeps_head", False))

    def deal(self, subjects: Array) -> list[Array]:
        """Return, for each site, the positions of its people's recordings.

        Whom no one placed is dealt by a hash of the pseudonym, alike in all that is learned of the same people. A dealt
        cohort stands for sites that exist: what privacy promises is for a person of a site, given who is at which.
        """
        people, owner = np.unique(subjects, return_inverse=True)
        if self.site_of:
            if homeless := sorted(set(people.tolist()) - set(self.site_of)):
                raise DataError(
                    f"Everybody must have a site, but {len(homeless)} people have none, e.g. {homeless[0]}."
                )
            places = np.array([self.site_of[subject] for subject in people.tolist()])
            parts = [np.flatnonzero(places == place) for place in np.unique(places)]
        elif self.sites > len(people):
            raise OptionError(f"There must be a person in each of {self.sites} sites, but there are {len(people)}.")
        else:
            order = np.argsort([part_of(str(subject), 2**62, "sites") for subject in people.tolist()])
            parts = np.array_split(order, self.sites)
        return [np.flatnonzero(np.isin(owner, part)) for part in parts]

    def shares(self, count: int) -> list[int]:
        """Return how many of so many epochs or steps each round has."""
        if self.rounds > count:
            raise OptionError(
                f"There must be an epoch or a step in each of {self.rounds} rounds, but there are {count}."
            )
        return [len(part) for part in np.array_split(np.empty(count), self.rounds)]

    def parts(self, subjects: Array, labels: Array, *, private: bool) -> list[Array]:
        """Deal out recordings as ``deal`` does; a site from which nothing sound can be learned sits out, and is told.

        An update of one person would be that person's, and one class teaches only that there is no other; but classes
        are not looked at in ``private``.
        """
        taking_part = []
        for number, part in enumerate(self.deal(subjects), start=1):
            people, classes = (len(np.unique(values[part])) for values in (subjects, labels))
            if people >= 2 and (private or classes >= 2):
                taking_part.append(part)
            else:
                self.tell(f"Site {number} sat out: it must have 2 people and 2 classes, it has {people} and {classes}.")
        if not taking_part:
            raise DataError("No site has 2 people and 2 classes: take fewer sites, or add people.")
        if self._combine and not self.add_up and len(taking_part) < 3:
            raise DataError(f"Of {len(taking_part)} sites none is in the minority: a robust algorithm needs 3 or more.")
        return taking_part

    def in_rounds(
        self,
        moved: Sequence[Tensor],
        sites: Sequence[Iterator[Sequence[Spend]]],
        people: Sequence[int],
        *,
        kept: Sequence[Tensor] = (),
        judge: Callable[[], float] | None = None,
    ) -> tuple[Spend, ...]:
        """Train in place: every ``next`` of a site moves the tensors for a round; return what the dearest site paid.

        What it costs is charged before anything is added up. ``kept`` stay at each site, and become their mean at the
        end. With ``judge``, lower is better, the best round's weights are left. A site that comes to what is no number
        is told, counted among those that take part, and its round is left out.
        """
        step = self.algorithm.start() if self.algorithm else averaged
        weights, heads = _flat(moved), [_flat(kept) for _ in sites]
        spends: list[Spend] = []
        best, least = weights, math.inf
        for number in range(1, self.rounds + 1):
            sent, counts = [], []
            for place, site in enumerate(sites):
                _load(moved, weights)
                _load(kept, heads[place])
                spends += next(site)
                values, head = _flat(moved), _flat(kept)
                if place < self.poisoned:
                    values = weights + _POISON * (values - weights)
                whole = bool(np.isfinite(values).all() and np.isfinite(head).all())
                sent.append(values)
                counts.append(people[place] if whole else 0)
                heads[place] = head if whole else heads[place]
                if not whole:
                    self.tell(f"Round {number} went on without the update of site {place + 1}, which was no number.")
            if number == 1:
                self.charge(spends)
            mean = self.mean(sent, counts)
            if not np.isfinite(mean).all():
                raise DataError(
                    "No site sent numbers: look for what makes training diverge, such as the learning rate."
                )
            if self.observe:
                seen = [mean] if self.secure else [np.where(np.isfinite(x), x, weights) for x in sent]
                self.observe(Observed(before=weights, after=np.stack(seen)))
            weights = step(weights, mean)
            _load(moved, weights)
            if not judge or (value := judge()) <= least:
                best, least = weights, value if judge else least
        _load(moved, best)
        _load(kept, self.mean(heads, people) if kept else heads[0])
        # nobody is in two sites: what the dearest of them costs is what anybody pays
        return (max(spends, key=lambda spend: spend.epsilon),) if spends else ()

    def mean(self, values: Sequence[Array], weights: Sequence[float]) -> Array:
        """Return the weighted mean (D,) over all sites; the first one's own values where none weighs anything.

        An algorithm that combines what sites sent by a rule of its own does so here, of those that weigh something; for
        sites in processes of their own the server does, and answers with that and a weight of 1.
        """
        if self._combine and not self.add_up and any(weights):
            rows = [(x, w) for x, w in zip(values, weights, strict=True) if w]
            return self._combine(np.stack([x for x, _ in rows]), np.array([w for _, w in rows]))
        packed = [np.append(x * w, w) if w else np.zeros(len(x) + 1) for x, w in zip(values, weights, strict=True)]
        total = self.total(packed, weighted=True)
        return np.asarray(total[:-1] / total[-1] if total[-1] > 0 else values[0])

    def total(self, values: Sequence[Array], *, weighted: bool = False) -> Array:
        """Return the sum (D,) over all sites, those in other processes too; see ``add_up``."""
        if self.add_up:
            return self.add_up(np.sum(values, axis=0), weighted)
        return secure_sum(values) if self.secure else np.asarray(np.sum(values, axis=0))


def hold_near(
    optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], strength: float
) -> Callable[[], None]:
    """Add to every step a pull to where the parameters were when what is returned was last called; 0 for none."""
    held, start = list(parameters), list[Tensor]()

    def hold() -> None:
        start[:] = [p.detach().clone() for p in held] if strength else []

    def pull(*_: object) -> None:
        for p, at in zip(held, start, strict=True):
            if p.grad is not None:
                p.grad.add_(p.detach() - at, alpha=strength)

    if strength:
        optimizer.register_step_pre_hook(pull)
    return hold


def _flat(tensors: Sequence[Tensor]) -> Array:
    """Return all numbers as float64, which holds float32 exactly."""
    return np.concatenate([np.empty(0), *(t.detach().double().cpu().numpy().ravel() for t in tensors)])


@torch.no_grad()
def _load(tensors: Sequence[Tensor], values: Array) -> None:
    pieces = np.split(values, np.cumsum([t.numel() for t in tensors])[:-1]) if tensors else []
    for t, piece in zip(tensors, pieces, strict=True):
        t.copy_(torch.from_numpy(piece).reshape(t.shape))
