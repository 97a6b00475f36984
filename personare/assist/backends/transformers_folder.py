"""Answers with a language model, or one that sees, from a local folder of transformers; no word leaves this process."""

import json
import os
import queue
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from personare.core.errors import DataError, MissingModelError, data_errors, extra
from personare.core.types import Turn

__all__ = ["TransformersFolder"]

_REFUSED = {".py", ".so", ".bin", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt", ".h5", ".msgpack"}
_ASKS = re.compile(r'"(auto_map|base_model_name_or_path)":')  # for code from elsewhere, for another model
_FIX = "Give another folder, or another backend."


@dataclass(frozen=True, kw_only=True)
class TransformersFolder:
    """Answers with the chat model in ``folder`` (Llama, PaliGemma, LLaVA, Idefics3, ...).

    **Guarantee**: a folder that holds pickles or program code, or asks for some, is refused before anything is loaded,
    and the network is not used. A turn's text cannot hold the marker of another turn or of a picture: it is taken out.
    """

    folder: str | Path
    name = "transformers_folder"
    where = "this process"

    def __call__(self, turns: Sequence[Turn], *, most_tokens: int) -> Iterator[str]:
        """Yield the answer piece by piece; the last user turn's picture is seen, if the model sees."""
        processor, model = self._processor, self._model
        import torch

        with data_errors(f"The model in {self.folder} cannot read this conversation", _FIX, Exception):
            inputs = self._inputs(turns).to(model.device)
        start = inputs["input_ids"].shape[1]
        answers, closed, errors = queue.SimpleQueue[Any](), threading.Event(), list[Exception]()

        def listen(ids: Any, *_: Any, **__: Any) -> Any:
            answers.put(ids[0, start:])
            return torch.full((len(ids),), closed.is_set(), device=ids.device)  # ends it

        def generate() -> None:
            greedy = {"do_sample": False, "num_beams": 1, "max_new_tokens": most_tokens}
            try:
                model.generate(**inputs, **greedy, stopping_criteria=[listen])
            except Exception as error:
                errors.append(error)
            answers.put(None)

        thread = threading.Thread(target=generate)
        thread.start()
        try:
            yielded = 0  # characters
            for answer in iter(answers.get, None):
                text = getattr(processor, "tokenizer", processor).decode(answer, skip_special_tokens=True)
                if len(text) > yielded and not text.endswith("\ufffd"):  # a character may need several tokens
                    yield text[yielded:]
                    yielded = len(text)
        finally:
            closed.set()
            thread.join()
        if errors:
            raise DataError(f"The model in {self.folder} failed: {errors[0]}. {_FIX}") from errors[0]

    def close(self) -> None:
        """Give the memory back; the next call opens the model again."""
        self.__dict__.pop("_model", None)
        self.__dict__.pop("_processor", None)

    def _inputs(self, turns: Sequence[Turn]) -> Any:
        """Put the turns into the model's template; a model without one is given the texts, after the picture."""
        processor = self._processor
        words = getattr(processor, "tokenizer", processor)
        markers = [re.escape(token.content) for token in words.added_tokens_decoder.values() if token.special]
        texts = []
        for text in (turn.text for turn in turns):
            while (cleaned := re.sub("|".join(markers) or "(?!)", "", text)) != text:  # what is left may be a marker
                text = cleaned
            texts.append(text)
        last = max((i for i, turn in enumerate(turns) if turn.role == "user"), default=-1)
        sees = processor is not words
        pictures = [turn.picture for turn in turns[last : last + 1] if sees and turn.picture is not None]
        if not processor.chat_template:
            images = {"images": pictures or None} if sees else {}
            return processor(text="\n".join(texts), return_tensors="pt", **images)
        messages = []
        for i, (turn, text) in enumerate(zip(turns, texts, strict=True)):
            parts = [{"type": "image", "image": picture} for picture in pictures if i == last]
            messages.append({"role": turn.role, "content": [*parts, {"type": "text", "text": text}] if sees else text})
        return processor.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )

    @cached_property
    def _processor(self) -> Any:
        folder = Path(self.folder)
        if not (folder / "config.json").is_file():
            raise MissingModelError(f"{folder} must hold a transformers model (config.json and weights); it does not.")
        files = [file for file in folder.rglob("*") if file.is_file()]
        with data_errors(f"The settings of the model in {folder} cannot be read", _FIX):
            settings = [file for file in files if file.name.endswith("config.json")]
            refused = [f.name for f in settings if _ASKS.search(json.dumps(json.loads(f.read_text("utf-8"))))]
        refused += [file.name for file in files if not _REFUSED.isdisjoint(s.lower() for s in file.suffixes)]
        if refused or not any(file.suffix == ".safetensors" for file in files):
            raise DataError(
                f"{folder} must hold weights as safetensors and neither pickles nor program code; it "
                f"{'has ' + ', '.join(sorted(refused)) if refused else 'has no *.safetensors'}. {_FIX}"
            )
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        return self._opened("AutoProcessor")  # of a model that does not see, this is the tokenizer

    @cached_property
    def _model(self) -> Any:
        sees = hasattr(self._processor, "tokenizer")
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = self._opened(
            "AutoModelForImageTextToText" if sees else "AutoModelForCausalLM",
            use_safetensors=True,
            dtype="auto" if device == "cuda" else torch.float32,  # half precision crawls on a CPU
        )
        return model.eval().to(device)

    def _opened(self, kind: str, **options: Any) -> Any:
        with extra("assistant", "A folder's model"):
            import transformers
        with data_errors(f"The model in {self.folder} cannot be opened", _FIX, Exception):
            transformers.logging.set_verbosity_error()  # its progress bars and reports belong in nobody's conversation
            transformers.logging.disable_progress_bar()
            reader = getattr(transformers, kind)
            return reader.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False, **options)
