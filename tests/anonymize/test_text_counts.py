"""How many people use a word leaves in the place of texts: attacks that work before have nothing to read after."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from personare.anonymize._recordings import Disguise
from personare.anonymize.text_counts import TextCounts
from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.types import Array, Batch, Recording, Track
from personare.data.cohort import CohortWriter, open_cohort, recording_id
from personare.evaluate.judging import judge
from personare.features.tracks import _channel_view, read_track
from personare.govern.consent import consent_all
from personare.learn.accounting import epsilon_of
from personare.study.access import open_ledger
from personare.study.anonymizing import anonymize_path
from personare.study.parallel import Workers

COMMON = "I am not well today and we were glad"


def diaries(people: int, own: int = 0) -> list[tuple[str, Track]]:
    """Texts that all write, with so many words of each person's own."""
    texts = [
        f"{COMMON} {' '.join(f'{chr(97 + n // 26)}{chr(97 + n % 26)}{chr(97 + w)}' for w in range(own))}"
        for n in range(people)
    ]
    return [(f"{n:02d}", Track(kind="text", values=text)) for n, text in enumerate(texts)]


def test_counts_are_those_of_people_and_ngrams() -> None:
    told = [*diaries(20), ("00", Track(kind="text", values=f"{COMMON}. {COMMON}."))]  # twice by one is once
    method = TextCounts(epsilon=100, words=2, most=9).fit(iter(told), rng=generator(0))
    assert method.people == {f"{a} {b}": 20 for a, b in pairwise(COMMON.lower().split())}
    table = method(Track(kind="text", values=""), subject="", rng=generator(0))
    assert (table.kind, table.columns) == ("table", tuple(method.people)) and (table.values == 20).all()


def test_guarantee_a_person_changes_few_counts_by_one_at_the_price_that_is_charged() -> None:
    words = [f"{a}{b}" for a in "abcdefghij" for b in "klm"]
    others = [(f"{n:02d}", Track(kind="text", values=" ".join(words))) for n in range(20)]
    counts: list[Array] = []
    for said in (" ".join(words * 9), "nothing"):  # with the same noise
        told = [*others, ("99", Track(kind="text", values=said))]
        method = TextCounts(epsilon=100, most=12).fit(iter(told), rng=generator(0))
        counts.append(np.array([method.people.get(word, 0) for word in words]))
    moved = np.abs(counts[0] - counts[1])
    assert moved.max() == 1 and 1 < moved.sum() <= 12
    spend = TextCounts().fit(iter(diaries(60)), rng=generator(0)).spend
    assert epsilon_of(spend.noise_multiplier, 1.0, 1, 5e-6) == spend.epsilon <= 8
    assert (spend.unit, spend.units, spend.delta, spend.failure) == ("person", 60, 1e-5, 5e-6)


def test_guarantee_words_of_one_person_are_listed_by_the_chance_that_is_paid_for() -> None:
    draws, delta, listed = 200, 0.1, 0
    for draw in range(draws):
        told = [*diaries(8), ("99", Track(kind="text", values="one two three four five six"))]
        people = TextCounts(epsilon=50, delta=delta, most=8).fit(iter(told), rng=generator(draw)).people
        listed += bool({*people} - {*COMMON.lower().split()})
        assert {"i", "well"} <= {*people}
    assert 0 < listed / draws < delta / 2 + 3 * np.sqrt(delta / 2 / draws)


def test_nothing_is_released_where_nothing_is_common() -> None:
    with pytest.raises(DataError, match="too few use the same"):
        TextCounts(epsilon=1).fit(iter(diaries(9)), rng=generator(0))


def test_a_cohort_leaves_as_one_table_and_is_charged(tmp_path: Path) -> None:
    writer = CohortWriter(tmp_path / "in", name="diaries")
    for who, text in diaries(40, own=4):
        for take in ("a", "b"):
            path = writer.path((who, "01", take), "text", ".txt")
            path.write_text(f"{text.values}\n")
            files = {"text": path.relative_to(writer.root).as_posix()}
            writer.add(Recording(id=recording_id(who, "01", take), subject=who, session="01", tracks=files))
    subjects = [who for who, _ in diaries(40)]
    cohort = writer.finish(pd.DataFrame(index=subjects), consent_all(subjects, ["anonymization", "training"]))
    disguise = Disguise(name="counts", words="text_counts", words_options={"most": 20})
    how: dict[str, Any] = {"workers": Workers(jobs=1, quiet=True)}
    release = anonymize_path(cohort.root, tmp_path / "out", disguise, **how)
    assert release.counts["recordings"] == 80 and not release.withheld
    shown = open_cohort(release.root)
    files = [shown.root / r.tracks["text"] for r in shown.recordings]
    assert len({file.read_bytes() for file in files}) == 1 and files[0].name.endswith("_text.tsv.gz")
    assert {*read_track(files[0]).columns} <= {*COMMON.lower().split()}
    spent = open_ledger(None, cohort.root).rows(action="spent")
    assert sorted(spent["subject"]) == subjects
    assert json.loads(spent["detail"].iloc[0])["spends"][0]["failure"] == 5e-6
    (tmp_path / "one.txt").write_text("I am.")
    one = anonymize_path(tmp_path / "one.txt", tmp_path / "hidden.txt", disguise, background=cohort.root, **how)
    assert one.root.name == "hidden.tsv.gz" and one.counts["recordings"] == 1


def test_authors_are_named_before_and_attacks_say_that_nothing_is_left_to_read() -> None:
    told = [item for item in diaries(12, own=4) for _ in range(2)]
    method = TextCounts(epsilon=50, most=20).fit(iter(told), rng=generator(0))
    table = pd.DataFrame({"subject": [who for who, _ in told]}, index=[f"r{n}" for n in range(len(told))])
    tracks = [track for _, track in told], [method(track, subject=who, rng=generator(0)) for who, track in told]
    views = [dict(zip(table.index, map(_channel_view, side), strict=True)) for side in tracks]
    original, released = (Batch.of(table, {"text": view}) for view in views)
    how: dict[str, Any] = {"modality": "text", "seed": 0, "attacks": ["text_author"], "utilities": []}
    assert judge(original, original, **how)[0].value > 0.9
    after = judge(original, released, **how)
    assert all(r.status == "not_measured" and "holds nobody's words" in r.reason for r in after)
