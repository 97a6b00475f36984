"""First stage: visual tokens that the frozen language model reads as words about who is in front of the camera."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from personare.assist.language import IMAGE, Language, collate
from personare.assist.training import Training
from personare.assist.vision import Targets, VisionEncoder
from personare.core.options import Count, check_options
from personare.core.types import Array, Spend
from personare.learn.loop import seeded
from personare.learn.networks import SavedNetwork, layers

_PROMPT = f"{IMAGE}\nProfile:"
_HIDDEN = 64


@dataclass(frozen=True, kw_only=True)
class Align:
    """Learn a projector from the code of a face to a few tokens; encoder and language model stay as they are.

    **Guarantee**: as of ``Training``, for the people the projector learns from; the encoder is given.

    **Source**: the first stage of H. Rahimi et al., "User-VLM 360", 2025, arXiv:2502.10636, without race and with sex
    only where it is asked for; H. Liu et al., "Visual instruction tuning", NeurIPS 2023, arXiv:2304.08485.
    """

    tokens: Count = 4
    training: Training = field(default_factory=lambda: Training(steps=120, batch_size=16, learning_rate=3e-3))

    def __post_init__(self) -> None:
        check_options(self)

    def fit(
        self,
        code: Array,
        cues: Targets,
        subjects: Array,
        *,
        encoder: VisionEncoder,
        language: Language,
        rng: np.random.Generator,
        progress: Callable[[int], object] = lambda steps: None,
    ) -> "AlignedEncoder":
        """Learn from (N, size) codes and what each face shows."""
        kinds = {cue: values for cue, (values, _) in cues.items()}
        prompt = language.tokenize(_PROMPT, self.tokens)
        texts = [
            profile_words({cue: values[number[i]] for cue, (values, number) in cues.items() if number[i] >= 0})
            for i in range(len(code))
        ]
        rows = {
            **collate([(prompt, language.tokenize_answer(f" {text}")) for text in texts]),
            "code": torch.from_numpy(code),
        }
        with seeded(rng):
            net = Projector(size=code.shape[1], tokens=self.tokens, width=language.width, scale=language.scale)

        def loss(projector: nn.Module, part: Mapping[str, Tensor]) -> Tensor:
            return language.losses(part, projector(part["code"]))

        spends = self.training(net, loss, rows, subjects, rng=rng, progress=progress)
        return AlignedEncoder(encoder=encoder, projector=net.eval().requires_grad_(False), cues=kinds, spends=spends)


class Projector(SavedNetwork):
    """A code to visual tokens, as long as the embeddings of words."""

    def __init__(self, size: int, tokens: int, width: int, scale: float) -> None:
        super().__init__()
        self.settings = {"size": size, "tokens": tokens, "width": width, "scale": scale}
        self.body = layers(size, _HIDDEN, tokens * width)

    def forward(self, code: Tensor) -> Tensor:
        """Return (B, tokens, width)."""
        tokens: Tensor = self.body(code).unflatten(1, (self.settings["tokens"], self.settings["width"]))
        return nn.functional.layer_norm(tokens, tokens.shape[2:]) * float(self.settings["scale"])


@dataclass(frozen=True, kw_only=True)
class AlignedEncoder:
    """What faces become on their way into the language model."""

    encoder: VisionEncoder
    projector: Projector
    cues: Mapping[str, tuple[str, ...]]
    spends: tuple[Spend, ...] = ()

    def tokens(self, code: Array) -> Tensor:
        """Return (N, tokens, width)."""
        with torch.inference_mode():
            tokens: Tensor = self.projector(torch.from_numpy(code))
        return tokens.clone()

    def profiles(self, language: Language, code: Array | None, count: int = 0) -> list[str]:
        """Let the model say what it sees, one of the profiles that there are; without a code, what it would guess."""
        among = [profile_words(dict(zip(self.cues, values, strict=True))) for values in product(*self.cues.values())]
        longest = max(len(language.tokenize_answer(f" {text}")) for text in among)
        aligned, seen = (self.projector.settings["tokens"], self.tokens(code)) if code is not None else (0, None)
        prompts = [language.tokenize(_PROMPT, aligned)] * (count if code is None else len(code))
        return language.answers(prompts, seen, most_tokens=longest, among=[f" {text}" for text in among])


def profile_words(cues: Mapping[str, str]) -> str:
    """Return cues as the textual profile says them; see ``profile.Profile.words``."""
    return "; ".join(f"{cue}: {value}" for cue, value in cues.items()) or "nothing"


def parse_profile(profile: str) -> dict[str, str]:
    """Return the cues that a textual profile names."""
    return dict(part.split(": ", 1) for part in profile.split("; ") if ": " in part)
