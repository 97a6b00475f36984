"""Variational graph autoencoder of histories: a path of visits in, a latent of the person, the path drawn anew.

The encoder passes messages along the edges between neighboring visits. The decoder reads what the path says up to a
visit through fixed sums over its past (the last visit, what has ever been, two averages that fade), so that all visits
of all people are learned at once and few weights are needed. A visit is a mixture of profiles, so that codes which
belong together are drawn together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

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

    AVERAGES: ClassVar[int] = 2 + len(_FADE)

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

    def take(self, which: Tensor) -> "Past":
        """Return the past of these people."""
        faded = tuple(values[which] for values in self.faded)
        return Past(last=self.last[which], ever=self.ever[which], faded=faded, count=self.count[which])

    @property
    def features(self) -> Tensor:
        """All of it side by side, (..., 4 D + 2)."""
        count = torch.cat([torch.log1p(self.count) / 3, (self.count == 0).to(self.count)], dim=-1)
        return torch.cat([self.last, self.ever, *self.faded, count], dim=-1)

    @staticmethod
    def size(width: int) -> int:
        """Return how many features there are."""
        return Past.AVERAGES * width + 2

    @classmethod
    def before_each(cls, rows: Tensor) -> Tensor:
        """Return the features before each visit and after the last one, (N, T + 1, 4 D + 2), of histories (N, T, D).

        Example:
            >>> rows = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
            >>> past = Past.none(1, 2).then(rows[:, 0]).then(rows[:, 1])
            >>> bool(torch.allclose(Past.before_each(rows)[:, 2], past.features))
            True
        """
        last = torch.cat([torch.zeros_like(rows[:, :1]), rows], dim=1)  # (N, T + 1, D)
        step = torch.arange(last.shape[1])
        age = (step[:, None] - step[:-1] - 1).to(rows)  # (T + 1, T) visits between; below 0: not yet
        fades = [torch.where(age < 0, 0.0, (1 - keep) * keep ** age.clamp_min(0)) for keep in _FADE]
        past = cls(
            last=last,
            ever=last.cummax(dim=1).values,
            faded=tuple(torch.einsum("ts,nsd->ntd", fade, rows) for fade in fades),
            count=step.to(rows)[:, None].expand(len(rows), -1, -1),
        )
        return past.features


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
        self.own = nn.Parameter(torch.zeros(Past.AVERAGES, width))
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
        """Return what comes next: logit of the end (...), log weights of profiles (..., K), what all share (..., D).

        A column's logit under a profile is the profile's plus what all share.

        Args:
            past: (..., 4 D + 2) features of the visits before.
            z: (..., L) latents.
            label: (..., C) one-hot classes.
        """
        seen = self.dropout(past)
        h = self.state(torch.cat([seen, z, label], dim=-1))
        own = seen[..., : self.own.numel()].unflatten(-1, self.own.shape)  # (..., 4, D)
        offset = self.offset(h) + (own * self.own).sum(dim=-2)
        return self.end(h)[..., 0], torch.log_softmax(self.mixture(h), dim=-1), offset

    def surprise(
        self, rows: Tensor, past: Tensor, z: Tensor, label: Tensor, *, open_end: Tensor, packed: bool = True
    ) -> Tensor:
        """Return the negative log-likelihood of each history, (N,).

        Args:
            rows: (N, T, D).
            past: (N, T + 1, 4 D + 2), from ``Past.before_each``.
            z: (N, L).
            label: (N, C).
            open_end: (N,) 1 where the history was cut, so that its end is not known.
            packed: Leave out what is no visit: faster, but not possible inside ``torch.func.vmap``.
        """
        people, steps = past.shape[:2]
        visits = torch.cat([rows, torch.zeros_like(rows[:, :1])], dim=1)  # (N, T + 1, D)
        there = visits[..., 0]
        before = torch.cat([torch.zeros_like(there[:, :1]), there[:, :-1]], dim=1)
        moments = {  # (N (T + 1), ...): each visit, and what follows the last one
            "visit": visits,
            "past": past,
            "z": z[:, None].expand(-1, steps, -1),
            "label": label[:, None].expand(-1, steps, -1),
            "goes": there * before,
            "stops": before * (1 - there) * (1 - open_end)[:, None],
        }
        moments = {name: values.flatten(0, 1) for name, values in moments.items()}
        if not packed:
            return self._moments(**moments).reshape(people, steps).sum(dim=1)
        kept = torch.nonzero(moments["visit"][:, 0] + moments["stops"])[:, 0]
        lost = self._moments(**{name: values[kept] for name, values in moments.items()})
        return lost.new_zeros(people).index_add(0, kept // steps, lost)

    def _moments(self, *, visit: Tensor, past: Tensor, z: Tensor, label: Tensor, goes: Tensor, stops: Tensor) -> Tensor:
        """Return the surprise at each moment (M,): at the visit, if there is one, and at there being one or none."""
        end, weights, offset = self.decode(past, z, label)
        seen = -torch.logsumexp(weights + self._likelihood(visit, offset), dim=-1) * visit[:, 0]
        return seen + nn.functional.softplus(end) * goes + nn.functional.softplus(-end) * stops

    def _likelihood(self, visit: Tensor, offset: Tensor) -> Tensor:
        """Return the log-likelihood of visits (M, D) under each profile, given what all share (M, D); (M, K)."""

        def logits(kind: str) -> Tensor:
            part = self.columns.part(kind)
            return self.profile[:, part] + offset[:, None, part]  # (M, K, part)

        said = visit[:, 1:] @ self.profile[:, 1:].T + (visit * offset)[:, 1:].sum(dim=1, keepdim=True)
        not_said = nn.functional.softplus(logits("code")).sum(dim=-1)
        return said - not_said - sum(torch.logsumexp(logits(kind), dim=-1) for kind in _PARTS)

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
        past, going = Past.none(len(z), self.columns.width), torch.arange(len(z))
        for t in range(longest):
            end, weights, offset = self.decode(past.features, z[going], label[going])
            stays = torch.nonzero((torch.rand(len(going)) >= torch.sigmoid(end)) | (t == 0))[:, 0]
            if not len(stays):
                break
            going, past = going[stays], past.take(stays)
            chosen = torch.multinomial(weights[stays].exp(), 1)[:, 0]
            one = self.profile[chosen] + offset[stays]  # (G, D) of those who go on
            one[:, [*never]] = -math.inf
            rows[going, t] = visit = self._drawn(one, first=t == 0)
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
