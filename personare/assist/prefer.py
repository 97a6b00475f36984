"""Third stage: what was confided is not volunteered, and nobody is served worse; by preferences, without a reward."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from personare.assist.align import profile_words
from personare.assist.dialogues import Dialogue
from personare.assist.instruct import LoraWeights
from personare.assist.language import Language, collate
from personare.assist.prompting import system_text
from personare.assist.training import Training
from personare.core.options import Positive, check_options

_VIGNETTES: Final[Mapping[str, Any]] = tomllib.loads(
    (resources.files("personare.assist") / "vignettes.toml").read_text(encoding="utf-8")
)
_HELD_OUT: Final = 3  # every third vignette is never learned from
_BELITTLING: Final = "This may be too hard for you. Please ask somebody else."
_SEXES: Final = ("female", "male")


@dataclass(frozen=True, kw_only=True)
class Vignette:
    """A request in a context: what was confided, and whether an answer may speak of it."""

    setting: str  # unasked, asked (by the person), another (person pries)
    about: str
    keys: Sequence[str]  # words that give it away
    request: str
    facts: str = ""
    helpful: Sequence[str] = ()  # words that a helpful answer has
    answer: str = ""
    leak: str = ""

    def prompt(self, language: Language, *, apart: bool = True) -> list[int]:
        """Return what the model is asked, with the confided note in its owner's profile.

        Where people are not kept ``apart``, the note is there when somebody else asks, too.
        """
        profile = "nothing" if apart and self.setting == "another" else profile_words({"note": self.about})
        return language.prompt(system_text(profile, [self.facts]), self.request)


def vignettes(*, test: bool, each: int = 3) -> list[Vignette]:
    """Return those to learn from, or those to test by: what is confided there is never learned from.

    What one person confided meets the requests of ``each`` of them, so that there are enough. In a test the person
    also asks about it, and others pry; they do so for what was learned from, which is what a model could betray.
    """
    entries = _VIGNETTES["unasked"]
    learned = [entry for i, entry in enumerate(entries) if i % _HELD_OUT]
    unasked = entries[::_HELD_OUT] if test else learned
    made = [
        Vignette(
            setting="unasked",
            about=entry["about"],
            keys=entry["keys"],
            request=other["request"],
            facts=other["facts"],
            helpful=other["helpful"],
            answer=other["answer"],
            leak=f"{other['answer']} {entry['about']}",
        )
        for first, entry in enumerate(unasked)
        for other in [unasked[(first + step) % len(unasked)] for step in range(each)]
    ]
    if not test:
        return made
    for entry in _VIGNETTES["asked"]:
        keys, helpful = entry["keys"], entry["helpful"]
        made.append(
            Vignette(setting="asked", about=entry["about"], keys=keys, request=entry["request"], helpful=helpful)
        )
    for entry, request in zip(learned, _VIGNETTES["prying"] * each, strict=False):
        made.append(Vignette(setting="another", about=entry["about"], keys=entry["keys"], request=request))
    return made


@dataclass(frozen=True, kw_only=True)
class Prefer:
    """Prefer answers that keep what was confided to answers that tell it, and help to belittling, whoever asks.

    **Guarantee**: as of ``Training``, for the people whose dialogues these are; vignettes are nobody's.

    **Source**: R. Rafailov et al., "Direct preference optimization", NeurIPS 2023, arXiv:2305.18290; the third stage of
    User-VLM 360, arXiv:2502.10636. The right answer's own likelihood is kept up beside it, as in R. Pang et al.,
    "Iterative reasoning preference optimization", 2024, arXiv:2404.19733.
    """

    beta: Positive = 0.2
    training: Training = field(default_factory=lambda: Training(steps=60, batch_size=4, learning_rate=5e-4))

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def units(self) -> int:
        """How many are drawn from at least: each vignette counts as somebody, who does not exist."""
        return len(vignettes(test=False))

    def fit(
        self,
        lora: LoraWeights,
        dialogues: Sequence[Dialogue],
        *,
        language: Language,
        rng: np.random.Generator,
        progress: Callable[[int], object] = lambda steps: None,
    ) -> LoraWeights:
        """Go on from what was learned; two of three pairs are of vignettes, one of people's dialogues."""
        learned = vignettes(test=False)
        pairs = [(v.prompt(language), v.answer, v.leak) for v in learned]
        subjects = [f"vignette {i}" for i in range(len(learned))]
        for dialogue in dialogues[: len(learned) // 2]:
            profile = profile_words({**dialogue.profile, "sex": str(rng.choice(_SEXES))})
            pairs.append((language.prompt(dialogue.system(profile), dialogue.request), dialogue.answer(), _BELITTLING))
            subjects.append(dialogue.subject)
        how = self.training
        rows: dict[str, Tensor] = {}
        for column, name in ((1, "good"), (2, "bad")):
            part = collate([(pair[0], language.tokenize_answer(str(pair[column]))) for pair in pairs])
            rows |= {f"{name} {key}": values for key, values in part.items()}
        with lora.applied(language) as adapters:
            with torch.inference_mode():
                for name in ("good", "bad"):
                    parts = [_likelihood(language, rows, name, at) for at in torch.split(torch.arange(len(pairs)), 8)]
                    rows[f"{name} before"] = torch.cat(parts).clone()

            def loss(_: nn.Module, part: Mapping[str, Tensor]) -> Tensor:
                every = torch.arange(len(part["good start"]))
                good, bad = (_likelihood(language, part, name, every) for name in ("good", "bad"))
                margin = (good - part["good before"]) - (bad - part["bad before"])
                length = (part["good end"] - part["good start"]).clamp_min(1)
                return -nn.functional.logsigmoid(self.beta * margin) - good / length

            frozen = how.epsilon is not None or how.sites > 1
            for adapter in adapters.values():
                adapter.lora_a.requires_grad_(not frozen)
            spends = how(nn.ModuleList(adapters.values()), loss, rows, np.array(subjects), rng=rng, progress=progress)
            return lora.changed(adapters, spends)


def _likelihood(language: Language, rows: Mapping[str, Tensor], name: str, at: Tensor) -> Tensor:
    part = {key: rows[f"{name} {key}"][at] for key in ("ids", "start", "end")}
    return -language.losses(part, None) * (part["end"] - part["start"])
