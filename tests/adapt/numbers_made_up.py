"""A generator of a few numbers, whose latents are what comes out, and a taste for the first of them."""

from dataclasses import dataclass

import numpy as np

from personare.core.types import Array, Batch, Feedback, Latents, Spend
from personare.learn.sampling import Population


@dataclass(frozen=True)
class Numbers:
    """Two numbers of a person and three of a recording, side by side, in two classes."""

    spends: tuple[Spend, ...] = ()
    population: Population = Population(classes=("a", "b"), priors=np.array([0.5, 0.5]), columns={})  # noqa: RUF009

    def latents(
        self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None
    ) -> Latents:
        labels, whose = self.population.labels(people, recordings, labels, rng=rng)
        person, moment = rng.standard_normal((people, 2)), rng.standard_normal((len(whose), 3))
        return Latents(labels=labels, whose=whose, person=person, moment=moment)

    def decoded(self, latents: Latents, *, rng: np.random.Generator) -> Batch:
        values = np.concatenate([latents.person[latents.whose], latents.moment], axis=1)
        return self.population.batch({"x": values}, latents.labels, latents.whose)

    def __call__(self, people: int, recordings: int, *, rng: np.random.Generator, labels: Array | None = None) -> Batch:
        return self.decoded(self.latents(people, recordings, rng=rng, labels=labels), rng=rng)


def taste(batch: Batch) -> Array:
    """A person's first number, and a recording's: high in class a, low in class b."""
    return batch.arrays["x"][:, 0] + np.where(batch.labels == 0, 1, -1) * batch.arrays["x"][:, 2]


def feedback() -> Feedback:
    items = Numbers()(20, 2, rng=np.random.default_rng(0))
    return Feedback(items=items, pairs=np.array([[0, 1]]), reward=taste, judge=taste)
