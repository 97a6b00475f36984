"""How the network of histories is trained: until other people say enough, or on the batches of a plan that pays."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.types import Spend
from personare.learn.privacy import PrivacyPlan
from personare.learn.private_nets import Loss, PrivateSteps, Rows
from personare.learn.visits import HistoryNet, Past

__all__ = ["Paths", "Schooling", "calibrate", "learn_paths", "learn_paths_privately"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Paths:
    """Histories as tensors.

    Attributes:
        rows: (N, T, D) visits.
        label: (N, C) one-hot classes.
        open_end: (N,) 1 where the history was cut.
    """

    rows: Tensor
    label: Tensor
    open_end: Tensor

    def __len__(self) -> int:
        """Return how many people there are."""
        return len(self.rows)

    def of(self, which: Tensor | slice) -> "Paths":
        """Return the histories of these people."""
        return Paths(rows=self.rows[which], label=self.label[which], open_end=self.open_end[which])

    def take(self, which: Tensor) -> Rows:
        """Return these people, cut to the longest of them, with the past of every visit."""
        rows = self.rows[which]
        longest = int(rows[..., 0].sum(dim=1).max()) if len(rows) else 1
        rows = rows[:, :longest]
        past = Past.before_each(rows)
        return {"rows": rows, "past": past, "label": self.label[which], "open_end": self.open_end[which]}


@dataclass(frozen=True, kw_only=True)
class Schooling:
    """How the network is moved.

    Attributes:
        steps: Batches.
        batch_size: People in one.
        learning_rate: Of AdamW; it rises in the first tenth of the steps and falls to 0.
        weight_decay: Of AdamW.
        beta: Weight of the latent's divergence from the standard normal; it rises from 0 in the first half.
        check_every: Steps between two looks at the people of validation.
        patience: Looks without gain after which training ends.
    """

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    beta: float
    check_every: int = 10
    patience: int = 6

    def movers(self, net: nn.Module) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        """Return what moves the weights, and its pace."""
        optimizer = torch.optim.AdamW(net.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)
        warm = max(1, self.steps // 10)
        pace = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: min(1.0, (step + 1) / warm) * 0.5 * (1 + float(np.cos(np.pi * min(1.0, step / self.steps)))),
        )
        return optimizer, pace

    def weight(self, step: int) -> float:
        """Return the weight of the divergence at a step."""
        return self.beta * min(1.0, 2 * step / self.steps)


def losses(net: HistoryNet, rows: Rows, beta: float, *, packed: bool = True) -> Tensor:
    """Return what each person loses, (N,): surprise at the history plus what the latent tells about the person."""
    mu, log_var = net.encode(rows["rows"], rows["label"])
    z = mu + torch.randn_like(mu) * torch.exp(0.5 * log_var) if net.training else mu
    surprise = net.surprise(rows["rows"], rows["past"], z, rows["label"], open_end=rows["open_end"], packed=packed)
    told = 0.5 * (mu.square() + log_var.exp() - 1 - log_var).sum(dim=1)
    return surprise + beta * told


def learn_paths(
    net: HistoryNet, data: Paths, validation: Paths, *, schooling: Schooling, rng: np.random.Generator
) -> list[float]:
    """Train in place; end with the weights under which the people of validation were least surprising.

    Returns:
        Surprise in nats a visit at each look; empty without validation, and then the last weights stay.
    """
    optimizer, pace = schooling.movers(net)
    looked: list[float] = []
    best = copy.deepcopy(net.state_dict())
    held = validation.take(torch.arange(len(validation))) if len(validation) else {}
    for step, which in zip(range(schooling.steps), _batches(len(data), schooling.batch_size, rng), strict=False):
        net.train()
        rows = data.take(which)
        optimizer.zero_grad()
        # by visit, not by person: a prevalence counts visits
        lost = losses(net, rows, schooling.weight(step)).sum() / rows["rows"][..., 0].sum()
        lost.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        pace.step()
        if held and step % schooling.check_every == schooling.check_every - 1:
            looked.append(_surprise(net, held))
            if looked[-1] <= min(looked):
                best = copy.deepcopy(net.state_dict())
            elif len(looked) - int(np.argmin(looked)) > schooling.patience:
                break
    if looked:
        net.load_state_dict(best)
    net.eval()
    return looked


@torch.inference_mode()
def _surprise(net: HistoryNet, held: Rows) -> float:
    net.eval()
    return float(losses(net, held, 1.0).sum() / held["rows"][..., 0].sum())


@torch.inference_mode()
def calibrate(net: HistoryNet, data: Paths, latents: Tensor, label: Tensor, *, rounds: int) -> None:
    """Shift the network's constants in place until freely drawn people have as many visits and codes as those of data.

    Each visit is learned after real visits, but drawn after drawn ones: small faults add up on the way. The shifts
    undo this for every column's share of visits, and for the mean number of visits. Torch's random state draws.

    Args:
        net: Trained.
        data: Of the people learned from; not under differential privacy.
        latents: (M, L) as people are going to be drawn.
        label: (M, C) one-hot classes of these.
        rounds: How often to draw and to shift.
    """
    real, codes = _shares(data.rows), net.columns.part("code")
    found: list[tuple[float, Rows]] = []
    for turn in range(rounds):
        drawn = net.draw(latents, label, longest=data.rows.shape[1])
        made = _shares(drawn)
        longer = drawn[..., 0].sum(dim=1).mean() / data.rows[..., 0].sum(dim=1).mean()
        away = float((real - made).abs().sum() + torch.log(longer).abs())
        found.append((away, {name: values.clone() for name, values in net.state_dict().items()}))
        shift = torch.log(real / made)
        shift[codes] -= torch.log((1 - real[codes]) / (1 - made[codes]))  # independent choices: by their odds
        shift[0] = 0
        pace = 1 / (1 + turn / 4)  # later rounds see little but the luck of their draws
        net.offset.bias.add_(pace * shift.clamp(-1, 1))
        net.end.bias.add_(pace * torch.log(longer).clamp(-0.5, 0.5))
    net.load_state_dict(min(found, key=lambda pair: pair[0])[1])


def _shares(rows: Tensor) -> Tensor:
    """Return the share of visits with each column, (D,), never 0 or 1."""
    count = rows[..., 0].sum()
    return (rows.sum(dim=(0, 1)) + 0.5) / (count + 1)


def _batches(count: int, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    while True:
        order = torch.from_numpy(rng.permutation(count))
        yield from (order[start : start + size] for start in range(0, count, size))


def learn_paths_privately(
    net: HistoryNet,
    data: Paths,
    *,
    plan: PrivacyPlan,
    schooling: Schooling,
    clip_norm: float,
    rng: np.random.Generator,
) -> Spend:
    """Train in place on the batches of a plan; nothing stops it early.

    **Guarantee**: the weights are (epsilon, delta)-differentially private for one person: a person is one history, and
    its gradient is cut and noised with those of the others.
    """
    optimizer, pace = schooling.movers(net)
    net.train()
    # a loss by visit keeps the gradient of a long history in the range of the others; the number is the person's own
    for step, batch in enumerate(plan.batches(rng, present=len(data))):
        private = PrivateSteps(network=net, loss=_by_visit(schooling.weight(step)), clip_norm=clip_norm, chunk=16)
        private.release(batch, data.take(torch.from_numpy(batch.units)))
        optimizer.step()
        pace.step()
    net.eval()
    return plan.spend()


def _by_visit(beta: float) -> Loss:
    def loss(net: nn.Module, rows: Rows) -> Tensor:
        assert isinstance(net, HistoryNet)
        return losses(net, rows, beta, packed=False) / rows["rows"][..., 0].sum(dim=1).clamp_min(1)

    return loss
