"""Answers with SmolLM2-135M-Instruct, the embedded language model, in this process; no word leaves it.

**Source**: Allal et al. 2025, SmolLM2, doi:10.48550/arXiv.2502.02737; 4-bit GGUF as published.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from personare.assist.llama_cpp import OpenModel
from personare.core.types import Turn
from personare.features.models import find_model

__all__ = ["SmolLM2"]


@dataclass(frozen=True, kw_only=True)
class SmolLM2:
    """Answers from a model of 135 million parameters: facts must be given to it, it invents what it is not told."""

    context_tokens: int = 2048
    threads: int = 2
    repetition_penalty: float = 1.1
    name = "smollm2"
    where = "this process"

    def __call__(self, turns: Sequence[Turn], *, most_tokens: int) -> Iterator[str]:
        """Yield the answer piece by piece; pictures are not seen."""
        return self._model.answer(turns, most_tokens)

    def close(self) -> None:
        """Give the memory back; the next call opens the model again."""
        self.__dict__.pop("_model", None)

    @cached_property
    def _model(self) -> OpenModel:
        return OpenModel(find_model("smollm2"), self.context_tokens, self.threads, self.repetition_penalty)
