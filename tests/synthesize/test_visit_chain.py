"""The probability of a history under a chain, by hand, and how far a trained chain went."""

import math

import numpy as np
import pytest
import torch

from personare.core.types import Batch
from personare.learn.sampling import Population
from personare.synthesize.visit_chain import ChainDensity, VisitChainSampler

COLUMNS = (
    "visit",
    "type=home",
    "type=ward",
    "code=x",
    "code=y",
    "length=short",
    "length=long",
    "gap=first",
    "gap=week",
)
TRANSITIONS = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.75, 0.25, 0.0]])  # home, ward; the start, the end last
#                 visit home ward  x    y   short long first week
FIRST = np.array([[1, 1, 0, 0.1, 0.4, 0.5, 0.5, 1, 0], [1, 0, 1, 0.7, 0.2, 0.1, 0.9, 1, 0]])
LATER = np.array([[1, 1, 0, 0.2, 0.3, 0.8, 0.2, 0, 1], [1, 0, 1, 0.6, 0.0, 0.4, 0.6, 0, 1]])


def chain() -> VisitChainSampler:
    population = Population(classes=("a", "b"), priors=np.array([0.5, 0.5]), columns={"visits": COLUMNS})
    return VisitChainSampler(
        population=population, longest=3, tables={"transitions": TRANSITIONS, "first": FIRST, "later": LATER}
    )


def items(*histories: list[list[int]]) -> Batch:
    rows = np.zeros((len(histories), 3, len(COLUMNS)), np.float32)
    for row, visits in zip(rows, histories, strict=True):
        row[: len(visits)] = visits
    n = len(histories)
    return chain().population.batch({"visits": rows}, np.zeros(n, int), np.arange(n))


def test_the_probability_of_a_history_is_that_of_its_steps_and_of_what_was_written() -> None:
    home = [1, 1, 0, 0, 1, 1, 0, 1, 0]  # with y, short, first
    ward = [1, 0, 1, 1, 0, 0, 1, 0, 1]  # with x, long, a week later
    density = chain().density(items([home, ward], [home, ward, ward]))
    start = math.log(0.75) + math.log(0.9 * 0.4 * 0.5)
    step = math.log(0.3) + math.log(0.6 * 1.0 * 0.6)
    stay = math.log(0.6) + math.log(0.6 * 1.0 * 0.6)  # three visits are all that can be: nothing says whether it ends
    expected = [start + step + math.log(0.3), start + step + stay]
    assert density(torch.arange(2)).detach().numpy() == pytest.approx(expected, abs=1e-6)


def test_the_divergence_is_how_much_likelier_a_trained_chain_finds_its_own_histories() -> None:
    before = chain()
    density = before.density(items([[1, 1, 0, 0, 1, 1, 0, 1, 0]]))
    assert density.drift() == 0
    with torch.no_grad():
        for parameter in density.parameters():
            parameter.add_(0.5 * torch.from_numpy(np.random.default_rng(1).standard_normal(parameter.shape)))
    trained = before.adapted(density)
    drawn = trained(20_000, 1, rng=np.random.default_rng(0))
    rows = torch.arange(len(drawn))
    likelier = (trained.density(drawn)(rows) - before.density(drawn)(rows)).detach().numpy()
    assert density.drift() == pytest.approx(likelier.mean(), abs=4 * likelier.std() / len(drawn) ** 0.5)


def test_what_never_happens_does_not_begin_to() -> None:
    density = chain().density(items([[1, 0, 1, 0, 0, 1, 0, 1, 0]]))
    assert isinstance(density, ChainDensity)
    tables = density.model()
    assert tables["later"][1, 4] < 1e-6
    assert tables["transitions"][2, 2] < 1e-6
    assert np.allclose(tables["transitions"], TRANSITIONS, atol=1e-6)
