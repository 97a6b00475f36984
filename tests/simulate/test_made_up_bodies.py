"""What they feel: skin and heart answer to arousal, at their own pace."""

import numpy as np

from personare.simulate.expression import PHYSIO_HZ, PHYSIO_START_S, feel
from personare.simulate.people import person


def felt(emotion, seed):
    return feel(emotion, person(0, 1).body, strength=1.0, duration_s=2.0, rng=np.random.default_rng(seed))


def test_fear_moves_skin_and_heart_more_than_rest_does():
    def rise(emotion, column):
        rises = []
        for seed in range(25):
            values = felt(emotion, seed)[0][:, column]
            before = round(-PHYSIO_START_S * PHYSIO_HZ)
            rises.append(np.nanmax(values[before:]) - np.nanmean(values[:before]))
        return np.mean(rises)

    assert rise("fear", 0) > rise("neutral", 0) + 0.1
    assert rise("fear", 1) > rise("neutral", 1) + 1


def test_conductance_comes_four_times_and_heart_rate_once_a_second():
    values = felt("anger", 0)[0]
    assert len(values) == (4 + 2 + 8) * 4
    assert np.isfinite(values[:, 0]).all() and (values[:, 0] > 0).all()
    np.testing.assert_array_equal(np.isfinite(values[:, 1]), np.arange(len(values)) % 4 == 0)
    assert 40 < np.nanmean(values[:, 1]) < 130


def test_the_first_response_begins_when_truth_says_so():
    values, truth = felt("fear", 1)
    start = truth["skin_responses_s"][0]
    times = PHYSIO_START_S + np.arange(len(values)) / PHYSIO_HZ
    around = values[(times > start - 0.6) & (times < start + 2.2), 0]
    assert around[-1] > around[0] + 0.1
