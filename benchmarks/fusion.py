"""Fusing the opinions of three modalities on 100,000 recordings: how much of the one second allowed does it take?

Run: OMP_NUM_THREADS=1 python benchmarks/fusion.py
"""

import time

import numpy as np

from personare.learn.fusion import Fusion

RECORDINGS, MODALITIES, CLASSES, ALLOWED_S = 100_000, 3, 6, 1.0


def main() -> None:
    """Print the median of five runs for every rule, as a share of what is allowed."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(RECORDINGS, MODALITIES, CLASSES)).astype(np.float32)
    present = rng.random((RECORDINGS, MODALITIES)) > 0.2
    for rule in ("uniform", "fixed", "entropy", "kl", "hybrid"):
        fuse = Fusion(rule=rule, shares=(0.35, 0.25, 0.40), temperatures=(1.5, 2.0, 0.8))
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            fuse(logits, present)
            seconds.append(time.perf_counter() - start)
        print(f"{rule:8} {np.median(seconds) / ALLOWED_S:.2f} of the time allowed")


if __name__ == "__main__":
    main()
