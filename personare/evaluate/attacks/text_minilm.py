"""Names who wrote a text by what a network that others trained on a billion sentences reads in it (optional)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from personare.core.errors import extra
from personare.core.types import Array
from personare.evaluate.classifiers import Clips, Kernel, unit
from personare.evaluate.texts import text_of
from personare.features.models import find_model

__all__ = ["TextMinilm"]

_WORDS = 20  # read at once; 10 and 60 named about as many
_TOKENS = 128  # of so many words at most
_PARTS = 64  # read together, which bounds the memory


@dataclass(frozen=True, kw_only=True)
class TextMinilm:
    """Turns each 20 words into the vector of their meaning, and learns the enrolled people from their texts' means.

    The network itself is not retrained; what is learned from its vectors is. Where the manner of writing was taken
    away, people may still be told apart by what they write about. It reads English.

    **Guarantee**: what it says of a text depends on that text and on what was enrolled, not on other tests.

    **Source**: N. Reimers and I. Gurevych, "Sentence-BERT", EMNLP 2019, arXiv:1908.10084; their all-MiniLM-L6-v2
    (Apache-2.0), after W. Wang et al., "MiniLM", NeurIPS 2020, arXiv:2002.10957.
    """

    question: ClassVar = "identify"
    modality: ClassVar[str] = "text"
    views: ClassVar[tuple[str, ...]] = ("text",)
    learns: ClassVar[bool] = False

    def fit(self, clips: Clips, subjects: Mapping[str, str], *, rng: np.random.Generator) -> Kernel:
        """Load the network for texts (1,); nothing is learned before enrollment."""
        with extra("pretrained", "text_minilm"):
            from tokenizers import Tokenizer
            from transformers import BertConfig, BertModel
        import torch
        from safetensors.torch import load_file

        from personare.learn.loop import one_core

        weights, words = find_model("minilm"), find_model("minilm_words")
        sizes = {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}
        network = BertModel(BertConfig(**sizes), add_pooling_layer=False).eval()
        network.load_state_dict(load_file(weights), strict=False)  # it brings a head that is not used
        tokens = Tokenizer.from_file(str(words))
        tokens.enable_truncation(_TOKENS)
        tokens.enable_padding()

        def encode(parts: list[str]) -> Array:
            read = tokens.encode_batch(parts)
            ids, mask = (torch.tensor([getattr(part, of) for part in read]) for of in ("ids", "attention_mask"))
            with one_core(), torch.inference_mode():
                layer = network(input_ids=ids, attention_mask=mask).last_hidden_state  # (P, L, 384)
            return unit((layer * mask[:, :, None]).sum(dim=1).numpy())

        def describe(clip: Array) -> list[Array]:
            words = text_of(clip).split()
            parts = [" ".join(words[at : at + _WORDS]) for at in range(0, max(len(words), 1), _WORDS)]
            vectors = [encode(parts[at : at + _PARTS]) for at in range(0, len(parts), _PARTS)]
            return [np.concatenate(vectors).mean(axis=0)]

        return Kernel(describe=describe, standardize=False)
