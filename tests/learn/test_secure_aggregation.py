"""The sum comes out, nobody's own numbers do; published vectors of what it is built on."""

import hashlib
import hmac

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from scipy.stats import chisquare

from personare.core.errors import DataError, OptionError, PolicyError
from personare.learn.secure_aggregation import Site, agreed, joined, keystream, quantized, secure_sum, split, unmasked

RNG = np.random.default_rng(0)
VALUES = [RNG.normal(size=500) for _ in range(16)]


def begun(count: int, threshold: int):
    sites = {u: Site(number=u, threshold=threshold) for u in range(1, count + 1)}
    keys = {u: site.keys() for u, site in sites.items()}
    return sites, keys, {u: site.shares(keys) for u, site in sites.items()}


def test_the_keystream_is_chacha20_of_a_zero_key():
    expected = "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"  # RFC 8439, A.1, vector 1
    assert keystream(bytes(32), 4).astype("<u8").tobytes().hex() == expected


def test_two_sites_agree_on_a_key_by_x25519_and_hkdf():
    """The secret of RFC 7748, 6.1; RFC 5869 by hand: extract without salt, then one block of expansion."""
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = bytes.fromhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
    secret = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
    extracted = hmac.digest(bytes(32), secret, hashlib.sha256)
    expected = hmac.digest(extracted, b"personare mask\x01", hashlib.sha256)
    assert agreed(X25519PrivateKey.from_private_bytes(alice), bob, b"mask") == expected


def test_as_many_shares_as_the_threshold_give_a_secret_back_and_fewer_do_not():
    secret = b"\x00" + bytes(range(31))
    shares = split(secret, dict.fromkeys(range(1, 8)), 4)
    some = [2, 3, 5, 7]
    assert joined({x: shares[x] for x in some}) == secret
    assert joined({x: shares[x] for x in some[:3]}) != secret


def test_guarantee_the_sum_is_that_in_the_open_up_to_quantization_whoever_drops_out():
    assert np.abs(secure_sum(VALUES) - np.sum(VALUES, axis=0)).max() <= 16 * 2.0**-33
    stayed = [None if i % 4 == 1 else values for i, values in enumerate(VALUES)]  # 25 % drop out
    expected = np.sum([values for values in stayed if values is not None], axis=0)
    assert np.abs(secure_sum(stayed) - expected).max() <= 12 * 2.0**-33


def test_guarantee_what_a_site_sends_is_uniform_where_in_the_open_it_is_recognized():
    known = np.full(20_000, 1.5)
    plain = quantized(known, 4)
    sites, _, _ = begun(4, 3)
    masked = sites[1].masked(plain)

    def p(values):  # of all bytes being as likely
        return chisquare(np.bincount(values.view(np.uint8), minlength=256)).pvalue

    assert p(plain) < 1e-9, "in the open it is no noise"
    assert p(masked) > 1e-4
    assert p(masked - plain) > 1e-4, "and no known numbers change that"


def test_guarantee_too_few_that_stay_reveal_nothing():
    with pytest.raises(PolicyError, match="must: nothing is revealed"):
        secure_sum([*VALUES[:2], None, None])
    sites, keys, shares = begun(4, 3)
    messages = {u: sites[u].masked(quantized(VALUES[u], 4)) for u in (1, 2)}
    for v in (1, 2):  # a server that asks nevertheless gets no share
        with pytest.raises(PolicyError, match="Begin a new one"):
            sites[v].reveal({u: shares[u][v] for u in sites}, [1, 2])
    with pytest.raises(PolicyError, match="nothing is learned"):
        unmasked(messages, keys, {1: {}, 2: {}}, 3)


def test_guarantee_a_site_reveals_one_kind_of_share_once():
    """Both the seed and the key of a site would lay its numbers open: a server asks for the other, later, in vain."""
    sites, _, shares = begun(4, 3)
    sealed = {u: shares[u][1] for u in sites}
    sites[1].reveal(sealed, [1, 2, 3, 4])
    with pytest.raises(PolicyError):
        sites[1].reveal(sealed, [1, 2, 3])


def test_a_share_changed_on_the_way_is_told():
    sites, _, shares = begun(3, 2)
    sealed = {u: shares[u][1] for u in sites} | {2: shares[2][3]}
    with pytest.raises(DataError, match="site 2"):
        sites[1].reveal(sealed, [1, 2, 3])


@pytest.mark.parametrize("value", [np.nan, np.inf, 2.0**29])
def test_numbers_that_could_wrap_are_refused(value):
    with pytest.raises(DataError, match="may wrap"):
        secure_sum([np.array([value]), np.zeros(1), np.zeros(1), np.zeros(1)])


def test_two_sites_are_too_few():
    with pytest.raises(OptionError, match="at least 3"):
        secure_sum(VALUES[:2])
