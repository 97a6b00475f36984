"""A cohort of people who do not exist, made of one of people who do: learned, sampled, written, carded."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from personare.core import registry
from personare.core.errors import DataError, OptionError
from personare.core.protocols import Sampler
from personare.core.randomness import generator
from personare.core.types import Array, Batch, Cohort, Recording, Result, Spend, Withheld
from personare.data.cohort import CohortWriter, open_cohort, recording_id
from personare.features.batches import Layout, read_batch
from personare.features.track_writing import TrackForm, form_of
from personare.govern.budget import Budget, charge
from personare.govern.ledger import Ledger
from personare.learn.accounting import compose
from personare.study.admission import admit
from personare.study.datasheet import Sheet, write_datasheet
from personare.study.embodying import Task, embodiment_of, mark_labels, write_recording
from personare.study.parallel import Workers
from personare.study.preview import write_preview

__all__ = ["Judge", "Opened", "Synthesis", "SyntheticPlan", "building", "open_batch", "part_people"]

_PACKAGE = "personare.synthesize"
_ENOUGH = 10  # people, of whom one can be spared for watching
_NOTE = "Synthetic: made up by personare ({method}); nobody said, did or looked like this."


@dataclass(frozen=True, kw_only=True)
class SyntheticPlan:
    """What people are made up.

    Attributes:
        method: A file of ``synthesize``.
        options: Its options, ``epsilon`` among them.
        people: How many.
        recordings: Of each.
        label: What recordings are made of, such as ``emotion``.
        classes: Only these; none: all that the cohort has.
        modalities: Tracks to learn; none: all but films and events.
        held_out: Share of the people who are kept out of learning, to measure risk and use by.
        media: Whether sound and films are made of arrays that have none of their own.
        seed: Everything random follows from it.

    Raises:
        OptionError: A number out of its range.
    """

    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    people: int = 50
    recordings: int = 12
    label: str = "emotion"
    classes: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    held_out: float = 0.2
    media: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.people < 1 or self.recordings < 1:
            raise OptionError(
                f"There must be at least one person and one recording of each, not {self.people} and {self.recordings}."
            )
        if not 0 <= self.held_out < 1:
            raise OptionError(f"held_out must be a share from 0 to below 1, not {self.held_out}. Give e.g. 0.2.")


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What was let out of a cohort.

    Attributes:
        batch: Its recordings as arrays.
        forms: What the files of each modality are like.
        own: Whether the label is one of recordings; else it is one of people.
        skipped: What was not read.
    """

    batch: Batch
    forms: Mapping[str, TrackForm]
    own: bool
    skipped: Sequence[Withheld]


def open_batch(cohort: Cohort, label: str, modalities: Sequence[str], ledger: Ledger) -> Opened:
    """Open a cohort's recordings for training.

    Raises:
        DataError: Nothing may be opened or read.
    """
    tracks = list(modalities) or sorted({t for r in cohort.recordings for t in r.tracks} - {"video", "events"})
    recordings, sources, refused = admit(cohort, tracks, "training", ledger)
    if not recordings:
        why = refused[0].problem if refused else "it has none of the tracks asked for"
        raise DataError(f"No recording of {cohort.name} may be learned from: {why}. See consent.tsv.")
    batch, skipped = read_batch(
        recordings,
        sources,
        label=label,
        modalities=modalities,
        participants=cohort.participants,
        layout=Layout(gaps="indicate"),
    )
    first = {name: next(paths[name] for paths in sources.values() if name in paths) for name in batch.arrays}
    forms = {name: form_of(path) for name, path in first.items()}
    own = any(label in r.labels for r in recordings)
    return Opened(batch=_held(batch, forms), forms=forms, own=own, skipped=[*refused, *skipped])


def _held(batch: Batch, forms: Mapping[str, TrackForm]) -> Batch:
    """Hold a value that comes once in several rows until the next, so that a course is learned and not its gaps."""
    arrays = dict(batch.arrays)
    for name, form in forms.items():
        for column, step in form.every.items():
            values = arrays[name].copy()
            values[:, :, column] = values[:, np.arange(values.shape[1]) // step * step, column]
            arrays[name] = values
    return replace(batch, arrays=arrays)


def part_people(batch: Batch, held_out: float, *, rng: np.random.Generator) -> tuple[Batch, Batch]:
    """Part a batch into people to learn from and people to judge by.

    Raises:
        DataError: Nobody would be left to learn from.
    """
    people = np.unique(batch.subjects)
    out = rng.permutation(people)[: round(held_out * len(people))] if held_out else people[:0]
    inside = ~np.isin(batch.subjects, out)
    if not inside.any():
        raise DataError(f"Of {len(people)} people nobody is left to learn from. Keep out fewer with held_out.")
    return batch.take(inside), batch.take(~inside)


@contextmanager
def building(out: Path) -> Any:
    """Give a folder beside ``out`` that takes its place only when the block ends well.

    Raises:
        DataError: ``out`` holds something.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise DataError(f"{out} must be an empty folder or absent, but holds something. Choose another folder.")
    part = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(part, ignore_errors=True)  # what a killed attempt left
    try:
        yield part
        if out.is_dir():
            out.rmdir()
        part.rename(out)
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error}. Free the disk or choose another folder.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


class Judge(Protocol):
    """Measures made-up people."""

    def __call__(self, made: Batch, train: Batch, control: Batch, *, spends: Sequence[Spend]) -> Sequence[Result]:
        """Hold them against the people they were learned from, and against others."""
        ...


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """Makes up people after a cohort.

    Attributes:
        cohort: Of people who exist.
        plan: What is made.
        ledger: Notes each opening, each privacy spend and the release.
        public: People whose data need no protection; None where there are none.
        budget: The most that all runs together may cost one person.
        workers: Who writes the files.
        judge: Measures the made-up people; None: nobody does, and the card says so.
    """

    cohort: Cohort
    plan: SyntheticPlan
    ledger: Ledger
    public: Cohort | None = None
    budget: Budget | None = None
    workers: Workers = field(default_factory=Workers)
    judge: Judge | None = None

    def __call__(self, out: Path) -> tuple[Cohort, list[Withheld]]:
        """Write the cohort.

        **Guarantee**: until everything is written there is no cohort at ``out``; privacy is charged to the people
        before anything is written, and refused where their budget does not suffice. Every file, every recording and
        every person is marked as synthetic, and nothing of the participants' table of real people is taken over.

        Args:
            out: An empty or absent folder.

        Returns:
            The cohort, and what could not be read or made.

        Raises:
            DataError: Nothing to learn from, a class that nobody has, or a folder that is not empty.
            OptionError: An option that the method does not have or cannot use.
            PolicyError: Somebody's privacy budget does not suffice.
        """
        method = registry.create(_PACKAGE, self.plan.method, dict(self.plan.options))
        with building(out) as part:
            opened = open_batch(self.cohort, self.plan.label, self.plan.modalities, self.ledger)
            train, control = part_people(opened.batch, self.plan.held_out, rng=self._rng("held out"))
            sampler = self._fitted(method, train)
            made = self._sampled(sampler, opened)
            rows = list(self.judge(made, train, control, spends=sampler.spends)) if self.judge and len(control) else []
            problems = self._write(part, made, opened)
            sheet = self._sheet(train, made, sampler.spends, rows)
            write_preview(part, open_cohort(part), label=self.plan.label, told=sheet.claim)
            write_datasheet(part, sheet)
        detail = {**asdict(self.plan), "spends": [asdict(spend) for spend in sampler.spends]}
        note = {"cohort": self.cohort.name, "purpose": "training", "detail": detail}
        self.ledger.append("released", [note])
        return open_cohort(out), [*opened.skipped, *problems]

    def _rng(self, *what: str) -> np.random.Generator:
        return generator(self.plan.seed, self.plan.method, *what)

    def _fitted(self, method: Any, train: Batch) -> Sampler:
        plan = self.plan
        public = open_batch(self.public, plan.label, plan.modalities, self.ledger).batch if self.public else None
        inside, watched = self._watched(method, train)
        sampler: Sampler = method.fit(inside, validation=watched, rng=self._rng("fit"), public=public)
        people = Counter(map(str, train.subjects))
        name = self.cohort.name
        charge(self.ledger, sampler.spends, cohort=name, people=people, budget=self.budget, compose=compose)
        return sampler

    def _watched(self, method: Any, train: Batch) -> tuple[Batch, Batch]:
        """Return who is learned from and who is watched meanwhile: under privacy nobody, of few people the same."""
        if getattr(method, "epsilon", None) is not None:
            return train, train.take(np.zeros(0, int))
        if len(np.unique(train.subjects)) < _ENOUGH:
            return train, train
        return part_people(train, 1 / _ENOUGH, rng=self._rng("watched"))

    def _sampled(self, sampler: Sampler, opened: Opened) -> Batch:
        plan, classes = self.plan, opened.batch.classes
        unknown = sorted(set(plan.classes) - set(classes))
        if unknown:
            raise DataError(
                f"Nobody in {self.cohort.name} has the {plan.label} {', '.join(unknown)}. Choose from: "
                f"{', '.join(classes)}."
            )
        labels = _wanted(plan, classes, opened.own)
        return sampler(plan.people, plan.recordings, rng=self._rng("sample"), labels=labels)

    def _write(self, root: Path, made: Batch, opened: Opened) -> list[Withheld]:
        plan = self.plan
        writer = CohortWriter(
            root, name=f"{self.cohort.name}: {plan.method}", kind="synthetic", description=self._about()
        )
        how = embodiment_of(made, opened.forms, note=_NOTE.format(method=plan.method), media=plan.media)
        named = _named(made, plan.label)
        tasks = {
            r.id: Task(
                row=replace(made.take(np.array([i])), ids=(r.id,)),
                paths={track: writer.path(r, track, suffix) for track, suffix in how.suffixes.items()},
                how=how,
                seed=plan.seed,
            )
            for i, r in enumerate(named)
        }
        done = dict(self.workers.run("made-up recordings", tasks, write_recording))
        for r in named:
            paths = tasks[r.id].paths
            tracks = {track: paths[track].relative_to(root).as_posix() for track in done[r.id]["tracks"]}
            labels = r.labels if opened.own else {"synthetic": "true"}
            writer.add(replace(r, tracks=tracks, labels=labels))
            mark_labels(writer.path(r, "beh", ".json"))
        writer.finish(_people(named, None if opened.own else plan.label))
        fix = "Nothing to do, or make the people again with another seed."
        return [Withheld(item=name, problem=text, fix=fix) for name in done for text in done[name]["problems"]]

    def _about(self) -> dict[str, Any]:
        source = json.loads((self.cohort.root / "dataset_description.json").read_text(encoding="utf-8-sig"))
        own = {key: source[key] for key in ("License", "HowToAcknowledge", "ReferencesAndLinks") if source.get(key)}
        return {
            **own,
            "Acknowledgements": f"Made up by personare after {self.cohort.name}; nobody in it exists.",
            "Synthetic": True,
            "Method": self.plan.method,
            "Options": dict(self.plan.options),
        }

    def _sheet(self, train: Batch, made: Batch, spends: Sequence[Spend], rows: Sequence[Result]) -> Sheet:
        return Sheet(
            name=f"{self.cohort.name}: {self.plan.method}",
            kind="synthetic",
            source=self.cohort.name,
            method=self.plan.method,
            options=dict(self.plan.options),
            made_of=(len(set(train.subjects)), len(train)),
            holds=(len(set(made.subjects)), len(made)),
            label=self.plan.label,
            spends=tuple(spends),
            rows=tuple(rows),
            about=self._about(),
        )


def _wanted(plan: SyntheticPlan, classes: Sequence[str], own: bool) -> Array | None:
    """Return the classes to make, in equal shares: how often each occurs would tell of the people."""
    chosen = plan.classes if plan.classes or own else classes
    if not chosen:
        return None
    index = np.array([list(classes).index(name) for name in chosen])
    count = plan.people * plan.recordings
    turns = np.arange(count) if own else np.arange(count) // plan.recordings
    return np.asarray(index[turns % len(index)], dtype=np.int64)


def _named(made: Batch, label: str) -> list[Recording]:
    """Return the recordings under names that BIDS allows."""
    named = []
    counts: Counter[tuple[str, str]] = Counter()
    for subject, target in zip(map(str, made.subjects), made.labels, strict=True):
        person, word = _plain(subject), _plain(made.classes[target])
        counts[person, word] += 1
        task = f"{word}{counts[person, word]:02d}"
        labels = {label: made.classes[target], "synthetic": "true"}
        name = recording_id(person, "01", task)
        named.append(Recording(id=name, subject=person, session="01", tracks={}, labels=labels))
    return named


def _plain(text: str) -> str:
    return "".join(letter for letter in text if letter.isascii() and letter.isalnum()) or "other"


def _people(named: Sequence[Recording], label: str | None) -> pd.DataFrame:
    """Return the participants' table: that they do not exist, and their label where people have it."""
    rows = {r.subject: {"synthetic": "true"} | ({label: r.labels[label]} if label else {}) for r in named}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("subject")
