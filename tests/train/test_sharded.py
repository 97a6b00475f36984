"""Shards: a person goes, one shard is trained again, and the model is what it would be without them."""

from pathlib import Path

import pytest
from people import recordings

from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator, part_of
from personare.core.state import load_weights, state_of
from personare.core.types import Batch
from personare.train.sharded import Sharded

TRAIN, WATCHED = recordings(0, 24), recordings(1, 6)
GONE = "0-5"


def fit(train: Batch, cache: Path | None = None, **options):
    learner = Sharded(**({"of": "forest", "options": {"trees": 5}} | options))
    return learner.fit(train, validation=WATCHED, rng=generator(0, "fit"), cache=cache)


def state(model) -> dict[str, bytes]:
    tensors, about = state_of(model)
    return {name: values.tobytes() for name, values in tensors.items()} | {k: v.encode() for k, v in about.items()}


@pytest.mark.parametrize("of", [{"of": "forest", "options": {"trees": 5}}, {"of": "private_head", "options": {}}])
def test_guarantee_without_a_person_it_is_bit_by_bit_what_it_would_be_and_other_shards_are_as_they_were(tmp_path, of):
    before = fit(TRAIN, tmp_path, **of)
    times = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    without = TRAIN.take(TRAIN.subjects != GONE)
    again, scratch = fit(without, tmp_path, **of), fit(without, **of)
    assert state(again) == state(scratch) != state(before)
    touched = {file.name for file in tmp_path.iterdir() if file.stat().st_mtime_ns != times[file]}
    assert touched == {f"{part_of(GONE, 4, 'personare')}.safetensors"}


def test_what_is_kept_of_a_shard_says_whose_it_is_and_the_model_does_not(tmp_path):
    model = fit(TRAIN, tmp_path)
    of_gone = [file for file in tmp_path.iterdir() if "0-30" in load_weights(file)[1]["recordings"]]
    assert len(of_gone) == 1
    assert not any(b"0-30" in text for text in state(model).values())


def test_shards_of_private_learners_and_of_too_few_people_are_refused():
    with pytest.raises(OptionError, match="epsilon"):
        Sharded(options={"epsilon": 1.0})
    with pytest.raises(DataError, match="take fewer"):
        fit(TRAIN, shards=20)
