"""Variational graph autoencoder of histories: a path of visits in, a latent of the person, the path drawn anew.

The encoder passes messages along the edges between neighboring visits. The decoder reads what the path says up to a
visit through fixed sums over its past (the last visit, what has ever been, two averages that fade), so that all visits
of all people are learned at once and few weights are needed. A visit is a mixture of profiles, so that codes which
belong together are drawn together.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.special import ndtr, ndtri
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

from personare.core.types import Array
from personare.features.visits import VisitColumns
from personare.learn.networks import SavedNetwork

_FADE = (0.5, 0.9)  # how much of an average is left after one visit
_SUMS = 2 + len(_FADE)  # over the past: the visit before, what has ever been, averages that fade
_PARTS = ("type", "length", "gap")
_MIXTURE_PARTS = 4  # of the latents, at most
_PEOPLE = 20  # for each part, at least
_LEAST_VARIANCE = 0.05  # of a part, so that none sits on one person
_DRAWS = 5  # of each person's latent
_TINY = 1e-12  # a share above 0, which no normal number stands for
_CALIBRATION_PEOPLE, _CALIBRATION_ROUNDS = 400, 9  # who are drawn, and how often


def past_of(rows: Tensor) -> Tensor:
    """Return what the past says before each visit and after the last one, (N, T + 1, 4 D + 2), of histories (N, T, D).

    Example:
        >>> rows = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
        >>> sums = _after(_after(torch.zeros(1, 4, 2), rows[:, 0]), rows[:, 1])
        >>> bool(torch.allclose(past_of(rows)[:, 2], _side_by_side(sums, torch.tensor([2.0]))))
        True
    """
    last = torch.cat([torch.zeros_like(rows[:, :1]), rows], dim=1)  # (N, T + 1, D)
    step = torch.arange(last.shape[1])
    age = (step[:, None] - step[:-1] - 1).to(rows)  # (T + 1, T) visits between; below 0: not yet
    fades = [torch.where(age < 0, 0.0, (1 - keep) * keep ** age.clamp_min(0)) for keep in _FADE]
    faded = [torch.einsum("ts,nsd->ntd", fade, rows) for fade in fades]
    return _side_by_side(torch.stack([last, last.cummax(dim=1).values, *faded], dim=-2), step.to(rows))


def _after(sums: Tensor, visit: Tensor) -> Tensor:
    """Return the sums over the past, (N, 4, D), after one more visit, (N, D)."""
    _, ever, *faded = sums.unbind(dim=-2)
    faded = [average * keep + (1 - keep) * visit for average, keep in zip(faded, _FADE, strict=True)]
    return torch.stack([visit, torch.maximum(ever, visit), *faded], dim=-2)


def _side_by_side(sums: Tensor, count: Tensor) -> Tensor:
    """Return sums (N, ..., 4, D) and how many visits they are of, (...), as features (N, ..., 4 D + 2)."""
    counts = torch.stack([torch.log1p(count) / 3, (count == 0).to(count)], dim=-1)
    return torch.cat([sums.flatten(-2), counts.expand(*sums.shape[:-2], 2)], dim=-1)


class _Messages(nn.Module):
    """One round of messages between neighboring visits."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.own, self.before, self.after = (nn.Linear(hidden, hidden) for _ in range(3))
        self.norm = nn.LayerNorm(hidden)

    def forward(self, h: Tensor, there: Tensor) -> Tensor:
        h = h * there  # (N, T, H); what is no visit sends nothing
        edge = torch.zeros_like(h[:, :1])
        before, after = torch.cat([edge, h[:, :-1]], 1), torch.cat([h[:, 1:], edge], 1)
        out: Tensor = self.norm(h + torch.relu(self.own(h) + self.before(before) + self.after(after)))
        return out


class HistoryNet(SavedNetwork):
    """Encodes histories to a latent for each person, and says how likely each visit and each end is.

    ``profiles`` are the kinds of visits that the mixture knows, ``dropout`` hides what the decoder reads in training.
    """

    def __init__(
        self, columns: VisitColumns, classes: int, *, latent: int, hidden: int, profiles: int, dropout: float
    ) -> None:
        super().__init__()
        sizes = {"latent": latent, "hidden": hidden, "profiles": profiles, "dropout": dropout}
        self.settings = {"columns": columns, "classes": classes, **sizes}
        self.columns, width = columns, columns.width
        self.read = nn.Linear(width, hidden)
        self.messages = nn.ModuleList([_Messages(hidden) for _ in range(2)])
        self.attention = nn.Linear(hidden, 1)
        self.latent = nn.Linear(2 * hidden + 1 + classes, 2 * latent)
        self.dropout = nn.Dropout(dropout)
        self.state = nn.Sequential(
            nn.Linear(_SUMS * width + 2 + latent + classes, hidden), nn.LayerNorm(hidden), nn.SiLU(),
            nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.SiLU(),
        )  # fmt: skip
        self.end = nn.Linear(hidden, 1)
        self.mixture = nn.Linear(hidden, profiles)
        self.offset = nn.Linear(hidden, width)
        self.profile = nn.Parameter(0.1 * torch.randn(profiles, width))
        self.own = nn.Parameter(torch.zeros(_SUMS, width))
        nn.init.constant_(self.end.bias, -3.0)

    def encode(self, rows: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of people's latents, (N, L) each, of histories (N, T, D), classes (N, C)."""
        there = rows[..., :1]  # (N, T, 1)
        h = torch.relu(self.read(rows))
        for pass_messages in self.messages:
            h = pass_messages(h, there)
        weights = torch.softmax(self.attention(h).masked_fill(there == 0, -1e9), dim=1)  # (N, T, 1)
        count = there.sum(dim=1)  # (N, 1)
        mean = (h * there).sum(dim=1) / count.clamp_min(1)
        pooled = torch.cat([(weights * h).sum(dim=1), mean, torch.log1p(count) / 3, label], dim=1)
        mu, log_var = self.latent(pooled).chunk(2, dim=1)
        return mu, log_var.clamp(-6, 3)

    def decode(self, past: Tensor, z: Tensor, label: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what comes next: logit of the end (...), log weights of profiles (..., K), what all share (..., D).

        A column's logit under a profile is the profile's plus what all share. ``past`` is (..., 4 D + 2), ``z`` (...,
        L), ``label`` (..., C).
        """
        seen = self.dropout(past)
        h = self.state(torch.cat([seen, z, label], dim=-1))
        by_column = seen[..., : self.own.numel()].unflatten(-1, self.own.shape)  # (..., 4, D)
        offset = self.offset(h) + (by_column * self.own).sum(dim=-2)
        return self.end(h)[..., 0], torch.log_softmax(self.mixture(h), dim=-1), offset

    def nll(
        self, rows: Tensor, past: Tensor, z: Tensor, label: Tensor, *, open_end: Tensor, packed: bool = True
    ) -> Tensor:
        """Return the negative log-likelihood of each history (N, T, D) with its past, latent and class, (N,).

        ``open_end`` (N,) is 1 where the history was cut, so that its end is not known. ``packed`` leaves out what is no
        visit: faster, but not possible inside ``torch.func.vmap``.
        """
        people, steps = past.shape[:2]
        visits = torch.cat([rows, torch.zeros_like(rows[:, :1])], dim=1)  # (N, T + 1, D)
        there = visits[..., 0]
        before = torch.cat([torch.zeros_like(there[:, :1]), there[:, :-1]], dim=1)
        goes, stops = there * before, before * (1 - there) * (1 - open_end)[:, None]
        z, label = (values[:, None].expand(-1, steps, -1) for values in (z, label))
        moments = [values.flatten(0, 1) for values in (visits, past, z, label, goes, stops)]  # (N (T + 1), ...)
        places = torch.nonzero(moments[0][:, 0] + moments[-1])[:, 0] if packed else None  # visits, and the end
        visit, past, z, label, goes, stops = moments if places is None else [values[places] for values in moments]
        end, weights, offset = self.decode(past, z, label)
        # a visit's log-likelihood under each profile (M, K): one choice in some parts, each code on or off for itself
        logits = {kind: self.profile[:, self.columns.part(kind)] for kind in (*_PARTS, "code")}
        logits = {kind: part + offset[:, None, self.columns.part(kind)] for kind, part in logits.items()}
        on = visit[:, 1:] @ self.profile[:, 1:].T + (visit * offset)[:, 1:].sum(dim=1, keepdim=True)
        normalizer = nn.functional.softplus(logits["code"]).sum(dim=-1)
        likelihoods = on - normalizer - sum(torch.logsumexp(logits[kind], dim=-1) for kind in _PARTS)
        lost = -torch.logsumexp(weights + likelihoods, dim=-1) * visit[:, 0]
        lost = lost + nn.functional.softplus(end) * goes + nn.functional.softplus(-end) * stops
        if places is None:
            return lost.reshape(people, steps).sum(dim=1)
        return lost.new_zeros(people).index_add(0, places // steps, lost)

    @torch.inference_mode()
    def draw(self, z: Tensor, label: Tensor, *, longest: int, never: Sequence[int] = ()) -> Tensor:
        """Return new histories, (N, longest, D), for latents (N, L) and classes (N, C), without the columns ``never``.

        Torch's random state draws them.
        """
        rows = torch.zeros(len(z), longest, self.columns.width)
        codes = self.columns.part("code")
        sums, going = torch.zeros(len(z), _SUMS, self.columns.width), torch.arange(len(z))
        for t in range(longest):
            past = _side_by_side(sums, torch.full((len(sums),), float(t)))
            end, weights, offset = self.decode(past, z[going], label[going])
            stays = torch.nonzero((torch.rand(len(going)) >= torch.sigmoid(end)) | (t == 0))[:, 0]
            if not len(stays):
                break
            going, sums = going[stays], sums[stays]
            profile = torch.multinomial(weights[stays].exp(), 1)[:, 0]
            logits = self.profile[profile] + offset[stays]  # (G, D) of those who go on
            logits[:, [*never]] = -math.inf
            visit = torch.zeros_like(logits)
            visit[:, 0] = 1
            visit[:, codes] = (torch.rand_like(logits[:, codes]) < torch.sigmoid(logits[:, codes])).float()
            # the gap of a first visit is "first" and no other visit's is
            allowed = torch.zeros_like(logits)
            allowed[:, self.columns.part("gap")] = 0.0 if t else -math.inf
            allowed[:, self.columns.first] = -math.inf if t else 0.0
            for kind in _PARTS:
                part = self.columns.part(kind)
                choice = torch.multinomial(torch.softmax((logits + allowed)[:, part], dim=1), 1)[:, 0]
                visit[torch.arange(len(visit)), part.start + choice] = 1
            rows[going, t] = visit
            sums = _after(sums, visit)
        return rows

    @torch.inference_mode()
    def calibrate(self, rows: Tensor, label: Tensor, mixture: Mapping[str, Array], *, rng: np.random.Generator) -> None:
        """Shift the constants in place until freely drawn people have as many visits and codes as histories have.

        Each visit is learned after real visits, but drawn after drawn ones: small faults add up on the way. The shifts
        undo this for every column's share of visits, and for the mean number of visits. Torch's random state draws.
        ``rows`` (N, T, D) and ``label`` (N, C) are of people who need no protection, ``mixture`` is that of latents.
        """
        like = rng.integers(len(rows), size=_CALIBRATION_PEOPLE)
        normal = draw_normal(mixture, _CALIBRATION_PEOPLE, rng=rng)
        latents, label = latents_of(mixture, normal), label[like]

        def shares(visits: Tensor) -> Tensor:  # of visits with each column, (D,), never 0 or 1
            return (visits.sum(dim=(0, 1)) + 0.5) / (visits[..., 0].sum() + 1)

        real, codes = shares(rows), self.columns.part("code")
        states: list[tuple[float, dict[str, Tensor]]] = []
        for turn in range(_CALIBRATION_ROUNDS):
            histories = self.draw(latents, label, longest=rows.shape[1])
            synthetic = shares(histories)
            longer = histories[..., 0].sum(dim=1).mean() / rows[..., 0].sum(dim=1).mean()
            away = float((real - synthetic).abs().sum() + torch.log(longer).abs())
            states.append((away, {name: values.clone() for name, values in self.state_dict().items()}))
            shift = torch.log(real / synthetic)
            shift[codes] -= torch.log((1 - real[codes]) / (1 - synthetic[codes]))  # independent choices: by their odds
            shift[0] = 0
            pace = 1 / (1 + turn / 4)  # later rounds see little but the luck of their draws
            self.offset.bias.add_(pace * shift.clamp(-1, 1))
            self.end.bias.add_(pace * torch.log(longer).clamp(-0.5, 0.5))
        self.load_state_dict(min(states, key=lambda pair: pair[0])[1])


def standard_latents(latent: int) -> dict[str, Array]:
    """Return the standard normal as a mixture of one part: it knows nobody."""
    ones = np.ones((1, latent), np.float32)
    return {"weights": np.ones(1, np.float32), "means": 0 * ones, "deviations": ones}


@torch.inference_mode()
def fitted_latents(mu: Tensor, log_var: Tensor, *, rng: np.random.Generator) -> dict[str, Array]:
    """Fit a small mixture to the latents of training people, given by means and log variances (N, L).

    Not under differential privacy. Returns ``weights`` (K,), ``means`` (K, L) and ``deviations`` (K, L).
    """
    center, spread = mu.detach().numpy(), np.exp(0.5 * log_var.detach().numpy())
    draws = center + spread * rng.standard_normal((_DRAWS, *center.shape))
    mixture = GaussianMixture(
        max(1, min(_MIXTURE_PARTS, len(center) // _PEOPLE)),
        covariance_type="diag",
        reg_covar=_LEAST_VARIANCE,
        random_state=int(rng.integers(2**31)),
    ).fit(draws.reshape(-1, center.shape[1]))
    parts = {"weights": mixture.weights_, "means": mixture.means_, "deviations": np.sqrt(mixture.covariances_)}
    return {name: values.astype(np.float32) for name, values in parts.items()}


def draw_normal(mixture: Mapping[str, Array], people: int, *, rng: np.random.Generator) -> Array:
    """Draw what latents are made of, (people, 1 + L) standard normal numbers: which part, and where in it."""
    part = ndtri(np.maximum(rng.random(people), _TINY))
    return np.column_stack([part, rng.standard_normal((people, mixture["means"].shape[1]))])


def latents_of(mixture: Mapping[str, Array], normal: Array) -> Tensor:
    """Return the latents of people, (P, L), that standard normal numbers (P, 1 + L) stand for."""
    ends = np.cumsum(mixture["weights"] / mixture["weights"].sum(), dtype=float)
    part = np.searchsorted(ends[:-1], ndtr(normal[:, 0]), side="right")
    return torch.from_numpy(mixture["means"][part] + mixture["deviations"][part] * normal[:, 1:]).float()
