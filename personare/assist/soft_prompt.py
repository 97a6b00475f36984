"""A few thousand numbers for one person: how this person wants to be answered, sealed with the rest of theirs."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from personare.assist.language import IMAGE, Language, collate
from personare.assist.training import Training
from personare.core.errors import DataError
from personare.core.options import Count, check_options
from personare.core.types import Array
from personare.govern.sealed import Sealed

_NAME = "soft prompt"


class Correction(NamedTuple):
    """An answer as the person would have had it."""

    system: str
    request: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class SoftPrompt:
    """Learn a soft prompt from answers that one person corrected; the model and its adapters stay as they are.

    **Guarantee**: nothing of it is in any model that others use: it is ``tokens`` times the width of the language model
    numbers (2,304 for the embedded one), kept sealed under the person's key, and gone when that is destroyed. It is
    learned from that person's words and may tell them: it is theirs and never leaves.

    **Source**: B. Lester, R. Al-Rfou, N. Constant, "The power of scale for parameter-efficient prompt tuning", EMNLP
    2021, arXiv:2104.08691.
    """

    tokens: Count = 4
    training: Training = field(default_factory=lambda: Training(steps=30, batch_size=4, learning_rate=3e-2))

    def __post_init__(self) -> None:
        check_options(self)

    def fit(self, corrections: Sequence[Correction], *, language: Language, rng: np.random.Generator) -> Array:
        """Return (tokens, width) float32."""
        if not corrections:
            raise DataError("A soft prompt is learned from answers that the person corrected, and there are none.")
        prompts = [self.prompt(language, one.system, one.request) for one in corrections]
        rows = collate([(p, language.tokenize_answer(c.answer)) for p, c in zip(prompts, corrections, strict=True)])
        words = language.net.get_input_embeddings().weight
        start = words[torch.from_numpy(rng.integers(len(words), size=self.tokens))]
        soft = nn.Parameter(start.detach().clone())

        def loss(_: nn.Module, part: Mapping[str, Tensor]) -> Tensor:
            return language.losses(part, soft.expand(len(part["start"]), -1, -1))

        self.training(nn.ParameterList([soft]), loss, rows, np.zeros(len(corrections)), rng=rng)
        return np.asarray(soft.detach().numpy())

    def prompt(self, language: Language, system: str, request: str) -> list[int]:
        """Return the prompt in front of which the soft one stands."""
        return language.prompt(f"{IMAGE}{system}", request, image_tokens=self.tokens)


def save(sealed: Sealed, subject: str, soft: Array) -> None:
    """Seal a soft prompt with what else is kept of the person."""
    content = io.BytesIO()
    np.save(content, soft, allow_pickle=False)
    sealed.write(subject, _NAME, content.getvalue())


def load(sealed: Sealed, subject: str) -> Array:
    """Return a person's soft prompt."""
    return np.asarray(np.load(io.BytesIO(sealed.read(subject, _NAME)), allow_pickle=False))
