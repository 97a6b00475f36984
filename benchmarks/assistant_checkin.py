"""Count what is invented in summaries of check-ins: by a language model that is asked for one, and by rule.

    OMP_NUM_THREADS=1 python benchmarks/assistant_checkin.py [--dialogues 200] [--backend gguf]

Each dialogue is mood, sleep and two more questions, with random answers in free words. The model reads it and is asked
to summarize it for a clinician. A sentence counts as invented if it has a number, a date, a name, an address, an
illness or words of the person that are not in the dialogue, or another answer than was given to what it speaks of.
Other nonsense is not counted, so that the model's figure is a lower bound. An answer counts as reported if a sentence
has it together with a word of its topic. The same is counted of our lines.
"""

import argparse
from collections.abc import Mapping
from datetime import date

import numpy as np

from personare.assist.checkin import QUESTIONS, CheckIn
from personare.assist.grounding import content_words, fault, sentences
from personare.core import registry
from personare.core.protocols import Backend
from personare.core.randomness import generator
from personare.core.types import Turn

_SAYING = ("{}", "Hm, {}.", "I would say {}", "{}, I think")
_TASK = "These are a patient's answers:\n{}\nWrite a short summary of them for the clinician."


def main() -> None:
    """Hold the dialogues and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dialogues", type=int, default=200)
    parser.add_argument("--backend", default="gguf")
    given = parser.parse_args()
    backend: Backend = registry.create("personare.assist.backends", given.backend)
    unaided, by_rule = np.zeros(5, dtype=int), np.zeros(5, dtype=int)
    for number in range(given.dialogues):
        check_in, ground = dialogue(generator(number, "check-in"))
        turns = [Turn(role="system", text="You summarize."), Turn(role="user", text=_TASK.format(ground))]
        text = list(sentences(backend(turns, most_tokens=80)))
        if number < 3:
            print(f"{ground}\n-> {' '.join(text)}\n")
        unaided += counts(text, ground, check_in.answers)
        by_rule += counts([line.text for line in check_in.lines()], ground, check_in.answers)
    print(f"{given.backend}, {given.dialogues} dialogues")
    print("| summary | dialogues with inventions | sentences | inventions | answers | reported |\n" + "|---" * 6 + "|")
    for name, row in {"the model, unaided": unaided, "our lines": by_rule}.items():
        print(f"| {name} | {' | '.join(map(str, row))} |")


def dialogue(rng: np.random.Generator) -> tuple[CheckIn, str]:
    """Return a check-in, and all that was said in it."""
    check_in, told = CheckIn(today=date(2026, 11, 29), crisis_text="Please call."), ["- Date: 2026-11-29"]
    asked = {0, 1, *rng.choice(np.arange(2, len(QUESTIONS) - 1), size=2, replace=False).tolist()}
    for number, question in enumerate(QUESTIONS):
        if number not in asked:
            check_in.answer("skip")
            continue
        words = str(rng.choice(_SAYING)).format(rng.choice(question.options))
        check_in.answer(words)
        told.append(f"- {question.period}, {question.topic}: {words}")
    return check_in, "\n".join(told)


def counts(text: list[str], ground: str, answers: Mapping[str, str]) -> tuple[int, ...]:
    """Return whether anything is invented, sentences, how many of them invent, answers, how many are reported."""
    invented, reported = 0, set[str]()
    for sentence in text:
        about = {q.id: q for q in QUESTIONS if content_words(q.topic) & content_words(sentence)}
        claims = {i: claim for i, question in about.items() if (claim := question.understood(sentence))}
        right = {i for i, claim in claims.items() if claim == answers.get(i)}
        reported |= right
        invented += bool(fault(sentence, ground, role="health")) or (bool(claims) and not right)
    return invented > 0, len(text), invented, len(answers), len(reported)


if __name__ == "__main__":
    main()
