"""What a group's recordings are made of, a class, a person and the moment: a linear mixed model, plain or private."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.covariance import ledoit_wolf_shrinkage
from torch import Tensor, nn

from personare.core.errors import DataError
from personare.core.types import Array, Batch, Latents, Spend
from personare.learn.federation import Federation
from personare.learn.privacy import PrivacyPlan
from personare.learn.secure_aggregation import threshold_of

_ROUNDS = 5
_RIDGE = 1e-3
_MOST_TAKEN = 0.99  # of a person's mean: what is left still tells the classes of people who show one each
_WORTH = 5  # people whom all recordings together count as, when few people must tell how two columns go together
_LARGEST_NOISE = 1.0  # of what people differ by: beyond, a direction tells next to nothing
_FEWEST_SHOW = 0.25
_LEAST_SEEN = 0.01  # of the largest variance: directions of less are none that raters see


@dataclass(frozen=True, kw_only=True)
class MixedEffects:
    """Rows are the mean of their class, plus a person's own part, plus what this recording adds; all are normal.

    A person's part is one for all of the person's recordings, over all modalities together: that is what makes the
    voice, the face and the heart of a made-up person belong together, and stay the same.

    **Source**: the linear mixed model, N. Laird, J. Ware, "Random-effects models for longitudinal data", Biometrics 38
    (1982), doi:10.2307/2529876, fitted by moments; class means after W. Fuller, G. Battese, "Transformations for
    estimation of linear models with nested-error structure", JASA 68 (1973), doi:10.1080/01621459.1973.10481396, with
    one share for all columns; moments are shrunk as by O. Ledoit, M. Wolf, J. Multivariate Analysis 88 (2004),
    doi:10.1016/S0047-259X(03)00096-4, to no correlation; that people are shrunk to recordings is ours.
    """

    means: Array  # (C, K) of classes
    between: Array  # (K, R): a person's part is this times R normal numbers
    within: Array  # (C, K, S): the same for a recording of each class

    @classmethod
    def of(cls, rows: Array, batch: Batch) -> "MixedEffects":
        """Fit to complete rows (N, K) of a batch's recordings; a class that does not occur has the mean of all."""
        labels, whose = batch.labels, np.unique(batch.subjects, return_inverse=True)[1]
        means = _class_means(rows, labels, whose, len(batch.classes))
        residuals = rows - means[labels]
        counts = np.bincount(whose)
        people = group_means(residuals, whose, len(counts))  # (P, K)
        # residuals of people's means, as large as if these were known
        moments = (residuals - people[whose]) * np.sqrt(len(rows) / max(1, len(rows) - len(counts)))
        pooled = moments_of(moments)
        # the share of the correlations of few rows that is noise
        scale = np.sqrt(np.maximum((moments**2).mean(axis=0), 1e-12))
        noise = float(ledoit_wolf_shrinkage(moments / scale, assume_centered=True))
        # People are few, recordings are many: where people do not tell how two columns go together, recordings do.
        centered, like = people - people.mean(axis=0), moments_of(residuals)
        ratio = np.sqrt(np.maximum((centered**2).mean(axis=0), 1e-12) / np.maximum(np.diag(like), 1e-12))
        share = _WORTH / (_WORTH + len(people))
        covariance = (1 - share) * moments_of(centered) + share * like * np.outer(ratio, ratio)
        covariance *= len(people) / max(1, len(people) - 1)
        between = root(covariance - pooled * (1 / counts).mean())  # what recordings differ in is partly in a mean
        # a class has its own covariance as far as its recordings tell it
        within = []
        for c in range(len(batch.classes)):
            part = moments[labels == c]
            trust = len(part) / (len(part) + rows.shape[1])
            mixed = trust * moments_of(part) + (1 - trust) * pooled
            within.append(root((1 - noise) * mixed + noise * np.diag(np.diag(mixed))))
        return cls(means=means, between=between, within=np.stack(within))

    def latents(self, labels: Array, whose: Array, *, rng: np.random.Generator) -> Latents:
        """Draw the R numbers of each made-up person, and the S of each recording."""
        person = rng.standard_normal((int(whose.max()) + 1, self.between.shape[1]))
        moment = np.empty((len(whose), self.within.shape[2]))
        for c in np.unique(labels):
            moment[labels == c] = rng.standard_normal(((labels == c).sum(), self.within.shape[2]))
        return Latents(labels=labels, whose=whose, person=person, moment=moment)

    def rows(self, latents: Latents, *, rng: np.random.Generator) -> Array:
        """Return the (N, K) rows that latents stand for; nothing more is drawn."""
        rows = self.means[latents.labels] + (latents.person @ self.between.T)[latents.whose]
        for c in np.unique(latents.labels):
            rows[latents.labels == c] += latents.moment[latents.labels == c] @ self.within[c].T
        return np.asarray(rows)

    def density(self, rows: Array, labels: Array, priors: Array) -> "MixedDensity":
        """Return how likely rows (N, K) of classes ``labels`` are, with means that can be trained."""
        return MixedDensity(self, rows, labels, priors)

    def main_directions(self, most: int) -> tuple[Array, Array]:
        """Return the deviation of a recording by column, (K,), and orthonormal directions (K, R), classes first."""
        scale = np.sqrt(np.maximum((self.within**2).sum(axis=2).mean(axis=0), 1e-6))
        people, recordings = self.between / scale[:, None], self.within / scale[:, None]
        covariance = (recordings @ recordings.swapaxes(1, 2)).mean(axis=0) + people @ people.T
        main = np.linalg.eigh(covariance)[1][:, ::-1]
        _, strength, span = np.linalg.svd((self.means - self.means.mean(axis=0)) / scale, full_matrices=False)
        classes = span[strength > 1e-6 * max(float(strength[0]), 1e-12)]
        basis = np.linalg.qr(np.concatenate([classes, main.T]).T)[0]
        return scale, basis[:, : min(most, len(scale))]

    def fill(self, rows: Array, batch: Batch) -> Array:
        """Put class means where rows are NaN: not a word from anybody else in the batch."""
        return np.where(np.isnan(rows), self.means[batch.labels], rows)


class MixedDensity(nn.Module):
    """The normal density of rows of classes, in the span of what people and recordings of a class differ by.

    Trained are the mean, of all classes together and of each beyond that, and one scale of all deviations. Directions
    in which more varies are led further by the same gradient: what differs most is what raters see.
    """

    def __init__(self, effects: MixedEffects, rows: Array, labels: Array, priors: Array) -> None:
        super().__init__()
        self.effects, self.labels, self.priors = effects, torch.from_numpy(labels), torch.from_numpy(priors)
        values, vectors = np.linalg.eigh(
            effects.between @ effects.between.T + effects.within @ effects.within.swapaxes(1, 2)
        )
        seen = values > _LEAST_SEEN * values.max()  # (C, K)
        deviations = np.sqrt(np.where(seen, values, 1.0))
        # symmetric, so that white coordinates of all classes mean much the same
        white, color = (
            (vectors * (seen * by)[:, None]) @ vectors.swapaxes(1, 2) for by in (1 / deviations, deviations)
        )
        distance = np.where(np.isnan(rows), 0, rows - effects.means[labels])
        for c in np.unique(labels):
            distance[labels == c] = distance[labels == c] @ white[c]
        self.white, self.color = torch.from_numpy(distance), torch.from_numpy(color)  # (N, K), (C, K, K)
        self.rank = torch.from_numpy(seen.sum(axis=1))
        self.constant = torch.from_numpy(-(seen * np.log(math.sqrt(2 * math.pi) * deviations)).sum(axis=1))  # (C,)
        self.shift = nn.Parameter(torch.zeros(rows.shape[1], dtype=torch.float64))
        self.beyond = nn.Parameter(torch.zeros(effects.means.shape, dtype=torch.float64))
        self.widening = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, rows: Tensor) -> Tensor:
        """Return log densities of the rows at these positions, (N,)."""
        labels, log_scale = self.labels[rows], self._log_scale()
        away = (self.white[rows] - self._shifts()[labels]) * torch.exp(-log_scale)
        logs: Tensor = self.constant[labels] - 0.5 * (away**2).sum(dim=1) - self.rank[labels] * log_scale
        return logs

    @torch.no_grad()
    def drift(self) -> float:
        """Return the divergence from the model as it was, in nats of a recording."""
        widened = self.rank * (torch.exp(2 * self._log_scale()) - 1 - 2 * self._log_scale())
        return float(self.priors @ (widened + (self._shifts() ** 2).sum(dim=1)) / 2)

    @torch.no_grad()
    def model(self) -> MixedEffects:
        """Return the mixed model as it was trained."""
        effects, scale = self.effects, float(torch.exp(self._log_scale()))
        means = effects.means + torch.einsum("ckj,cj->ck", self.color, self._shifts()).numpy()
        return replace(effects, means=means, between=scale * effects.between, within=scale * effects.within)

    def _shifts(self) -> Tensor:
        """Return how far the means of classes went, in white coordinates, (C, K)."""
        return (
            torch.einsum("ckj,cj->ck", self.color, self.shift + self.beyond) / self.color.diagonal(dim1=1, dim2=2).max()
        )

    def _log_scale(self) -> Tensor:
        return self.widening / (2 * self.rank.max()) ** 0.5  # so that a step costs what one of the mean costs


def fit_privately(
    rows: Array,
    group: Batch,
    public_rows: Array,
    public: Batch,
    *,
    epsilon: float,
    delta: float,
    directions: int = 16,
    federation: Federation = Federation(),  # noqa: B008 - frozen
    rng: np.random.Generator,
) -> tuple[MixedEffects, Spend]:
    """Fit to public people, then move the means of classes toward those of a private group, by one noised sum.

    Of several sites each adds its people's part, with noise of its own or, in one masked sum, a share of one noise.

    Each person gives one row: how far the person's means of all classes together, and of each class beyond that, lie
    from the public ones, along the directions in which public recordings differ most, in units of what public people
    differ by. Noise is as long as such a row, so it is told from the public means and not from zero. Private and public
    means are then weighted by how sure each is: with little epsilon or few people the public ones stay. Everything else
    (the variances of people and of recordings, and all other directions) is that of the public people: a covariance
    costs far more.

    **Guarantee**: what comes out is (epsilon, delta)-differentially private for each person of the group.

    Rows of the group (N, K) are NaN where something is missing, public ones (M, K) are complete. Of ``directions`` no
    more are used than noise leaves something of; where that is none, the group is refused.

    **Source**: the Gaussian mechanism with everybody in the one batch; weights by inverse variances as of
    R. DerSimonian, N. Laird, "Meta-analysis in clinical trials", Controlled Clinical Trials 7 (1986),
    doi:10.1016/0197-2456(86)90046-2: two groups, whose own difference is found from how far apart they are.
    """
    effects = MixedEffects.of(public_rows, public)
    sites = federation.parts(group.subjects, group.labels, private=True)
    counts = [len(np.unique(group.subjects[site])) for site in sites]
    classes, people, shared = len(effects.means), sum(counts), federation.noise == "shared"
    shares = threshold_of(len(sites)) if shared else 1
    units = [people] * len(sites) if shared else counts
    plans = [
        PrivacyPlan(epsilon=epsilon, delta=delta, unit="person", units=n, expected_batch=n, steps=1, shares=shares)
        for n in units
    ]
    deviation = math.sqrt(sum(plan.noise_multiplier**2 for plan in plans) / shares)  # of the sum, over the clip norm
    # how many directions the noise leaves something of depends on public numbers alone
    noise = deviation * math.sqrt(1 + classes) / people  # of one direction
    affordable = math.floor((_LARGEST_NOISE / noise) ** 2)
    if affordable < 1:
        raise DataError(
            f"epsilon {epsilon} needs at least {math.ceil(noise * people / _LARGEST_NOISE)} people here, {people} were "
            "given: with fewer, noise hides what there is. Add people, or take a larger epsilon."
        )
    scale, main = effects.main_directions(min(directions, affordable))
    public_offsets = _by_person(public_rows, public, effects, main / scale[:, None])  # (P, 1 + C, R)
    count = len(public_offsets)
    squares = [(part**2).mean() * count / (count - 1) for part in np.split(public_offsets, [1], axis=1)]
    spread = np.repeat(np.maximum(np.sqrt(squares), 1e-6), [1, classes])[:, None]  # (1 + C, 1)
    clip_norm = math.sqrt(public_offsets[0].size)
    sums, filled = [], effects.fill(rows, group)
    for site, plan, count_here in zip(sites, plans, counts, strict=True):
        own = replace(group, labels=group.labels[site], subjects=group.subjects[site])
        offsets = _by_person(filled[site], own, effects, main / scale[:, None]) / spread
        batch = next(plan.batches(rng, present=count_here))
        offsets = offsets.reshape(count_here, -1)
        sums.append(batch.share(offsets, clip_norm) if shared else batch.release(offsets, clip_norm) * count_here)
    total = (federation.total(sums) / people).reshape(len(spread), -1)
    # Anybody who knows the public people and the noise can do what follows: it costs nothing more.
    shares = (public_offsets != 0).any(axis=2).mean(axis=0)[:, None]  # (1 + C, 1) of people who show a class
    shares = np.maximum(shares, _FEWEST_SHOW)
    variance = (1 / people + (deviation * clip_norm / people) ** 2) / shares**2
    # shrink by how sure both are, and how far apart the groups turn out: all classes together, then each beyond that
    shift = total / shares
    for part in (slice(1), slice(1, None)):
        expected = variance[part] + 1 / count  # of the square, if the groups were of the same people
        luck = 2 * math.sqrt(2 / shift[part].size)  # two deviations of a mean of squares
        trust = 1 / count + max(0.0, float((shift[part] ** 2 - expected * (1 + luck)).mean()))
        shift[part] *= trust / (trust + variance[part])
    shift *= spread
    means = effects.means + (shift[:1] + shift[1:]) @ main.T * scale
    return replace(effects, means=means), max((plan.spend() for plan in plans), key=lambda spend: spend.epsilon)


def _by_person(rows: Array, batch: Batch, public: MixedEffects, directions: Array) -> Array:
    """Return (P, 1 + C, R): how far each person's classes together, and each beyond that, lie from the public means.

    Of somebody who shows one class only, nothing tells the person from the class: all of it counts as the class's.
    """
    offsets = (rows - public.means[batch.labels]) @ directions
    whose, classes = np.unique(batch.subjects, return_inverse=True)[1], len(public.means)
    cells, count = whose * classes + batch.labels, (int(whose.max()) + 1) * classes  # of one person and one class
    means = group_means(offsets, cells, count).reshape(-1, classes, offsets.shape[1])
    has = np.bincount(cells, minlength=count).reshape(-1, classes, 1) > 0
    several = has.sum(axis=1, keepdims=True)  # (P, 1, 1)
    center = np.where(several > 1, means.sum(axis=1, keepdims=True) / several, 0.0)  # (P, 1, R)
    return np.concatenate([center, (means - center) * has], axis=1)


def root(covariance: Array) -> Array:
    """Return a symmetric root of the nearest covariance; directions of negative variance are left out."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def complete(rows: Array, labels: Array, *, rng: np.random.Generator) -> Array:
    """Fill what is NaN in (N, K) rows of classes (N,) by draws from what the rest of the row tells of it.

    **Source**: A. Dempster, N. Laird, D. Rubin, JRSS B 39 (1977), doi:10.1111/j.2517-6161.1977.tb01600.x (the normal
    case); the last fill is drawn, so that variances are not too small.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.standard_normal((200, 1)) @ np.ones((1, 2))
        >>> holes = x.copy()
        >>> holes[:50, 1] = np.nan
        >>> bool(abs(complete(holes, np.zeros(200, dtype=int), rng=rng) - x).max() < 0.3)
        True
    """
    missing = np.isnan(rows)
    if not missing.any():
        return rows
    filled = np.where(missing, np.nanmean(rows, axis=0), rows)
    patterns = np.unique(missing, axis=0)
    for last in [False] * _ROUNDS + [True]:
        means = group_means(filled, labels, int(labels.max()) + 1)
        residuals = filled - means[labels]
        covariance = moments_of(residuals) + _RIDGE * np.eye(rows.shape[1])
        for hole in patterns[patterns.any(axis=1)]:
            affected = (missing == hole).all(axis=1)
            slope = np.linalg.solve(covariance[np.ix_(~hole, ~hole)], covariance[np.ix_(~hole, hole)])  # (seen, lost)
            expected = means[labels[affected]][:, hole] + residuals[np.ix_(affected, ~hole)] @ slope
            if last:
                unknown = root(covariance[np.ix_(hole, hole)] - covariance[np.ix_(hole, ~hole)] @ slope)
                expected = expected + rng.standard_normal(expected.shape) @ unknown
            filled[np.ix_(affected, hole)] = expected
    return filled


def _class_means(rows: Array, labels: Array, whose: Array, classes: int) -> Array:
    """Return class means (C, K), found within people as far as people differ and give more than one class.

    Of each person's recordings a share of their mean is taken off, all of it if recordings of one person are alike.
    """
    counts = np.bincount(whose)
    residuals = rows - group_means(rows, labels, classes)[labels]
    people = group_means(residuals, whose, len(counts))  # (P, K)
    within = ((residuals - people[whose]) ** 2).sum() / max(1, len(rows) - len(counts))
    between = max(float((people**2).sum() / len(counts) - within * (1 / counts).mean()), 0.0)
    share = np.minimum(1 - np.sqrt(within / np.maximum(within + counts * between, 1e-12)), _MOST_TAKEN)  # (P,)
    one_hot = np.eye(classes)[labels]  # (N, C)
    design, target = (x - (share[:, None] * group_means(x, whose, len(counts)))[whose] for x in (one_hot, rows))
    means = np.linalg.lstsq(design, target, rcond=None)[0]
    means[one_hot.sum(axis=0) == 0] = rows.mean(axis=0)
    return np.asarray(means)


def group_means(rows: Array, groups: Array, count: int) -> Array:
    """Return the mean of each group's rows, (count, K); zeros of a group without any."""
    totals = np.zeros((count, rows.shape[1]))
    np.add.at(totals, groups, rows)
    return totals / np.maximum(np.bincount(groups, minlength=count), 1)[:, None]


def moments_of(rows: Array) -> Array:
    """Return the mean outer product of rows (N, K) with themselves, (K, K)."""
    return np.asarray(rows.T @ rows / max(1, len(rows)))
