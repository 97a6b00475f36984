"""How like real people synthetic ones are: shared neighborhoods, kernel means, what tells them apart, their ties."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from personare.core.types import Array, Batch, Result
from personare.evaluate.metrics import Estimate, mean_over_people
from personare.evaluate.synthetic_case import described, side_by_side

__all__ = ["SyntheticLikeness"]

_MOST = 2000  # recordings of each set in figures over pairs
_PAIRED = 800  # rows of each set that pairwise distances are taken of
_PERMUTATIONS = 200
_NEIGHBOR = 5
_LOWER = ("mmd2", "ks", "c2st_linear", "c2st_trees")  # is better


@dataclass(frozen=True, kw_only=True)
class SyntheticLikeness:
    """Compares synthetic people with the real ones learned from and with others.

    Every likeness is measured three times: of the made-up people, of other real people (``baseline``, the best that can
    be had) and of recordings whose modalities were put together anew at random (``control``, the worst that still has
    every value right). Only what tells them apart is asked against people whom the generator did not learn from: those
    it did would be told by what it kept of them.
    """

    kinds: ClassVar[tuple[str, ...]] = ("synthetic",)

    def __call__(self, original: Batch, released: Batch, *, others: Batch, rng: np.random.Generator) -> list[Result]:
        """Measure neighborhoods, kernel means, marginals, correlations, and how well the two are told apart."""
        scale = StandardScaler().fit(side_by_side(original))
        mixed = shuffled(original, rng=rng)

        def some(batch: Batch) -> tuple[Array, Array]:
            """Return rows of numbers, and whose they are."""
            rows = rng.permutation(len(batch))[:_MOST]
            return scale.transform(side_by_side(batch))[rows], batch.subjects[rows]

        real, whose = some(original)
        widths = [rows.shape[1] for rows in described(released.take(np.arange(1))).arrays.values()]
        parts = np.repeat(np.arange(len(widths)), widths)
        sets = {"": some(released), "best": some(others), "worst": some(mixed)}
        figures: dict[str, dict[str, Estimate]] = {}
        for name, (rows, people) in sets.items():
            mmd2, chance = kernel_distance(real, rows, rng=rng)
            within, across = correlations_kept(real, rows, parts)
            near = neighborhoods(real, rows)
            figures[name] = {
                figure: mean_over_people(near[figure].astype(float), of, rng=rng)
                for figure, of in (("precision", people), ("recall", whose), ("density", people), ("coverage", whose))
            }
            # the statistic is the same by either method; the exact one takes minutes for a chance that nobody asks for
            ks = [ks_2samp(a, b, method="asymp").statistic for a, b in zip(real.T, rows.T, strict=True)]
            plain = {"mmd2": mmd2, "mmd_p": chance, "ks": float(np.mean(ks))}
            plain |= {"correlation_within": within, "correlation_across": across}
            figures[name] |= {figure: Estimate(value=value, n=len(rows)) for figure, value in plain.items()}
        strangers, who = some(others)
        for name, (rows, people) in {**sets, "best": (real, whose)}.items():
            for kind, auc in c2st(strangers, rows, who, people).items():
                figures[name][f"c2st_{kind}"] = Estimate(value=auc, n=len(rows))
        return [
            Result(
                question="resemble",
                method="synthetic",
                figure=figure,
                **estimate.columns,
                baseline=figures["best"][figure].value,
                control=figures["worst"][figure].value,
                better="lower" if figure in _LOWER else "higher",
            )
            for figure, estimate in figures[""].items()
        ]


def shuffled(batch: Batch, *, rng: np.random.Generator) -> Batch:
    """Return recordings with each modality taken from another at random: nothing belongs together any more."""
    orders = {m: rng.permutation(len(batch)) for m in batch.arrays}
    arrays = {m: values[orders[m]] for m, values in batch.arrays.items()}
    return replace(batch, arrays=arrays, present={m: batch.present[m][orders[m]] for m in batch.arrays})


def neighborhoods(real: Array, made: Array) -> dict[str, Array]:
    """Return whom the neighborhoods of the others hold: a ball around each row reaches its fifth nearest of its own.

    ``precision`` and ``density`` of each (M, D) made row, ``recall`` and ``coverage`` of each (N, D) real row: their
    means are the figures. Density may be above 1.

    **Source**: M. Naeem, S. Oh, Y. Uh, Y. Choi, J. Yoo, "Reliable fidelity and diversity metrics for generative
    models", ICML 2020, arXiv:2002.09797.
    """
    between = cdist(real, made)  # (N, M)
    around_real, around_made = (np.partition(cdist(x, x), _NEIGHBOR, axis=1)[:, _NEIGHBOR] for x in (real, made))
    inside = between < around_real[:, None]
    return {
        "precision": inside.any(axis=0),
        "recall": (between < around_made).any(axis=1),
        "density": inside.sum(axis=0) / _NEIGHBOR,
        "coverage": inside.any(axis=1),
    }


def kernel_distance(real: Array, made: Array, *, rng: np.random.Generator) -> tuple[float, float]:
    """Return the unbiased squared distance of kernel means and the chance of one as large between two equal groups.

    As many rows are used as both have, at most 800. Recordings of one person are alike, so the chance is too small
    where people are few: it orders generators, it tests nothing.

    **Source**: A. Gretton et al., "A kernel two-sample test", JMLR 13 (2012); width by the median distance.
    """
    n = min(len(real), len(made), _PAIRED)
    rows = np.concatenate([x[rng.permutation(len(x))[:n]] for x in (real, made)])
    squares = cdist(rows, rows, "sqeuclidean")
    kernel = np.exp(-squares / np.median(squares[squares > 0])) if (squares > 0).any() else np.ones_like(squares)
    np.fill_diagonal(kernel, 0)
    signs = np.concatenate([np.ones(n), -np.ones(n)])
    drawn = np.stack([signs, *(rng.permutation(signs) for _ in range(_PERMUTATIONS))])  # (1 + R, 2 n)
    same = np.einsum("rn,rn->r", drawn @ kernel, drawn)
    # sum over pairs of s s' k is within less between: within has n (n - 1) pairs of each kind, between n n
    within = (kernel.sum() + same) / 2
    distances = within / (n * (n - 1)) - (kernel.sum() - within) / n**2
    return float(distances[0]), float((1 + (distances[1:] >= distances[0]).sum()) / (1 + _PERMUTATIONS))


def c2st(real: Array, made: Array, real_people: Array, made_people: Array) -> dict[str, float]:
    """Return how well made rows are told from real ones of people not seen before: AUC of two kinds of classifier."""
    x, y = np.concatenate([real, made]), np.repeat([0, 1], [len(real), len(made)])
    people = np.concatenate([np.char.add("r", real_people.astype(str)), np.char.add("m", made_people.astype(str))])
    kinds = {
        "linear": make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500)),
        "trees": HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=15, max_bins=63, random_state=0),
    }
    areas = {}
    for name, classifier in kinds.items():
        each = []  # scores of different folds are on different scales, and are not put in one order
        for train, test in StratifiedGroupKFold(3).split(x, y, people):
            scores = classifier.fit(x[train], y[train]).predict_proba(x[test])[:, 1]
            each.append(roc_auc_score(y[test], scores))
        areas[name] = float(np.mean(each))
    return areas


def correlations_kept(real: Array, made: Array, parts: Array) -> tuple[float, float]:
    """Return how much of the correlations within and across modalities made rows have, at best 1.

    Of pairs of columns within a modality, and across: one less the summed squared error over the summed squares of real
    correlations, so that no correlation at all gives 0. NaN where there are no such pairs. ``parts`` (D,) says which
    modality a column is of.
    """
    varies = (real.std(axis=0) > 1e-6) & (made.std(axis=0) > 1e-6)
    a, b = (np.corrcoef(x[:, varies], rowvar=False) for x in (real, made))
    same = parts[varies][:, None] == parts[varies]
    upper = np.triu(np.ones_like(same), 1)

    def explained(pairs: Array) -> float:
        if not pairs.any():
            return float("nan")
        return float(1 - ((a - b)[pairs] ** 2).sum() / max((a[pairs] ** 2).sum(), 1e-12))

    return explained(same & upper), explained(~same & upper)
