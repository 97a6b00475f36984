"""On real voices: a narrow channel keeps emotion and hardly names the new people that raw features name."""

import numpy as np
import pandas as pd
import pytest

from personare.core.randomness import generator
from personare.core.types import Batch
from personare.evaluate.classifiers import discriminant
from personare.evaluate.representations import name_people, raw_sides
from personare.represent.bottleneck import Bottleneck

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def voices(real_data):
    """Acoustic statistics of 40 people: 20 to learn from, 20 who are new (guessing names 5 %)."""
    table = pd.read_csv(real_data / "crema-d" / "acoustic_features.csv.gz")
    people = generator(0, "people").permutation(np.unique(table["actor_id"]))[:40]
    table = table[table["actor_id"].isin(people)].reset_index(drop=True)
    numbers = table.select_dtypes("number").drop(columns=["actor_id"])
    classes, labels = np.unique(table["emotion"], return_inverse=True)
    batch = Batch(
        ids=tuple(map(str, table.index)),
        arrays={"voice": numbers.to_numpy(np.float32)},
        present={"voice": np.ones(len(table), dtype=bool)},
        labels=labels,
        classes=tuple(classes),
        subjects=table["actor_id"].astype(str).to_numpy(),
    )
    told = pd.DataFrame({"subject": batch.subjects, "sentence": table["sentence"].to_numpy()}, index=list(batch.ids))
    known = np.isin(batch.subjects, people[:20].astype(str))
    return batch.take(known), batch.take(~known), told


def recall(known_rows, known, new_rows, new):
    clips = {str(i): row for i, row in enumerate(known_rows.astype(float))}
    classes, predict = discriminant()(clips, {i: str(known.labels[int(i)]) for i in clips}, generator(0, "reader"))
    read = classes[predict({str(i): row for i, row in enumerate(new_rows.astype(float))}).argmax(axis=1)].astype(int)
    return np.mean([(read == k)[new.labels == k].mean() for k in np.unique(new.labels)])


def named(rows, new, table):
    found = name_people(rows, table.loc[list(new.ids)], "linear", discriminant(), rng=generator(0, "namer"))
    return {row.figure: row.value for row in found}


def test_symbols_keep_emotion_and_hardly_name_people(voices):
    known, new, table = voices
    raw = [batch.arrays["representation"] for batch in raw_sides(known, new)]
    fitted = Bottleneck(codes=32).fit(known, validation=known.take(np.zeros(0, dtype=int)), rng=generator(0, "fit"))
    shown = [fitted(batch, rng=generator(0, "show")).arrays["representation"] for batch in (known, new)]
    before, after = named(raw[1], new, table), named(shown[1], new, table)
    assert before["top1"] > 0.4
    assert after["top1"] < before["top1"] / 5
    assert recall(shown[0], known, shown[1], new) > recall(raw[0], known, raw[1], new) - 0.04
    assert after["person_top1"] > after["top1"]  # many recordings of a person together still tell more
