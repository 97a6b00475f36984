"""A cohort of people who do not exist: videos, voices, bodies and words, with everything that was set beside them."""

import gzip
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd

from personare.core.errors import OptionError
from personare.core.types import Cohort, Recording
from personare.data.atomic import replacing, write_json, write_text
from personare.data.cohort import CohortWriter, recording_id
from personare.features.audio import write
from personare.features.video import VideoWriter
from personare.simulate.body import COLUMNS, RATE_HZ, START_S
from personare.simulate.expression import EMOTIONS
from personare.simulate.people import Person, person, traits
from personare.simulate.sentences import SENTENCES
from personare.simulate.take import perform

__all__ = ["simulate_cohort"]

Progress = Callable[[Iterable[Any]], Iterable[Any]]
_SUFFIXES = {"audio": ".wav", "video": ".mp4", "physio": ".tsv.gz", "text": ".txt", "truth": ".npz"}


class _Job(NamedTuple):
    """One recording to make, and where its files go."""

    person: Person
    emotion: str
    sentence: str
    files: dict[str, Path]
    seed: int
    size: int
    rate_hz: float


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
    progress: Progress | None = None,
) -> Cohort:
    """Make up people and record them: nobody is shown who exists, and all that was set is saved as truth.

    **Guarantee**: the same seed gives the same people, pictures and sounds; a person depends on the seed and the own
    number only, a recording on its person, emotion and sentence, whatever else is made and by however many workers.

    Args:
        root: An absent or empty folder.
        people: How many; women and men take turns.
        emotions: Which; each person shows each of them in each sentence.
        sentences: How many of the four sentences.
        seed: Another seed, other people.
        size: Side of the square video in pixels.
        rate_hz: Frames a second.
        workers: Processes; -1 for one a core.
        progress: Given the list of what is to be made, returns something to iterate over it, such as ``tqdm``.

    Returns:
        The cohort: tracks ``video`` (with sound), ``audio``, ``physio``, ``text`` and ``truth``; labels ``emotion`` and
        ``sentence``; ``phenotype/people.tsv`` holds every trait of every person.
    """
    _check(people, emotions, sentences, size, rate_hz)
    about = {
        "License": "CC0-1.0",
        "Acknowledgements": "Painted and spoken by personare; nobody in it exists.",
        "Seed": seed,
    }
    writer = CohortWriter(root, name="Made-up people", kind="synthetic", description=about)
    everybody = tuple(person(seed, number) for number in range(1, people + 1))
    jobs, recordings = [], []
    for each in everybody:
        for emotion in emotions:
            for sentence in list(SENTENCES)[:sentences]:
                names = (each.subject, "01", f"{emotion}{sentence}")
                files = {track: writer.path(names, track, suffix) for track, suffix in _SUFFIXES.items()}
                jobs.append(_Job(each, emotion, sentence, files, seed, size, rate_hz))
                recordings.append(
                    Recording(
                        id=recording_id(*names),
                        subject=each.subject,
                        session="01",
                        tracks={track: path.relative_to(root).as_posix() for track, path in files.items()},
                        labels={"emotion": emotion, "sentence": sentence},
                    )
                )
    made = map(_make, jobs)
    if workers != 1:
        made = joblib.Parallel(n_jobs=workers, return_as="generator")(joblib.delayed(_make)(job) for job in jobs)
    for recording, _, _ in zip(recordings, (progress or iter)(jobs), made, strict=True):
        writer.add(recording)
    _write_people(root, everybody)
    table = pd.DataFrame({"sex": [p.sex for p in everybody], "age": [p.age for p in everybody]})
    return writer.finish(table.set_index(pd.Index([p.subject for p in everybody], name="subject")))


def _check(people: int, emotions: Sequence[str], sentences: int, size: int, rate_hz: float) -> None:
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


def _make(job: _Job) -> None:
    take = perform(job.person, job.emotion, job.sentence, seed=job.seed, rate_hz=job.rate_hz)
    sound = take.sound()
    write(job.files["audio"], sound)
    with VideoWriter(job.files["video"], width=job.size, height=job.size, rate_hz=job.rate_hz, threads=1) as video:
        video.write_sound(sound)
        for picture in take.pictures(job.size):
            video.write(picture)
    write_text(job.files["text"], take.utterance.text + "\n")
    with replacing(job.files["truth"]) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **take.truth())
    # BIDS asks for a table without a header, and a sidecar that names its columns.
    text = io.StringIO()
    pd.DataFrame(take.physio.values).to_csv(
        text, sep="\t", header=False, index=False, na_rep="n/a", float_format="%.4f"
    )
    path = job.files["physio"]
    with replacing(path) as part:
        part.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    sidecar = {
        "SamplingFrequency": RATE_HZ,
        "StartTime": START_S,
        "Columns": list(COLUMNS),
        "eda_us": {"Description": "Skin conductance", "Units": "uS"},
        "heart_rate_bpm": {"Description": "Heart rate, once a second; n/a in the rows between", "Units": "1/min"},
    }
    write_json(path.with_name(path.name.replace(".tsv.gz", ".json")), sidecar)


def _write_people(root: Path, everybody: tuple[Person, ...]) -> None:
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
