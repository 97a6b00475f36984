"""MB/s of one core that locking and reading locked files take, against the limit and AES-GCM alone; then decoding.

Usage: ``OMP_NUM_THREADS=1 python benchmarks/storage_speed.py [FOLDER_OF_RECORDINGS]``
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from personare.core.types import Signal
from personare.features import audio, video
from personare.govern.storage import _decrypting, _encrypt, lock_cohort, unlock_cohort

LIMIT_MB_S = 500
SIZE = 256 << 20
REPEATS = 5


def seconds(call: Callable[[], object]) -> float:
    """Return the processor time of the best of some calls."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()  # not disturbed by what else the machine does
        call()
        times.append(time.process_time() - start)
    return min(times)


def ciphers(folder: Path) -> None:
    """Encrypt and decrypt a file, and as many chunks in memory by AES-GCM alone."""
    key, piece, buffer = os.urandom(32), os.urandom(1 << 20), bytearray(1 << 20)
    plain, locked, aes, nonce = folder / "plain", folder / "locked", AESGCM(key), bytes(12)
    with plain.open("wb") as file:
        for _ in range(SIZE >> 20):
            file.write(piece)
    sealed = aes.encrypt(nonce, piece, None)

    def encrypt() -> None:
        with plain.open("rb") as source, Path(os.devnull).open("wb") as target:
            _encrypt(source, target, key, "")

    def decrypt() -> None:
        with _decrypting(locked, key, "") as file:
            while file.readinto(buffer):
                pass

    with plain.open("rb") as source, locked.open("wb") as target:
        _encrypt(source, target, key, "")

    def alone(work: Callable[..., bytes], content: bytes) -> None:
        for _ in range(SIZE >> 20):
            work(nonce, content, None)

    for name, call in {
        "AES-GCM alone, encrypt": partial(alone, aes.encrypt, piece),
        "AES-GCM alone, decrypt": partial(alone, aes.decrypt, sealed),
        "encrypt a file": encrypt,
        "read a locked file": decrypt,
    }.items():
        speed = SIZE / 1e6 / seconds(call)
        print(f"  {name:24s} {speed:6.0f} MB/s  {speed / LIMIT_MB_S:5.1f} times the limit")


def decoding(folder: Path, recordings: list[Path]) -> None:
    """Decode recordings plain, locked, and plain again."""
    root = folder / "cohort"
    for number, path in enumerate(recordings):
        target = root / "sub-01/ses-01/beh" / f"sub-01_ses-01_task-{number}_take{path.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    os.environ["PERSONARE_PASSPHRASE"] = "three little words"
    films = sorted(root.rglob("*.mp4"))
    jobs: dict[str, Callable[[], object]] = {
        "decode sound": lambda: [audio.read(path) for path in sorted(root.rglob("*.wav"))],
        "decode films": lambda: [sum(1 for _ in video.read(path)) for path in films],
    }
    before = {name: seconds(job) for name, job in jobs.items()}
    for _ in range(2):  # the second time, the passphrase was worked out already
        lock_cohort(root, os.environ["PERSONARE_PASSPHRASE"])
    (folder / "plain").rename(root / "sub-01" / "sub-01_task-large_signal.npy")
    start = time.process_time()
    lock_cohort(root, os.environ["PERSONARE_PASSPHRASE"])
    took_s = time.process_time() - start
    print(f"  lock, read back, replace {SIZE / 1e6 / took_s:6.0f} MB/s")
    locked = {name: seconds(job) for name, job in jobs.items()}
    unlock_cohort(root, os.environ["PERSONARE_PASSPHRASE"])
    for name, job in jobs.items():
        print(f"  {name:24s} plain {before[name]:.3f} s, locked {locked[name]:.3f} s, plain again {seconds(job):.3f} s")


def made_up(folder: Path) -> list[Path]:
    """Write a minute of hiss and a film of noise."""
    rng = np.random.default_rng(0)
    values = rng.uniform(-0.5, 0.5, (60 * 48000, 2)).astype(np.float32)
    audio.write(folder / "hiss.wav", Signal(values=values, rate_hz=48000))
    with video.VideoWriter(folder / "noise.mp4", width=640, height=480, rate_hz=25, crf=18) as writer:
        for _ in range(50):
            writer.write(rng.integers(0, 256, (480, 640, 3), dtype=np.uint8))
    return [folder / "hiss.wav", folder / "noise.mp4"]


def main() -> None:
    """Print one line for each job: the best of five, in processor time of one thread."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ciphers(folder)
        real = sorted(Path(sys.argv[1]).rglob("*")) if len(sys.argv) > 1 else made_up(folder)
        decoding(folder, list(islice((path for path in real if path.suffix in (".wav", ".mp4")), 200)))


if __name__ == "__main__":
    main()
