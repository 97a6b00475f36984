"""Variational graph autoencoder of histories: a path of visits in, a latent of the person, the path drawn anew.

The encoder passes messages along the edges between neighboring visits. The decoder reads what the path says up to a
visit through fixed sums over its past (the last visit, what has ever been, two averages that fade), so that all visits
of all people are learned at once and few weights are needed. A visit is a mixture of profiles, so that codes which
belong together are drawn together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from personare.features.visits import VisitColumns

__all__ = ["HistoryNet", "Past", "Shape"]

_FADE = (0.5, 0.9)  # how much of an average is left after one visit
_PARTS = ("type", "length", "gap")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How large the network is.

    Attributes:
        latent: Numbers that tell one person from another.
        hidden: Width of its layers.
        profiles: Kinds of visits that the mixture knows.
        dropout: Share of what the decoder reads that is hidden in training.
    """

    latent: int
    hidden: int
    profiles: int
    dropout: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Past:
    """What the visits before say: sums over the path that need no weights.

    Attributes:
        last: (..., D) the visit before.
        ever: (..., D) 1 where any visit before has it.
        faded: (..., D) each: averages over the visits before, later ones counting more.
        count: (..., 1) how many there are.
    """

    last: Tensor
    ever: Tensor
    faded: tuple[Tensor, ...]
    count: Tensor

    @classmethod
    def none(cls, people: int, width: int) -> "Past":
        """Return the past of people who had no visit yet."""
        zeros = torch.zeros(people, width)
        return cls(last=zeros, ever=zeros, faded=tuple(zeros for _ in _FADE), count=torch.zeros(people, 1))

    def then(self, visit: Tensor) -> "Past":
        """Return the past after one more visit, (..., D)."""
        return Past(
            last=visit,
            ever=torch.maximum(self.ever, visit),
            faded=tuple(f * keep + (1 - keep) * visit for f, keep in zip(self.faded, _FADE, strict=True)),
            count=self.count + 1,
        )

    @property
    def features(self) -> Tensor:
        """All of it side by side, (..., 4 D + 2)."""
        count = torch.cat([torch.log1p(self.count) / 3, (self.count == 0).to(self.count)], dim=-1)
        return torch.cat([self.last, self.ever, *self.faded, count], dim=-1)

    @staticmethod
    def size(width: int) -> int:
        """Return how many features there are."""
        return (2 + len(_FADE)) * width + 2

    @classmethod
    def before_each(cls, rows: Tensor) -> Tensor:
        """Return the features before each visit and after the last one, (N, T + 1, 4 D + 2), of histories (N, T, D)."""
        past = cls.none(len(rows), rows.shape[2])
        found = [past.features]
        for t in range(rows.shape[1]):
            past = past.then(rows[:, t])
            found.append(past.features)
        return torch.stack(found, dim=1)


class _Messages(nn.Module):
    """One round of messages between neighboring visits."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.own, self.before, self.after = (nn.Linear(hidden, hidden) for _ in range(3))
        self.norm = nn.LayerNorm(hidden)

    def forward(self, h: Tensor, there: Tensor) -> Tensor:
        h = h * there  # (N, T, H); what is no visit sends nothing
        nobody = torch.zeros_like(h[:, :1])
        sent = (
            self.own(h) + self.before(torch.cat([nobody, h[:, :-1]], 1)) + self.after(torch.cat([h[:, 1:], nobody], 1))
        )
        out: Tensor = self.norm(h + torch.relu(sent))
        return out


class HistoryNet(nn.Module):
    """Encodes histories to a latent for each person, and says how likely each visit and each end is."""

    def __init__(self, columns: VisitColumns, classes: int, shape: Shape) -> None:
        super().__init__()
        width, hidden = columns.width, shape.hidden
        self.columns, self.shape = columns, shape
        self.read = nn.Linear(width, hidden)
        self.messages = nn.ModuleList([_Messages(hidden) for _ in range(2)])
        self.attention = nn.Linear(hidden, 1)
        self.latent = nn.Linear(2 * hidden + 1 + classes, 2 * shape.latent)
        self.dropout = nn.Dropout(shape.dropout)
        self.state = nn.Sequential(
            nn.Linear(Past.size(width) + shape.latent + classes, hidden), nn.LayerNorm(hidden), nn.SiLU(),
            nn.Dropout(shape.dropout), nn.Linear(hidden, hidden), nn.SiLU(),
        )  # fmt: skip
        self.end = nn.Linear(hidden, 1)
        self.mixture = nn.Linear(hidden, shape.profiles)
        self.offset = nn.Linear(hidden, width)
        self.profile = nn.Parameter(0.1 * torch.randn(shape.profiles, width))
        nn.init.constant_(self.end.bias, -3.0)

    def encode(self, rows: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance of people's latents, (N, L) each.

        Args:
            rows: (N, T, D) histories.
            label: (N, C) one-hot classes.
        """
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
        """Return what comes next: logit of the end (...), log weights of profiles (..., K), their logits (..., K, D).

        Args:
            past: (..., 4 D + 2) features of the visits before.
            z: (..., L) latents.
            label: (..., C) one-hot classes.
        """
        h = self.state(torch.cat([self.dropout(past), z, label], dim=-1))
        logits = self.profile + self.offset(h)[..., None, :]  # (..., K, D)
        return self.end(h)[..., 0], torch.log_softmax(self.mixture(h), dim=-1), logits

    def surprise(self, rows: Tensor, past: Tensor, z: Tensor, label: Tensor, *, open_end: Tensor) -> Tensor:
        """Return the negative log-likelihood of each history, (N,).

        Args:
            rows: (N, T, D).
            past: (N, T + 1, 4 D + 2), from ``Past.before_each``.
            z: (N, L).
            label: (N, C).
            open_end: (N,) 1 where the history was cut, so that its end is not known.
        """
        steps = past.shape[1]
        everywhere = (z[:, None].expand(-1, steps, -1), label[:, None].expand(-1, steps, -1))
        end, weights, logits = self.decode(past, *everywhere)
        there = rows[..., 0]  # (N, T)
        each = weights[:, :-1] + self._likelihood(rows, logits[:, :-1])  # (N, T, K)
        visits = -(torch.logsumexp(each, dim=-1) * there).sum(dim=1)
        goes_on = (nn.functional.softplus(end[:, 1:-1]) * there[:, 1:]).sum(dim=1)
        after = there - torch.cat([there[:, 1:], torch.zeros_like(there[:, :1])], dim=1)  # (N, T), 1 at the last visit
        stops = (nn.functional.softplus(-end[:, 1:]) * after).sum(dim=1) * (1 - open_end)
        return visits + goes_on + stops

    def _likelihood(self, rows: Tensor, logits: Tensor) -> Tensor:
        """Return the log-likelihood of visits (N, T, D) under each profile, (N, T, K)."""
        x = rows[..., None, :]  # (N, T, 1, D)
        codes = self.columns.part("code")
        total = (x[..., codes] * logits[..., codes] - nn.functional.softplus(logits[..., codes])).sum(dim=-1)
        for kind in _PARTS:
            part = self.columns.part(kind)
            total = total + (x[..., part] * torch.log_softmax(logits[..., part], dim=-1)).sum(dim=-1)
        return total

    @torch.inference_mode()
    def draw(self, z: Tensor, label: Tensor, *, longest: int, never: Sequence[int] = ()) -> Tensor:
        """Return new histories, (N, longest, D); torch's random state draws them.

        Args:
            z: (N, L) latents.
            label: (N, C) one-hot classes.
            longest: Most visits.
            never: Columns that must stay 0.
        """
        rows = torch.zeros(len(z), longest, self.columns.width)
        past, going = Past.none(len(z), self.columns.width), torch.ones(len(z), dtype=torch.bool)
        for t in range(longest):
            end, weights, logits = self.decode(past.features, z, label)
            going = going & ((torch.rand(len(z)) >= torch.sigmoid(end)) if t else going)
            if not going.any():
                break
            chosen = torch.multinomial(weights.exp(), 1)[:, 0]
            one = logits[torch.arange(len(z)), chosen]  # (N, D)
            one[:, [*never]] = -math.inf
            visit = self._drawn(one, first=t == 0) * going[:, None]
            rows[:, t] = visit
            past = past.then(visit)
        return rows

    def _drawn(self, logits: Tensor, *, first: bool) -> Tensor:
        """Return one visit for each row of logits (N, D)."""
        visit = torch.zeros_like(logits)
        visit[:, 0] = 1
        codes = self.columns.part("code")
        visit[:, codes] = (torch.rand_like(logits[:, codes]) < torch.sigmoid(logits[:, codes])).float()
        # the gap of a first visit is "first" and no other visit's is
        allowed = torch.zeros_like(logits)
        allowed[:, self.columns.part("gap")] = -math.inf if first else 0.0
        allowed[:, self.columns.first] = 0.0 if first else -math.inf
        for kind in _PARTS:
            part = self.columns.part(kind)
            drawn = torch.multinomial(torch.softmax((logits + allowed)[:, part], dim=1), 1)[:, 0]
            visit[torch.arange(len(visit)), part.start + drawn] = 1
        return visit
