"""Rounds over sites: who is dealt where, what comes back, and what is left out."""

import numpy as np
import pytest
import torch

from personare.core.errors import DataError, OptionError
from personare.core.types import Spend
from personare.learn.federation import Federation, averaged, hold_near

SUBJECTS = np.repeat([f"p{i}" for i in range(9)], 3)


def at(weights, *values, spends=()):
    """A site that comes to these values, one a round."""
    for value in values:
        weights.copy_(torch.as_tensor(value).expand_as(weights))
        yield spends


def spend(epsilon: float) -> Spend:
    return Spend(
        unit="person",
        sampling_rate=1.0,
        noise_multiplier=1.0,
        steps=1,
        epsilon=epsilon,
        delta=1e-3,
        accountant="pld",
        units=9,
    )


def test_guarantee_nobody_is_at_two_sites_and_everybody_is_at_one():
    parts = Federation(sites=4).deal(SUBJECTS)
    people = [set(SUBJECTS[part]) for part in parts]
    assert sum(map(len, people)) == len(set.union(*people)) == 9
    assert sorted(np.concatenate(parts)) == list(range(27))


def test_people_are_where_a_column_says():
    where = {f"p{i}": "north" if i < 3 else "south" for i in range(9)}
    parts = Federation(site_of=where).deal(SUBJECTS)
    assert [len(part) for part in parts] == [9, 18]
    with pytest.raises(DataError, match=r"1 people have none, e\.g\. p8"):
        Federation(site_of={k: v for k, v in where.items() if k != "p8"}).deal(SUBJECTS)


def test_the_mean_counts_people_and_the_dearest_site_is_what_is_paid():
    weights = torch.zeros(3)
    sites = [at(weights, 1.0, spends=(spend(1.0),)), at(weights, 5.0, spends=(spend(2.0),))]
    assert [s.epsilon for s in Federation(sites=2).in_rounds([weights], sites, [3, 1])] == [2.0]
    assert weights.tolist() == [2.0] * 3


@pytest.mark.parametrize("secure", [False, True])
def test_an_update_that_is_no_number_is_told_and_the_round_goes_on(secure):
    told = []
    weights = torch.zeros(2)
    sites = [at(weights, v, 4.0) for v in (1.0, 2.0, 3.0)] + [at(weights, float("nan"), 8.0)]
    federation = Federation(sites=4, rounds=2, secure=secure, tell=told.append)
    federation.in_rounds([weights], sites, [1, 1, 1, 1])
    assert weights.tolist() == [5.0, 5.0]
    assert told == ["Round 1 went on without the update of site 4, which was no number."]


@pytest.mark.parametrize("secure", [False, True])
def test_what_a_server_sees_is_noted_of_each_round(secure):
    rounds = []
    weights = torch.zeros(1)
    sites = [at(weights, v, 4.0) for v in (1.0, 2.0, float("nan"), 6.0)]
    Federation(sites=4, rounds=2, secure=secure, observe=rounds.append).in_rounds([weights], sites, [1, 1, 1, 1])
    assert [seen.before.tolist() for seen in rounds] == [[0.0], [3.0]]
    # an update that was no number moves nothing
    seen = [[[3.0]], [[4.0]]] if secure else [[[1.0], [2.0], [0.0], [6.0]], [[4.0]] * 4]
    assert [seen.after.tolist() for seen in rounds] == seen


def test_where_no_site_sends_numbers_training_ends():
    weights = torch.zeros(2)
    with pytest.raises(DataError, match="No site sent"):
        Federation().in_rounds([weights], [at(weights, float("nan"))], [2])


def test_the_best_round_is_left_by_people_who_may_be_looked_at():
    weights = torch.zeros(1)
    federation = Federation(rounds=3)
    federation.in_rounds([weights], [at(weights, 5.0, 1.0, 3.0)], [2], judge=lambda: float(weights))
    assert weights.tolist() == [1.0]


def test_what_stays_at_a_site_comes_back_to_it_and_ends_as_the_mean():
    shared, head, seen = torch.zeros(1), torch.zeros(1), []

    def site(step):
        while True:
            seen.append(float(head))
            head.add_(step)
            yield ()

    Federation(sites=2, rounds=2).in_rounds([shared], [site(1.0), site(10.0)], [1, 1], kept=[head])
    assert seen == [0.0, 0.0, 1.0, 10.0]
    assert head.tolist() == [11.0]


def test_a_pull_holds_weights_near_to_where_they_were():
    def walked(strength):
        p = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([p], lr=0.1)
        hold_near(optimizer, [p], strength)()
        for _ in range(50):
            optimizer.zero_grad()
            (p - 1).square().sum().backward()
            optimizer.step()
        return float(p.detach())

    assert walked(0.0) == pytest.approx(1.0, abs=1e-3)
    assert walked(2.0) == pytest.approx(0.5, abs=1e-3)  # 2 (p - 1) + 2 p = 0


def test_sites_that_teach_nothing_sound_sit_out():
    told = []
    where = {f"p{i}": "alone" if i == 0 else "one class" if i < 4 else "whole" for i in range(9)}
    labels = np.where(np.isin(SUBJECTS, ["p1", "p2", "p3"]), 0, np.arange(27) % 3)
    federation = Federation(site_of=where, tell=told.append)
    (part,) = federation.parts(SUBJECTS, labels, private=False)
    assert set(SUBJECTS[part]) == {f"p{i}" for i in range(4, 9)}
    assert [text[-12:] for text in told] == ["has 1 and 3.", "has 3 and 1."]
    # in private, whether there is one class is not looked at
    assert len(federation.parts(SUBJECTS, labels, private=True)) == 2
    with pytest.raises(DataError, match="No site"):
        Federation(sites=9).parts(SUBJECTS, labels, private=False)


class Median:
    """An algorithm with a rule of its own."""

    def start(self):
        return averaged

    def combine(self, values, weights):
        return np.median(values, axis=0)


def test_a_rule_of_its_own_stands_in_for_the_mean_of_sites_that_weigh_something():
    weights = torch.zeros(2)
    sites = [at(weights, v) for v in (1.0, 2.0, 90.0, float("nan"))]
    Federation(sites=4, algorithm=Median()).in_rounds([weights], sites, [5, 5, 50, 5])
    assert weights.tolist() == [2.0, 2.0]


def test_a_rule_of_its_own_needs_the_updates_of_a_majority():
    with pytest.raises(OptionError, match="secure aggregation hides it"):
        Federation(sites=4, algorithm=Median(), secure=True)
    with pytest.raises(DataError, match="none is in the minority"):
        Federation(sites=2, algorithm=Median()).parts(SUBJECTS, np.arange(27) % 3, private=False)
    with pytest.raises(OptionError, match="needs secure aggregation"):
        Federation(sites=4, noise="shared")


def test_poisoned_sites_send_updates_turned_round():
    weights = torch.zeros(1)
    Federation(sites=2, poisoned=1).in_rounds([weights], [at(weights, 1.0), at(weights, 2.0)], [1, 1])
    assert weights.tolist() == [-4.0]


def test_more_sites_than_people_and_more_rounds_than_epochs_are_refused():
    with pytest.raises(OptionError, match="10 sites, but there are 9"):
        Federation(sites=10).deal(SUBJECTS)
    with pytest.raises(OptionError, match="5 rounds, but there are 4"):
        Federation(rounds=5).shares(4)
    assert Federation(rounds=3).shares(7) == [3, 2, 2]
