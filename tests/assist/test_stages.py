"""The three stages, on tiny random models: what moves, what stays, what it costs, what comes back from disk."""

import math

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="needs the extra assistant")
from tiny_models import tiny_llama, tiny_tokenizer

from personare.assist.adapters import LoraLinear
from personare.assist.align import Align, parse_profile, profile_words
from personare.assist.dialogues import dialogues
from personare.assist.instruct import Instruct, prompt_of
from personare.assist.language import IMAGE, Language, collate
from personare.assist.prefer import Prefer, vignettes
from personare.assist.training import Training
from personare.assist.vision import Vision
from personare.core.errors import OptionError
from personare.core.state import restored, state_of
from personare.core.types import Batch

CLASSES = ("neutral", "happiness", "sadness")
PRIVATE = {"epsilon": 8.0, "delta": 0.05}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def language():
    tokenizer = tiny_tokenizer()
    return Language(tiny_llama(tokenizer), tokenizer)


def faces(people: int = 12, each: int = 3, seed: int = 0) -> Batch:
    """Tables of which two numbers tell the expression and the others the person."""
    rng = np.random.default_rng(seed)
    subjects = np.repeat([f"{p:02d}" for p in range(people)], each)
    labels = np.tile(np.arange(each), people)
    own = np.repeat(rng.normal(size=(people, 6)), each, axis=0)
    table = np.hstack([3 * np.eye(3)[labels], own, rng.normal(0, 0.2, (len(labels), 2))]).astype(np.float32)
    return Batch(
        ids=tuple(f"r{i}" for i in range(len(labels))),
        arrays={"face": table},
        present={"face": np.ones(len(labels), bool)},
        labels=labels.astype(np.int64),
        classes=CLASSES,
        subjects=subjects,
    )


def encoder_of(batch: Batch, adversary: float = 0.0):
    hidden = {"subject": np.unique(batch.subjects, return_inverse=True)[1]} if adversary else {}
    vision = Vision(size=8, adversary=adversary, epochs=30)
    return vision, vision.fit(batch, {"expression": (CLASSES, batch.labels)}, hidden, rng=np.random.default_rng(0))


def aligned_of(language, batch, encoder, steps=3):
    training = Training(steps=steps, batch_size=36, learning_rate=3e-3)
    rng = np.random.default_rng(0)
    cues = {"expression": (CLASSES, batch.labels)}
    return Align(training=training).fit(
        encoder.code(batch), cues, batch.subjects, encoder=encoder, language=language, rng=rng
    )


def dialogues_of(batch, count=8):
    people = [{"subject": str(s), "expression": CLASSES[n]} for s, n in zip(batch.subjects, batch.labels, strict=True)]
    return dialogues(people[:count], each=1, test=False, rng=np.random.default_rng(0))


def test_visual_tokens_name_what_is_seen_of_people_never_met(language):
    train, test = faces(), faces(seed=1)
    _, encoder = encoder_of(train)
    aligned = aligned_of(language, train, encoder, steps=300)
    names = [parse_profile(text)["expression"] for text in aligned.profiles(language, encoder.code(test))]
    right = np.mean([name == CLASSES[label] for name, label in zip(names, test.labels, strict=True)])
    assert right > 0.8
    guess = parse_profile(aligned.profiles(language, None, 1)[0])[
        "expression"
    ]  # without tokens it is one of the list, and no more
    assert guess in CLASSES


def test_an_adversary_takes_what_was_not_agreed_to_from_the_code_and_leaves_the_expression():
    """A fresh reader finds the sex of other people in the code before, and at the level of guessing after."""
    from sklearn.linear_model import LogisticRegression

    train, test = faces(people=40), faces(people=40, seed=1)
    sexes = [(batch.arrays["face"][:, 3] > 0).astype(int) for batch in (train, test)]
    expression = {"expression": (CLASSES, train.labels)}
    recalls = {}
    for name, adversary, cues, hidden in (
        ("open", 0.0, {**expression, "sex": (("female", "male"), sexes[0])}, {}),
        ("hidden", 3.0, expression, {"sex": sexes[0], "subject": np.unique(train.subjects, return_inverse=True)[1]}),
    ):
        vision = Vision(size=8, adversary=adversary, epochs=30)
        encoder = vision.fit(train, cues, hidden, rng=np.random.default_rng(0))
        reader = LogisticRegression(max_iter=2000).fit(encoder.code(train), sexes[0])
        seen = encoder.posteriors(encoder.code(test))["expression"].argmax(axis=1)
        recalls[name] = np.mean(reader.predict(encoder.code(test)) == sexes[1]), np.mean(seen == test.labels)
    assert recalls["open"][0] > 0.9
    assert recalls["hidden"][0] < 0.8
    assert min(recalls["open"][1], recalls["hidden"][1]) > 0.9


def test_the_language_model_is_as_it_was_after_every_stage(language):
    before = {name: value.clone() for name, value in language.net.state_dict().items()}
    batch = faces(people=4)
    _, encoder = encoder_of(batch)
    aligned = aligned_of(language, batch, encoder)
    talks = dialogues_of(batch)
    quick = Training(steps=3, batch_size=4)
    rng = np.random.default_rng(0)
    lora = Instruct(rank=2, training=quick).fit(
        talks, language=language, aligned=aligned, code=encoder.code(batch)[: len(talks)], rng=rng
    )
    preferred = Prefer(training=quick).fit(lora, talks, language=language, rng=rng)
    after = language.net.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert any(not np.array_equal(preferred.arrays[name], values) for name, values in lora.arrays.items())


def test_what_was_learned_comes_back_from_arrays_and_text(language):
    batch = faces(people=4)
    _, encoder = encoder_of(batch)
    aligned = aligned_of(language, batch, encoder)
    method = Instruct(rank=2, training=Training(steps=3, batch_size=4))
    lora = method.fit(dialogues_of(batch), language=language, aligned=None, code=None, rng=np.random.default_rng(0))
    again = restored(Align(), *state_of(aligned))
    code = encoder.code(batch)
    assert torch.equal(aligned.tokens(code), again.tokens(code))
    assert again.cues == aligned.cues
    rows = collate([(language.prompt("x", "y"), language.tokenize_answer("z"))])
    losses = []
    for one in (lora, restored(method, *state_of(lora))):
        with one.applied(language), torch.inference_mode():
            losses.append(float(language.losses(rows, None)))
    with torch.inference_mode():
        assert losses[0] == losses[1] != float(language.losses(rows, None))


@pytest.mark.parametrize("sites", [1, 3])
def test_guarantee_private_training_costs_each_person_what_was_asked(language, sites):
    """The spend is of a plan; the first factors, which noise would square, have not moved."""
    batch = faces(people=9)
    training = Training(steps=2, batch_size=3, sites=sites, rounds=2, **PRIVATE)
    method = Instruct(rank=2, training=training)
    lora = method.fit(dialogues_of(batch, 27), language=language, aligned=None, code=None, rng=np.random.default_rng(0))
    assert len(lora.spends) >= 1
    assert all(s.unit == "person" and s.epsilon <= 8 and s.steps == 2 for s in lora.spends)
    torch.manual_seed(0)
    moved = [name for name, values in lora.arrays.items() if name.endswith("lora_b") and values.any()]
    assert moved


def test_guarantee_in_private_training_nobody_counts_more_than_the_clip_norm_and_the_noise_is_there():
    """However loud one person is, the private step is the same to the last digit; the open one turns round."""
    net = torch.nn.Linear(1, 1, bias=False)
    subjects = np.array(["a", "b", "c", "d"])

    def weight(loudness, seed, **how):
        torch.nn.init.zeros_(net.weight)
        rows = {"pull": torch.tensor([[-9.0], [-9.0], [-9.0], [loudness]])}
        training = Training(steps=3, batch_size=4, learning_rate=0.1, **how)
        training(
            net, lambda n, part: (part["pull"] * n.weight).sum(dim=1), rows, subjects, rng=np.random.default_rng(seed)
        )
        return float(net.weight.detach())

    assert weight(10.0, 0, **PRIVATE) == weight(1e6, 0, **PRIVATE)
    assert weight(10.0, 0) > 0 > weight(1e6, 0)
    assert len({weight(10.0, seed, **PRIVATE) for seed in range(3)}) == 3
    with pytest.raises(OptionError, match="delta"):
        weight(10.0, 0, epsilon=1.0, delta=0.5)


def test_sites_of_which_each_has_the_same_people_come_to_what_one_site_does():
    """Full batches and plain averaging: the mean over alike sites is what each of them did."""
    rows = {"x": torch.ones(4, 1), "y": torch.full((4, 1), 2.0)}

    def loss(model, part):
        return (model(part["x"]) - part["y"]).square().sum(dim=1)

    weights = []
    for sites in (1, 2):
        net = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(net.weight)
        how = Training(steps=20, batch_size=4 // sites, learning_rate=0.1, sites=sites, rounds=1)
        how(net, loss, rows, np.array(["a", "b", "c", "d"]), rng=np.random.default_rng(0))
        weights.append(float(net.weight.detach()))
    assert weights[0] == pytest.approx(weights[1], abs=1e-5)
    with pytest.raises(OptionError, match="a person in each of 5 sites"):
        Training(sites=5)(net, loss, rows, np.array(["a", "b", "c", "d"]), rng=np.random.default_rng(0))


def test_a_mixture_routes_each_token_to_one_expert_and_a_fresh_one_changes_nothing():
    base = torch.nn.Linear(6, 5)
    for experts in (1, 3):
        adapter = LoraLinear(base, rank=2, experts=experts, freeze_a=False)
        x = torch.randn(2, 4, 6)
        assert torch.allclose(adapter(x), base(x))
        torch.nn.init.normal_(adapter.lora_b)
        assert not torch.allclose(adapter(x), base(x))
    only = adapter.router(x).argmax(dim=-1)[0, 0]
    kept = adapter(x)[0, 0].detach()
    with torch.no_grad():
        adapter.lora_b[[e for e in range(3) if e != only]] = 7.0
    assert torch.allclose(adapter(x)[0, 0], kept)


def test_tokens_stand_where_the_prompt_says_and_only_there(language):
    talk = dialogues_of(faces(people=3))[0]
    prompt = language.prompt(f"Profile: {IMAGE}; name: Ana", talk.request, image_tokens=3)
    assert prompt.count(-1) == 3
    numbers = torch.tensor([prompt, [7] * len(prompt)])
    seen = torch.full((2, 3, language.width), 5.0)
    embed = language.embed(numbers, seen)
    places = numbers[0] == -1
    assert bool((embed[0][places] == 5).all())
    assert not bool((embed[1] == 5).any())
    assert prompt_of(talk, "none", {}, None, language) == language.prompt(talk.system("nothing"), talk.request)


def test_the_loss_is_of_the_answer_alone_and_padding_changes_nothing(language):
    prompt, answer = language.prompt("a", "b"), language.tokenize_answer("kind and brief")
    alone = language.losses(collate([(prompt, answer)]), None)
    both = language.losses(collate([(prompt, answer), (prompt * 2, answer * 3)]), None)
    assert both[0].item() == pytest.approx(alone.item(), abs=1e-5)
    numbers = torch.tensor([prompt + answer])
    logits = language.net(numbers).logits[0].log_softmax(dim=-1)
    expected = -np.mean([float(logits[len(prompt) - 1 + i, token]) for i, token in enumerate(answer)])
    assert alone.item() == pytest.approx(expected, abs=1e-4)


def test_answers_among_a_list_are_of_the_list(language):
    among = [" expression: neutral", " expression: sadness"]
    prompts = [language.prompt("a", "b"), language.prompt("a much longer one", "b")]
    answers = language.answers(prompts, None, most_tokens=40, among=among)
    assert {f" {a}" for a in answers} <= {*among}
    assert language.answers(prompts[::-1], None, most_tokens=5) == language.answers(prompts, None, most_tokens=5)[::-1]


def test_what_is_tested_is_never_learned_from():
    learned, tested = ({v.about for v in vignettes(test=test) if v.setting == "unasked"} for test in (False, True))
    assert learned.isdisjoint(tested)
    batch = faces(people=12)
    people = [{"subject": str(s)} for s in batch.subjects] * 3
    topics = [
        {d.steps[0] for d in dialogues(people, each=1, test=test, rng=np.random.default_rng(0))}
        for test in (True, False)
    ]
    assert topics[0].isdisjoint(topics[1])


def test_rules_hold_for_the_right_answer_and_not_for_that_to_somebody_else():
    people = [{"subject": "a", "expression": e, "age_band": a} for e in ("neutral", "anger", "fear") for a in
              ("under 35", "35 to 49", "50 and over")]  # fmt: skip
    made = dialogues(people, each=4, test=False, rng=np.random.default_rng(0))
    for talk in made:
        assert all(talk.rules(talk.answer()).values())
        assert talk.helpfulness(talk.answer()) == 1
        assert talk.helpfulness("I do not know.") == 0
    for one, other in zip(made, made[4:], strict=False):
        if one.profile["expression"] != other.profile["expression"]:
            assert not one.rules(other.answer())["expression"]
    assert profile_words({}) == "nothing"
    assert math.isclose(np.mean([len(d.rules("")) > 0 for d in made]), 1)
