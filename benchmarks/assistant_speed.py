"""How long a person waits for the embedded model, and what it holds in memory, against the limits.

Each of five conversations runs in a process of its own: it starts, is asked with about 400 tokens, answers with 60, and
is asked again. Usage: ``python benchmarks/assistant_speed.py``
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence

LIMITS = {"start_s": 5.0, "first_token_s": 1.5, "tokens_per_s": 10.0, "memory_mb": 1000.0}
TOPICS = ("video call", "text size", "photo album", "alarm clock", "shopping list")
MORE_IS_BETTER = "tokens_per_s"


def conversation(topic: str) -> dict[str, float]:
    """Open the model and ask twice; returns seconds, tokens a second and megabytes."""
    start_s = time.perf_counter()
    from personare.core import registry
    from personare.core.types import Turn

    backend = registry.create("personare.assist.backends", "gguf")
    next(backend([Turn(role="user", text="Hello")], most_tokens=1))
    figures = {"start_s": time.perf_counter() - start_s}
    facts = " ".join(f"To reach step {i} of the {topic}, press the green button marked {i}." for i in range(1, 20))
    system = f"You are a kind, brief assistant.\nProfile: age: 50 and over; name: Ana\nFacts: {facts}"
    turns = [Turn(role="system", text=system), Turn(role="user", text=f"How do I use the {topic}?")]

    def ask(name: str) -> str:
        asked_s, processor_s = time.perf_counter(), time.process_time()
        answer = backend(turns, most_tokens=60)
        pieces = [next(answer)]
        figures[name] = time.perf_counter() - asked_s
        figures[name.replace("_s", "_processor_s")] = time.process_time() - processor_s
        begun_s = time.perf_counter()
        pieces += answer
        figures["tokens_per_s"] = (len(pieces) - 1) / (time.perf_counter() - begun_s)
        return "".join(pieces)

    turns += [Turn(role="assistant", text=ask("first_token_s")), Turn(role="user", text="And then?")]
    ask("next_first_token_s")
    return figures | {"memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main(topics: Sequence[str] = TOPICS) -> None:
    """Print the worst of the conversations, and its ratio to the limit (more than 1 is too much)."""
    runs = []
    for topic in topics:
        done = subprocess.run([sys.executable, __file__, topic], capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout))
    for name in runs[0]:
        values = sorted(run[name] for run in runs)
        worst, limit = values[0] if name == MORE_IS_BETTER else values[-1], LIMITS.get(name)
        ratio = (limit / worst if name == MORE_IS_BETTER else worst / limit) if limit else None
        against = f"  limit {limit:g}, ratio {ratio:.2f}" if ratio is not None else ""
        print(f"{name:30} {values[0]:8.2f} to {values[-1]:8.2f}{against}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(conversation(sys.argv[1])))
    else:
        main()
