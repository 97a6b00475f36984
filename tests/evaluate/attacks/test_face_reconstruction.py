"""Faces are drawn from what shows them, and not from what does not; a drawing names people among real pictures."""

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import DataError, OptionError
from personare.core.registry import create
from personare.core.types import Batch

PEOPLE, EACH, SIDE = 16, 6, 8


@pytest.fixture
def table():
    who = np.repeat(np.arange(PEOPLE), EACH)
    return pd.DataFrame(
        {"subject": [f"{p:02d}" for p in who], "emotion": np.tile(["anger", "fear", "joy"], PEOPLE * EACH // 3)},
        index=[f"r{i}" for i in range(len(who))],
    )


def pictures(table, *, identity=1.0):
    """Flat pictures that are a person, an emotion and a little grain around one mean face."""
    draw = np.random.default_rng(0)
    shapes = draw.standard_normal((6, SIDE * SIDE))  # what people differ in
    people, emotions = draw.standard_normal((PEOPLE, 6)) @ shapes, draw.standard_normal((3, SIDE * SIDE))
    who, felt = table["subject"].astype(int), pd.factorize(table["emotion"])[0]
    return 5 + identity * people[who] + emotions[felt] + 0.3 * draw.standard_normal((len(table), SIDE * SIDE))


def run(table, raw, **tracks):
    original, released = (
        Batch.of(table, {track: dict(zip(table.index, rows, strict=True)) for track, rows in of.items()})
        for of in ({"raw": raw}, tracks)
    )
    rows = create("personare.evaluate.attacks", "face_reconstruction")(original, released, rng=np.random.default_rng(0))
    return {row.name.removeprefix("face_reconstruction_"): row for row in rows}


def test_it_works_before_and_fails_after(table):
    raw = pictures(table)
    draw = np.random.default_rng(1)
    tokens = np.tanh((raw - 5) @ draw.standard_normal((SIDE * SIDE, 24)) / 12)
    rows = run(table, raw, kept=tokens, removed=draw.standard_normal((len(raw), 24)))
    kept, removed = rows["kept.top1"], rows["removed.top1"]
    assert kept.low > 0.5 and kept.status == "ok"
    assert removed.value < 0.3 and removed.low < removed.control == 2 / PEOPLE and removed.status == "ok"
    assert kept.baseline == removed.baseline > 0.9
    assert rows["kept.face_similarity"].low > 0.7 and rows["kept.psnr_gain"].low > 2
    assert abs(rows["removed.face_similarity"].value) < 0.2 and abs(rows["removed.psnr_gain"].value) < 0.5


def test_nothing_was_learned_from_the_person_who_is_drawn(table):
    whose = np.eye(PEOPLE)[table["subject"].astype(int)]  # would give the face away to whoever had seen it
    rows = run(table, pictures(table), whose=whose)
    assert rows["whose.top1"].value < 0.3
    assert rows["whose.psnr_gain"].value < 0.5


def test_where_real_pictures_name_nobody_nothing_is_said_of_safety(table):
    raw = pictures(table, identity=0)
    assert run(table, raw, tokens=raw)["tokens.top1"].status == "not_informative"


def test_a_picture_drawn_from_itself_is_the_self_test(table):
    raw = pictures(table)
    row = run(table, raw, same=raw)["same.top1"]
    assert row.value == pytest.approx(row.baseline, abs=0.02) and row.value > 0.9


def test_people_who_are_too_few_are_told(table):
    few = table[table["subject"] < "07"]
    with pytest.raises(DataError, match=r"takes 8 with two recordings each, there are 7"):
        run(few, pictures(table)[: len(few)], tokens=np.ones((len(few), 2)))
    with pytest.raises(OptionError, match="fewest"):
        create("personare.evaluate.attacks", "face_reconstruction", {"fewest": 2})
