"""An update gives the input away, exactly where it is of one example, and not once noise hides it."""

import numpy as np
import pytest
import torch

from personare.core.errors import DataError
from personare.learn.inversion import invert_linear


def gradients(inputs, labels, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layer = torch.nn.Linear(inputs.shape[1], 5)
    loss = torch.nn.functional.cross_entropy(layer(torch.tensor(inputs)), torch.tensor(labels))
    return [grad.numpy() for grad in torch.autograd.grad(loss, [layer.weight, layer.bias])]


@pytest.fixture
def inputs():
    return np.random.default_rng(0).standard_normal((3, 12)).astype(np.float32)


def test_by_hand():
    assert invert_linear(np.array([[2.0, 4.0], [-1.0, -2.0]]), np.array([1.0, -0.5])) == pytest.approx([2, 4])


def test_the_input_of_one_example_is_recovered_exactly(inputs):
    weight, bias = gradients(inputs[:1], [2])
    assert invert_linear(weight, bias) == pytest.approx(inputs[0], abs=1e-4)
    assert invert_linear(-0.01 * weight, -0.01 * bias) == pytest.approx(inputs[0], abs=1e-4)  # a step, not a gradient


def test_of_a_sum_the_example_that_erred_most_is_nearest(inputs):
    one, other = gradients(inputs[:1], [2]), gradients(inputs[1:2], [3])
    mixed = invert_linear(*(a + 0.05 * b for a, b in zip(one, other, strict=True)))
    similar = [np.corrcoef(mixed, x)[0, 1] for x in inputs]
    assert similar[0] > 0.95 and max(similar[1:]) < 0.7


def test_it_fails_once_noise_as_of_differential_privacy_hides_the_example(inputs):
    weight, bias = gradients(inputs[:1], [2])
    norm = np.sqrt((weight**2).sum() + (bias**2).sum())  # clipped to 1, noise multiplier 1
    near = []
    for seed in range(40):
        draw = np.random.default_rng(seed)
        noisy = [grad / norm + draw.standard_normal(grad.shape) for grad in (weight, bias)]
        near.append(abs(np.corrcoef(invert_linear(*noisy), inputs[0])[0, 1]))
    assert np.mean(near) < 0.4


@pytest.mark.parametrize(
    ("weight", "bias", "words"),
    [
        (np.ones((2, 3)), np.ones(3), "one layer"),
        (np.ones(3), np.ones(3), "one layer"),
        (np.zeros((2, 3)), np.zeros(2), "not all zero"),
        (np.full((2, 3), np.nan), np.ones(2), "finite"),
        (np.ones((2, 3)), np.zeros(2), "bias gradient is zero"),
    ],
)
def test_what_cannot_be_inverted_is_said(weight, bias, words):
    with pytest.raises(DataError, match=words):
        invert_linear(weight, bias)
