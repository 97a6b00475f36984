"""Runs a whole study of representations and synthetic people, on made-up people with a planted voice and face."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from personare.core.types import Array, Cohort, Recording
from personare.data.cohort import CohortWriter, recording_id
from personare.govern.ledger import Ledger
from personare.study.parallel import Workers
from personare.study.plan import load_plan
from personare.study.run import run_study

EMOTIONS, SENTENCES = ("anger", "calm"), ("kids", "dogs")
WIDTHS = {"acoustics": 6, "face": 5}
STUDY = """
seed = 3
shadows = 6
canaries = 4
public = "{public}"
representations = [
  {{ name = "erased", method = "leace" }},
  {{ name = "noised", method = "noise", options = {{ epsilon = 60.0, delta = 1e-6 }} }},
]
transfer = [{{ name = "what_is_said", label = "sentence" }}]
[[synthetic]]
name = "columns"
method = "copula"
people = 6
recordings = 4
held_out = 0.5
[[synthetic]]
name = "hidden"
method = "joint"
options = {{ epsilon = 8.0, delta = 1e-3 }}
people = 6
recordings = 4
held_out = 0.5
"""


def write_made_run(root: Path) -> Path:
    """Run the study and return its folder."""
    cohort, public = write_people(root / "people", 12, seed=0), write_people(root / "public", 6, seed=1)
    config = root / "study.toml"
    config.write_text(STUDY.format(public=public.root.as_posix()), encoding="utf-8")
    plan, text = load_plan(config=config)
    run_study(cohort, plan, text, root / "run", workers=Workers(jobs=1, quiet=True), ledger=Ledger(root / "ledger"))
    return root / "run"


def write_people(root: Path, people: int, *, seed: int) -> Cohort:
    """Write people who speak and move like themselves, and a little like each mood and sentence."""
    rng, shared, width = np.random.default_rng(seed), np.random.default_rng(9), sum(WIDTHS.values())
    moods, words = shared.standard_normal((2, width)), shared.standard_normal((2, width))
    writer = CohortWriter(root, name=f"Planted {seed}", description={"License": "CC0-1.0"})
    for number in range(people):
        own = 2 * rng.standard_normal(width)
        for k, m in ((k, m) for k in (0, 1) for m in (0, 1)):
            values = own + moods[k] + words[m] + 0.7 * rng.standard_normal(width)
            writer.add(_recording(writer, f"{number:02d}", (EMOTIONS[k], SENTENCES[m]), values))
    names = [f"{number:02d}" for number in range(people)]
    about = pd.DataFrame({"sex": np.resize(["F", "M"], people), "age": range(20, 20 + people)}, index=names)
    allowed = {"scope": "GRU", "purposes": "training,evaluation", "modalities": "audio,video"}
    return writer.finish(about, pd.DataFrame({"subject": names, **allowed, "retention_until": "", "withdrawn_at": ""}))


def _recording(writer: CohortWriter, person: str, told: tuple[str, str], values: Array) -> Recording:
    own, tracks = (person, "01", "".join(told)), {}
    for track, part in zip(WIDTHS, np.split(values, [WIDTHS["acoustics"]]), strict=True):
        path = writer.path(own, track, ".npy")
        np.save(path, part.astype(np.float32))
        columns = [f"{track}{i + 1}" for i in range(len(part))]
        path.with_suffix(".json").write_text(json.dumps({"Columns": columns}), encoding="utf-8")
        tracks[track] = path.relative_to(path.parents[3]).as_posix()
    labels = {"emotion": told[0], "sentence": told[1]}
    return Recording(id=recording_id(*own), subject=person, session="01", tracks=tracks, labels=labels)
