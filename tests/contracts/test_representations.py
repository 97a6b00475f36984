"""Every file of ``represent`` keeps the contract: fits, says what it guarantees, shows new people, comes back."""

from dataclasses import replace

import numpy as np
import pytest

from personare.core import registry
from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.state import load_weights, restored, save_weights, state_of
from personare.core.types import Batch
from personare.learn.chaining import Chain

PACKAGE = "personare.represent"
METHODS = list(registry.find(PACKAGE))
SMALL = {
    "adversarial": {"epochs": 6, "size": 4, "hidden": 16},
    "bottleneck": {"codes": 4},
    "leace": {},
    "noise": {"epsilon": 20.0},
}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "so", "glad", "sad"]


def _said(labels, rng):
    more = [" ".join(rng.choice(["so", "glad", "sad"], rng.integers(1, 5))) for _ in labels]
    return np.array([f"{('sad', 'glad', 'so')[label]} {text}" for label, text in zip(labels, more, strict=True)])


def recordings(seed: int, people: int, each: int = 6) -> Batch:
    """A table and words in which the class shows; people differ in the table, and some rows are missing."""
    rng = generator(seed, "recordings")
    n = people * each
    labels = np.arange(n) % 3
    who = np.repeat(np.arange(people), each)
    voice = rng.standard_normal((n, 24)) + 2 * np.eye(3, 24)[labels] + 3 * rng.standard_normal((people, 24))[who]
    voice[:, 5] = 7.0  # a constant column
    present = {"voice": rng.random(n) > 0.15, "words": rng.random(n) > 0.15}
    return Batch(
        ids=tuple(f"{seed}-{i}" for i in range(n)),
        arrays={"voice": voice.astype(np.float32), "words": _said(labels, rng)},
        present=present,
        labels=labels.astype(np.int64),
        classes=("sad", "glad", "so"),
        subjects=np.array([f"{seed}-{p}" for p in who]),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model of text with random weights, saved on the spot."""
    transformers = pytest.importorskip("transformers")
    at = tmp_path_factory.mktemp("bert")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    transformers.BertModel(transformers.BertConfig(**sizes, vocab_size=len(WORDS))).save_pretrained(at)
    (at / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertTokenizer(vocab={w: i for i, w in enumerate(WORDS)}).save_pretrained(at)
    return str(at)


@pytest.fixture(scope="module")
def methods(folder):
    def make(name):
        return registry.create(PACKAGE, name, SMALL.get(name, {"folders": {"words": folder}}))

    return make


@pytest.fixture(scope="module")
def fits(methods):
    made = {}

    def get(name):
        if name not in made:
            method = methods(name)
            made[name] = method, method.fit(recordings(0, 8), validation=recordings(1, 3), rng=generator(0, name))
        return made[name]

    return get


NEW = recordings(9, 4)


def shown(transform, batch=NEW, seed=5):
    return transform(batch, rng=generator(seed, "show"))


@pytest.mark.parametrize("name", METHODS)
def test_new_people_are_shown_as_one_table(name, fits):
    out = shown(fits(name)[1])
    rows = out.arrays["representation"]
    assert set(out.arrays) == {"representation"}
    assert rows.dtype == np.float32
    assert rows.ndim == 2 and len(rows) == len(NEW)
    assert np.isfinite(rows).all()
    assert rows.std(axis=0).max() > 0
    assert (out.ids, out.classes) == (NEW.ids, NEW.classes)
    assert np.array_equal(out.subjects, NEW.subjects)


@pytest.mark.parametrize("name", METHODS)
def test_labels_and_subjects_are_not_needed_to_show_people(name, fits):
    blind = replace(NEW, labels=np.zeros_like(NEW.labels), subjects=np.full(len(NEW), "?"))
    one, other = (shown(fits(name)[1], batch).arrays["representation"] for batch in (NEW, blind))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("name", METHODS)
def test_what_lies_in_a_missing_row_does_not_matter_and_nothing_is_zeros(name, fits):
    junk = np.where(NEW.present["voice"][:, None], NEW.arrays["voice"], 1e6).astype(np.float32)
    clean, dirty = (
        shown(fits(name)[1], b).arrays["representation"]
        for b in (NEW, replace(NEW, arrays={**NEW.arrays, "voice": junk}))
    )
    assert np.allclose(clean, dirty)
    nothing = replace(NEW, present={m: np.zeros(len(NEW), dtype=bool) for m in NEW.arrays})
    out = shown(fits(name)[1], nothing)
    assert not out.arrays["representation"].any()
    assert not out.present["representation"].any()


@pytest.mark.parametrize("name", METHODS)
def test_guarantee_is_one_sentence_with_its_limit_and_nothing_changes_it(name, fits):
    transform = fits(name)[1]
    before = {k: np.array(v) for k, v in state_of(transform)[0].items()}
    shown(transform)
    assert all(np.array_equal(before[k], v) for k, v in state_of(transform)[0].items())
    assert len(transform.guarantee) > 40
    assert any(word in transform.guarantee for word in ("none", "not", "estimate"))
    assert transform.spends == ()
    with pytest.raises(AttributeError):
        transform.spends = ()


@pytest.mark.parametrize("name", METHODS)
def test_comes_back_from_disk(name, fits, tmp_path):
    method, transform = fits(name)
    tensors, about = state_of(transform)
    save_weights(tmp_path / "r.safetensors", tensors, about)
    again = restored(method, *load_weights(tmp_path / "r.safetensors"))
    assert np.allclose(shown(again).arrays["representation"], shown(transform).arrays["representation"], atol=1e-5)
    assert again.guarantee == transform.guarantee
    with pytest.raises(DataError):
        restored(method, {}, {})


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_the_same_representation(name, methods, fits):
    again = methods(name).fit(recordings(0, 8), validation=recordings(1, 3), rng=generator(0, name))
    assert np.array_equal(shown(again).arrays["representation"], shown(fits(name)[1]).arrays["representation"])


@pytest.mark.parametrize("first", METHODS)
@pytest.mark.parametrize("second", ["leace", "bottleneck"])
def test_they_chain_and_the_chain_comes_back(first, second, methods):
    last = {"leace": {"directions": 1}, "bottleneck": {"codes": 2}}[second]  # little may be left for them
    chain = Chain(links=(methods(first), registry.create(PACKAGE, second, last)))
    fitted = chain.fit(recordings(0, 8), validation=recordings(1, 3), rng=generator(0, first))
    rows = shown(fitted).arrays["representation"]
    again = chain.restore(*fitted.state())
    assert np.allclose(shown(again).arrays["representation"], rows, atol=1e-5)
    assert rows.shape[0] == len(NEW)


LEARNED = [name for name in METHODS if name != "pretrained"]


def test_leace_refuses_to_erase_everything(methods):
    batch = recordings(0, 8)
    few = replace(batch, arrays={"voice": batch.arrays["voice"][:, :3]}, present={"voice": batch.present["voice"]})
    with pytest.raises(DataError, match="nothing would be left"):
        methods("leace").fit(few, validation=few, rng=generator(0, "few"))


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize(("what", "said"), [("person", "2 people"), ("absent", "absent"), ("NaN", "NaN")])
def test_recordings_that_teach_nothing_sound_are_refused(name, what, said, methods):
    batch = recordings(0, 8)
    if what == "person":
        batch = replace(batch, subjects=np.full(len(batch), "1"))
    elif what == "absent":
        batch = replace(batch, present={**batch.present, "words": np.zeros(len(batch), dtype=bool)})
    else:
        voice = np.where(np.arange(24) == 2, np.nan, batch.arrays["voice"]).astype(np.float32)
        batch = replace(batch, arrays={**batch.arrays, "voice": voice})
    with pytest.raises(DataError, match=said):
        methods(name).fit(batch, validation=recordings(1, 3), rng=generator(0, name))


@pytest.mark.parametrize("name", LEARNED)
def test_a_modality_that_most_people_lack_is_taken(name, methods):
    batch = recordings(0, 8)
    few = replace(batch, present={**batch.present, "words": np.arange(len(batch)) % 12 == 0})
    fitted = methods(name).fit(few, validation=recordings(1, 3), rng=generator(0, name))
    assert np.isfinite(shown(fitted).arrays["representation"]).all()


@pytest.mark.parametrize("name", METHODS)
def test_another_modality_or_shape_than_learned_from_is_refused(name, fits):
    with pytest.raises(DataError, match=r"voice|words"):
        shown(fits(name)[1], NEW.only("voice") if name == "pretrained" else NEW.only("words"))
