"""What raters prefer, as a reward: comparisons with ties, raters who differ, and how sure all that is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Final

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from scipy.stats import binomtest

from personare.core.errors import DataError
from personare.core.types import Array, Batch, Feedback
from personare.features.visits import is_history
from personare.learn.coherence import Coherence, follows
from personare.learn.describing import describe_track

MEMBERS: Final = 5
_COMPONENTS: Final = 24  # of what recordings differ by
_FAR: Final = 8.0  # deviations
_TOGETHER: Final = 3  # ways in which two tracks go together, such as a voice and its face
_CURVED: Final = 0.5  # how large squares and products stand beside the components
_STRENGTH: Final = 3.0  # deviation of the prior of what a unit of a feature counts
# levels of features, from few to many, and the nats by which each must foretell better than the one before
_LEVELS: Final = {0: 0.0, 1: 1.0, 2: 2.0}
_FOLDS: Final = 4
_THINNING: Final = 10  # steps from one draw to the next
_FEWEST: Final = 8  # comparisons in which one was preferred; whether they tell anything is tested
_CHANCE: Final = 0.05  # of preferences being found where there are none
_CODES: Final = {"a": 0, "plausible": 0, "tie": 1, "b": 2, "implausible": 2}
_SIDES: Final = np.array([0.5, 0.0, -0.5])


@dataclass(frozen=True, kw_only=True)
class Describer:
    """Turns recordings into the features of a reward: fixed arithmetic, scaled by how rated recordings differ.

    **Guarantee**: nothing in it is of anybody real: it is fitted to the rated items, who do not exist.
    """

    center: Array  # (D,)
    spread: Array  # (D,); infinite where a number is the same everywhere
    directions: Array  # (D, K): a component varies like the root of what it did, the first one by 1
    together: Array  # (2, D, S): of two tracks, what varies together most, each by 1
    coherence: Coherence
    middles: Array  # (K + 3 S,) means of the curved features

    @classmethod
    def of(cls, items: Batch) -> "Describer":
        """Learn what the items differ by."""
        tracks = _tracks(items)
        rows = np.hstack([np.zeros((len(items), 0)), *tracks])
        center, spread = rows.mean(axis=0), rows.std(axis=0)
        spread = np.where(spread > 1e-6 * np.maximum(np.abs(center), 1), spread, np.inf)
        z = (rows - center) / spread
        _, sizes, span = np.linalg.svd(z, full_matrices=False)
        kept = sizes > 1e-6 * max(float(sizes.max(initial=0)), 1e-6)
        if not kept.any():
            raise DataError("The rated recordings differ in no number, so nothing can be preferred. Rate others.")
        sizes, span = sizes[kept][:_COMPONENTS], span[kept][:_COMPONENTS]
        directions = span.T * np.sqrt(len(rows) / (sizes * sizes[0]))  # (D, K)
        pairs, ends = [np.zeros((2, len(center), 0))], np.cumsum([0, *(track.shape[1] for track in tracks)])
        for one, other in combinations([slice(*part) for part in pairwise(ends)], 2):
            left, common, right = np.linalg.svd(z[:, one].T @ z[:, other], full_matrices=False)
            width = min(_TOGETHER, int((common > 1e-6 * len(z)).sum()))
            pair = np.zeros((2, len(center), width))
            pair[0, one], pair[1, other] = left[:, :width], right[:width].T
            pairs.append(pair / np.maximum((z @ pair).std(axis=1, keepdims=True), 1e-6))
        plain = cls(
            center=center,
            spread=spread,
            directions=directions,
            together=np.concatenate(pairs, axis=2),
            coherence=Coherence.of(items),
            middles=np.zeros(1),
        )
        straight = plain(items, level=1).shape[1]
        return replace(plain, middles=plain(items, level=2)[:, straight:].mean(axis=0) / _CURVED)

    def __call__(self, batch: Batch, *, level: int) -> Array:
        """Return (N, F) features: at level 0 coherence, at 1 components too, at 2 squares and products too."""
        coherence = self.coherence(batch)
        if not level:
            return coherence
        z = np.clip((np.hstack(_tracks(batch)) - self.center) / self.spread, -_FAR, _FAR)
        components, (one, other) = z @ self.directions, z @ self.together
        if level == 1:
            return np.hstack([coherence, components])
        bends = np.hstack([components**2, one**2, one * other, other**2])
        return np.hstack([coherence, components, _CURVED * (bends - self.middles)])


def _tracks(batch: Batch) -> list[Array]:
    """Return what describes each track of numbers, (N, D) each; of histories also which kind follows which."""
    tracks = []
    for name, values in sorted(batch.arrays.items()):
        if values.dtype.kind != "f":
            continue
        rows = describe_track(batch, name)
        if is_history(batch, name):
            steps = follows(batch, name).reshape(len(values), -1)
            shares = steps / np.maximum(steps.sum(axis=1, keepdims=True), 1)
            rows = np.hstack([rows, shares, steps > 0])
        tracks.append(np.where(batch.present[name][:, None], rows, 0))
    return tracks


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """Answers that decide something, as numbers: items by position, raters by number."""

    left: Array  # (M,) int; of a check the item
    right: Array  # (M,) int; -1 of a check
    answer: Array  # (M,) int: 0 left (or plausible), 1 tie, 2 right (or implausible)
    rater: Array  # (M,) int
    raters: tuple[str, ...]

    @classmethod
    def of(cls, items: Batch, votes: pd.DataFrame) -> "_Answers":
        asked = votes[votes["task"].isin(["compare", "check"]) & votes["answer"].isin(list(_CODES))]
        place = {"": -1, **{name: i for i, name in enumerate(items.ids)}}
        if unknown := sorted({*asked["a"], *asked["b"]} - place.keys()):
            raise DataError(
                f"{len(unknown)} rated items are not among the recordings, such as {unknown[0]}: the release was made "
                "anew, or the votes are of another one. Give the votes on this release."
            )
        raters, rater = np.unique(asked["rater"].to_numpy(dtype=str), return_inverse=True)
        numbers = (asked["a"].map(place), asked["b"].map(place), asked["answer"].map(_CODES))
        left, right, answer = (column.to_numpy(dtype=int) for column in numbers)
        return cls(left=left, right=right, answer=answer, rater=rater, raters=tuple(raters.tolist()))

    def take(self, rows: Array) -> "_Answers":
        """Return these answers (positions, or (M,) bool)."""
        left, right, answer, rater = (values[rows] for values in (self.left, self.right, self.answer, self.rater))
        return _Answers(left=left, right=right, answer=answer, rater=rater, raters=self.raters)

    def differences(self, features: Array) -> Array:
        """Return the features of what is shown left less those of what is shown right, (M, F); of a check, its own."""
        right = np.where((self.right >= 0)[:, None], features[self.right], 0)
        return np.asarray(features[self.left] - right)

    @property
    def decided(self) -> Array:
        """Which are comparisons in which one was preferred, (M,) bool."""
        return np.asarray((self.right >= 0) & (self.answer != 1))

    @property
    def contradictions(self) -> str:
        """Say how far the answers contradict each other."""
        part = self.take(self.decided)
        ends = np.sort(np.stack([part.left, part.right]), axis=0)
        first = (part.answer == 0) == (part.left == ends[0])  # the item of the lower number was preferred
        shares = pd.Series(first).groupby([ends[0], ends[1]]).agg(["mean", "size"])
        again = shares[shares["size"] > 1]
        both = int(((again["mean"] > 0) & (again["mean"] < 1)).sum())
        return (
            f"Of {len(again)} pairs that were answered more than once, {both} were answered both ways; else the "
            "answers are too few, or follow what the numbers of these recordings do not show."
        )

    def folds(self, rng: np.random.Generator) -> Array:
        """Return the fold of each answer, (M,): whole raters; of fewer raters than folds, answers."""
        if len(self.raters) < _FOLDS:  # else of two raters one alone would have to foretell the other
            return np.asarray(rng.permutation(len(self.answer)) % _FOLDS)
        return np.asarray((rng.permutation(len(self.raters)) % _FOLDS)[self.rater])

    def drawn(self, rng: np.random.Generator) -> "_Answers":
        """Return the answers of raters drawn with replacement, and of each their answers drawn so too."""
        raters = rng.integers(len(self.raters), size=len(self.raters))
        rows = [np.flatnonzero(self.rater == r) for r in raters]
        return self.take(np.concatenate([rng.choice(part, len(part)) for part in rows]))


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """Weights of features, and what raters do beside their taste."""

    weights: Array  # (F,)
    tie: float  # how readily a tie is called, as a log weight beside those of the two recordings
    plausible: float  # log odds that a recording of no merit is plausible
    lapse: float  # log odds of an average rater's answer to be given at random
    sides: Array  # (R,) for what is shown left, a logit
    lapses: Array  # (R,) log odds beside the average rater's

    @classmethod
    def to(cls, features: Array, answers: _Answers) -> "_Fit":
        """Maximize the posterior of the parameters; weights, sides and lapses are shrunk to 0."""
        width, raters = features.shape[1], len(answers.raters)
        pairs = answers.right >= 0
        difference = answers.differences(features)
        center = np.concatenate([np.zeros(width), [-1, 0, -1], np.zeros(2 * raters)])
        scale = np.concatenate([np.full(width, _STRENGTH), [2, 2, 0.5], np.full(2 * raters, 0.5)])

        def loss(parameters: Array) -> tuple[float, Array]:
            likelihood, (by_logit, by_tie, by_lapse) = cls._of(parameters, width, raters).likelihood(
                difference, answers
            )
            by_sides, by_lapses = (np.bincount(answers.rater, s, raters) for s in (by_logit * pairs, by_lapse))
            constants = [by_tie.sum(), by_logit[~pairs].sum(), by_lapse.sum()]
            gradient = np.concatenate([by_logit @ difference, constants, by_sides, by_lapses])
            far = (parameters - center) / scale
            return float(far @ far / 2 - np.log(likelihood).sum()), far / scale - gradient

        best = minimize(loss, center, jac=True, method="L-BFGS-B", options={"maxiter": 200})
        return cls._of(best.x, width, raters)

    def likelihood(self, difference: Array, answers: _Answers) -> tuple[Array, tuple[Array, Array, Array]]:
        """Return how likely answers are and the slopes of that, see ``likelihood_of``; ``difference`` is (M, F)."""
        pairs = answers.right >= 0
        logit = difference @ self.weights + np.where(pairs, self.sides[answers.rater], self.plausible)
        lapse = self.lapse + self.lapses[answers.rater]
        return likelihood_of(logit, np.where(pairs, self.tie, -np.inf), lapse, answers.answer)

    @classmethod
    def _of(cls, parameters: Array, width: int, raters: int) -> "_Fit":
        weights, (tie, plausible, lapse), sides, lapses = np.split(parameters, [width, width + 3, width + 3 + raters])
        return cls(weights=weights, tie=tie, plausible=plausible, lapse=lapse, sides=sides, lapses=lapses)


def likelihood_of(logit: Array, tie: Array, lapse: Array, answer: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """Return how likely answers (M,) are, and how the log of that changes with ``logit``, ``tie`` and ``lapse``.

    Davidson: left, tie and right are as exp(logit / 2), exp(tie) and exp(-logit / 2); but a share of the answers, of
    log odds ``lapse``, is left or right as a coin falls. A ``tie`` of minus infinity is a check.

    Example: of equal recordings, with ties as likely as either side, and no lapses:
        >>> likelihood_of(np.zeros(3), np.zeros(3), np.full(3, -np.inf), np.arange(3))[0].round(3).tolist()
        [0.333, 0.333, 0.333]
    """
    options = np.stack([logit / 2, tie, -logit / 2], axis=1)  # (M, 3)
    shares = np.exp(options - options.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    random, rows = expit(lapse), np.arange(len(logit))
    attentive, blind = shares[rows, answer], np.abs(_SIDES[answer])
    likelihood = np.maximum((1 - random) * attentive + random * blind, 1e-300)
    part = (1 - random) * attentive / likelihood
    by_logit = part * (_SIDES[answer] - shares @ _SIDES)
    by_tie = np.where(np.isfinite(tie), part * ((answer == 1) - shares[:, 1]), 0)
    return likelihood, (by_logit, by_tie, random * (1 - random) * (blind - attentive) / likelihood)


@dataclass(frozen=True, kw_only=True)
class RewardModel:
    """How much recordings are liked: an ensemble, each member of other raters and answers drawn with replacement.

    Calling it gives what all answers together say less ``pessimism`` deviations of the members: where raters have not
    said what they like, nothing is promised. Its unit is the logit of a comparison; 0 is the average rated recording.

    **Source**: R. Davidson, "On extending the Bradley-Terry model to accommodate ties in paired comparison
    experiments", JASA 65 (1970), doi:10.1080/01621459.1970.10481082; lapses after F. Wichmann, N. Hill, "The
    psychometric function: I", Perception & Psychophysics 63 (2001), doi:10.3758/BF03194544; that sides, lapses and
    checks stand in one likelihood is ours. Ensembles against over-optimization: T. Coste et al., "Reward model
    ensembles help mitigate overoptimization", ICLR 2024 (arXiv:2310.02743).
    """

    describer: Describer
    level: int  # of features
    weights: Array  # (5, F); their mean is what all answers together say
    temperature: float  # by which logits are divided so that raters who were not heard are foretold as often as it says
    sides: Mapping[str, float]  # by rater, for what is shown left; a logit
    lapses: Mapping[str, float]  # by rater, the share of answers given at random, in [0, 1]
    accuracy: float  # of foretelling comparisons of raters who were not heard, in [0, 1]
    answers: int
    pessimism: float = 1.0

    def scores(self, batch: Batch) -> Array:
        """Return what each member says, (5, N)."""
        return np.asarray(self.weights @ self.describer(batch, level=self.level).T / self.temperature)

    def __call__(self, batch: Batch) -> Array:
        """Return the reward of each recording, (N,)."""
        scores = self.scores(batch)
        return np.asarray(scores.mean(axis=0) - self.pessimism * scores.std(axis=0))


def fit_reward(items: Batch, votes: pd.DataFrame, *, rng: np.random.Generator) -> RewardModel:
    """Learn what raters prefer; refused where they are too few, or contradict each other.

    ``votes`` has a row an answer with ``rater``, ``task`` (``compare`` or ``check``; others are passed over), ``a``,
    ``b`` and ``answer``; ``items`` are the rated recordings, under those ids.
    """
    describer, answers = Describer.of(items), _Answers.of(items, votes)
    comparisons, decided = int((answers.right >= 0).sum()), int(answers.decided.sum())
    if decided < _FEWEST:
        ties = "all of them ties" if comparisons and not decided else f"and {decided} do"
        raise DataError(
            f"At least {_FEWEST} comparisons must prefer one of the two; there are {comparisons}, {ties}. Collect more "
            "with 'personare review', of recordings that differ more."
        )
    folds = answers.folds(rng)
    tried: list[tuple[float, float, int, Array]] = []
    for level, worth in _LEVELS.items():
        features, logits = describer(items, level=level), np.zeros(len(folds))
        for fold in np.unique(folds):
            fit = _Fit.to(features, answers.take(folds != fold))
            logits[folds == fold] = answers.take(folds == fold).differences(features) @ fit.weights
        toward = (2 * logits * _SIDES[answers.answer])[answers.decided]  # above 0 where the answer was foretold
        likelihoods = [(float(log_expit(toward / t).sum()), float(t)) for t in np.geomspace(0.5, 20, 30)]
        one = (*max(likelihoods), level, toward)
        if not tried or one[0] > tried[-1][0] + worth:  # more features must earn their place
            tried.append(one)
    _, temperature, level, toward = tried[-1]
    right = int((toward > 0).sum())
    if binomtest(right, decided, alternative="greater").pvalue > _CHANCE:
        raise DataError(
            f"What raters prefer must be foretold better than by guessing, and of {decided} comparisons that were kept "
            f"out in turn {right} were foretold. {answers.contradictions} Collect more answers with 'personare "
            "review', or agree with the raters on what to look for."
        )
    features = describer(items, level=level)
    whole = _Fit.to(features, answers)
    members = np.stack([_Fit.to(features, answers.drawn(rng)).weights for _ in range(MEMBERS)])
    return RewardModel(
        describer=describer,
        level=level,
        weights=members - members.mean(axis=0) + whole.weights,
        temperature=float(temperature),
        sides=dict(zip(answers.raters, whole.sides.tolist(), strict=True)),
        lapses=dict(zip(answers.raters, expit(whole.lapse + whole.lapses).tolist(), strict=True)),
        accuracy=right / decided,
        answers=len(answers.answer),
    )


def drawn_scores(items: Batch, votes: pd.DataFrame, *, rng: np.random.Generator, draws: int = 30) -> Array:
    """Return what raters may think of the items, (draws, N), as far as their answers leave it open.

    It is for choosing what to ask next: nothing is refused, however few the answers are.

    **Source**: draws of the weights given the rest, by I. Murray, R. Adams, D. MacKay, "Elliptical slice sampling",
    AISTATS 2010 (arXiv:1001.0175).
    """
    features, answers = Describer.of(items)(items, level=1), _Answers.of(items, votes)
    fit, difference = _Fit.to(features, answers), answers.differences(features)

    def likelihood(weights: Array) -> float:
        return float(np.log(replace(fit, weights=weights).likelihood(difference, answers)[0]).sum())

    weights, current, kept = fit.weights, likelihood(fit.weights), []
    for step in range(draws * _THINNING):
        other, least = _STRENGTH * rng.standard_normal(len(weights)), current + np.log(rng.random())
        angle = rng.uniform(0, 2 * np.pi)
        low, high = angle - 2 * np.pi, angle
        while (current := likelihood(moved := weights * np.cos(angle) + other * np.sin(angle))) <= least:
            low, high = (angle, high) if angle < 0 else (low, angle)
            angle = rng.uniform(low, high)
        weights = moved
        if step % _THINNING == _THINNING - 1:
            kept.append(weights)
    return np.asarray(np.stack(kept) @ features.T)


def feedback_of(items: Batch, votes: pd.DataFrame, *, rng: np.random.Generator, held_out: float = 0.3) -> Feedback:
    """Part the raters, and return the reward of some and the judge of the others, as an adaptation takes them.

    The others gave at least a share ``held_out`` of the answers. Of a single rater the answers are parted: the judge
    then knows nothing of what somebody else would say.
    """
    counts = votes["rater"].value_counts().sort_index()
    if len(counts) > 1:
        order = rng.permutation(len(counts))
        before = np.cumsum(counts.to_numpy()[order]) - counts.to_numpy()[order]
        judges = order[(before < held_out * len(votes)) & (np.arange(len(order)) < len(order) - 1)]
        kept_out = votes["rater"].isin(counts.index[judges]).to_numpy()
    else:
        kept_out = rng.permutation(len(votes)) < held_out * len(votes)
    reward = fit_reward(items, votes[~kept_out], rng=rng)
    try:
        judge = fit_reward(items, votes[kept_out], rng=rng)
    except DataError as error:
        raise DataError(f"Some answers are kept out, to say when to stop, and these do not suffice. {error}") from error
    heard = _Answers.of(items, votes[~kept_out])
    heard = heard.take(heard.decided)
    ends = np.stack([heard.left, heard.right], axis=1)  # (M, 2)
    return Feedback(
        items=items, pairs=np.where(heard.answer[:, None] == 0, ends, ends[:, ::-1]), reward=reward, judge=judge
    )
