"""Count what is invented in summaries of check-ins: by a language model that is asked for one, and by rule.

    OMP_NUM_THREADS=1 python benchmarks/assistant_checkin.py [--dialogues 200] [--backend smollm2]

Each dialogue is mood, sleep and two more questions with random answers in free words. The model reads it and is asked
to summarize it for a clinician. A sentence counts as invented if it names a number, a date, a name, an address, an
illness or words of the person that are not in the dialogue, or a frequency other than the one that was answered; a model
that says nothing of that kind and yet nonsense is not counted, so that its figure is a lower bound. The same is counted
of our lines, and of the model's wording of them, of which only what passed the check is kept.
"""

import argparse
from collections.abc import Mapping
from datetime import date

import numpy as np

from personare.assist.checkin import QUESTIONS, CheckIn, Line
from personare.assist.grounding import content_words, fault, sentences
from personare.core import registry
from personare.core.protocols import Backend
from personare.core.randomness import generator
from personare.core.types import Turn

_SMOOTHED = 20  # dialogues whose lines the model words, too
_SAYING = ("{}", "Hm, {}.", "I would say {}", "{}, I think")


def main() -> None:
    """Hold the dialogues and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dialogues", type=int, default=200)
    parser.add_argument("--backend", default="smollm2")
    given = parser.parse_args()
    backend: Backend = registry.create("personare.assist.backends", given.backend)
    unaided, by_rule, worded = (np.zeros(3, dtype=int) for _ in range(3))
    kept = 0
    for number in range(given.dialogues):
        check_in, turns, ground = dialogue(generator(number, "check-in"))
        ask = Turn(role="user", text="Summarize what I told you for my clinician, in two short sentences.")
        pieces = backend([Turn(role="system", text="You summarize faithfully."), *turns, ask], most_tokens=80)
        count(unaided, list(sentences(pieces)), ground, check_in.answers)
        lines = check_in.lines()
        count(by_rule, [line.text for line in lines], ground, check_in.answers)
        if number < _SMOOTHED:
            ours: list[Line] = [line.smoothed(backend) for line in lines]
            kept += sum(new != old for new, old in zip(ours, lines, strict=True))
            count(worded, [line.text for line in ours], ground, check_in.answers)
    print(
        f"{given.backend}, {given.dialogues} dialogues; our lines in its words: {_SMOOTHED} dialogues, {kept} lines kept"
    )
    print("| summary | dialogues with an invented fact | sentences | of them invented |\n|---|---|---|---|")
    rows = {"the model, unaided": unaided, "our lines": by_rule, "our lines in its words": worded}
    for name, (dialogues, told, invented) in rows.items():
        print(f"| {name} | {dialogues} | {told} | {invented} |")


def dialogue(rng: np.random.Generator) -> tuple[CheckIn, list[Turn], str]:
    """Return a check-in, its turns as a model reads them, and everything that was said."""
    check_in, turns = CheckIn(today=date(2026, 11, 29), crisis_text="Please call."), []
    asked = {0, 1, *rng.choice(np.arange(2, len(QUESTIONS) - 1), size=2, replace=False).tolist()}
    for number, question in enumerate(QUESTIONS):
        if number not in asked:
            check_in.answer("skip")
            continue
        words = str(rng.choice(_SAYING)).format(rng.choice(question.options))
        check_in.answer(words)
        turns += [Turn(role="assistant", text=question.ask), Turn(role="user", text=words)]
    return check_in, turns, " ".join([*(turn.text for turn in turns), "2026-11-29"])


def count(sums: np.ndarray, told: list[str], ground: str, answers: Mapping[str, str]) -> None:
    """Add whether anything was invented, how many sentences there were, and how many of them invent."""
    invented = sum(bool(fault(text, ground, role="health")) or contradicts(text, answers) for text in told)
    sums += (invented > 0, len(told), invented)


def contradicts(text: str, answers: Mapping[str, str]) -> bool:
    """Return whether a sentence gives a topic another answer than the person did."""
    about = [question for question in QUESTIONS if content_words(question.topic) & content_words(text)]
    claims = [(question.id, question.understood(text)) for question in about]
    return bool(claims) and all(claim not in (None, answers.get(name)) for name, claim in claims)


if __name__ == "__main__":
    main()
