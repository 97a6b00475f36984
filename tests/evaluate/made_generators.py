"""Made-up people, and generators of which it is known what they give away."""

import numpy as np

from personare.core.types import Batch
from personare.learn.privacy import PrivacyPlan

WIDTHS = {"voice": 7, "face": 6}


def batch(values, labels, subjects):
    """Two tables of numbers as a batch."""
    ends = np.cumsum([0, *WIDTHS.values()])
    parts = zip(WIDTHS, ends[:-1], ends[1:], strict=True)
    return Batch(
        ids=tuple(f"{s}_{k}" for k, s in enumerate(subjects)),
        arrays={name: values[:, a:b].astype(np.float32) for name, a, b in parts},
        present={name: np.ones(len(values), dtype=bool) for name in WIDTHS},
        labels=np.asarray(labels),
        classes=("calm", "angry", "happy"),
        subjects=np.asarray(subjects),
    )


def group(people, *, each=8, seed=0, first=0):
    """People who look and sound like themselves, in three moods."""
    rng = np.random.default_rng((seed, first))
    moods = np.random.default_rng(99).standard_normal((3, 13))
    labels = rng.integers(3, size=people * each)
    own = np.repeat(rng.standard_normal((people, 13)), each, axis=0)
    values = own + moods[labels] + rng.standard_normal((people * each, 13))
    return batch(values, labels, np.repeat([f"p{first + k:03d}" for k in range(people)], each))


def rows_of(some):
    """All numbers of a batch, (N, D)."""
    return np.concatenate([some.arrays[name] for name in WIDTHS], axis=1).astype(float)


def synthetic_names(count, people=10):
    """Whose made-up recordings they are."""
    return np.array([f"synthetic-{k % people:04d}" for k in range(count)])


def memorized(train, rng, *, count=400, noise=0.05):
    """Recordings of real people with a little noise: the worst generator there is."""
    chosen = rng.integers(len(train), size=count)
    values = rows_of(train)[chosen]
    return batch(values + noise * rng.standard_normal(values.shape), train.labels[chosen], synthetic_names(count))


def blind(rng, *, count=400):
    """People from a fixed public distribution: nothing was learned from anybody."""
    other = group(50, each=8, seed=int(rng.integers(2**31)))
    chosen = rng.integers(len(other), size=count)
    return batch(rows_of(other)[chosen], other.labels[chosen], synthetic_names(count))


def averaged(train, rng, *, count=400, plan=None, clip=4.0):
    """Normal people around the mean of everybody's means: exact, or once clipped and noised and so private."""
    names = np.unique(train.subjects)
    means = np.stack([rows_of(train)[train.subjects == name].mean(axis=0) for name in names])
    if plan is None:
        center = means.mean(axis=0)
    else:
        [paid] = plan.batches(rng)
        center = paid.release(means[paid.units], clip)
    values = center + 0.3 * rng.standard_normal((count, len(center)))
    return batch(values, rng.integers(3, size=count), synthetic_names(count))


def one_shot(epsilon, people):
    """A plan for one mean over everybody."""
    return PrivacyPlan(epsilon=epsilon, delta=1e-3, unit="person", units=people, expected_batch=people, steps=1)
