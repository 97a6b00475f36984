"""What every kind of release is made with: a cohort, a plan, a run; and what came of it."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

import numpy as np

from personare.core.errors import ClusterError, PersonareError, reason
from personare.core.randomness import generator
from personare.core.types import Batch, Cohort, Release, Result, Spend, Withheld
from personare.data.cohort import open_cohort
from personare.data.runs import RunFolder
from personare.features.tracks import Track
from personare.govern.budget import charge
from personare.govern.ledger import Ledger
from personare.learn.accounting import compose
from personare.study.access import Opened, open_batch, tracks_of
from personare.study.cards import Sheet
from personare.study.lineage import note_batch
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan
from personare.study.policing import check_plan

FIX = "Do what the message says, then run again; what was made is kept."


@dataclass(kw_only=True)
class Outcome:
    """What came of a plan, gathered while it is carried out."""

    releases: list[Release] = field(default_factory=list)
    rows: list[Result] = field(default_factory=list)
    skipped: list[Withheld] = field(default_factory=list)  # what did not take part, and why
    not_made: list[Withheld] = field(default_factory=list)  # what was planned and could not be made
    refused: bool = True  # whether all that could not be made is for the user to mend

    def attempt(self, name: str, make: Callable[[], "Outcome"]) -> "Outcome":
        """Add what making a release came to, or note why it cannot be made: one never stops the others."""
        try:
            self.add(make())
        except Exception as error:
            self.missed(name, error)
        return self

    def missed(self, name: str, error: Exception) -> "Outcome":
        """Note a release that could not be made; where the machines are gone, no other could be either."""
        if isinstance(error, ClusterError):
            raise error
        self.not_made.append(Withheld(item=name, problem=reason(error), fix=FIX))
        self.refused &= isinstance(error, PersonareError)
        return self

    def add(self, other: "Outcome") -> None:
        """Take over another one's releases, rows and lists."""
        self.releases += other.releases
        self.rows += other.rows
        self.skipped += [item for item in other.skipped if item not in self.skipped]
        self.not_made += other.not_made
        self.refused &= other.refused


class Kind(Protocol):
    """A kind of release: makes every release of it that a study plans, and judges them.

    Class attributes: ``row``, the dataclass of one entry of its table in a study file, with a ``name``, ``modalities``
    and, where it learns one, a ``label``; ``parallel``: True where it keeps all cores busy and is asked for all of its
    releases at once; else each is one process's work, and ended by an error; ``slow``: begun before the others.
    """

    def __call__(self, study: "Study", rows: Sequence[Any]) -> Outcome:
        """Make and judge these releases."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """What a release is made with."""

    cohort: Cohort
    plan: StudyPlan
    ledger: Ledger  # notes each opening, each privacy spend and each release
    run: RunFolder | None = None  # remembers every step; None where a single cohort is written
    workers: Workers = field(default_factory=Workers)
    # what was read or opened before, by label and tracks, is not opened again; both go along into other processes
    tracks: Mapping[str, Mapping[str, Track]] = field(default_factory=dict)
    openings: dict[tuple[str, tuple[str, ...]], Opened] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse, before anything is opened, what the policy forbids."""
        check_plan(self.cohort, self.plan)

    @property
    def folder(self) -> RunFolder:
        """The run, which must be there."""
        assert self.run is not None
        return self.run

    def public_batch(self, label: str, modalities: Sequence[str]) -> Batch | None:
        """Open recordings of people whose data need no protection; None where there are none."""
        if not self.plan.public:
            return None
        return open_batch(
            open_cohort(Path(self.plan.public)), label, modalities, self.ledger, workers=self.workers
        ).batch

    def open(self, label: str, modalities: Sequence[str], *, texts: bool = True) -> Opened:
        """Open the cohort for training as ``open_batch`` does, once for all that is made of the same recordings."""
        key = (label, (*sorted(tracks_of(self.cohort, modalities, texts)),))
        if key not in self.openings:
            self.openings[key] = open_batch(
                self.cohort, label, modalities, self.ledger, texts=texts, workers=self.workers, known=self.tracks
            )
        return self.openings[key]

    def opened(self, row: Any) -> Opened:
        """Open the recordings that a release learns from."""
        return self.open(row.label, row.modalities, texts=getattr(row, "texts", True))

    def rng(self, *what: str) -> np.random.Generator:
        """Return chance that follows from the seed."""
        return generator(self.plan.seed, *what)

    def charge(self, spends: Sequence[Spend], subjects: Iterable[str]) -> None:
        """Charge privacy to the people of recordings; refused, before anything is written, beyond their budget."""
        people, name = Counter(map(str, subjects)), self.cohort.name
        charge(self.ledger, spends, cohort=name, people=people, budget=self.plan.budget, compose=compose)

    def note(self, row: Any, spends: Sequence[Spend] = (), purpose: str = "training") -> None:
        """Note in the ledger what was released, and what it cost."""
        detail = asdict(row) | ({"spends": [asdict(spend) for spend in spends]} if purpose == "training" else {})
        self.ledger.append("released", [{"cohort": self.cohort.name, "purpose": purpose, "detail": detail}])

    def key(self, batch: Batch) -> dict[str, str]:
        """Return what everything that is learned from these recordings depends on: changed ones are learned anew."""
        key = {"recordings": batch.digest(), "seed": str(self.plan.seed), "public": self.plan.public}
        return key | ({"statement": self.plan.use.statement} if self.plan.exception else {})  # cards say it

    def make(
        self, row: Any, batch: Batch, write: Callable[[Path], Mapping[str, Any]], options: Mapping[str, Any]
    ) -> tuple[Path, Mapping[str, Any]]:
        """Make a release of a run in place of an older one, unless it was made before of the same.

        ``write`` fills a folder and returns a summary that JSON can hold; ``options`` are what it depends on beside the
        plan's ``row`` and the ``batch`` it learns from. Returns the folder, and the summary with ``seconds``.
        """
        run, root = self.folder, self.folder.root / "releases" / row.name

        def work() -> Mapping[str, Any]:
            note_batch(run, row.name, batch)
            start = monotonic()
            with run.making(row.name) as part:
                shutil.rmtree(part, ignore_errors=True)  # of a stopped run
                summary = write(part)
            return {**summary, "seconds": round(monotonic() - start, 1)}

        made = run.step(
            f"release-{row.name}", inputs=self.key(batch), options={**asdict(row), **options}, work=work, product=root
        )
        note_batch(run, row.name, batch)
        return root, made

    def make_cohort(
        self, row: Any, kind: str, write: Callable[["Study", Any, Path], Sheet], options: Mapping[str, Any]
    ) -> Outcome:
        """Make a release of a run that is itself a cohort with a card; see ``make``."""

        def work(folder: Path) -> Mapping[str, Any]:
            sheet = write(self, row, folder)
            return {
                "rows": [asdict(result) for result in sheet.rows],
                "counts": dict(zip(("people", "recordings"), sheet.holds, strict=True)),
                "claim": sheet.claim,
                "skipped": [asdict(item) for item in sheet.skipped],
            }

        root, made = self.make(row, self.opened(row).batch, work, options)
        modality, adapt = "representation" if kind == "representations" else kind, getattr(row, "adapt", {})
        release = Release(
            name=row.name,
            kind=kind,
            root=root,
            modalities=(modality,),
            methods={modality: row.method} | ({"adapt": adapt["method"]} if adapt else {}),
            options={row.method: dict(row.options)} | ({adapt["method"]: adapt} if adapt else {}),
            counts={**made["counts"], "seconds": made["seconds"]},
            claim=made["claim"],
        )
        rows = [replace(read_result(result), release=row.name, kind=kind) for result in made["rows"]]
        return Outcome(releases=[release], rows=rows, skipped=[Withheld(**item) for item in made["skipped"]])


def read_result(row: Mapping[str, Any]) -> Result:
    """Return a measured row as a step remembered it; JSON knows no NaN."""
    values: dict[str, Any] = {name: float("nan") if value is None else value for name, value in row.items()}
    return Result(**values)


def unseeded(private: bool, rng: np.random.Generator) -> np.random.Generator:
    """Return the chance that hides people: a seed can be guessed, and whoever knows it can take the noise off."""
    return np.random.default_rng() if private else rng


def with_draw(rows: Sequence[Result], judged: int, people: int) -> list[Result]:
    """Return rows that say of how many people they are, where these were drawn."""
    said = f"measured on {judged} of {people} people, drawn at random" if judged < people else ""
    return [replace(row, reason="; ".join(filter(None, (row.reason, said)))) for row in rows]
