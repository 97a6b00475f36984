"""Measure whole processes: ``personare anonymize`` on one film against deface 1.5, and voice methods on its sound.

``python benchmarks/one_file.py CLIP --deface DEFACE`` where DEFACE is deface's command in an environment of its own
(``python -m venv deface && deface/bin/pip install deface==1.5.0 onnx onnxruntime``).

Everything counts: starting, importing, loading models, decoding, hiding, writing. Programs take turns. Printed are the
ratios, on the clip and on one minute of it, by the clock and by processor time of all processes, which depends less on
what else the machine does; of each program the best run counts.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from personare.features import video

VOICES = ("voice_noise", "voice_mcadams", "voice_vocoder")  # the others learn from a group of people
HERE = [sys.executable, "-m", "personare", "anonymize"]


class Spent(NamedTuple):
    """Seconds by the clock, and of processors."""

    clock_s: float
    cpu_s: float


def whole(command: Sequence[str], target: Path) -> Spent:
    """Run a program from nothing to its end."""
    target.unlink(missing_ok=True)
    began = time.perf_counter()
    program = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = program.stderr.read() if program.stderr else b""
    _, status, used = os.wait4(program.pid, 0)
    program.returncode = os.waitstatus_to_exitcode(status)
    if program.returncode or not target.exists():
        raise SystemExit(f"{' '.join(command)} failed: {said.decode(errors='replace')[-500:]}")
    return Spent(time.perf_counter() - began, used.ru_utime + used.ru_stime)


def lengthened(clip: Path, target: Path, seconds: float) -> Path:
    """Write a clip again and again until it lasts so long."""
    info = video.probe(clip)
    shape = {"width": info.width, "height": info.height, "rate_hz": info.rate_hz}
    with video.VideoWriter(target, **shape) as writer:
        for _ in range(max(1, round(seconds / info.duration_s))):
            for _, _, image in video.read(clip):
                writer.write(image)
    return target


def best(commands: dict[str, list[str]], target: Path, repeats: int) -> dict[str, Spent]:
    """Run programs in turns and return the least that each took."""
    runs: dict[str, list[Spent]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            runs[name].append(whole(command, target))
    return {name: Spent(*map(min, zip(*some, strict=True))) for name, some in runs.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--deface", default="deface")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60, help="length of the second film, made of the clip")
    parser.add_argument("--long-repeats", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.wav"
        voices = {voice: [*HERE, str(options.clip), str(target), "--voice", voice] for voice in VOICES}
        for name, took in best(voices, target, options.repeats).items():
            print(f"{name}: {took.clock_s:.1f} s by the clock, {took.cpu_s:.1f} s of processors", flush=True)
        longer = lengthened(options.clip, Path(folder) / "longer.mp4", options.seconds)
        films = {
            "the clip": (options.clip, options.repeats),
            f"{options.seconds:.0f} s": (longer, options.long_repeats),
        }
        for name, (film, repeats) in films.items():
            target = Path(folder) / "out.mp4"
            commands = {
                "face_blur": [*HERE, str(film), str(target), "--face", "face_blur"],
                "deface": [options.deface, str(film), "-o", str(target)],
            }
            spent = best(commands, target, repeats)
            ours, theirs = spent["face_blur"], spent["deface"]
            print(
                f"{name}: {theirs.clock_s / ours.clock_s:.1f} times as fast as deface by the clock, "
                f"{theirs.cpu_s / ours.cpu_s:.1f} times less processor time "
                f"({ours.clock_s:.1f} against {theirs.clock_s:.1f} s, {ours.cpu_s:.1f} against {theirs.cpu_s:.1f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
