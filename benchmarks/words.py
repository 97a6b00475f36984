"""Who is named by a text, and what emotion is read in it, before and after its words are hidden (MELD).

python benchmarks/words.py ../shared/data/meld
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from personare.core import registry
from personare.core.randomness import generator
from personare.core.types import Batch, Track
from personare.evaluate.attacks.text_author import TextAuthor
from personare.evaluate.attacks.text_quasi import TextQuasi
from personare.evaluate.identification import identify, measure_trials
from personare.evaluate.utility.text_label import TextLabel

SPEAKERS = ("Chandler", "Joey", "Monica", "Phoebe", "Rachel", "Ross")
METHODS = {"text_redact": {}, "text_redact, by text": {"policy": "recording"}, "text_style": {}}


def texts(lines: pd.DataFrame, by: list[str], size: int) -> pd.DataFrame:
    """Put lines of one speaker (and one label) together, so many in a text."""
    rows = []
    for key, group in lines.groupby(by):
        said = group["Utterance"].tolist()
        rows += [(*key, " ".join(said[at : at + size])) for at in range(0, len(said) - size + 1, size)]
    table = pd.DataFrame(rows, columns=[*(name.lower() for name in by), "text"]).rename(columns={"speaker": "subject"})
    return table.set_index(pd.Index([f"r{i}" for i in range(len(table))]))


def hidden(table: pd.DataFrame, name: str, options: dict[str, str]) -> list[str]:
    """Hide every text as a release does."""
    method = registry.create("personare.anonymize", name.partition(",")[0], options)
    owner = table["subject"] if method.policy == "person" else table.index
    tracks = [(who, Track(kind="text", values=said)) for who, said in zip(table["subject"], table["text"], strict=True)]
    method = method.fit(iter(tracks), rng=generator(0, "fit")) if hasattr(method, "fit") else method
    return [method(t, subject=who, rng=generator(0, name, o)).values for (who, t), o in zip(tracks, owner, strict=True)]


def main(folder: Path) -> None:
    """Print one line for each figure."""
    parts = [pd.read_csv(folder / f"{part}_sent_emo.csv.gz") for part in ("train", "dev")]
    lines = pd.concat(parts).query("Speaker in @SPEAKERS")
    for by, size in ((["Speaker"], 50), (["Speaker", "Emotion", "Sentiment"], 10)):
        table = texts(lines, by, size)
        original = Batch.of(table, {"text": {i: np.array([said]) for i, said in table["text"].items()}})
        order = generator(0).permutation(table.index)
        mine = [[i for i in order if table["subject"][i] == who] for who in SPEAKERS]
        halves = [tuple([i for ids in mine for i in ids[k::2]] for k in side) for side in ((0, 1), (1, 0))]
        for name, options in {"original": {}, **METHODS}.items():
            released = original
            if name != "original":
                said = dict(zip(table.index, hidden(table, name, options), strict=True))
                released = Batch.of(table, {"text": {i: np.array([text]) for i, text in said.items()}})
            trials = []
            for attack, method in (("text_author", TextAuthor()), ("text_quasi", TextQuasi())):
                trials += identify(method, original, released, name=attack, halves=halves, seed=0)
            rows = [row for t in trials for row in measure_trials(t, figures=("top1", "person_top1"), rng=generator(0))]
            for label in by[1:]:
                rows += TextLabel(label=label.lower())(original, released, rng=generator(0))
            for row in rows:
                figures = f"{row.figure} {row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"
                print(f"{size} lines, {name}: {row.method} {row.attacker} {figures}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
