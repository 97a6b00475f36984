"""Recordings of several modalities, some missing, as a network takes them, and the network that reads classes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from personare.core.errors import DataError, OptionError
from personare.core.types import Array, Batch
from personare.learn.describing import ngrams, tokens
from personare.learn.networks import ResidualCnn, SavedNetwork, SignalCnn, SmallTransformer, TableMlp
from personare.learn.pretrained import describe
from personare.learn.private_nets import Rows

Kind = Literal["table", "signal", "picture", "ngrams", "transformer", "pretrained"]
Shape = Literal["separate", "shared", "joined"]
_BUCKETS = 4096  # of n-grams, and of words
_WORDS = 64


def check_train(train: Batch) -> None:
    """Refuse recordings from which nothing can be learned about people."""
    check_arrays(train)
    if (people := len(np.unique(train.subjects))) < 2:
        raise DataError(f"Learning needs recordings of at least 2 people, {people} was given: add people.")
    if not train.arrays:
        raise DataError("Learning needs at least one modality, none was given: name the tracks to learn from.")
    for modality, present in train.present.items():
        if not present.any():
            raise DataError(f"{modality} is absent from all {len(train)} recordings: leave this modality out.")


def check(train: Batch, validation: Batch) -> None:
    """Refuse recordings from which nothing sound can be learned about classes."""
    check_train(train)
    check_arrays(validation)
    if (classes := len(np.unique(train.labels))) < 2:
        raise DataError(
            f"A learner needs recordings of at least 2 classes, {len(train)} recordings of {classes} were given: add "
            "recordings or choose another label."
        )
    if validation.classes != train.classes or set(validation.arrays) != set(train.arrays):
        raise DataError(
            f"Training and validation must have the same classes and modalities: {train.classes} and "
            f"{sorted(train.arrays)} against {validation.classes} and {sorted(validation.arrays)}."
        )
    if shared := sorted(set(train.ids) & set(validation.ids)):
        raise DataError(
            f"{len(shared)} recordings are in training and in validation, e.g. {shared[0]}: split the cohort again."
        )


def shapes_of(batch: Batch) -> dict[str, tuple[int, ...]]:
    """Return the shape of one recording's array by modality; empty for text."""
    return {modality: tuple(int(n) for n in values.shape[1:]) for modality, values in batch.arrays.items()}


def check_arrays(batch: Batch, modalities: Iterable[str] = ()) -> None:
    """Refuse arrays that do not belong together, or hold what is not a number; and a batch that lacks a modality."""
    if absent := sorted(set(modalities) - set(batch.arrays)):
        raise DataError(f"The batch has no {', '.join(absent)}: give it with a mask of False where it is missing.")
    n = len(batch.ids)
    if len(batch.labels) != n or len(batch.subjects) != n or set(batch.present) != set(batch.arrays):
        raise DataError(f"Labels, subjects and masks must be given for all {n} recordings and every modality.")
    if n and not (batch.labels.min() >= 0 and batch.labels.max() < len(batch.classes)):
        raise DataError(f"Labels must be positions in the {len(batch.classes)} classes {batch.classes}.")
    for modality, values in batch.arrays.items():
        present = batch.present[modality]
        if len(values) != n or present.shape != (n,) or present.dtype != bool:
            raise DataError(f"{modality} must have one row and one bool mask for each of the {n} recordings.")
        if values.dtype.kind != "f":
            continue
        broken = ~np.isfinite(values).reshape(n, -1).all(axis=1) if values.size else np.zeros(n, dtype=bool)
        if (broken & present).any():
            first = batch.ids[int(np.flatnonzero(broken & present)[0])]
            raise DataError(
                f"{modality} holds NaN or infinite values in {int((broken & present).sum())} recordings, e.g. {first}: "
                "describe them again, or mark the modality as missing there."
            )


def check_shapes(batch: Batch, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse what ``check_arrays`` does, and arrays of other shapes than those learned from."""
    check_arrays(batch, shapes)
    for modality, given in shapes_of(batch).items():
        if given != shapes.get(modality, given):
            raise DataError(
                f"{modality} must have the shape {shapes[modality]} of the recordings learned from, it has {given}: "
                "describe it in the same way."
            )


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How one modality is read: a fixed public description first, then a network that learns."""

    kind: Kind  # spectrograms are pictures, too
    shape: tuple[int, ...]  # of one recording's array; empty for text
    folder: str = ""  # of a pretrained model
    described: int = 0  # how many numbers a pretrained model describes a recording with

    @classmethod
    def of(cls, modality: str, values: Array, named: Mapping[str, str]) -> "Encoding":
        """Choose by the shape of the (N, ...) array, or as ``named`` by modality: a kind, or ``pretrained:FOLDER``."""
        floats = values.dtype.kind == "f" and (values.ndim < 4 or values.shape[1] in (1, 3))
        natural = "ngrams" if values.dtype.kind == "U" and values.ndim == 1 else ""
        natural = natural or {2: "table", 3: "signal", 4: "picture"}.get(values.ndim if floats else 0, "")
        if not natural:
            raise DataError(
                f"{modality} must be a float array (N, features), (N, time, channels), (N, 1, frequency, time) or "
                f"(N, 3, height, width), or text (N,), it is {values.dtype} {values.shape}."
            )
        kind, _, folder = named.get(modality, natural).partition(":")
        fitting = (natural, "pretrained") + (("transformer",) if natural == "ngrams" else ())
        if kind not in get_args(Kind) or kind not in fitting or (kind == "pretrained") != bool(folder):
            raise OptionError(
                f"The encoder of {modality} must be one of {', '.join(fitting)} for its arrays (with a folder, as in "
                f"pretrained:FOLDER), it is {named.get(modality)!r}."
            )
        described = describe(values[:1], folder).shape[1] if folder else 0
        return cls(kind=kind, shape=tuple(values.shape[1:]), folder=folder, described=described)  # type: ignore[arg-type]

    def prepare(self, values: Array) -> Tensor:
        """Return what the network takes of N recordings' arrays; nothing in here is learned."""
        if self.kind == "ngrams":
            return torch.from_numpy(ngrams(values.tolist(), buckets=_BUCKETS))
        if self.kind == "transformer":
            return torch.from_numpy(tokens(values.tolist(), buckets=_BUCKETS, length=_WORDS))
        if self.kind == "pretrained":
            return torch.from_numpy(describe(values, self.folder))
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))

    def network(self, *, width: int, dropout: float) -> nn.Module:
        """Return a fresh network that makes ``width`` numbers of what ``prepare`` returns."""
        if self.kind == "signal":
            return SignalCnn(channels=self.shape[1], width=width, dropout=dropout)
        if self.kind == "picture":
            return ResidualCnn(channels=self.shape[0], width=width, dropout=dropout)
        if self.kind == "transformer":
            return SmallTransformer(buckets=_BUCKETS, length=_WORDS, width=width)
        features = _BUCKETS if self.kind == "ngrams" else self.described or self.shape[0]
        return TableMlp(features=features, width=width, dropout=dropout)


def prepare(batch: Batch, encodings: Mapping[str, Encoding]) -> Rows:
    """Return ``input MODALITY`` (N, ...) in the order of ``encodings``, ``present`` (N, M) bool, ``labels`` (N,) int64.

    Inputs are zeros where a modality is missing, whatever the file held there.
    """
    check_shapes(batch, {modality: encoding.shape for modality, encoding in encodings.items()})
    rows = {}
    for modality, encoding in encodings.items():
        x = encoding.prepare(batch.arrays[modality])
        mask = torch.from_numpy(np.ascontiguousarray(batch.present[modality]))
        rows[f"input {modality}"] = torch.where(mask.view(-1, *[1] * (x.ndim - 1)), x, torch.zeros((), dtype=x.dtype))
    present = torch.from_numpy(np.stack([batch.present[modality] for modality in encodings], axis=1))
    labels = torch.from_numpy(np.ascontiguousarray(batch.labels, dtype=np.int64))
    return {**rows, "present": present, "labels": labels}


def take(rows: Rows, chosen: Tensor) -> Rows:
    """Return these rows."""
    return {name: values[chosen] for name, values in rows.items()}


class Network(SavedNetwork):
    """An encoder for each modality, and heads that read the classes in turns.

    ``joined``: one turn, one head over all encodings side by side, with zeros and a mask bit where one is missing.
    ``separate``: a turn and a head for each modality. ``shared``: a turn each, through one head.
    """

    def __init__(
        self, encodings: Mapping[str, Encoding], shape: Shape, width: int, classes: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.settings = {"encodings": dict(encodings), "shape": shape, "width": width, "classes": classes}
        self.encodings, self.width, self.joined = encodings, width, shape == "joined"
        self.encoders = nn.ModuleList(e.network(width=width, dropout=dropout) for e in encodings.values())
        self.turns = 1 if self.joined else len(encodings)
        read = len(encodings) * (width + 1) if self.joined else width
        self.heads = nn.ModuleList(nn.Linear(read, classes) for _ in range(1 if shape == "shared" else self.turns))

    def head(self, turn: int) -> nn.Linear:
        """Return the head of a turn."""
        head = self.heads[turn if len(self.heads) > 1 else 0]
        assert isinstance(head, nn.Linear)
        return head

    def inputs(self, rows: Rows) -> list[Tensor]:
        """Return what each encoder reads."""
        return [rows[f"input {modality}"] for modality in self.encodings]

    def turn_mask(self, present: Tensor) -> Tensor:
        """Return (B, turns): where a turn has something to read, of what is present, (B, M)."""
        return present.any(dim=1, keepdim=True) if self.joined else present

    def represent(self, rows: Rows) -> Tensor:
        """Return (B, D): all encodings, zeros where a modality is missing, and, if joined, the mask."""
        there = zip(self.encoders, self.inputs(rows), rows["present"].T, strict=True)
        parts = [encoder(x) * present[:, None] for encoder, x, present in there]
        return torch.cat([*parts, rows["present"].float()] if self.joined else parts, dim=1)

    def forward(self, rows: Rows, turn: int) -> Tensor:
        """Return the logits of a turn, (B, C)."""
        read = self.represent(rows) if self.joined else self.encoders[turn](self.inputs(rows)[turn])
        result: Tensor = self.head(turn)(read)
        return result

    def set_scaling(self, rows: Rows) -> None:
        """Give every encoder that scales features the mean and deviation of rows in which the modality is present.

        Under differential privacy they must be public: these numbers stay in the model.
        """
        for encoder, x, present in zip(self.encoders, self.inputs(rows), rows["present"].T, strict=True):
            if isinstance(encoder, (TableMlp, SignalCnn)) and present.any():
                features = x[present].flatten(end_dim=-2)  # (rows, features)
                spread = features.std(dim=0, correction=0)
                encoder.scaling.center.copy_(features.mean(dim=0))
                encoder.scaling.scale.copy_(torch.where(spread > 1e-6, spread, 1.0))
