"""The next pair is the one whose answer tells most, and one in five is drawn at random."""

import numpy as np
import pytest

from personare.core.randomness import generator
from personare.learn.asking import choose_pair, information


def test_information_by_hand():
    # two draws say 0.9 and 0.1: the mean is 1/2, log 2 - (0.1 log 10 + 0.9 log (10 / 9)) = 0.368 nats
    logit = np.log(9.0)
    assert information(np.array([[logit], [-logit]]), lapse=0) == pytest.approx([0.3681], abs=1e-4)
    # of answers that are all given at random nothing is learned; nor where draws agree
    assert information(np.array([[logit], [-logit]]), lapse=1) == pytest.approx([0])
    assert information(np.array([[logit], [logit]])) == pytest.approx([0])


def test_the_pair_that_tells_most_is_chosen_and_one_in_five_is_random():
    scores = np.array([[0.0, 1.0, 2.0, 5.0], [0.0, 1.0, -2.0, 5.0]])
    pairs, rng = np.array([[0, 1], [0, 3], [0, 2]]), generator(0, "ask")
    choices = [choose_pair(pairs, scores, rng=rng) for _ in range(1000)]
    assert set(choices) == {0, 2}
    assert choices.count(0) == pytest.approx(200, abs=40)
    assert {choose_pair(pairs, None, rng=rng) for _ in range(20)} == {0}
