"""A language model in one GGUF file, open in this process by llama.cpp (package ``cyllama``)."""

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from personare.core.errors import DataError, data_errors, extra
from personare.core.types import Turn

_BLOCK = (
    64  # tokens are read in blocks that begin at its multiples: what is kept of a block depends on its tokens alone
)
_MARK = "\x02{}\x03"  # where the text of a turn goes in the rendered template


class OpenModel:
    """Holds the model and the last conversation's tokens in memory; nothing is written and nothing is sent.

    **Guarantee**: the same turns get the same answer (greedy), whatever was asked before; a turn's text is read as
    text, so that it cannot pretend to be another's turn.
    """

    def __init__(self, path: Path, context_tokens: int, threads: int, repetition_penalty: float) -> None:
        if "torch" in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
            threads = 1  # torch's threads would be used, which spin while they wait: two crawl where a core is busy
        self._llama = _library()
        with data_errors(f"{path} cannot be opened", "Give a GGUF file that llama.cpp reads.", RuntimeError):
            self._model = self._llama.LlamaModel(str(path), self._llama.LlamaModelParams())
            size = self._llama.LlamaContextParams()
            size.n_ctx, size.n_batch, size.n_ubatch = context_tokens, _BLOCK, _BLOCK
            size.n_threads = size.n_threads_batch = threads
            self._context = self._llama.LlamaContext(self._model, size)
        self._words = self._model.get_vocab()
        self._context_tokens = min(context_tokens, self._model.n_ctx_train)
        self._repetition_penalty = repetition_penalty
        self._read: list[int] = []  # the prompt whose state the context holds,
        self._answer: list[int] = []  # and the answer to it
        self._lock = threading.Lock()

    def answer(self, turns: Sequence[Turn], most_tokens: int) -> Iterator[str]:
        """Yield the answer piece by piece; of a conversation that is too long, the oldest turns are left out.

        Conversations may take turns at every piece: what was read of one is then read again.
        """
        prompt = self._fitting(turns, self._context_tokens - most_tokens)
        greedy = self._llama.LlamaSampler(self._llama.LlamaSamplerChainParams())
        greedy.add_penalties(64, self._repetition_penalty, 0.0, 0.0)  # of the last tokens of the answer
        greedy.add_greedy()
        answer: list[int] = []
        yielded = 0  # characters
        while len(answer) < most_tokens:
            with self._lock, data_errors("llama.cpp gave no answer", "Ask again, or another model.", RuntimeError):
                unread = answer[-1:]
                if self._answer is not answer:
                    self._prefill(prompt)
                    self._answer = unread = answer
                for position, token in enumerate(unread, len(prompt) + len(answer) - len(unread)):
                    self._context.decode(self._llama.llama_batch_get_one([token], position))
                token = greedy.sample(self._context, -1)
            if self._words.is_eog(token):
                return
            answer.append(token)
            text = self._words.detokenize(answer)
            if not text.endswith("\ufffd"):  # a character may need several tokens
                yield text[yielded:]
                yielded = len(text)

    def _fitting(self, turns: Sequence[Turn], room: int) -> list[int]:
        rules = [turn for turn in turns[:1] if turn.role == "system"]
        rest = list(turns[len(rules) :])
        while len(tokens := self._tokens([*rules, *rest])) > room:
            if len(rest) < 2:
                raise DataError(
                    f"What was said has {len(tokens)} tokens, and there is room for {room} beside the answer: say it "
                    "in fewer words, or give the backend more context_tokens."
                )
            rest = rest[1:]
        return tokens

    def _tokens(self, turns: Sequence[Turn]) -> list[int]:
        """Put the turns into the model's template, whose markers are tokens; the text of a turn never is one."""
        marks = [self._llama.LlamaChatMessage(role=t.role, content=_MARK.format(i)) for i, t in enumerate(turns)]
        with data_errors("llama.cpp does not know the model's template of a chat", "Give a chat model.", RuntimeError):
            rest = self._model.chat_apply_template(self._model.get_default_chat_template(), marks, True)
        tokens = []
        for i, turn in enumerate(turns):
            markers, _, rest = rest.partition(_MARK.format(i))
            tokens += self._words.tokenize(markers, add_special=not i, parse_special=True)
            tokens += self._words.tokenize(turn.text, add_special=False, parse_special=False)
        return tokens + list(self._words.tokenize(rest, add_special=False, parse_special=True))

    def _prefill(self, tokens: list[int]) -> None:
        start = next((i for i, (a, b) in enumerate(zip(self._read, tokens, strict=False)) if a != b), len(self._read))
        start = min(start, len(tokens) - 1) // _BLOCK * _BLOCK  # the last token is read anew: what follows it is asked
        self._read, self._answer = [], []
        if not self._context.memory_seq_rm(0, start, -1):  # of some kinds of model, nothing can be kept
            self._context.kv_cache_clear()
            start = 0
        for first in range(start, len(tokens), _BLOCK):
            self._context.decode(self._llama.llama_batch_get_one(tokens[first : first + _BLOCK], first))
        self._read = tokens


def _library() -> Any:
    """Import llama.cpp with threads that sleep while they wait."""
    waiting = os.environ.get("OMP_WAIT_POLICY")
    os.environ["OMP_WAIT_POLICY"] = waiting or "PASSIVE"  # read once, when the library is loaded
    try:
        with extra("assistant", "A GGUF model"):
            from cyllama.llama import llama_cpp
    finally:
        if waiting is None:
            del os.environ["OMP_WAIT_POLICY"]
    llama_cpp.disable_logging()
    llama_cpp.ggml_backend_load_all()
    return llama_cpp
