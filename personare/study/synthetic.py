"""A cohort of people who do not exist, made of one of people who do: learned, sampled, written, carded."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from personare.core import registry
from personare.core.errors import DataError
from personare.core.protocols import Generator
from personare.core.randomness import generator
from personare.core.types import Array, Batch, Cohort, Recording, Result, Spend, Withheld
from personare.data.cohort import CohortWriter, open_cohort, recording_id
from personare.govern.budget import Budget, charge
from personare.govern.ledger import Ledger
from personare.learn.accounting import compose
from personare.study.cards import Sheet, write_datasheet, write_preview
from personare.study.embodying import Task, embodiment_of, mark_labels, write_recording
from personare.study.opening import Opened, Opening, Written, building, open_batch, part_people
from personare.study.parallel import Workers
from personare.study.releases import SyntheticPlan
from personare.study.synthetic_judge import SyntheticJudging

__all__ = ["Synthesis"]

_PACKAGE = "personare.synthesize"
_ENOUGH = 10  # people, of whom one can be spared for watching
_NOTE = "Synthetic: made up by personare ({method}); nobody said, did or looked like this."


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """Makes up people after a cohort.

    Attributes:
        cohort: Of people who exist.
        plan: What is made.
        ledger: Notes each opening, each privacy spend and the release.
        seed: Everything random follows from it, but what hides people.
        public: People whose data need no protection; None where there are none.
        budget: The most that all runs together may cost one person.
        workers: Who writes the files.
        judge: Measures the made-up people by those held out; None: nobody does, and the card says so.
        opening: Shared with other releases of the same cohort, so that nothing is opened twice; None: its own.
    """

    cohort: Cohort
    plan: SyntheticPlan
    ledger: Ledger
    seed: int = 0
    public: Cohort | None = None
    budget: Budget | None = None
    workers: Workers = field(default_factory=Workers)
    judge: SyntheticJudging | None = None
    opening: Opening | None = None

    @cached_property
    def opened(self) -> Opened:
        """The recordings of people who exist."""
        opening = self.opening or Opening(cohort=self.cohort, ledger=self.ledger)
        return opening(self.plan.label, self.plan.modalities, texts=self.plan.texts, workers=self.workers)

    @cached_property
    def _public(self) -> Batch | None:
        if self.public is None:
            return None
        tracks = tuple(self.opened.batch.arrays)
        return open_batch(self.public, self.plan.label, tracks, self.ledger, workers=self.workers).batch

    def __call__(self, out: Path) -> Written:
        """Write the cohort.

        **Guarantee**: until everything is written there is no cohort at ``out``; privacy is charged to the people
        before anything is written, and refused where their budget does not suffice; noise that hides people does not
        follow from the seed. Every file, every recording and every person is marked as synthetic, and nothing of the
        participants' table of real people is taken over.

        Args:
            out: An empty or absent folder.

        Raises:
            DataError: Nothing to learn from, a class that nobody has, or a folder that is not empty.
            OptionError: An option that the method does not have or cannot use.
            PolicyError: Somebody's privacy budget does not suffice.
        """
        method: Generator = registry.create(_PACKAGE, self.plan.method, dict(self.plan.options))
        with building(out) as part:
            opened = self.opened
            labels = self._wanted(opened)
            train, control = part_people(opened.batch, self.plan.held_out, rng=generator(self.seed, "held out"))
            made, spends = self._made(method, train, self._rng("fit"), labels)
            self._charge(spends, train)
            rows = self._judged(method, (made, train, control), labels, spends)
            problems = self._write(part, made, opened)
            sheet = self._sheet(train, made, spends, rows)
            write_preview(part, open_cohort(part), label=self.plan.label, told=sheet.claim)
            write_datasheet(part, sheet)
        detail = {**asdict(self.plan), "spends": [asdict(spend) for spend in spends]}
        note = {"cohort": self.cohort.name, "purpose": "training", "detail": detail}
        self.ledger.append("released", [note])
        return Written(cohort=open_cohort(out), sheet=sheet, skipped=[*opened.skipped, *problems])

    def _rng(self, *what: str) -> np.random.Generator:
        return generator(self.seed, self.plan.method, *what)

    def _made(
        self, method: Generator, train: Batch, rng: np.random.Generator, labels: Array | None
    ) -> tuple[Batch, tuple[Spend, ...]]:
        """Learn from these people, and make up others."""
        inside, watched = self._watched(method, train)
        # A seed can be guessed, and whoever knows it can take the noise off.
        chance = np.random.default_rng() if _private(method) else rng
        sampler = method.fit(inside, validation=watched, rng=chance, public=self._public)
        return sampler(self.plan.people, self.plan.recordings, rng=rng, labels=labels), sampler.spends

    def _charge(self, spends: Sequence[Spend], train: Batch) -> None:
        people, name = Counter(map(str, train.subjects)), self.cohort.name
        charge(self.ledger, spends, cohort=name, people=people, budget=self.budget, compose=compose)

    def _watched(self, method: Generator, train: Batch) -> tuple[Batch, Batch]:
        """Return who is learned from and who is watched meanwhile: under privacy nobody, of few people the same."""
        if _private(method):
            return train, train.take(np.zeros(0, int))
        if len(np.unique(train.subjects)) < _ENOUGH:
            return train, train
        return part_people(train, 1 / _ENOUGH, rng=self._rng("watched"))

    def _wanted(self, opened: Opened) -> Array | None:
        """Return the classes to make, in equal shares: how often each occurs would tell of the people."""
        plan, classes = self.plan, opened.batch.classes
        if unknown := sorted(set(plan.classes) - set(classes)):
            raise DataError(
                f"Nobody in {self.cohort.name} has the {plan.label} {', '.join(unknown)}. Choose from: "
                f"{', '.join(classes)}."
            )
        chosen = plan.classes if plan.classes or opened.own else classes
        if not chosen:
            return None
        index = np.array([classes.index(name) for name in chosen])
        count = plan.people * plan.recordings
        turns = np.arange(count) if opened.own else np.arange(count) // plan.recordings
        return np.asarray(index[turns % len(index)], dtype=np.int64)

    def _judged(
        self,
        method: Generator,
        groups: tuple[Batch, Batch, Batch],
        labels: Array | None,
        spends: Sequence[Spend],
    ) -> list[Result]:
        if self.judge is None or not len(groups[2]):
            return []

        with tqdm(desc="generators that attack", total=self.judge.generators, disable=self.workers.quiet) as bar:

            def make(some: Batch, rng: np.random.Generator) -> Batch:
                bar.update()
                return self._made(method, some, rng, labels)[0]

            return self.judge(*groups, make=make, spends=spends)

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
                seed=self.seed,
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


def _private(method: Generator) -> bool:
    return getattr(method, "epsilon", None) is not None


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
