"""A trained network of several modalities as a frozen predictor, and back from its arrays."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from personare.core.errors import DataError
from personare.core.types import Array, Batch, Spend
from personare.learn.encoders import Encoding
from personare.learn.fusion import Fusion, fit_temperature, stacked_shares
from personare.learn.multimodal import Joined, Network, Separate, Shape, build, check_arrays, opinions, prepare

__all__ = ["NetworkPredictor", "assemble", "restore_network"]


@dataclass(frozen=True, kw_only=True)
class NetworkPredictor:
    """Reads classes from recordings with any modality missing.

    Attributes:
        net: The trained network, never changed again.
        shape: How its opinions are made.
        width: Numbers that describe a modality.
        encodings: How each modality is read, in the network's order.
        classes: What the columns mean.
        fusion: How opinions become one.
        spends: The privacy that training cost.
    """

    net: Network
    shape: Shape
    width: int
    encodings: Mapping[str, Encoding]
    classes: tuple[str, ...]
    fusion: Fusion
    spends: tuple[Spend, ...] = ()

    def opinions(self, batch: Batch) -> tuple[Array, Array]:
        """Return logits (N, K, C) and where they count (N, K): K modalities, or one opinion of all."""
        check_arrays(batch)
        parts = [self._chunk(batch, start) for start in range(0, len(batch), 256)]
        if not parts:
            return np.zeros((0, self.net.turns, len(self.classes))), np.zeros((0, self.net.turns), dtype=bool)
        logits, counted = zip(*parts, strict=True)
        return np.concatenate(logits), np.concatenate(counted)

    def _chunk(self, batch: Batch, start: int) -> tuple[Array, Array]:
        rows = np.arange(start, min(start + 256, len(batch)))
        return opinions(self.net, prepare(batch.take(rows), self.encodings))

    def __call__(self, batch: Batch) -> Array:
        """Return (N, C) probabilities; chance where all modalities are missing."""
        return self.fusion(*self.opinions(batch))

    def weights(self, batch: Batch) -> dict[str, Array]:
        """Return how much each modality counted in each recording, by modality, (N,) in [0, 1].

        Of opinions that are fused, their weight. Of a network that reads all together, how much the answer changes
        when the modality is hidden, as a share of all such changes.
        """
        if isinstance(self.net, Joined):
            found = self._changes(batch)
        else:
            logits, counted = self.opinions(batch)
            found = self.fusion.weights(self.fusion.opinions(logits), counted)
        return {m: found[:, i] for i, m in enumerate(self.encodings)}

    def _changes(self, batch: Batch) -> Array:
        whole = self(batch)
        present = np.stack([batch.present[m] for m in self.encodings], axis=1)  # (N, M)
        changes = np.zeros(present.shape)
        for i, hidden in enumerate(self.encodings):
            gone = {m: p & (m != hidden) for m, p in batch.present.items()}
            changes[:, i] = np.abs(self(replace(batch, present=gone)) - whole).sum(axis=1) + 1e-9
        changes = changes * present
        return np.asarray(changes / np.maximum(changes.sum(axis=1, keepdims=True), 1e-12))

    def represent(self, batch: Batch) -> Array:
        """Return (N, D): what the classes are read from, zeros where a modality is missing."""
        check_arrays(batch)
        with torch.inference_mode():
            parts = [
                self.net.represent(prepare(batch.take(rows), self.encodings)).numpy()
                for rows in np.array_split(np.arange(len(batch)), max(1, len(batch) // 256))
            ]
        return np.concatenate(parts)

    def calibrated(self, batch: Batch, *, stacked: bool = False) -> "NetworkPredictor":
        """Return the same predictor with temperatures (and shares) fitted on people it was not trained on.

        Under differential privacy ``batch`` must be public. Nothing changes where it is empty.
        """
        if not len(batch):
            return self
        logits, counted = self.opinions(batch)
        labels = batch.labels
        fusion = replace(self.fusion, temperatures=_temperatures(logits, counted, labels), temperature=1.0)
        if stacked:
            fusion = replace(
                fusion, rule="fixed", shares=stacked_shares(fusion.opinions(logits), counted, labels, fusion.pool)
            )
        last = fit_temperature(np.log(np.maximum(fusion(logits, counted), 1e-12)), labels)
        return replace(self, fusion=replace(fusion, temperature=last))

    def state(self) -> tuple[dict[str, Array], dict[str, str]]:
        """Return the weights as arrays and what is needed to build the network again as text."""
        about = {
            "shape": self.shape,
            "width": str(self.width),
            "classes": json.dumps(self.classes),
            "encodings": json.dumps({m: asdict(e) for m, e in self.encodings.items()}),
            "fusion": json.dumps(asdict(self.fusion)),
            "spends": json.dumps([asdict(s) for s in self.spends]),
        }
        return {name: tensor.numpy().copy() for name, tensor in self.net.state_dict().items()}, about


def _temperatures(logits: Array, counted: Array, labels: Array) -> tuple[float, ...]:
    return tuple(fit_temperature(logits[seen, k], labels[seen]) for k, seen in enumerate(counted.T))


def assemble(alone: Sequence[NetworkPredictor], fusion: Fusion) -> NetworkPredictor:
    """Return one predictor made of several that were trained on a modality each."""
    first = alone[0]
    parts = [predictor.net for predictor in alone if isinstance(predictor.net, Separate)]
    net = Separate([part.encoders[0] for part in parts], width=first.width, classes=len(first.classes), shared=False)
    for head, part in zip(net.heads, parts, strict=True):
        head.load_state_dict(part.head(0).state_dict())
    encodings = {m: encoding for predictor in alone for m, encoding in predictor.encodings.items()}
    return replace(first, net=net.eval(), encodings=encodings, fusion=fusion)


def restore_network(tensors: Mapping[str, Array], about: Mapping[str, str]) -> NetworkPredictor:
    """Build again what ``NetworkPredictor.state`` returned.

    Raises:
        DataError: The arrays or the text belong to another kind of model.
    """
    try:
        encodings = {
            m: Encoding(**{**e, "shape": tuple(e["shape"])}) for m, e in json.loads(about["encodings"]).items()
        }
        classes, width = tuple(json.loads(about["classes"])), int(about["width"])
        shape: Shape = about["shape"]  # type: ignore[assignment]
        with torch.random.fork_rng(
            devices=[]
        ):  # the fresh weights are overwritten: torch's own draws stay as they were
            net = build(shape, encodings, width=width, dropout=0.0, classes=len(classes))
        net.load_state_dict({name: torch.from_numpy(np.array(values)) for name, values in tensors.items()})
        parts: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(about["fusion"]).items()
        }
        fusion = Fusion(**parts)
        spends = tuple(Spend(**s) for s in json.loads(about["spends"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"This is not the state of a network of personare ({error}): train the model again.") from error
    whole: dict[str, Any] = {"net": net.eval(), "shape": shape, "width": width, "encodings": encodings}
    return NetworkPredictor(**whole, classes=classes, fusion=fusion, spends=spends)
