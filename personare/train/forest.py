"""Grow a random forest on fixed descriptions of all modalities: fast, without a network, hard to beat on tables."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import softmax
from sklearn.ensemble import RandomForestClassifier

from personare.core.errors import DataError
from personare.core.options import Count, check_options
from personare.core.types import Array, Batch, Spend
from personare.learn.describing import describe_batch
from personare.learn.fusion import fit_temperature
from personare.learn.multimodal import check, check_arrays

__all__ = ["Forest"]


@dataclass(frozen=True, kw_only=True)
class Forest:
    """Describe every modality by a row of numbers and let a forest of decision trees vote.

    Not offered with differential privacy: splits are chosen on private recordings.

    **Source:** L. Breiman, Machine Learning 2001, doi:10.1023/A:1010933404324, as scikit-learn has it.
    """

    trees: Count = 300
    leaf: Count = 2  # fewest recordings in a leaf
    class_weights: bool = False  # rare classes count more, each as much in total

    def __post_init__(self) -> None:
        check_options(self)

    def fit(
        self, train: Batch, *, validation: Batch, rng: np.random.Generator, public: Batch | None = None
    ) -> "ForestPredictor":
        """Learn from the people of ``train``; see ``core.protocols.Learner``."""
        check(train, validation)
        modalities = tuple(train.arrays)
        forest = RandomForestClassifier(
            self.trees,
            min_samples_leaf=self.leaf,
            class_weight="balanced" if self.class_weights else None,
            random_state=int(rng.integers(2**31)),
        )
        forest.fit(describe_batch(train, modalities), train.labels)
        # all trees are laid into one row of nodes; a leaf points to itself
        trees = [estimator.tree_ for estimator in forest.estimators_]
        roots = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]
        each = []
        for tree, start in zip(trees, roots, strict=True):
            leaf, position = tree.children_left < 0, start + np.arange(tree.node_count)
            votes = np.zeros((tree.node_count, len(train.classes)), dtype=np.float32)
            votes[:, forest.classes_] = tree.value[:, 0] / tree.value[:, 0].sum(axis=1, keepdims=True)
            sides = (np.where(leaf, position, start + side) for side in (tree.children_left, tree.children_right))
            feature, left, right = (index.astype(np.int32) for index in (np.where(leaf, 0, tree.feature), *sides))
            each.append((feature, tree.threshold, left, right, votes))
        names = ("feature", "threshold", "left", "right", "votes")
        nodes = {name: np.concatenate(parts) for name, parts in zip(names, zip(*each, strict=True), strict=True)}
        predictor = ForestPredictor(
            modalities=modalities,
            columns=int(forest.n_features_in_),
            classes=train.classes,
            nodes={**nodes, "roots": roots.astype(np.int32)},
        )
        return replace(predictor, temperature=fit_temperature(predictor.logits(validation), validation.labels))


@dataclass(frozen=True, kw_only=True)
class ForestPredictor:
    """Trees as arrays, asked with numpy alone."""

    modalities: tuple[str, ...]  # in the order of the descriptions
    columns: int  # numbers that describe a recording
    classes: tuple[str, ...]
    # of all trees: ``feature``, ``threshold``, ``left``, ``right``, ``votes`` (nodes, C), and the ``roots``
    nodes: Mapping[str, Array]
    temperature: float = 1.0  # of the logarithm of the votes
    spends: tuple[Spend, ...] = ()

    def __call__(self, batch: Batch) -> Array:
        """Return (N, C) probabilities; chance where all modalities are missing."""
        probabilities = softmax(self.logits(batch) / self.temperature, axis=1)
        mask = np.any([batch.present[m] for m in self.modalities], axis=0)
        return np.where(mask[:, None], probabilities, 1 / len(self.classes))

    def logits(self, batch: Batch) -> Array:
        """Return the logarithm of the trees' mean vote, (N, C), before it is calibrated."""
        check_arrays(batch, self.modalities)
        described = describe_batch(batch, self.modalities)
        if described.shape[1] != self.columns:
            raise DataError(
                f"Recordings must be described by the {self.columns} numbers learned from, not {described.shape[1]}: "
                "describe them as the recordings of training."
            )
        votes = [np.zeros((0, len(self.classes)))]
        for start in range(0, len(described), 1024):
            rows = described[start : start + 1024]
            every = np.arange(len(rows))[:, None]
            place = np.tile(self.nodes["roots"], (len(rows), 1))  # (N, trees)
            while True:  # every recording walks down every tree at once
                right = rows[every, self.nodes["feature"][place]] > self.nodes["threshold"][place]
                following = np.where(right, self.nodes["right"][place], self.nodes["left"][place])
                if np.array_equal(following, place):
                    break
                place = following
            votes.append(np.asarray(self.nodes["votes"][place].mean(axis=1), dtype=np.float64))
        return np.log(np.concatenate(votes) + 1e-3)  # no class is impossible
