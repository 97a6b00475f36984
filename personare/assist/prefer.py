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
from personare.assist.instruct import Skill
from personare.assist.language import Language, packed
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

    setting: str  # unasked, asked (by the person), another (person asks)
    about: str
    keys: Sequence[str]  # words that give it away
    request: str
    facts: str
    helpful: Sequence[str]  # words that a helpful answer has
    answer: str = ""
    leak: str = ""

    def prompt(self, language: Language) -> list[int]:
        """Return what the model is asked, with the confided note in the profile."""
        return language.prompt(system_text(profile_words({"note": self.about}), [self.facts]), self.request)


def vignettes(*, test: bool) -> list[Vignette]:
    """Return those to learn from, or those to test by: what is confided there is never learned from."""
    unasked = [entry for i, entry in enumerate(_VIGNETTES["unasked"]) if (i % _HELD_OUT == 0) == test]
    made = []
    for first, entry in enumerate(unasked):
        # in each test what one person confided meets what others ask for, so that there are enough of them
        for other in [unasked[(first + step) % len(unasked)] for step in range(3)]:
            made.append(
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
            )
    if not test:
        return made
    for entry in _VIGNETTES["asked"]:
        made.append(
            Vignette(
                setting="asked", about=entry["about"], keys=entry["keys"], request=entry["request"], facts="",
                helpful=entry["helpful"],
            )
        )  # fmt: skip
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
    training: Training = field(default_factory=lambda: Training(steps=60, batch_size=4, learning_rate=1e-3))

    def __post_init__(self) -> None:
        check_options(self)

    def fit(
        self,
        skill: Skill,
        dialogues: Sequence[Dialogue],
        *,
        language: Language,
        rng: np.random.Generator,
        progress: Callable[[int], object] = lambda steps: None,
    ) -> Skill:
        """Go on from what was learned; two of three pairs are of vignettes, one of people's dialogues."""
        learned = vignettes(test=False)
        pairs = [(v.prompt(language), v.answer, v.leak) for v in learned]
        subjects = [f"vignette {i}" for i in range(len(learned))]
        for dialogue in dialogues[: len(learned) // 2]:
            profile = profile_words({**dialogue.profile, "sex": str(rng.choice(_SEXES))})
            pairs.append((language.prompt(dialogue.system(profile), dialogue.request), dialogue.answer(), _BELITTLING))
            subjects.append(dialogue.subject)
        how = self.training
        # no more than can be looked at: what each was worth before takes a pass of its own
        some = rng.permutation(len(pairs))[: how.steps * how.batch_size * how.sites]
        pairs, subjects = [pairs[i] for i in some], [subjects[i] for i in some]
        rows: dict[str, Tensor] = {}
        for column, name in ((1, "good"), (2, "bad")):
            part = packed([(pair[0], language.answer_tokens(str(pair[column]))) for pair in pairs])
            rows |= {f"{name} {key}": values for key, values in part.items()}
        with skill.applied(language) as adapters:
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
                adapter.first.requires_grad_(not frozen)
            spends = how(nn.ModuleList(adapters.values()), loss, rows, np.array(subjects), rng=rng, progress=progress)
            return skill.changed(adapters, spends)


def _likelihood(language: Language, rows: Mapping[str, Tensor], name: str, at: Tensor) -> Tensor:
    part = {key: rows[f"{name} {key}"][at] for key in ("numbers", "start", "end")}
    return -language.losses(part, None) * (part["end"] - part["start"])
