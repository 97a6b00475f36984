"""Measure the peak memory of ``face_blur`` on a long video against a short one.

``python benchmarks/video_memory.py CLIP`` repeats a clip until it lasts one minute, and ten, protects both in fresh
processes, and prints the highest memory each process held. It must not grow with length.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path


def loop(clip: Path, target: Path, seconds: float) -> None:
    """Write a clip again and again until it lasts so long."""
    from personare.features import video

    info = video.probe(clip)
    size = {"width": info.width, "height": info.height}
    with video.VideoWriter(target, **size, rate_hz=info.rate_hz, preset="ultrafast") as writer:
        written = 0
        for _ in count():
            for _, _, image in video.read(clip):
                if written >= seconds * info.rate_hz:
                    return
                writer.write(image)
                written += 1


def protect(clip: Path, target: Path) -> dict[str, float]:
    """Blur the faces of a video and say how much memory that took."""
    import numpy as np

    from personare.anonymize._video import anonymize_video
    from personare.anonymize.face_blur import FaceBlur
    from personare.features.face import FaceLocator

    rng = np.random.default_rng(0)
    done = anonymize_video(clip, target, FaceBlur(), subject="", rng=rng, locate=FaceLocator(), sound=None)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"frames": done.frames, "covered_whole": done.covered_whole, "peak_mb": peak_mb}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--part", choices=["loop", "protect"], help=argparse.SUPPRESS)
    parser.add_argument("--target", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part == "protect":
        print(json.dumps(protect(options.clip, options.target)))
    elif options.part == "loop":
        loop(options.clip, options.target, options.minutes[0] * 60)
    else:
        peaks = [measure(options.clip, minutes) for minutes in options.minutes]
        print(f"longest over shortest: {peaks[-1] / peaks[0]:.3f}")


def measure(clip: Path, minutes: float) -> float:
    """Make a video of so many minutes, protect it, and return the peak memory in MB."""
    here = [sys.executable, __file__]
    with tempfile.TemporaryDirectory() as folder:
        long, out = Path(folder) / "long.mp4", Path(folder) / "out.mp4"
        make = [*here, str(clip), "--part", "loop", "--target", str(long), "--minutes", str(minutes)]
        subprocess.run(make, check=True)
        command = [*here, str(long), "--part", "protect", "--target", str(out)]
        result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(f"{minutes:g} min, {result['frames']} frames: peak {result['peak_mb']:.0f} MB")
    return float(result["peak_mb"])


if __name__ == "__main__":
    main()
