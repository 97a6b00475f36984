"""The policy: how likely latents are, how far it went, and where trials lead it."""

import numpy as np
import pytest
import torch
from numbers_made_up import Numbers, feedback, taste
from scipy.stats import norm
from torch.distributions import Normal, kl_divergence

from personare.adapt.latent_policy import LatentPolicy, Policy


def moved_policy() -> Policy:
    policy = Policy(classes=2, person=2, moment=3)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.copy_(torch.from_numpy(np.random.default_rng(0).normal(0, 0.5, parameter.shape)))
    return policy


def test_the_divergence_is_that_of_normal_distributions() -> None:
    policy, labels = moved_policy(), np.array([0, 1, 1])
    normal, standard = Normal(*(policy.person * torch.tensor([[1.0], [0.5**0.5]])).double()), Normal(0.0, 1.0)
    person = kl_divergence(Normal(normal.loc, torch.exp(policy.person[1] / 2**0.5)), standard).sum()
    mean, log = policy.moment[:, None] + policy.beyond
    moments = kl_divergence(Normal(mean, torch.exp(log / 2**0.5)), standard).sum(dim=1)
    expected = person + (moments[0] + 2 * moments[1]) / 3
    assert float(policy.drift(labels).detach()) == pytest.approx(float(expected.detach()))
    assert float(Policy(classes=2, person=2, moment=3).drift(labels).detach()) == 0


def test_latents_are_drawn_as_likely_as_the_policy_says() -> None:
    policy, rng = moved_policy(), np.random.default_rng(1)
    latents = policy.moved(Numbers().latents(5000, 1, rng=rng), rng)
    center, deviation = policy.person.detach().numpy() * np.array([[1], [0.5**0.5]])
    assert latents.person.mean(axis=0) == pytest.approx(center, abs=0.05)
    assert latents.person.std(axis=0) == pytest.approx(np.exp(deviation), rel=0.05)
    here = latents.labels == 1
    mean, log = (policy.moment + policy.beyond[:, 1]).detach().numpy()
    expected = norm.logpdf(latents.person[here], center, np.exp(deviation)).sum(axis=1)
    expected += norm.logpdf(latents.moment[here], mean, np.exp(log / 2**0.5)).sum(axis=1)
    told = policy(latents).detach().numpy()[here]
    assert told - told[0] == pytest.approx(expected - expected[0])


def test_trials_lead_the_policy_where_the_taste_lies_and_nowhere_else() -> None:
    fitted = LatentPolicy(nats=(1.0,), steps=20).fit(Numbers(), feedback(), rng=np.random.default_rng(0))
    made = fitted(4000, 1, rng=np.random.default_rng(1))
    for label, sign in ((0, 1), (1, -1)):
        person, other, moment, *rest = made.arrays["x"][made.labels == label].mean(axis=0)
        assert person > 0.4
        assert sign * moment > 0.4
        assert np.abs([other, *rest]).max() < 0.25
    assert taste(made).mean() > 1.0
