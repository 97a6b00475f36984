"""The manner of writing is gone from a text, and what it says is not; nothing shows in reverse either."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from personare.anonymize.text_style import TextStyle
from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.types import Array, Batch, Track
from personare.evaluate.attacks.text_author import TextAuthor
from personare.evaluate.identification import identify
from personare.evaluate.utility.text_label import TextLabel
from personare.features.language import LISTS

PEOPLE, TEXTS = ("01", "02", "03", "04", "05", "06"), 16
HABITS = ["honestly", "basically", "whatever", "anyway", "perhaps", "indeed"]
COMMON = [*LISTS["elsewhere"].split(), "the", "and", "you", "it", "not", "to", "of", "that"]
MOODS = {"sad": ["tears", "alone", "lost"], "glad": ["fun", "laughed", "sun"]}


def text(n: int, mood: str, rng: np.random.Generator) -> str:
    """Words that all use, a mood, and a habit of person ``n`` that others have less."""
    habits = rng.choice(HABITS, 6, p=[0.5 if h == n else 0.1 for h in range(6)])
    words = rng.permutation([*rng.choice(COMMON, 24), *rng.choice(MOODS[mood], 3), *habits])
    end, shout = "!!" if n % 2 else " ...", [w.upper() if n == 3 and w in HABITS else w for w in words]
    return f"{' '.join(shout[:15])}{end} {' '.join(shout[15:])}{end}"


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng, moods = generator(0, "texts"), list(MOODS)
    rows = [(who, moods[k % 2], text(n, moods[k % 2], rng)) for n, who in enumerate(PEOPLE) for k in range(TEXTS)]
    return pd.DataFrame(rows, columns=["subject", "emotion", "text"], index=[f"r{i}" for i in range(len(rows))])


def styled(table: pd.DataFrame, strength: float = 1.0) -> dict[str, str]:
    tracks = [(who, Track(kind="text", values=said)) for who, said in zip(table["subject"], table["text"], strict=True)]
    method = TextStyle(strength=strength).fit(iter(tracks), rng=generator(0))
    made = {i: method(t, subject=who, rng=generator(0, i)) for i, (who, t) in zip(table.index, tracks, strict=True)}
    return {i: str(track.values) for i, track in made.items()}


@pytest.fixture(scope="module")
def hidden(table: pd.DataFrame) -> dict[str, str]:
    return styled(table)


def batch(table: pd.DataFrame, texts: dict[str, str]) -> Batch:
    return Batch.of(table, {"text": {i: np.array([said]) for i, said in texts.items()}})


def ranks(original: Batch, released: Batch) -> Array:
    """Return where the right author stands, 0 the likeliest, for who enrolls with released texts."""
    halves = (list(original.ids[::2]), list(original.ids[1::2]))
    trials = identify(TextAuthor(), original, released, name="text_author", halves=[halves, halves[::-1]], seed=0)[2]
    return np.argsort(np.argsort(-trials.scores, axis=1), axis=1)[np.arange(len(trials.ids)), trials.truth]


def test_the_author_is_named_before_and_not_after(table: pd.DataFrame, hidden: dict[str, str]) -> None:
    original = batch(table, table["text"].to_dict())
    before, after = ranks(original, original), ranks(original, batch(table, hidden))
    assert (before == 0).mean() > 0.6
    assert (after == 0).mean() < 0.32  # 0.17 is guessing
    assert (after == 5).mean() < 0.32  # nor is the right one the least likely


def test_guarantee_a_score_depends_on_that_text_alone(table: pd.DataFrame) -> None:
    clips = batch(table, table["text"].to_dict()).clips("text")
    asked, known = dict(list(clips.items())[::9]), dict(list(clips.items())[1::3])
    who = table["subject"].to_dict()
    score = TextAuthor().fit(known, who, rng=generator(0)).enroll(known, who, rng=generator(0))
    assert np.allclose(score(asked), np.concatenate([score({i: clip}) for i, clip in asked.items()]))


def test_the_mood_stays(table: pd.DataFrame, hidden: dict[str, str]) -> None:
    original = batch(table, table["text"].to_dict())
    rows = TextLabel()(original, batch(table, hidden), rng=generator(0))
    assert all(row.value > 0.9 for row in rows if row.figure == "uar")


def test_guarantee_small_letters_marks_and_words_that_several_use(hidden: dict[str, str]) -> None:
    told = [
        ("01", "I am: Ana SAID sooo: “I'm glad”… 42 times :-) 😀?!"),
        ("02", "I'm glad."),
        ("03", "I am GLAD! Ana did it."),
    ]
    tracks = [(who, Track(kind="text", values=said)) for who, said in told]
    made = TextStyle(shared=3).fit(tracks, rng=generator(0))
    left = [made(track, subject=who, rng=generator(1)).values for who, track in tracks]
    assert left == ["i am i am glad.", "i am glad.", "i am glad."]  # nobody else shouts
    assert all(set(said) <= set("abcdefghijklmnopqrstuvwxyz .!?") for said in hidden.values())


def test_of_a_stranger_words_are_kept_as_of_whoever_uses_them_most(table: pd.DataFrame) -> None:
    tracks = [(who, Track(kind="text", values=said)) for who, said in zip(table["subject"], table["text"], strict=True)]
    method = TextStyle().fit(iter(tracks), rng=generator(0))
    said = Track(kind="text", values="Honestly, I laughed and it was fun. " * 40)
    left = str(method(said, subject="99", rng=generator(0)).values).split()
    assert left.count("honestly") < 30 < left.count("laughed")


def test_strength_is_a_dial_from_spelling_alone_to_nobodys_habits(table: pd.DataFrame, hidden: dict[str, str]) -> None:
    plain, half = styled(table, 0.0), styled(table, 0.5)
    words, less, least = (sum(len(said.split()) for said in made.values()) for made in (plain, half, hidden))
    assert words == sum(len(said.replace("...", "").split()) for said in table["text"]) > less > least
    original = batch(table, dict(table["text"]))
    named = [np.mean(ranks(original, batch(table, made)) == 0) for made in (plain, half, hidden)]
    assert named[0] > 0.5 and named[0] > named[1] > named[2]


def test_spellings_become_one() -> None:
    pairs = (
        ["I'm gonna cry, dunno why!", "i am going to cry do not know why!"],
        ["Colour’s soooo nice", "color so nice"],
    )
    for said, plain in pairs:
        tracks = [
            ("01", Track(kind="text", values=f"{said} I think that we will not.")),
            ("02", Track(kind="text", values=plain)),
        ]
        made = TextStyle(shared=1).fit(tracks, rng=generator(0))
        assert str(made(tracks[0][1], subject="01", rng=generator(0)).values).startswith(plain)


@pytest.mark.parametrize("said", ["Ich habe heute schlecht geschlafen und bin müde.", " "])
def test_other_languages_and_empty_texts_are_refused(said: str) -> None:
    with pytest.raises(DataError, match="none in the texts of 0"):
        TextStyle().fit([(who, Track(kind="text", values=said)) for who in PEOPLE], rng=generator(0))


@pytest.mark.real
def test_real_authors_are_named_before_and_not_after(real_data: Path) -> None:
    lines = pd.read_csv(real_data / "meld" / "train_sent_emo.csv.gz")
    rows = []
    for who in ("Chandler", "Joey", "Monica", "Phoebe", "Rachel", "Ross"):
        said = lines["Utterance"][lines["Speaker"] == who].tolist()
        rows += [(who, " ".join(said[at : at + 50])) for at in range(0, 1000, 50)]
    table = pd.DataFrame(rows, columns=["subject", "text"], index=[f"r{i}" for i in range(len(rows))])
    original = batch(table, table["text"].to_dict())
    before, after = ranks(original, original), ranks(original, batch(table, styled(table)))
    assert (before == 0).mean() > 0.5
    assert (after == 0).mean() < 0.25
    assert (after == 5).mean() < 0.3


def test_a_text_of_which_nothing_is_left_is_refused() -> None:
    method = TextStyle().fit(
        [(who, Track(kind="text", values="I am not at home.")) for who in PEOPLE], rng=generator(0)
    )
    with pytest.raises(DataError, match="nothing is left"):
        method(Track(kind="text", values="Quiet please"), subject="01", rng=generator(0))
