"""Judges the originals and every release against them, several at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from personare import __version__
from personare.core import registry
from personare.core.types import Cohort, Recording, Release, Result
from personare.data.cohort import open_cohort
from personare.data.runs import RunFolder, fingerprint
from personare.evaluate.judging import judge
from personare.evaluate.unmeasured import unmeasured
from personare.features.tracks import gather
from personare.study.opening import table
from personare.study.outputs import read_result
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan

__all__ = ["Judge", "needed_views"]


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
        run: The run, in whose private folder the evidence is.
        workers: Who works.
        key: What the evidence depends on.
    """

    plan: StudyPlan
    cohort: Cohort
    run: RunFolder
    workers: Workers
    key: str

    def __call__(self, recordings: Sequence[Recording], releases: Sequence[Release]) -> list[Result]:
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
        work = partial(_judge_one, self.plan, self.cohort, self.run.private / "views")
        keys = {name: fingerprint([__version__, self.key, self.plan, item]) for name, item in items.items()}
        steps = self.run.private / "steps" / label.replace(" ", "-")
        found = self.workers.each(label, items, work, steps, keys, partial(_unjudged, self.plan, items))
        return {name: [read_result(row) for row in result["rows"]] for name, result in found}


def _judge_one(plan: StudyPlan, cohort: Cohort, folder: Path, item: tuple[str, str, Sequence[Recording], Any]) -> Any:
    name, modality, recordings, baseline = item
    views = needed_views(plan)
    there = {r.id for r in recordings}
    # a release has few of the labels
    rows = table(cohort, [r for r in cohort.recordings if r.id in there], plan.label)
    original = gather(folder / "original", rows, views)
    released = original if name == "original" else gather(folder / name, rows, views)
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


def _unjudged(plan: StudyPlan, items: Mapping[str, Any], item: str, error: Exception) -> Mapping[str, Any]:
    release, modality, *_ = items[item]
    row = partial(unmeasured, error=error, release=release, modality=modality)
    rows = [*(row(attack, "risk") for attack in plan.attacks), *(row(name, "utility") for name in plan.utilities)]
    return {"rows": [asdict(row) for row in rows]}


def _once(rows: list[Result]) -> list[Result]:
    """Drop what several modalities' judgements of the originals have in common."""
    seen = {(row.measure, row.attacker, row.modality): row for row in reversed(rows)}
    return list(reversed(seen.values()))
