"""Recordings whose people are hidden: the same clips with another face and another voice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from personare import __version__
from personare.anonymize._recordings import METHODS, Disguise, Sources, Work
from personare.anonymize._recordings import Outcome as Hidden
from personare.anonymize._release import release_recordings
from personare.anonymize._video import Locate
from personare.core import registry
from personare.core.channels import CHANNELS
from personare.core.errors import DataError, reason
from personare.core.randomness import generator
from personare.core.types import Cohort, Recording, Release, Result, Withheld
from personare.data.cohort import open_cohort
from personare.data.roles import source_tracks
from personare.data.runs import fingerprint
from personare.data.splits import people_to_judge
from personare.evaluate.judging import judge
from personare.evaluate.unmeasured import unmeasured
from personare.features.locations import Locations, locate_live
from personare.features.tracks import gather, has_landmarker, observe
from personare.govern.storage import plain_size
from personare.study.access import admit, table
from personare.study.lineage import ORIGINAL, note_sources
from personare.study.plan import StudyPlan
from personare.study.study import Outcome, Study, read_result, with_draw

__all__ = ["Releases"]

_ATTACKS, _UTILITIES = "personare.evaluate.attacks", "personare.evaluate.utility"


@dataclass(frozen=True)
class Releases:
    """Hides the people of a cohort once for each disguise, and judges each release against the originals."""

    row = Disguise
    parallel = True

    def __call__(self, study: Study, rows: Sequence[Disguise]) -> Outcome:
        """Make every release of recordings, one recording a process, and judge several at a time."""
        outcome = Outcome()
        modalities = [channel.track for channel in CHANNELS if any(channel in row.channels for row in rows)]
        try:
            tracks = source_tracks(modalities, (track for r in study.cohort.recordings for track in r.tracks))
            recordings, sources, skipped = admit(study.cohort, tracks, study.plan.purpose, study.ledger)
            if not recordings:
                why = skipped[0].problem if skipped else f"it has no {' or '.join(modalities)}"
                raise DataError(f"No recording of {study.cohort.name} can be studied: {why}.")
            note_sources(study.folder, ORIGINAL, study.plan.purpose, sources)
            work = _Hiding(study=study, recordings=recordings, sources=sources)
            outcome.skipped += [*skipped, *work.observe(ORIGINAL, sources)]
        except Exception as error:
            for row in rows:
                outcome.missed(row.name, error)
            return outcome
        for row in rows:
            outcome.attempt(row.name, lambda: Outcome(releases=[work.release(row)]))  # noqa: B023
        outcome.rows += work.judge(outcome.releases) if outcome.releases else []
        return outcome


@dataclass(frozen=True, kw_only=True)
class _Hiding:
    """The recordings of a study that were admitted, and their files."""

    study: Study
    recordings: Sequence[Recording]
    sources: Sources

    @cached_property
    def stamps(self) -> dict[str, str]:
        """What changes when a recording's files do."""
        return {name: _stamp(files) for name, files in self.sources.items()}

    @cached_property
    def key(self) -> str:
        """What releases and figures depend on."""
        recordings = [asdict(r) for r in self.recordings]
        return fingerprint([self.stamps, recordings, self.study.plan.seed, has_landmarker()])

    def observe(self, name: str, files: Sources, *, moved: bool = False) -> list[Withheld]:
        """Describe recordings as an attacker sees them; of the originals, find the faces for all that did not move."""
        private, views, landmarker = self.study.folder.private, _views(self.study.plan), has_landmarker()
        seen = self.study.workers.each(
            f"look at {name}",
            {recording: (recording, tracks) for recording, tracks in files.items()},
            partial(
                observe,
                folder=private / "views" / name,
                views=views,
                locations=private / (f"locations-{name}" if moved else "locations"),
                search=moved or name == ORIGINAL,
            ),
            private / "steps" / f"observe-{name}",
            {
                recording: fingerprint([__version__, self.stamps[recording], _stamp(tracks), views, landmarker])
                for recording, tracks in files.items()
            },
            lambda _, error: {"views": [], "problems": [reason(error)]},
        )
        return [
            Withheld(item=f"{recording} ({name})", problem=problem, fix="It is left out where this is needed.")
            for recording, result in sorted(seen)
            for problem in result["problems"]
        ]

    def release(self, row: Disguise) -> Release:
        """Make one release and describe it as an attacker would."""
        run, purpose = self.study.folder, self.study.plan.purpose
        root = run.root / "releases" / row.name
        note_sources(run, row.name, purpose, self.sources)
        made = run.step(
            f"release-{row.name}",
            inputs={"recordings": self.key},
            options=asdict(row),
            work=lambda: self._make(row),
            product=root,
        )
        release = Release(**{**made, "root": root, "withheld": tuple(Withheld(**w) for w in made["withheld"])})
        note_sources(run, row.name, purpose, self.sources)
        recordings = open_cohort(root).recordings
        moved = bool(row.face) and bool(getattr(registry.load(METHODS, row.face), "moves_face", False))
        released = {r.id: {track: root / path for track, path in r.tracks.items()} for r in recordings}
        self.observe(row.name, released, moved=moved)
        return release

    def _make(self, row: Disguise) -> Mapping[str, Any]:
        run, seed = self.study.folder, self.study.plan.seed
        locations, mesh = run.private / "locations", row.needs_landmarks

        def locate(recording: Recording) -> Locate:
            """Return what finds the faces of one recording: what was found before, or a new search."""
            kept = locations / f"{recording.id}.npz"
            return Locations.load(kept).replay if kept.exists() else partial(locate_live, mesh=mesh)

        def hide(work: Sequence[Work]) -> Iterator[Hidden]:
            subjects = [(r.id, r.subject) for r in self.recordings]
            what = fingerprint([__version__, self.stamps, subjects, seed, asdict(row)])
            items = {recording.id: (recording, *files) for recording, *files in work}
            for _, result in self.study.workers.each(
                row.name,
                items,
                lambda work: asdict(masks(work, locate(work[0]))),
                run.private / "steps" / f"hide-{row.name}",
                dict.fromkeys(items, what),
                lambda recording, error: asdict(Hidden.lost(recording, error)),
            ):
                yield Hidden(**{**result, "withheld": tuple(Withheld(**w) for w in result["withheld"])})

        with run.making(row.name) as part:
            if not part.exists():
                run.forget(f"hide-{row.name}")  # what it remembers went with the folder
            masks = row.fit(self.recordings, self.sources, locate, seed=seed)
            self.study.charge(masks.spends, [r.subject for r in self.recordings])
            originals = {r.id: r for r in self.recordings}
            release = release_recordings(originals, self.sources, row, part, hide, labels=(self.study.plan.label,))
            if not open_cohort(part).recordings:
                raise DataError(f"No recording could be protected. {release.withheld[0].problem}")
        self.study.note(row, purpose=self.study.plan.purpose)
        return asdict(replace(release, root=Path()))

    def judge(self, releases: Sequence[Release]) -> list[Result]:
        """Return the rows of the originals, then those of each release with the original's figure as baseline."""
        # the longest first, so that no process is left alone with it in the end
        longest = sorted(releases, key=lambda release: -len(release.modalities))
        modalities = dict.fromkeys("+".join(release.modalities) for release in longest)
        originals: dict[str, Any] = {f"original {m}": (ORIGINAL, m, self.recordings, []) for m in modalities}
        baselines = self._judged("judge originals", originals)
        items = {}
        for release in longest:
            modality = "+".join(release.modalities)
            baseline = [asdict(row) for row in baselines[f"original {modality}"]]
            items[release.name] = (release.name, modality, open_cohort(release.root).recordings, baseline)
        judged = self._judged("judge releases", items)
        # what several modalities' judgements of the originals have in common stands once
        once = {(r.key, r.modality): r for name in reversed(originals) for r in baselines[name]}
        return [*once.values(), *(row for release in releases for row in judged[release.name])]

    def _judged(self, label: str, items: Mapping[str, Any]) -> dict[str, list[Result]]:
        study, plan = self.study, self.study.plan

        def unjudged(item: str, error: Exception) -> Mapping[str, Any]:
            release, modality, *_ = items[item]
            row = partial(unmeasured, error=error, release=release, modality=modality)
            rows = [row(name, registry.load(_ATTACKS, name).question) for name in plan.attacks]
            rows += [row(name, "read") for name in plan.utilities]
            return {"rows": [asdict(row) for row in rows]}

        made = study.workers.each(
            label,
            items,
            partial(_judge, plan, study.cohort, study.folder.private / "views"),
            study.folder.private / "steps" / label.replace(" ", "-"),
            {name: fingerprint([__version__, self.key, plan, item]) for name, item in items.items()},
            unjudged,
        )
        return {name: [read_result(row) for row in result["rows"]] for name, result in made}


def _views(plan: StudyPlan) -> tuple[str, ...]:
    """Return the views that the plan's attacks and measures read."""
    names = [(_ATTACKS, name) for name in plan.attacks] + [(_UTILITIES, name) for name in plan.utilities]
    methods = [registry.load(folder, name) for folder, name in names]
    return tuple(sorted({view for method in methods for view in getattr(method, "views", ())}))


def _judge(plan: StudyPlan, cohort: Cohort, folder: Path, item: tuple[str, str, Sequence[Recording], Any]) -> Any:
    name, modality, recordings, baseline = item
    views = _views(plan)
    there = {r.id for r in recordings}
    # a release has few of the labels
    rows = table(cohort, [r for r in cohort.recordings if r.id in there], plan.label)
    everybody = [r.subject for r in cohort.recordings]  # the same are drawn for every release
    people = people_to_judge(everybody, rng=generator(plan.seed, "judged people"))
    rows = rows[rows["subject"].isin(people)]
    original = gather(folder / ORIGINAL, rows, views)
    results = judge(
        original,
        original if name == ORIGINAL else gather(folder / name, rows, views),
        modality=modality,
        seed=plan.seed,
        attacks=plan.attacks,
        utilities=plan.utilities,
        options=plan.options,
        label=plan.label or "emotion",
        label_kind=plan.kind,
        baseline=[read_result(row) for row in baseline],
    )
    results = with_draw(results, len(people), len(set(everybody)))
    return {"rows": [asdict(replace(row, release=name)) for row in results]}


def _stamp(files: Mapping[str, Path]) -> str:
    """Return what changes when a file does."""
    return fingerprint([(track, plain_size(path), path.stat().st_mtime_ns) for track, path in sorted(files.items())])
