"""Makes people up from public ones by votes: each private person votes for the candidates that are most alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial.distance import cdist

from personare.core.errors import OptionError
from personare.core.types import Array, Batch, Spend
from personare.learn.accounting import check_claim
from personare.learn.casting import Cast, check_group
from personare.learn.effects import Effects, complete
from personare.learn.latents import Latents
from personare.learn.privacy import PrivacyPlan
from personare.learn.private_effects import main_directions

__all__ = ["PrivateEvolution"]

_PUBLIC_FEWEST = 3
_KEPT = 0.5  # what a variation keeps of its parent, of the rest it is a fresh draw
_FURTHER = 0.7  # the fresh part shrinks by this in each round


@dataclass(frozen=True, kw_only=True)
class PrivateEvolution:
    """Draw candidates from public people, let private people vote for what is like them, vary the winners, and repeat.

    There are two kinds of candidates: a person's own part, and what a recording of a class adds to it. A private person
    has one vote of length 1 for each kind in each round. No gradient and no number of a private person but the votes is
    used, so this works with few people, as far as public people (or simulated ones) are like them.

    **Guarantee**: with ``epsilon``, (epsilon, delta)-differential privacy for each person of the group; votes are
    noised histograms, everything else is public. ``public`` is needed with and without privacy.

    Attributes:
        candidates: Of each class, and of persons.
        rounds: Of votes.
        directions: In which alikeness is measured.
        epsilon: Privacy bound; None counts the votes as they are.
        delta: The chance that it fails.

    **Source**: Z. Lin, S. Gopi, J. Kulkarni, H. Nori, S. Yekhanin, "Differentially private synthetic data via
    foundation model APIs 1: images", ICLR 2024, arXiv:2305.15560. One vote a person in place of one a picture, and
    persons apart from recordings, are ours.

    Example:
        >>> PrivateEvolution(rounds=2).candidates
        60
    """

    makes_texts: ClassVar[bool] = False

    candidates: int = 60
    rounds: int = 4
    directions: int = 16
    epsilon: float | None = None
    delta: float = 1e-5

    def __post_init__(self) -> None:
        """Check the options."""
        if self.candidates < 2 or self.rounds < 1 or self.directions < 1:
            raise OptionError("candidates must be at least 2, rounds and directions at least 1.")
        if self.epsilon is not None:
            check_claim(epsilon=self.epsilon, delta=self.delta)

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "PrivateEvolutionSampler":
        """Let the people of ``train`` vote; see ``core.protocols.Generator``. Validation is not looked at."""
        check_group(train, fewest=2, public=public, private=True)
        assert public is not None
        check_group(public, fewest=_PUBLIC_FEWEST)
        latents = Latents.of(public)
        known = complete(latents.encode(public), public.labels, rng=rng)
        start = Effects.of(known, public.labels, public.subjects, classes=len(public.classes))
        rows = latents.encode(train)
        votes = self._votes(np.where(np.isnan(rows), start.means[train.labels], rows), train, start)
        pool = self._pool(start, rng)
        people = len(votes)
        plan = None if self.epsilon is None else self._plan(people, self.epsilon)
        ballots = plan.batches(rng) if plan else iter([None] * self.rounds)
        for number, ballot in enumerate(ballots):
            counts = np.stack([vote(pool) for vote in votes])  # (P, (1 + C) * candidates)
            # one person changes the two kinds of votes together by no more than the root of 2
            told = ballot.release(counts, np.sqrt(2)) if ballot else counts.mean(axis=0)
            noise = plan.noise_multiplier * np.sqrt(2) / people if plan else 0.0
            chances = _chances(told.reshape(pool.shape[:2]), noise)
            if number < self.rounds - 1:
                pool = self._next(pool, chances, start, _FURTHER ** (number + 1), rng)
        spends = (plan.spend(),) if plan else ()
        return PrivateEvolutionSampler(latents=latents, pool=pool, chances=chances, cast=Cast.of(public, spends))

    def _plan(self, people: int, epsilon: float) -> PrivacyPlan:
        return PrivacyPlan(
            epsilon=epsilon, delta=self.delta, unit="person", units=people, expected_batch=people, steps=self.rounds
        )

    def _pool(self, start: Effects, rng: np.random.Generator) -> Array:
        """Return (1 + C, candidates, K): persons' own parts, then recordings of each class."""
        classes, size = len(start.means), self.candidates
        people = rng.standard_normal((size, start.person.shape[1])) @ start.person.T
        moments = [rng.standard_normal((size, start.moment.shape[2])) @ start.moment[c].T for c in range(classes)]
        return np.stack([people, *(start.means[c] + moment for c, moment in enumerate(moments))])

    def _next(self, pool: Array, chances: Array, start: Effects, width: float, rng: np.random.Generator) -> Array:
        """Return as many variations of the winners."""
        fresh = self._pool(start, rng)
        centers = np.concatenate([np.zeros((1, pool.shape[2])), start.means])[:, None]
        parents = np.stack([p[rng.choice(len(p), size=len(p), p=c)] for p, c in zip(pool, chances, strict=True)])
        # a mix that keeps the variance of what is mixed
        keep, new = np.sqrt(1 - _KEPT * width), np.sqrt(_KEPT * width)
        return np.asarray(centers + keep * (parents - centers) + new * (fresh - centers))

    def _votes(self, rows: Array, train: Batch, start: Effects) -> "list[_Voter]":
        scale, directions = main_directions(start, self.directions)
        look = directions / scale[:, None]  # (K, R)
        voters = []
        for person in np.unique(train.subjects):
            mine, said = rows[train.subjects == person], train.labels[train.subjects == person]
            own = (mine - start.means[said]).mean(axis=0)
            voters.append(_Voter(own=own, rows=mine - own, labels=said, look=look))
        return voters

    def restore(self, tensors: Mapping[str, Array], about: Mapping[str, str]) -> "PrivateEvolutionSampler":
        """Build again what ``state`` of the sampler returned."""
        cast, latents = Cast.restore(tensors, about), Latents.restore(tensors, about)
        return PrivateEvolutionSampler(latents=latents, pool=tensors["pool"], chances=tensors["chances"], cast=cast)


@dataclass(frozen=True, kw_only=True)
class _Voter:
    """One private person: own part, recordings without it, and how candidates are looked at."""

    own: Array
    rows: Array
    labels: Array
    look: Array

    def __call__(self, pool: Array) -> Array:
        """Return votes ((1 + C) * candidates,): those for persons have length 1, those for recordings together too."""
        votes = np.zeros(pool.shape[:2])
        votes[0, cdist(self.own[None] @ self.look, pool[0] @ self.look).argmin()] = 1
        for c in np.unique(self.labels):
            nearest = cdist(self.rows[self.labels == c] @ self.look, pool[1 + c] @ self.look).argmin(axis=1)
            np.add.at(votes[1 + c], nearest, 1)
        votes[1:] /= max(float(np.linalg.norm(votes[1:])), 1e-12)
        return votes.ravel()


def _chances(votes: Array, noise: float) -> Array:
    """Return (1 + C, candidates) chances: what is no more than noise counts nothing; where nothing is, all count."""
    clear = np.maximum(votes - 2 * noise, 0)
    clear = np.where(clear.sum(axis=1, keepdims=True) > 0, clear, 1.0)
    return np.asarray(clear / clear.sum(axis=1, keepdims=True))


@dataclass(frozen=True, kw_only=True)
class PrivateEvolutionSampler:
    """The last candidates and how the votes went.

    Attributes:
        latents: Codes of the modalities, public.
        pool: (1 + C, candidates, K) persons' own parts, then recordings of each class.
        chances: (1 + C, candidates).
        cast: Classes and what the votes cost.
    """

    latents: Latents
    pool: Array
    chances: Array
    cast: Cast

    @property
    def spends(self) -> tuple[Spend, ...]:
        """The privacy that the votes cost."""
        return self.cast.spends

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        """Return made-up people; see ``core.protocols.Sampler``. Recordings lie between two candidates."""
        chosen, whose = self.cast.labels(people, recordings, labels, rng=rng)
        rows = self._between(0, people, rng)[whose]
        for c in np.unique(chosen):
            rows[chosen == c] += self._between(1 + int(c), int((chosen == c).sum()), rng)
        return self.cast.batch(self.latents.decode(rows, rng=rng), chosen, whose)

    def _between(self, kind: int, size: int, rng: np.random.Generator) -> Array:
        """Return (size, K) mixes of two candidates with the variance of one."""
        first, second = (
            self.pool[kind][rng.choice(len(self.pool[kind]), size, p=self.chances[kind])] for _ in range(2)
        )
        center = self.chances[kind] @ self.pool[kind]
        angle = rng.random((size, 1)) * np.pi / 2
        return np.asarray(center + np.cos(angle) * (first - center) + np.sin(angle) * (second - center))

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return everything as arrays and text."""
        codes, about = self.latents.state()
        shares, told = self.cast.state()
        return {**codes, **shares, "pool": self.pool, "chances": self.chances}, {**about, **told}
