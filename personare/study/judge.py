"""Judges the originals and every release against them, several at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from personare.core import registry
from personare.core.types import Cohort, Recording, Release, Result
from personare.data.cohort import open_cohort
from personare.evaluate.judging import judge
from personare.study.evidence import gather, table
from personare.study.outputs import read_result
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan

__all__ = ["Judge", "Judged", "needed_views"]

Judged = list[Result]


def needed_views(plan: StudyPlan) -> tuple[str, ...]:
    """Return the views that the plan's attacks and measures read."""
    folders = {"personare.evaluate.attacks": plan.attacks, "personare.evaluate.utility": plan.utilities}
    methods = [registry.load(folder, name) for folder, names in folders.items() for name in names]
    return tuple(sorted({view for method in methods for view in getattr(method, "views", ())}))


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Runs the plan's attacks and measures.

    Attributes:
        plan: Which attacks and measures, with their options.
        cohort: The originals, for what is known about the people.
        out: The run folder, where the evidence is.
        workers: Who works.
        key: What the evidence depends on.
    """

    plan: StudyPlan
    cohort: Cohort
    out: Path
    workers: Workers
    key: str

    def __call__(self, recordings: Sequence[Recording], releases: Sequence[Release]) -> Judged:
        """Return the rows of the originals, then those of each release with the original's figure as baseline."""
        modalities = sorted({"+".join(release.modalities) for release in releases}, key=len)
        originals: dict[str, Any] = {f"original {m}": ("original", m, tuple(recordings), []) for m in modalities}
        baselines = self._judge("judge originals", originals)
        items = {}
        for release in releases:
            modality = "+".join(release.modalities)
            released = open_cohort(release.root).recordings
            baseline = [asdict(row) for row in baselines[f"original {modality}"]]
            items[release.name] = (release.name, modality, released, baseline)
        judged = self._judge("judge releases", items)
        rows = _once([row for name in originals for row in baselines[name]])
        return rows + [row for release in releases for row in judged[release.name]]

    def _judge(self, label: str, items: Mapping[str, Any]) -> dict[str, list[Result]]:
        work = partial(_judge_one, self.plan, self.cohort, self.out)
        key = f"{self.key} {self.plan}"
        steps = self.out / "steps" / label.replace(" ", "-")
        found = self.workers.each(label, items, work, steps, key)
        return {name: [read_result(row) for row in result["rows"]] for name, result in found}


def _judge_one(plan: StudyPlan, cohort: Cohort, out: Path, item: tuple[str, str, Sequence[Recording], Any]) -> Any:
    name, modality, recordings, baseline = item
    views = needed_views(plan)
    rows = table(cohort, recordings)
    originals = table(cohort, [r for r in cohort.recordings if r.id in rows.index], plan.label)
    original = gather(out / "private" / "original", originals, views)
    released = original if name == "original" else gather(out / "private" / name, rows, views)
    results = judge(
        original,
        released,
        modality=modality,
        seed=plan.seed,
        attacks=plan.attacks,
        utilities=plan.utilities,
        options=plan.options,
        label=plan.label or "emotion",
        label_kind=plan.kind,
        baseline=[read_result(row) for row in baseline],
    )
    return {"rows": [asdict(replace(row, release=name)) for row in results]}


def _once(rows: list[Result]) -> list[Result]:
    """Drop what several modalities' judgements of the originals have in common."""
    seen = {(row.measure, row.attacker, row.modality): row for row in reversed(rows)}
    return list(reversed(seen.values()))
