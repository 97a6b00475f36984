"""Who is named by texts and what is read in them, before and after words are hidden; how near counts of words are.

python benchmarks/words.py ../shared/data (once before: personare models fetch minilm minilm_words)
"""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from personare.anonymize.text_counts import TextCounts
from personare.core import registry
from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.types import Batch, Track
from personare.data.texts import read_text, without_addresses
from personare.evaluate.attacks.fusion import Fusion
from personare.evaluate.attacks.text_author import TextAuthor
from personare.evaluate.attacks.text_minilm import TextMinilm
from personare.evaluate.attacks.text_quasi import TextQuasi
from personare.evaluate.identification import identify, measure_trials
from personare.evaluate.utility.text_label import TextLabel
from personare.features.language import check_english, words_of

SPEAKERS = ("Chandler", "Joey", "Monica", "Phoebe", "Rachel", "Ross")
METHODS = {
    "text_redact": {},
    "text_redact, by person": {"policy": "person"},
    "text_redact, by text": {"policy": "recording"},
    "text_style": {},
    "text_style, strength 0.25": {"strength": 0.25},
    "text_style, strength 0.1": {"strength": 0.1},
}


def texts(lines: pd.DataFrame, by: list[str], size: int) -> pd.DataFrame:
    """Put lines of one speaker (and one label) together, so many in a text."""
    rows = []
    for key, group in lines.groupby(by):
        said = group["Utterance"].tolist()
        rows += [(*key, " ".join(said[at : at + size])) for at in range(0, len(said) - size + 1, size)]
    table = pd.DataFrame(rows, columns=[*(name.lower() for name in by), "text"]).rename(columns={"speaker": "subject"})
    return table.set_index(pd.Index([f"r{i}" for i in range(len(table))]))


def hidden(table: pd.DataFrame, name: str, options: dict[str, Any]) -> list[str]:
    """Hide every text as a release does."""
    method = registry.create("personare.anonymize", name.partition(",")[0], options)
    everybody = [""] * len(table)
    owner = {"person": table["subject"], "recording": table.index, "common": everybody}[method.policy]
    tracks = [(who, Track(kind="text", values=said)) for who, said in zip(table["subject"], table["text"], strict=True)]
    method = method.fit(iter(tracks), rng=generator(0, "fit")) if hasattr(method, "fit") else method
    return [method(t, subject=who, rng=generator(0, name, o)).values for (who, t), o in zip(tracks, owner, strict=True)]


def count(name: str, texts: list[tuple[str, str]]) -> None:
    """Print how many of the 100 words that most people use are listed, and how near their counts are; 5 draws."""
    tracks = [(who, Track(kind="text", values=said)) for who, said in texts]
    users = Counter(word for _, word in {(who, word) for who, said in texts for word in words_of(said)})
    top = [word for word, _ in users.most_common(100)]
    for epsilon in (1.0, 8.0):
        for most in (10, 20, 50, 100):
            figures = []
            for draw in range(5):
                try:
                    people = TextCounts(epsilon=epsilon, most=most).fit(iter(tracks), rng=generator(draw)).people
                except DataError:
                    people = {}
                both = [word for word in top if word in people]
                of = np.array([[people[word], users[word]] for word in both]).reshape(-1, 2)
                order = spearmanr(*of.T).statistic if len(both) > 2 else np.nan
                figures.append((len(people), len(both), order, np.median(of[:, 0] / of[:, 1]) if both else np.nan))
            listed, common, order, share = pd.DataFrame(figures).mean()
            print(
                f"{name}, epsilon {epsilon:g}, most {most}: {listed:.0f} words, {common:.0f} of the top 100, "
                f"rank correlation {order:.2f}, counts {share:.2f} of the true ones",
                flush=True,
            )


def reviews(data: Path) -> pd.DataFrame:
    """Return the utterances of CMU-MOSI, whose speakers each review a film; three of one sentiment are a text."""
    said = pd.read_csv(data / "cmu-mosi" / "transcripts.csv.gz", header=None, usecols=[1, 2, 3])
    table = texts(said.set_axis(["Utterance", "Speaker", "Sentiment"], axis=1), ["Speaker", "Sentiment"], 3)
    table = table[[is_english(text) for text in table["text"]]].astype({"subject": str, "sentiment": str})
    return table[table.groupby("subject")["text"].transform("size") >= 4]


def is_english(text: str) -> bool:
    """Tell whether a text would be hidden; others are withheld."""
    try:
        check_english(text)
    except DataError:
        return False
    return True


def main(data: Path) -> None:
    """Print one line for each figure."""
    spoken = pd.concat([pd.read_csv(data / "meld" / f"{part}_sent_emo.csv.gz") for part in ("train", "dev")])
    count("MELD", list(zip(spoken["Speaker"], spoken["Utterance"], strict=True)))
    tweets = sorted((data / "tweets" / "pairs").glob("*.txt"))
    count("tweets", [(path.stem, without_addresses(read_text(path, otherwise="gb18030"))) for path in tweets])
    lines = spoken.query("Speaker in @SPEAKERS")
    by_emotion = texts(lines, ["Speaker", "Emotion", "Sentiment"], 10)
    cohorts = {"50 lines": texts(lines, ["Speaker"], 50), "10 lines": by_emotion, "MOSI": reviews(data)}
    for cohort, table in cohorts.items():
        original = Batch.of(table, {"text": {i: np.array([said]) for i, said in table["text"].items()}})
        order = generator(0).permutation(table.index)
        mine = [[i for i in order if table["subject"][i] == who] for who in sorted(set(table["subject"]))]
        halves = [tuple([i for ids in mine for i in ids[k::2]] for k in side) for side in ((0, 1), (1, 0))]
        for name, options in {"original": {}, **METHODS}.items():
            if cohort == "MOSI" and name.startswith("text_redact"):  # written in capitals, and so withheld
                continue
            released = original
            if name != "original":
                said = dict(zip(table.index, hidden(table, name, options), strict=True))
                released = Batch.of(table, {"text": {i: np.array([text]) for i, text in said.items()}})
            trials = []
            attacks = {"text_author": TextAuthor(), "text_quasi": TextQuasi(), "text_minilm": TextMinilm()}
            for attack, method in attacks.items():
                trials += identify(method, original, released, name=attack, halves=halves, seed=0)
            trials += Fusion()(original, released, trials=trials, rng=generator(0))
            rows = [row for t in trials for row in measure_trials(t, figures=("top1", "person_top1"), rng=generator(0))]
            for label in table.columns.intersection(["emotion", "sentiment"]):
                rows += TextLabel(label=label)(original, released, rng=generator(0))
            for row in rows:
                figures = f"{row.figure} {row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"
                print(f"{cohort}, {name}: {row.method} {row.attacker} {figures}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
