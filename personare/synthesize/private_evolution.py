"""Makes people up from public ones by votes: each private person votes for the candidates that are most alike."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial.distance import cdist

from personare.core.options import Count, Delta, Epsilon, check_options
from personare.core.types import Array, Batch, Spend
from personare.learn.mixed_effects import MixedEffects
from personare.learn.privacy import PrivacyPlan
from personare.learn.row_codes import RowCodes
from personare.learn.sampling import Population, check_group, check_public, complete_rows

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

    **Source**: Z. Lin, S. Gopi, J. Kulkarni, H. Nori, S. Yekhanin, "Differentially private synthetic data via
    foundation model APIs 1: images", ICLR 2024, arXiv:2305.15560. One vote a person in place of one a picture, and
    persons apart from recordings, are ours.
    """

    makes_texts: ClassVar[bool] = False

    candidates: int = 60  # of each class, and of persons
    rounds: Count = 4  # of votes
    directions: Count = 16  # in which alikeness is measured
    epsilon: Epsilon = None  # None counts the votes as they are
    delta: Delta = 1e-5

    def __post_init__(self) -> None:
        check_options(self, candidates=2)

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "CandidateSampler":
        """Let the people of ``train`` vote; see ``core.protocols.Generator``. Validation is not looked at."""
        check_group(train, fewest=2)
        public = check_public(train, public, fewest=_PUBLIC_FEWEST)
        codes, public_rows = complete_rows(public, rng=rng)
        start = MixedEffects.of(public_rows, public)
        scale, directions = start.main_directions(self.directions)
        view = directions / scale[:, None]  # (K, R) in which alikeness is measured
        rows = start.fill(codes.encode(train), train)
        voters = []
        for of_person in (train.subjects == person for person in np.unique(train.subjects)):
            labels = train.labels[of_person]
            person = (rows[of_person] - start.means[labels]).mean(axis=0)
            voters.append((person @ view, (rows[of_person] - person) @ view, labels))
        n, plan = len(voters), None
        if self.epsilon is not None:
            plan = PrivacyPlan(
                epsilon=self.epsilon, delta=self.delta, unit="person", units=n, expected_batch=n, steps=self.rounds
            )
        # one person changes the two kinds of votes together by no more than the root of 2
        noise = plan.noise_multiplier * np.sqrt(2) / n if plan else 0.0
        pool = self._candidates(start, rng)
        centers = np.concatenate([np.zeros((1, pool.shape[2])), start.means])[:, None]
        for number, batch in enumerate(plan.batches(rng) if plan else [None] * self.rounds):
            candidates = [part @ view for part in pool]
            votes = np.zeros((n, *pool.shape[:2]))  # (P, 1 + C, candidates)
            for vote, (person, moments, labels) in zip(votes, voters, strict=True):
                vote[0, cdist(person[None], candidates[0]).argmin()] = 1
                for c in np.unique(labels):
                    np.add.at(vote[1 + c], cdist(moments[labels == c], candidates[1 + c]).argmin(axis=1), 1)
                vote[1:] /= max(float(np.linalg.norm(vote[1:])), 1e-12)  # length 1 as well
            counts = batch.release(votes.reshape(n, -1), np.sqrt(2)) if batch else votes.mean(axis=0)
            # what is no more than noise counts nothing; where nothing is, all count
            clear = np.maximum(counts.reshape(pool.shape[:2]) - 2 * noise, 0)
            clear = np.where(clear.sum(axis=1, keepdims=True) > 0, clear, 1.0)
            chances = clear / clear.sum(axis=1, keepdims=True)
            if number < self.rounds - 1:  # as many variations of the winners, with the variance of what is mixed
                width, fresh = _KEPT * _FURTHER ** (number + 1), self._candidates(start, rng)
                winners = np.stack(
                    [p[rng.choice(len(p), size=len(p), p=c)] for p, c in zip(pool, chances, strict=True)]
                )
                pool = centers + np.sqrt(1 - width) * (winners - centers) + np.sqrt(width) * (fresh - centers)
        population = Population.of(public, (plan.spend(),) if plan else ())
        return CandidateSampler(codes=codes, pool=pool, chances=chances, population=population)

    def _candidates(self, start: MixedEffects, rng: np.random.Generator) -> Array:
        """Return (1 + C, candidates, K): persons' own parts, then recordings of each class."""
        people = rng.standard_normal((self.candidates, start.between.shape[1])) @ start.between.T
        moments = [rng.standard_normal((self.candidates, within.shape[1])) @ within.T for within in start.within]
        return np.stack([people, *(mean + moment for mean, moment in zip(start.means, moments, strict=True))])


@dataclass(frozen=True, kw_only=True)
class CandidateSampler:
    """Makes recordings up between the last candidates, as the votes went; no latent stands behind them."""

    codes: RowCodes
    pool: Array  # (1 + C, candidates, K): persons' own parts, then recordings of each class
    chances: Array  # (1 + C, candidates)
    population: Population

    @property
    def spends(self) -> tuple[Spend, ...]:
        """The privacy that the votes cost."""
        return self.population.spends

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        """Return made-up people; each row lies between two candidates."""
        labels, whose = self.population.labels(people, recordings, labels, rng=rng)
        rows = self._between(0, people, rng)[whose]
        for c in np.unique(labels):
            rows[labels == c] += self._between(1 + int(c), int((labels == c).sum()), rng)
        return self.population.batch(self.codes.decode(rows, rng=rng), labels, whose)

    def _between(self, kind: int, size: int, rng: np.random.Generator) -> Array:
        """Return (size, K) mixes of two candidates with the variance of one."""
        pool, chances = self.pool[kind], self.chances[kind]
        first, second = (pool[rng.choice(len(pool), size, p=chances)] for _ in range(2))
        center = chances @ pool
        angle = rng.random((size, 1)) * np.pi / 2
        return np.asarray(center + np.cos(angle) * (first - center) + np.sin(angle) * (second - center))
