"""How networks of several modalities are trained in private: in turns, on the batches of a plan that pays for them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.types import Array, Spend
from personare.learn.descent import Training, losses, vary
from personare.learn.multimodal import Network, Separate, Tensors
from personare.learn.privacy import PrivacyPlan, gather
from personare.learn.private_nets import Loss, PrivateSteps, Rows

__all__ = ["Pace", "descend_privately", "plan_for"]

CAP = 64  # most recordings of one person in a step; a constant, so that it tells nothing about anybody


@dataclass(frozen=True, kw_only=True, eq=False)
class Pace:
    """How every private step is made; nothing of it may come from the people to protect.

    Attributes:
        training: Rate, decay, what is hidden; ``patience`` is not used.
        clip_norm: Longest gradient of one unit in one turn.
        class_weights: (C,) constants, or from public recordings.
    """

    training: Training
    clip_norm: float
    class_weights: Tensor


def plan_for(net: Network, training: Training, *, units: int, epsilon: float, delta: float, unit: str) -> PrivacyPlan:
    """Return the plan of a training: as many steps as pass over all units ``epochs`` times, a release for each turn."""
    expected = min(training.batch_size, units)
    return PrivacyPlan(
        epsilon=epsilon,
        delta=delta,
        unit="person" if unit == "person" else "recording",
        units=units,
        expected_batch=expected,
        steps=max(1, round(training.epochs * units / expected)),
        releases=net.turns,
    )


def descend_privately(
    net: Network,
    data: Tensors,
    owner: Array,
    *,
    plan: PrivacyPlan,
    pace: Pace,
    rng: np.random.Generator,
) -> Spend:
    """Train a network in place on the batches of a plan; nothing stops it early and nobody validates it.

    **Guarantee:** the weights are (epsilon, delta)-differentially private for one unit of the plan: every turn moves
    only what it owns, by gradients cut for each unit and noised as the joint release of all turns.

    Args:
        net: Its parameters are trained.
        data: Of the people to protect.
        owner: (N,) to which unit each recording belongs, 0 to units - 1.
        plan: Hands out the batches and pays.
        pace: How every step is made.
        rng: Draws batches, noise, and what is hidden.
    """
    optimizer, schedule = pace.training.steps(net, plan.steps)
    net.train()
    private = [
        PrivateSteps(network=net, loss=_loss(turn, pace.class_weights), clip_norm=pace.clip_norm)
        for turn in range(net.turns)
    ]
    for batch in plan.batches(rng):
        rows, whose = gather(batch.units, owner, cap=CAP, rng=rng)
        part = _named(vary(data.take(torch.from_numpy(rows)), pace.training, rng))
        groups = torch.from_numpy(whose) if plan.unit == "person" else None
        for turn, steps in enumerate(private):
            steps.release(batch, part, whose=groups, parameters=_moved(net, turn))
            optimizer.step()
        schedule.step()
    net.eval()
    return plan.spend()


def _named(data: Tensors) -> Rows:
    return {"present": data.present, "labels": data.labels} | {str(i): x for i, x in enumerate(data.inputs)}


def _loss(turn: int, class_weights: Tensor) -> Loss:
    def loss(net: nn.Module, rows: Rows) -> Tensor:
        inputs = tuple(rows[str(i)] for i in range(len(rows) - 2))
        assert isinstance(net, Network)
        return losses(net, Tensors(inputs=inputs, present=rows["present"], labels=rows["labels"]), turn, class_weights)

    return loss


def _moved(net: Network, turn: int) -> list[nn.Parameter]:
    """Return what a turn moves: one modality's encoder and the head that reads it, or everything."""
    if isinstance(net, Separate):
        return [*net.encoders[turn].parameters(), *net.head(turn).parameters()]
    return list(net.parameters())
