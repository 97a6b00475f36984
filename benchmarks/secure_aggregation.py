"""What secure aggregation costs: seconds of a round over 16 sites of 100,000 weights, masked and in the open.

Run: ``python benchmarks/secure_aggregation.py``. A round is a pass of every site over its recordings, and the sum.
"""

from time import perf_counter

import numpy as np
import torch
from torch import nn

from personare.learn.federation import Federation
from personare.learn.loop import descend
from personare.learn.secure_aggregation import secure_sum

SITES, RECORDINGS, REPEATS = 16, 500, 5


def round_of(net: nn.Module, secure: bool) -> float:
    """Return the seconds of one round."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(RECORDINGS, 300, generator=generator), torch.randint(8, (RECORDINGS,), generator=generator)

    def site():
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
        batches = list(torch.split(torch.arange(RECORDINGS), 32))
        descend(net, [batches], [lambda i: nn.functional.cross_entropy(net(x[i]), y[i])], optimizer=optimizer)
        yield ()

    start = perf_counter()
    sites = [site() for _ in range(SITES)]
    Federation(sites=SITES, secure=secure).in_rounds(list(net.parameters()), sites, [1] * SITES)
    return perf_counter() - start


def main() -> None:
    """Print the seconds and their ratio."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = nn.Sequential(nn.Linear(300, 324), nn.Tanh(), nn.Linear(324, 8))
    count = sum(p.numel() for p in net.parameters())
    rounds = [(round_of(net, False), round_of(net, True)) for _ in range(REPEATS + 1)][1:]  # the first warms up
    plain, masked = (min(seconds) for seconds in zip(*rounds, strict=True))
    print(f"{SITES} sites, {count} weights, {RECORDINGS} recordings each: best of {REPEATS}")
    print(f"a round in the open {plain:.3f} s, masked {masked:.3f} s: ratio {masked / plain:.2f} (limit 3)")
    values = [np.random.default_rng(i).normal(size=count) for i in range(SITES)]
    for stayed in (SITES, SITES * 3 // 4):
        given = [v if i < stayed else None for i, v in enumerate(values)]
        start = perf_counter()
        total = secure_sum(given)
        seconds = perf_counter() - start
        error = np.abs(total - np.sum(values[:stayed], axis=0)).max()
        print(f"the masked sum alone, {stayed} of {SITES} sites: {seconds:.3f} s, error {error:.1e}")
    start = perf_counter()
    np.sum(values, axis=0)
    print(f"the sum in the open alone: {perf_counter() - start:.4f} s")


if __name__ == "__main__":
    main()
