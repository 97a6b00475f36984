"""What raters prefer is learned, with their ties, sides and lapses; and refused where they say nothing."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from personare.core.errors import DataError
from personare.core.randomness import generator
from personare.core.state import load_weights, restored, save_weights, state_of
from personare.core.types import Batch
from personare.learn.reward import Describer, drawn_scores, feedback_of, fit_reward, likelihood_of
from personare.simulate.raters import Raters, random_pairs, simulated_votes, votes_of


def items_of(count=60, width=4, seed=0, names=("numbers",)):
    rng = generator(seed, "items")
    return Batch(
        ids=tuple(f"made/{i}" for i in range(count)),
        arrays={name: rng.standard_normal((count, width)).astype(np.float32) for name in names},
        present={name: np.ones(count, dtype=bool) for name in names},
        labels=np.zeros(count, dtype=np.int64),
        classes=("any",),
        subjects=np.array([f"p{i}" for i in range(count)]),
    )


def first_number(batch):
    return batch.arrays["numbers"][:, 0].astype(float)


def asked(items, count=150, seed=0, taste=first_number, raters=3, **options):
    rng = generator(seed, "asked")
    group = Raters(taste=taste, names=[f"r{n}" for n in range(raters)], **options)
    return votes_of(group.compare(items, random_pairs(items.labels, count, rng=rng), rng=rng))


def fitted(items, votes, seed=0):
    return fit_reward(items, votes, rng=generator(seed, "fit"))


def correlation(reward, taste):
    return float(np.corrcoef(reward, taste)[0, 1])


def test_davidson_by_hand():
    # e^(1/2), e^0 and e^(-1/2) are 1.6487, 1 and 0.6065: shares 0.5065, 0.3072 and 0.1863
    logit, tie, never = np.full(3, 1.0), np.zeros(3), np.full(3, -np.inf)
    assert likelihood_of(logit, tie, never, np.arange(3))[0] == pytest.approx([0.5065, 0.3072, 0.1863], abs=1e-4)
    # half of the answers at random: left and right move half of the way to a half, ties to nothing
    random = likelihood_of(logit, tie, np.zeros(3), np.arange(3))[0]
    assert random == pytest.approx([(0.5065 + 0.5) / 2, 0.3072 / 2, (0.1863 + 0.5) / 2], abs=1e-4)
    check = likelihood_of(np.full(2, np.log(3.0)), np.full(2, -np.inf), never[:2], np.array([0, 2]))[0]
    assert check == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize("answer", [0, 1, 2])
def test_slopes_are_those_of_the_likelihood(answer):
    def at(logit, tie, lapse):
        return likelihood_of(*(np.array([x]) for x in (logit, tie, lapse)), np.array([answer]))

    point, step = np.array([0.7, -0.4, -1.2]), 1e-6
    for slope, move in zip(at(*point)[1], np.eye(3) * step, strict=True):
        change = np.log(at(*(point + move))[0] / at(*(point - move))[0]) / (2 * step)
        assert slope == pytest.approx(change, abs=1e-6)


def test_a_taste_is_recovered_and_what_is_doubtful_is_worth_less():
    items = items_of()
    reward = fitted(items, asked(items))
    scores = reward.scores(items)
    assert scores.shape == (5, 60)
    assert correlation(scores.mean(axis=0), first_number(items)) > 0.95
    assert np.allclose(reward(items), scores.mean(axis=0) - scores.std(axis=0))
    best, worst = (items.take(first_number(items).argsort()[part]) for part in (slice(-9, None), slice(9)))
    assert reward(best).min() > reward(worst).max()


def test_a_reward_of_one_recording_does_not_depend_on_the_others():
    items = items_of()
    reward = fitted(items, asked(items))
    assert np.allclose(reward(items)[:5], reward(items.take(np.arange(5))))


def test_sides_and_lapses_of_raters_are_recovered():
    items = items_of()
    votes = asked(items, 600, error=0.0, side_bias=0.7)  # the second of three leans to the right
    rng, careless = generator(2, "careless"), votes["rater"] == "r2"
    votes.loc[careless, "answer"] = rng.choice(["a", "b"], int(careless.sum()))
    reward = fitted(items, votes)
    assert reward.sides["r0"] > 0.2 > -0.2 > reward.sides["r1"]
    assert reward.lapses["r2"] > 0.3 > max(reward.lapses["r0"], reward.lapses["r1"])


def test_checks_teach_where_comparisons_are_few():
    items, rng = items_of(), generator(1, "check")
    few = asked(items, 40)
    checks = Raters(taste=first_number, names=["r0", "r1"]).check(items, rng.integers(60, size=300), rng=rng)
    both = fitted(items, votes_of(few.drop(columns="id"), checks)).scores(items).mean(axis=0)
    alone = fitted(items, few).scores(items).mean(axis=0)
    assert correlation(both, first_number(items)) > correlation(alone, first_number(items))


def test_a_taste_for_the_middle_is_learned_by_squares():
    items = items_of(width=2)
    middle = fitted(items, asked(items, 300, taste=lambda batch: -(first_number(batch) ** 2)))
    assert middle.level == 2
    assert correlation(middle.scores(items).mean(axis=0), -(first_number(items) ** 2)) > 0.8
    assert fitted(items, asked(items, 300)).level == 1


def test_that_two_tracks_agree_is_learned():
    items = items_of(80, 3, names=("face", "voice"))
    shared = generator(3, "shared").standard_normal(80)
    for name in items.arrays:
        items.arrays[name][:, 0] += 2 * shared

    def agree(batch):
        return -((batch.arrays["face"][:, 0] - batch.arrays["voice"][:, 0]).astype(float) ** 2)

    scores = fitted(items, asked(items, 400, taste=agree)).scores(items).mean(axis=0)
    assert correlation(scores, agree(items)) > 0.7


def test_in_histories_what_follows_what_is_seen():
    names = ("visit", "type=home", "type=ward", "code=x", "length=day", "gap=first", "gap=week")
    kinds = generator(0, "kinds").permuted(np.tile([0, 0, 0, 1, 1, 1], (50, 1)), axis=1)  # (50, 6): the same counts
    rows = np.zeros((50, 6, len(names)), dtype=np.float32)
    rows[..., [0, 4]] = 1
    np.put_along_axis(rows[..., 1:3], kinds[..., None], 1, axis=2)
    rows[:, 0, 5] = rows[:, 1:, 6] = 1
    items = replace(
        items_of(50), arrays={"visits": rows}, present={"visits": np.ones(50, bool)}, columns={"visits": names}
    )

    def steady(batch):
        return -(np.diff(batch.arrays["visits"][..., 2], axis=1) != 0).sum(axis=1).astype(float)

    votes = asked(items, 250, taste=steady)
    assert correlation(fitted(items, votes).scores(items).mean(axis=0), steady(items)) > 0.8


def test_few_ties_and_contradictions_are_refused():
    items = items_of()
    with pytest.raises(DataError, match="there are 5, and 5 do"):
        fitted(items, asked(items, 5, tie=0.0))
    with pytest.raises(DataError, match="there are 40, all of them ties"):
        fitted(items, asked(items, 40).assign(answer="tie"))
    once = asked(items, 60, tie=0.0)
    turned = once.assign(answer=once["answer"].map({"a": "b", "b": "a"}))
    with pytest.raises(DataError, match=r"Of 5\d pairs that were answered more than once, 5\d were answered both ways"):
        fitted(items, pd.concat([once, turned]))
    with pytest.raises(DataError, match="better than by guessing"):
        fitted(items, asked(items, 100, error=0.5))


def test_what_cannot_be_preferred_is_refused():
    items = items_of()
    with pytest.raises(DataError, match="1 rated items are not among the recordings, such as gone/1"):
        fitted(items, asked(items).assign(a=["gone/1"] * 150))
    same = replace(items, arrays={"numbers": np.ones((60, 4), dtype=np.float32)})
    with pytest.raises(DataError, match="differ in no number"):
        fitted(same, asked(items))


def test_guarantee_nothing_in_it_is_of_anybody_real():
    items = items_of()
    describer = Describer.of(items)
    assert describer.center == pytest.approx(items.arrays["numbers"].mean(axis=0), abs=1e-6)
    features = describer(items, level=2)
    assert np.allclose(features.mean(axis=0), 0, atol=1e-6)  # all that it knows are means and spreads of the items


def test_the_same_randomness_gives_the_same_reward_and_it_is_kept_as_arrays(tmp_path):
    items = items_of()
    votes = asked(items)
    reward = fitted(items, votes)
    assert np.array_equal(fitted(items, votes)(items), reward(items))
    assert not np.array_equal(fitted(items, votes, seed=1)(items), reward(items))
    save_weights(tmp_path / "reward.safetensors", *state_of(reward))
    again = restored(SimpleNamespace(fit=fit_reward), *load_weights(tmp_path / "reward.safetensors"))
    assert np.array_equal(again(items), reward(items))
    assert again.lapses == reward.lapses


def test_raters_are_parted_and_preferred_items_come_first():
    items = items_of()
    votes = simulated_votes(items, taste="direction", rng=generator(0, "votes"))
    feedback = feedback_of(items, votes, rng=generator(0, "part"))
    heard, kept_out = set(feedback.reward.lapses), set(feedback.judge.lapses)
    assert not heard & kept_out
    assert len(heard | kept_out) == 6
    assert feedback.judge.answers >= 0.3 * 420 * 0.9
    liked = feedback.reward.scores(items).mean(axis=0)
    first, second = liked[feedback.pairs].T
    assert (first > second).mean() > 0.7


def test_answers_of_a_single_rater_are_parted():
    items = items_of()
    feedback = feedback_of(items, asked(items, 120, raters=1), rng=generator(0, "part"))
    assert set(feedback.reward.lapses) == set(feedback.judge.lapses) == {"r0"}
    assert feedback.reward.answers + feedback.judge.answers == 120
    with pytest.raises(DataError, match=r"Some answers are kept out, .* there are 6, and"):
        feedback_of(items, asked(items, 20, raters=1, error=0.0, tie=0.0), rng=generator(0, "part"))


def test_what_raters_may_think_is_open_where_they_said_little():
    items = items_of()
    few, many = (drawn_scores(items, asked(items, n), rng=generator(0, "draw")) for n in (10, 300))
    assert many.shape == (30, 60)

    def doubt(scores):
        return scores.std(axis=0).mean() / scores.mean(axis=0).std()

    assert doubt(few) > 2 * doubt(many)
    assert correlation(many.mean(axis=0), first_number(items)) > 0.95
