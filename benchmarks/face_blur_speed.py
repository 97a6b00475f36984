"""Measure ``face_blur`` against deface 1.5 on one clip, in the same run and on the same cores.

``python benchmarks/face_blur_speed.py CLIP --deface PYTHON`` where PYTHON is a Python that has ``deface==1.5.0`` and,
for its second backend, ``onnx`` and ``onnxruntime``. It wants another OpenCV than personare, so give it an environment
of its own: ``python -m venv deface && deface/bin/pip install deface==1.5.0 onnx onnxruntime``.

Every program runs in a fresh process, in turns, and is timed for its work on frames only: models are loaded before.
Printed are frames a second of the best and the middle run; processor time (of all cores, with that of ffmpeg where it
is another process), which depends less on what else the machine does; and the ratios of both.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_DEFACE = """
import contextlib, io, json, os, resource, sys, time
def busy():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)
cores, backend, clip, target = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
import cv2
cv2.setNumThreads(cores)
from deface.deface import CenterFace, video_detect
quiet = io.StringIO()
with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
    detector = CenterFace(in_shape=None, backend=backend)
    start, cpu = time.perf_counter(), busy()
    video_detect(ipath=clip, opath=target, centerface=detector, threshold=0.2, enable_preview=False, cam=False,
                 nested=False, replacewith="blur", mask_scale=1.3, ellipse=True, draw_scores=False,
                 ffmpeg_config={"codec": "libx264"})
    seconds, cpu = time.perf_counter() - start, busy() - cpu
print(json.dumps({"seconds": seconds, "cpu_s": cpu}))
"""


def ours(cores: int, clip: Path, target: Path, *, protect: bool) -> dict[str, float]:
    """Blur the faces of a clip, or only decode and encode it."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    import cv2  # after the cores are chosen
    import numpy as np

    from personare.anonymize._video import anonymize_video
    from personare.anonymize.face_blur import FaceBlur
    from personare.features import video
    from personare.features.face import FaceLocator

    cv2.setNumThreads(cores)
    rng = np.random.default_rng(0)
    locate = FaceLocator(threads=cores)
    list(locate(iter([(0, 0.0, np.zeros((720, 1280, 3), np.uint8))])))  # loads the detector
    start, cpu = time.perf_counter(), time.process_time()
    if protect:
        done = anonymize_video(clip, target, FaceBlur(), subject="", rng=rng, locate=locate, sound=None)
        frames, covered = done.frames, done.covered_whole
    else:
        info, frames, covered = video.probe(clip), 0, 0
        with video.VideoWriter(target, width=info.width, height=info.height, rate_hz=info.rate_hz) as writer:
            for _, time_s, image in video.read(clip):
                writer.write(image, time_s=time_s)
                frames += 1
    cpu = time.process_time() - cpu
    return {"seconds": time.perf_counter() - start, "cpu_s": cpu, "frames": frames, "covered_whole": covered}


def run(command: list[str]) -> dict[str, float]:
    """Run one program and return what it measured."""
    out = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "TQDM_DISABLE": "1"})
    return json.loads(out.stdout.strip().splitlines()[-1])


def has_onnx(python: str) -> bool:
    """Whether deface's faster backend can run."""
    return subprocess.run([python, "-c", "import onnx, onnxruntime"], capture_output=True).returncode == 0


def main() -> None:
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--deface", default=sys.executable, help="a Python that has deface 1.5.0 and imageio")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--part", choices=["protect", "copy"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.mp4"
        if options.part:
            print(json.dumps(ours(options.cores, options.clip, target, protect=options.part == "protect")))
            return
        here = [sys.executable, __file__, str(options.clip), "--cores", str(options.cores), "--part"]
        commands = {"face_blur": [*here, "protect"], "decode and encode only": [*here, "copy"]}
        for backend in ("opencv", *(["onnxrt"] if has_onnx(options.deface) else [])):
            arguments = [str(options.cores), backend, str(options.clip), str(target)]
            commands[f"deface 1.5, {backend}"] = [options.deface, "-c", _DEFACE, *arguments]
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
        for _ in range(options.repeats):
            for name, command in commands.items():
                runs[name].append(run(command))
    report(runs, options.cores)


def report(runs: dict[str, list[dict[str, float]]], cores: int) -> None:
    """Print frames a second, processor time and ratios."""
    frames, covered = (runs["face_blur"][0][key] for key in ("frames", "covered_whole"))
    print(f"{frames:.0f} frames, {cores} cores, {covered:.0f} frames covered whole")
    wall = {name: [run["seconds"] for run in some] for name, some in runs.items()}
    cpu = {name: min(run["cpu_s"] for run in some) for name, some in runs.items()}
    for name, seconds in wall.items():
        speeds = f"best {frames / min(seconds):7.1f}   median {frames / statistics.median(seconds):7.1f} frames/s"
        print(f"{name:24s} {speeds}   {1000 * cpu[name] / frames:7.1f} ms of processor a frame")
    ours, copy = "face_blur", "decode and encode only"
    share = f"{min(wall[copy]) / min(wall[ours]):.0%} of the time, {cpu[copy] / cpu[ours]:.0%} of the processor time"
    print(f"decoding and encoding alone: {share} of face_blur")
    for name in wall:
        if name.startswith("deface"):
            faster, lighter = min(wall[name]) / min(wall[ours]), cpu[name] / cpu[ours]
            print(f"face_blur against {name}: {faster:.1f} times as fast, {lighter:.1f} times less processor time")


if __name__ == "__main__":
    main()
