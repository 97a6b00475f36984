"""Representations and synthetic people as releases of a study: each made once, judged, and put on the frontier."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from time import monotonic
from typing import Any, Literal

from personare.core.errors import reason
from personare.core.types import Batch, Cohort, Release, Result, Withheld
from personare.data.cohort import open_cohort
from personare.data.roles import usual_tracks
from personare.data.runs import RunFolder
from personare.govern.ledger import Ledger
from personare.study.lineage import note_batch
from personare.study.opening import Opening, content
from personare.study.outputs import read_result
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan
from personare.study.releases import RepresentationPlan, SyntheticPlan
from personare.study.represented import Representing
from personare.study.synthetic import Synthesis
from personare.study.synthetic_judge import SyntheticJudging

__all__ = ["FeatureReleases"]

_Made = tuple[Release, list[Result], list[Withheld]]


@dataclass(frozen=True, kw_only=True)
class FeatureReleases:
    """Makes and judges what a study releases of features; every step is remembered in the run folder.

    Attributes:
        cohort: Whose recordings are learned from, for the purpose ``training``.
        plan: The study.
        run: The run.
        ledger: Notes each opening, each privacy spend and each release.
        workers: Who writes sound and films.
        opening: Of the cohort, for all that learns from it.
    """

    cohort: Cohort
    plan: StudyPlan
    run: RunFolder
    ledger: Ledger
    workers: Workers
    opening: Opening

    @cached_property
    def _around(self) -> dict[str, Any]:
        """What both kinds are made with."""
        plan = self.plan
        public = open_cohort(Path(plan.public)) if plan.public else None
        how = {"seed": plan.seed, "public": public, "budget": plan.budget, "opening": self.opening}
        return {"cohort": self.cohort, "ledger": self.ledger, **how}

    def represent(self, chosen: RepresentationPlan) -> _Made:
        """Make a representation and measure who is in it, and what can be read from it."""
        work = Representing(**self._around, plan=chosen, tasks=self._tasks(chosen))
        return self._release(
            "representation", chosen, work, {"transfer": [asdict(task) for task in self.plan.transfer]}
        )

    def synthesize(self, chosen: SyntheticPlan) -> _Made:
        """Make people up and measure whether anybody real is found in them, and what can be learned from them."""
        plan = self.plan
        judge = SyntheticJudging(seed=plan.seed, shadows=plan.shadows, canaries=plan.canaries)
        work = Synthesis(**self._around, plan=chosen, workers=self.workers, judge=judge)
        return self._release("synthetic", chosen, work, asdict(judge))

    def _tasks(self, chosen: RepresentationPlan) -> dict[str, tuple[Batch, bool] | str]:
        """Open the recordings of every task with the modalities that were learned, or say why that cannot be."""
        tracks = chosen.modalities or usual_tracks(t for r in self.cohort.recordings for t in r.tracks)
        found: dict[str, tuple[Batch, bool] | str] = {}
        for task in self.plan.transfer:
            try:
                other = Opening(cohort=open_cohort(Path(task.cohort)), ledger=self.ledger) if task.cohort else None
                found[task.name] = (other or self.opening)(task.label, tracks).batch, not task.cohort
            except Exception as error:
                found[task.name] = reason(error)
        return found

    def _release(
        self,
        modality: Literal["representation", "synthetic"],
        chosen: RepresentationPlan | SyntheticPlan,
        work: Representing | Synthesis,
        judged: Mapping[str, Any],
    ) -> _Made:
        key = {"recordings": content(work.opened.batch), "seed": str(self.plan.seed), "public": self.plan.public}
        root = self.run.root / "releases" / chosen.name
        done = self.run.step(
            f"{modality}-{chosen.name}",
            inputs=key,
            options={**asdict(chosen), **judged},
            work=partial(self._made, chosen.name, work),
            product=root,
        )
        note_batch(self.run, chosen.name, work.opened.batch)
        rows = [replace(read_result(row), release=chosen.name, modality=modality) for row in done["rows"]]
        release = Release(
            name=chosen.name,
            kind="synthetic" if modality == "synthetic" else "representations",
            root=root,
            modalities=(modality,),
            methods={modality: chosen.method},
            options={chosen.method: dict(chosen.options)},
            counts=done["counts"],
            claim=done["claim"],
        )
        return release, rows, [Withheld(**item) for item in done["skipped"]]

    def _made(self, name: str, work: Representing | Synthesis) -> Mapping[str, Any]:
        """Make a release in place of an older one, and tell it as JSON can."""
        note_batch(self.run, name, work.opened.batch)
        start = monotonic()
        with self.run.making(name) as part:
            shutil.rmtree(part, ignore_errors=True)  # of a stopped run
            done = work(part)
        people, recordings = done.sheet.holds
        return {
            "rows": [asdict(row) for row in done.sheet.rows],
            "counts": {"people": people, "recordings": recordings, "seconds": round(monotonic() - start, 1)},
            "claim": done.sheet.claim,
            "skipped": [asdict(item) for item in done.skipped],
        }
