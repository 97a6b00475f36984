"""Answers with a language model in one GGUF file, the embedded one or one's own, in this process; no word leaves it.

**Source**: of the embedded one: Allal et al. 2025, SmolLM2, doi:10.48550/arXiv.2502.02737; 4-bit GGUF as published.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from personare.assist.llama_cpp import OpenModel
from personare.core.errors import MissingModelError
from personare.core.types import Turn
from personare.features.models import find_model, sha256_of

__all__ = ["Gguf"]


@dataclass(frozen=True, kw_only=True)
class Gguf:
    """Answers with the chat model in ``path``, or with SmolLM2-135M-Instruct, which invents what it is not told.

    **Guarantee**: a file whose SHA-256 is not the stated one is not opened.
    """

    path: str | Path = ""
    sha256: str = ""
    context_tokens: int = 2048
    threads: int = 2
    repetition_penalty: float = 1.1
    name = "gguf"
    where = "this process"

    def __call__(self, turns: Sequence[Turn], *, most_tokens: int) -> Iterator[str]:
        """Yield the answer piece by piece; pictures are not seen."""
        return self._model.answer(turns, most_tokens)

    def close(self) -> None:
        """Give the memory back; the next call opens the model again."""
        self.__dict__.pop("_model", None)

    @cached_property
    def _model(self) -> OpenModel:
        path = Path(self.path) if self.path else find_model("smollm2")  # which checks it
        if not path.is_file():
            raise MissingModelError(f"There is no file {path}: give the path of a GGUF model.")
        if self.path and (checksum := sha256_of(path)) != self.sha256.lower():
            raise MissingModelError(
                f"The SHA-256 of {path} is {checksum}, must be {self.sha256 or 'stated'}: get the file again, or, "
                "if you trust it as it is, give that as sha256."
            )
        return OpenModel(path, self.context_tokens, self.threads, self.repetition_penalty)
