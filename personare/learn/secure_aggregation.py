"""Add up numbers of several sites so that whoever adds learns the sum and no site's own numbers; sites may drop out."""

import json
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from personare.core.errors import DataError, OptionError, PolicyError
from personare.core.types import Array

FEWEST_SITES = 3  # of two, each could subtract its own numbers from the sum
_PRIME = 2**521 - 1  # of the field of the shares, beyond every 256-bit secret
_FRACTION = 32  # bits after the point, of the 64 of the ring
GRID = 2.0**_FRACTION  # steps in 1
_NONCE = bytes(12)  # every key encrypts one message


@dataclass(frozen=True, kw_only=True)
class PublicKeys:
    """What a site tells everybody: a key for what is sent to it, and one for the masks."""

    sealing: bytes
    masking: bytes


@dataclass(kw_only=True, eq=False)
class Site:
    """One site's part of one sum. Its keys serve once: a second sum needs new sites.

    **Guarantee**: whoever sees all messages of the protocol, and follows it, learns the sum over the sites that stayed,
    quantized, and nothing else about any site, unless ``threshold`` sites help; numbers of sites that dropped out are
    never learned. Against a server that lies about who dropped out, a site reveals one kind of share of each other.

    **Source**: K. Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning", CCS 2017,
    doi:10.1145/3133956.3133982, for the honest-but-curious server (no signatures, no consistency check). Keys come from
    the operating system and not from the study's seed: masks cancel, so that no result depends on them.
    """

    number: int  # from 1; the place at which shares for this site are evaluated
    threshold: int  # sites that must stay to the end
    _sealing: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    _masking: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    _own_seed: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _peers: Mapping[int, PublicKeys] = field(default_factory=dict)
    _revealed: bool = False

    def keys(self) -> PublicKeys:
        """Return the public keys."""
        sealing, masking = (key.public_key().public_bytes_raw() for key in (self._sealing, self._masking))
        return PublicKeys(sealing=sealing, masking=masking)

    def shares(self, everybody: Mapping[int, PublicKeys]) -> dict[int, bytes]:
        """Return, for every site, sealed shares of this site's own seed and of its masking key."""
        if len(everybody) < max(self.threshold, FEWEST_SITES):
            raise PolicyError(f"At least {max(self.threshold, FEWEST_SITES)} sites must begin, not {len(everybody)}.")
        self._peers = everybody
        seed, key = (split(s, everybody, self.threshold) for s in (self._own_seed, self._masking.private_bytes_raw()))
        return {
            v: self._seal(self.number, v).encrypt(_NONCE, json.dumps([seed[v], key[v]]).encode(), None)
            for v in everybody
        }

    def masked(self, values: Array) -> Array:
        """Return (D,) ``quantized`` numbers under this site's own mask and those it shares with each other site."""
        total = values + keystream(self._own_seed, len(values))
        for v in self._peers:
            if v != self.number:
                mask = keystream(agreed(self._masking, self._peers[v].masking, b"mask"), len(values))
                total = total + mask if self.number < v else total - mask
        return np.asarray(total)

    def reveal(self, sealed: Mapping[int, bytes], stayed: Sequence[int]) -> dict[int, int]:
        """Return a share of each site's own seed where it stayed, of its masking key where it did not; once."""
        if self._revealed or len(stayed) < self.threshold:
            raise PolicyError(
                f"{len(stayed)} of {len(self._peers)} sites stayed, and {self.threshold} must: nothing is revealed of "
                "this sum. Begin a new one."
            )
        self._revealed = True
        shares = {}
        for u, message in sealed.items():
            try:
                seed, key = json.loads(self._seal(u, self.number).decrypt(_NONCE, message, None))
            except InvalidTag:
                raise DataError(f"The shares that site {u} sent were changed on the way: begin a new sum.") from None
            shares[u] = seed if u in stayed else key
        return shares

    def _seal(self, sender: int, receiver: int) -> ChaCha20Poly1305:
        peer = self._peers[receiver if sender == self.number else sender].sealing
        return ChaCha20Poly1305(agreed(self._sealing, peer, f"shares of {sender} for {receiver}".encode()))


def threshold_of(sites: int) -> int:
    """Return how many of so many sites must stay: two thirds."""
    return math.ceil(2 * sites / 3)


def secure_sum(values: Sequence[Array | None]) -> Array:
    """Return (D,), the sum over sites of (D,) numbers; None for a site that drops out after the keys were shared."""
    if len(values) < FEWEST_SITES:
        raise OptionError(f"Secure aggregation needs at least {FEWEST_SITES} sites, given {len(values)}: add sites.")
    sites = {u: Site(number=u, threshold=threshold_of(len(values))) for u in range(1, len(values) + 1)}
    keys = {u: site.keys() for u, site in sites.items()}
    shares = {u: site.shares(keys) for u, site in sites.items()}
    messages = {
        u: site.masked(quantized(x, len(sites)))
        for (u, site), x in zip(sites.items(), values, strict=True)
        if x is not None
    }
    stayed = list(messages)
    revealed = {v: sites[v].reveal({u: shares[u][v] for u in sites}, stayed) for v in stayed}
    return unmasked(messages, keys, revealed, threshold_of(len(sites)))


def unmasked(
    messages: Mapping[int, Array],
    keys: Mapping[int, PublicKeys],
    revealed: Mapping[int, Mapping[int, int]],
    threshold: int,
) -> Array:
    """Return the sum of what the sites that stayed masked; the server's part, which knows what is given here alone."""
    if len(messages) < threshold or len(revealed) < threshold:
        raise PolicyError(
            f"{len(messages)} of {len(keys)} sites stayed, and {threshold} must: nothing is learned of this sum. Begin "
            "a new one when more sites can be reached."
        )
    total = np.asarray(np.sum(list(messages.values()), axis=0, dtype=np.uint64))
    for u in keys:
        secret = joined({v: shares[u] for v, shares in list(revealed.items())[:threshold]})
        if u in messages:
            total -= keystream(secret, len(total))
            continue
        private = X25519PrivateKey.from_private_bytes(secret)
        for v in messages:  # what the others added for the one that dropped out
            mask = keystream(agreed(private, keys[v].masking, b"mask"), len(total))
            total = total - mask if v < u else total + mask
    return np.asarray(total.view(np.int64) / GRID)


def quantized(values: Array, sites: int) -> Array:
    """Return numbers as uint64, 32 bits after the point, modulo 2^64; refused where a sum over the sites could wrap."""
    limit = 2.0 ** (63 - _FRACTION) / sites
    if not (np.isfinite(values).all() and np.abs(values).max(initial=0) < limit):
        raise DataError(
            f"Numbers to be added must be finite and below {limit:g}, or the sum of {sites} sites may wrap."
        )
    return np.rint(np.asarray(values, dtype=np.float64) * GRID).astype(np.int64).view(np.uint64)


def keystream(key: bytes, count: int) -> Array:
    """Return ``count`` uniform uint64, which follow from 32 bytes (ChaCha20, RFC 8439)."""
    stream = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(8 * count))
    return np.frombuffer(stream, dtype="<u8").astype(np.uint64)


def agreed(private: X25519PrivateKey, public: bytes, purpose: bytes) -> bytes:
    """Return the 32 bytes that two sites share for a purpose (X25519, RFC 7748; HKDF-SHA256, RFC 5869)."""
    secret = private.exchange(X25519PublicKey.from_public_bytes(public))
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"personare " + purpose).derive(secret)


def split(secret: bytes, places: Mapping[int, object], threshold: int) -> dict[int, int]:
    """Return a share of a secret for each place; ``threshold`` of them give it back, fewer say nothing.

    **Source**: A. Shamir, "How to share a secret", CACM 22(11), 1979, doi:10.1145/359168.359176.
    """
    coefficients = [int.from_bytes(secret), *(secrets.randbelow(_PRIME) for _ in range(threshold - 1))]
    return {x: sum(c * pow(x, power, _PRIME) for power, c in enumerate(coefficients)) % _PRIME for x in places}


def joined(shares: Mapping[int, int]) -> bytes:
    """Return the secret of as many shares as the threshold asked for."""
    total = 0
    for x, share in shares.items():
        others = [other for other in shares if other != x]
        below = math.prod(other - x for other in others) % _PRIME
        total += share * math.prod(others) * pow(below, -1, _PRIME)
    return (total % _PRIME).to_bytes(66)[-32:]
