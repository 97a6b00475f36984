"""Second stage: answers that fit who asks, learned as adapters beside the frozen language model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import nn

from personare.assist.adapters import LoraLinear, attach, detach
from personare.assist.align import AlignedEncoder, profile_words
from personare.assist.dialogues import Dialogue
from personare.assist.language import IMAGE, Language, collate
from personare.assist.training import Training
from personare.core.options import Count, Share, check_options
from personare.core.types import Array, Spend
from personare.learn.loop import seeded

CONDITIONS = ("visual", "profile", "none")
"""How a model is told of its user: by visual tokens, by a textual profile, or not at all."""


def prompt_of(
    dialogue: Dialogue, condition: str, seen: Mapping[str, str], aligned: AlignedEncoder | None, language: Language
) -> list[int]:
    """Return the prompt of a dialogue; ``seen`` are the cues that the camera gave, in words."""
    declared = {cue: value for cue, value in dialogue.profile.items() if aligned is None or cue not in aligned.cues}
    if condition == "none":
        return language.prompt(dialogue.system("nothing"), dialogue.request)
    if condition == "profile" or aligned is None:
        return language.prompt(dialogue.system(profile_words({**seen, **declared})), dialogue.request)
    words = f"{IMAGE}; {profile_words(declared)}" if declared else IMAGE
    return language.prompt(dialogue.system(words), dialogue.request, image_tokens=aligned.projector.settings["tokens"])


@dataclass(frozen=True, kw_only=True)
class Instruct:
    """Learn from dialogues, each told by visual tokens, by words or, one in ten, not at all.

    With an epsilon, or over several sites, the first factor of each adapter stays as it was drawn: sums of the second
    are then exact, and noise is not squared.

    **Guarantee**: as of ``Training``, for the people whose dialogues these are.

    **Source**: the second stage of User-VLM 360, arXiv:2502.10636; see ``adapters``.
    """

    rank: Count = 8
    experts: Count = 1
    from_share: Share = 1 / 3  # of the layers, below which none gets an adapter
    training: Training = field(default_factory=lambda: Training(steps=150, batch_size=8, learning_rate=3e-3))

    def __post_init__(self) -> None:
        check_options(self)

    def fit(
        self,
        dialogues: Sequence[Dialogue],
        *,
        language: Language,
        aligned: AlignedEncoder | None,
        code: Array | None,
        rng: np.random.Generator,
        progress: Callable[[int], object] = lambda steps: None,
    ) -> "LoraWeights":
        """Learn; ``code`` (N, size) are the faces of those who ask, where there is aligned."""
        conditions = rng.choice(CONDITIONS, len(dialogues), p=(0.5, 0.4, 0.1) if aligned else (0.0, 0.9, 0.1))
        pairs = [
            (
                prompt_of(d, how, camera_cues(d, aligned), aligned, language),
                language.tokenize_answer(d.answer(cues=how != "none")),
            )
            for d, how in zip(dialogues, conditions, strict=True)
        ]
        rows = collate(pairs)
        if aligned is not None and code is not None:
            rows["tokens"] = aligned.tokens(code)
        how = self.training
        frozen = how.epsilon is not None or how.sites > 1
        with seeded(rng):
            adapters = attach(
                language.net, from_share=self.from_share, rank=self.rank, experts=self.experts, freeze_a=frozen
            )
        try:
            spends = how(
                nn.ModuleList(adapters.values()),
                lambda _, part: language.losses(part, part.get("tokens")),
                rows,
                np.array([d.subject for d in dialogues]),
                rng=rng,
                progress=progress,
            )
            return LoraWeights.of(adapters, self, spends)
        finally:
            detach(language.net, adapters)


def camera_cues(dialogue: Dialogue, aligned: AlignedEncoder | None) -> dict[str, str]:
    """Return what is true of what the camera may see of somebody."""
    return {cue: value for cue, value in dialogue.profile.items() if aligned is not None and cue in aligned.cues}


@dataclass(frozen=True, kw_only=True)
class LoraWeights:
    """What was learned beside the language model: arrays, by the name of the layer and of the part."""

    rank: int
    experts: int
    from_share: float
    arrays: Mapping[str, Array]
    spends: tuple[Spend, ...] = ()

    @classmethod
    def of(cls, adapters: Mapping[str, LoraLinear], method: Instruct, spends: tuple[Spend, ...]) -> "LoraWeights":
        """Take what adapters have learned."""
        arrays = {
            f"{layer} {name}": p.detach().numpy().copy()
            for layer, adapter in adapters.items()
            for name, p in adapter.named_parameters()
            if not name.startswith("base.")
        }
        return cls(rank=method.rank, experts=method.experts, from_share=method.from_share, arrays=arrays, spends=spends)

    @contextmanager
    def applied(self, language: Language) -> Iterator[dict[str, LoraLinear]]:
        """Let a language model have it, for as long as the block runs."""
        with torch.random.fork_rng(devices=[]):
            adapters = attach(language.net, from_share=self.from_share, rank=self.rank, experts=self.experts)
        try:
            with torch.no_grad():
                for layer, adapter in adapters.items():
                    for name, p in adapter.named_parameters():
                        if not name.startswith("base."):
                            p.copy_(torch.from_numpy(np.array(self.arrays[f"{layer} {name}"])))
            yield adapters
        finally:
            detach(language.net, adapters)

    def changed(self, adapters: Mapping[str, LoraLinear], spends: tuple[Spend, ...]) -> "LoraWeights":
        """Return what the adapters have become, and what all of it cost."""
        arrays = {key: dict(adapters[key.split()[0]].named_parameters())[key.split()[1]] for key in self.arrays}
        return replace(
            self, arrays={k: p.detach().numpy().copy() for k, p in arrays.items()}, spends=(*self.spends, *spends)
        )

    def factors(self) -> dict[str, tuple[Array, Array]]:
        """Return (rank, in) and (out, rank) by layer, for packing into a model for llama.cpp."""
        layers = dict.fromkeys(key.split()[0] for key in self.arrays)
        return {layer: (self.arrays[f"{layer} lora_a"][0], self.arrays[f"{layer} lora_b"][0]) for layer in layers}
