"""A cohort of people who do not exist: videos, voices, bodies and words, with everything that was set beside them."""

import gzip
import io
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from personare.core.atomic import replacing, write_json, write_text
from personare.core.errors import OptionError
from personare.core.types import Cohort, Recording
from personare.data.cohort import CohortWriter, recording_id
from personare.features.audio import write
from personare.features.marks import mark
from personare.features.video import VideoWriter
from personare.simulate.expression import PHYSIO, PHYSIO_HZ, PHYSIO_START_S
from personare.simulate.people import EMOTIONS, Person, person, traits
from personare.simulate.sentences import SENTENCES
from personare.simulate.take import perform

_SUFFIXES = {"audio": ".wav", "video": ".mp4", "physio": ".tsv.gz", "text": ".txt", "truth": ".npz"}


def simulate_cohort(
    root: Path,
    *,
    people: int = 12,
    emotions: Sequence[str] = EMOTIONS,
    sentences: int = 2,
    seed: int = 0,
    size: int = 192,
    rate_hz: float = 25,
    workers: int = 1,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Cohort:
    """Make up people and record them: nobody is shown who exists, and all that was set is saved as truth.

    **Guarantee**: the same seed gives the same people, pictures and sounds; a person depends on the seed and the own
    number only, a recording on its person, emotion and sentence, whatever else is made and by however many workers.

    Women and men take turns, and each person shows each emotion in each sentence: tracks ``video`` (a square of
    ``size`` pixels, ``rate_hz`` frames a second, with sound), ``audio``, ``physio``, ``text`` and ``truth``; labels
    ``emotion`` and ``sentence``; ``phenotype/people.tsv`` holds every trait of every person. ``workers`` are processes,
    -1 for one a core; ``progress`` gets the list of what is to be made and iterates over it, such as ``tqdm``.
    """
    if people < 1:
        raise OptionError(f"There must be at least one person, not {people}. Ask for 1 or more.")
    if set(emotions) - set(EMOTIONS) or not emotions or len(set(emotions)) < len(emotions):
        raise OptionError(f"Emotions must be some of {', '.join(EMOTIONS)}, each once, not {', '.join(emotions)}.")
    if not 1 <= sentences <= len(SENTENCES):
        raise OptionError(f"There are {len(SENTENCES)} sentences, not {sentences}. Ask for 1 to {len(SENTENCES)}.")
    if not 96 <= size <= 1024 or size % 2:
        raise OptionError(f"The picture's side must be an even number from 96 to 1024, not {size}. Try 192.")
    if not 5 <= rate_hz <= 120:
        raise OptionError(f"There must be 5 to 120 frames a second, not {rate_hz}. Try 25.")
    about = {
        "License": "CC0-1.0",
        "Acknowledgements": "Painted and spoken by personare; nobody in it exists.",
        "Seed": seed,
    }
    writer = CohortWriter(root, name="Made-up people", kind="synthetic", description=about)
    everybody = [person(seed, number) for number in range(1, people + 1)]
    recordings, jobs = [], []
    for each, emotion, sentence in itertools.product(everybody, emotions, list(SENTENCES)[:sentences]):
        names = (each.subject, "01", f"{emotion}{sentence}")
        files = {track: writer.path(names, track, suffix) for track, suffix in _SUFFIXES.items()}
        jobs.append(joblib.delayed(_record)(each, emotion, sentence, files, seed=seed, size=size, rate_hz=rate_hz))
        tracks = {track: path.relative_to(root).as_posix() for track, path in files.items()}
        labels = {"emotion": emotion, "sentence": sentence}
        recordings.append(
            Recording(id=recording_id(*names), subject=each.subject, session="01", tracks=tracks, labels=labels)
        )
    made = joblib.Parallel(n_jobs=workers, return_as="generator")(jobs)
    for recording, _, _ in zip(recordings, progress(jobs), made, strict=True):
        writer.add(recording, about=mark("simulated"))
    _write_people(root, everybody)
    table = pd.DataFrame({"sex": [p.sex for p in everybody], "age": [p.age for p in everybody]})
    return writer.finish(table.set_index(pd.Index([p.subject for p in everybody], name="subject")))


def _record(
    who: Person, emotion: str, sentence: str, files: Mapping[str, Path], *, seed: int, size: int, rate_hz: float
) -> None:
    take = perform(who, emotion, sentence, seed=seed, rate_hz=rate_hz)
    note = json.dumps(mark("simulated"))
    write(files["audio"], take.sound, note=note)
    with VideoWriter(files["video"], width=size, height=size, rate_hz=rate_hz, threads=1, note=note) as video:
        video.write_sound(take.sound)
        for picture in take.pictures(size):
            video.write(picture)
    write_text(files["text"], take.text + "\n")
    with replacing(files["truth"]) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **take.truth)
    # BIDS asks for a table without a header, and a sidecar that names its columns.
    text = io.StringIO()
    pd.DataFrame(take.physio).to_csv(text, sep="\t", header=False, index=False, na_rep="n/a", float_format="%.4f")
    path = files["physio"]
    with replacing(path) as part:
        part.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    sidecar = {
        "SamplingFrequency": PHYSIO_HZ,
        "StartTime": PHYSIO_START_S,
        "Columns": list(PHYSIO),
        "eda_us": {"Description": "Skin conductance", "Units": "uS"},
        "heart_rate_bpm": {"Description": "Heart rate, once a second; n/a in the rows between", "Units": "1/min"},
    }
    write_json(path.with_name(path.name.replace(".tsv.gz", ".json")), sidecar)


def _write_people(root: Path, everybody: Sequence[Person]) -> None:
    table = pd.DataFrame(traits(everybody))
    write_text(root / "phenotype" / "people.tsv", table.to_csv(sep="\t", index=False))
    groups = {
        "face": "Lengths in cm from the point between the eyes, colors as RGB",
        "voice": "Vocal tract, glottis and habits of speaking; see the attributes of personare.simulate.people.Voice",
        "room": "Echoes, desk and microphone; see the attributes of personare.simulate.people.Room",
        "body": "Skin conductance and heart rate at rest, and how far feeling moves them",
        "style": "Habits of expression; gains in the order of the truth's action_unit_names",
    }
    columns = {
        name: {"Description": groups[name.partition("_")[0]]} for name in table.columns if name != "participant_id"
    }
    write_json(root / "phenotype" / "people.json", columns)
