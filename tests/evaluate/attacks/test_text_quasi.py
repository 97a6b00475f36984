"""What several texts of a person name is put together, whoever writes how."""

import re

import numpy as np
import pandas as pd

from personare.core.types import Batch
from personare.evaluate.attacks.text_quasi import TextQuasi
from personare.evaluate.judging import judge

TOWNS = ("Leeds", "Ghent", "Turin", "Malmo", "Porto", "Gdansk", "Lyon", "Brno")


def letters(change=lambda text: text) -> Batch:
    """Eight people, six texts each, in the same words but for a town and an age that are theirs."""
    rng = np.random.default_rng(0)
    said = {}
    for person, town in enumerate(TOWNS):
        for n in range(6):
            friend = rng.choice(["Anna", "Tom", "Lena", "Paul"])
            said[f"{person}-{n}"] = f"I saw {friend} in {town} today. We are {30 + person} now and felt {n} times lost."
    table = pd.DataFrame({"subject": [name[0] for name in said], "sentence": [name[2:] for name in said]}, index=said)
    return Batch.of(table, {"text": {name: np.array([change(text)]) for name, text in said.items()}})


def test_names_of_places_tell_who_it_is_before_and_not_after():
    before, after = letters(), letters(lambda text: re.sub(r"(?<=in )\w+|\d+", "somewhere", text))
    how = {"modality": "text", "seed": 0, "attacks": ["text_quasi"], "utilities": []}
    original = judge(before, before, **how)
    named = {r.figure: r for r in original if r.method == "text_quasi" and r.attacker == "semi_informed"}
    hidden = judge(before, after, baseline=original, **how)
    left = {r.figure: r for r in hidden if r.method == "text_quasi" and r.attacker == "semi_informed"}
    assert named["top1"].low > 0.5 > named["top1"].control
    assert left["top1"].low < 0.2 and left["person_top1"].value < 0.5


def test_guarantee_texts_that_name_the_same_are_the_same():
    train = {"a": np.array(["We met Anna in Leeds."]), "b": np.array(["We met Tom in Ghent."])}
    scorer = (
        TextQuasi()
        .fit({}, {}, rng=np.random.default_rng(0))
        .enroll(train, {"a": "0", "b": "1"}, rng=np.random.default_rng(0))
    )
    asked = {"x": np.array(["Oh, she saw Anna in Leeds!!"]), "y": np.array(["yesterday i had Leeds with Anna"])}
    one, other = scorer(asked)
    assert np.allclose(one, other) and one[0] > one[1]
