"""Random generators that depend on what they are for, never on the order, process or machine in which work is done."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from threadpoolctl import threadpool_limits

__all__ = ["generator", "part_of", "serial_sums"]


@contextmanager
def serial_sums() -> Iterator[None]:
    """Hold linear algebra to one thread: on more, sums are made in another order and end in other digits.

    What is made of recordings would else hang on the number of cores; cores share recordings instead.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def generator(seed: int, *purpose: str) -> np.random.Generator:
    """Return the generator that belongs to a seed and a purpose.

    Args:
        seed: The run's seed, any integer.
        purpose: What it is for, e.g. a method's name and a person's pseudonym; equal purposes give equal streams.

    Returns:
        A generator, the same on every machine and in every process.

    Example:
        >>> bool(generator(0, "mask", "01").random() == generator(0, "mask", "01").random())
        True
    """
    digest = hashlib.sha256("\x1f".join((str(seed), *purpose)).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))


def part_of(subject: str, parts: int, key: str) -> int:
    """Return to which of so many parts a person belongs, by a keyed hash: the same whoever else is there.

    Example:
        >>> part_of("01", 4, "shards") == part_of("01", 4, "shards") in range(4)
        True
    """
    return int.from_bytes(hashlib.blake2b(subject.encode(), key=key.encode(), digest_size=8).digest()) % parts
