"""Runs a study: every release made, judged by utility and risk, and written into one run folder."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from personare import __version__
from personare.anonymize._recordings import Disguise, Locate, Masks, Outcome, anonymize_recording
from personare.anonymize._release import fit_masks, release_recordings
from personare.core.errors import DataError, reason
from personare.core.types import Cohort, Recording, Release, Result, Withheld
from personare.data.atomic import write_text
from personare.data.cohort import UNFINISHED, cohort_kind, open_cohort
from personare.data.labels import kind_of_label
from personare.data.runs import RunFolder, fingerprint
from personare.features.locations import Locations
from personare.features.tracks import Track, film_of, sound_of
from personare.govern.ledger import Ledger
from personare.report import write_report
from personare.simulate.cohort import simulate_cohort
from personare.study import outputs
from personare.study.admission import admit
from personare.study.evidence import Observe, has_landmarker, locate_live
from personare.study.features import FeatureReleases
from personare.study.judge import Judge, needed_views
from personare.study.labels import choose_label, values_of
from personare.study.lineage import ORIGINAL, note_sources, remove_dropped, remove_withdrawn
from personare.study.models import Models
from personare.study.opening import Opening
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan, with_label

__all__ = ["made_up_cohort", "run_study", "stages"]

_Made = TypeVar("_Made")
_Learned = tuple[Release, list[Result], list[Withheld]]


def run_study(cohort: Cohort, plan: StudyPlan, text: str, out: Path, *, workers: Workers, ledger: Ledger) -> Path:
    """Make and judge every release of a plan; the originals stay where they are, the run folder tells what came out.

    **Guarantee**: what an earlier run made of recordings that may not be used any more is removed before anything else
    is done; what depends on changed recordings, labels, options or seed is made anew. One release, attack or measure
    that fails never stops the others: it is in ``not_made.json``, or a row without a figure and with the reason.

    Args:
        cohort: The people's recordings.
        plan: What to do.
        text: The plan as its file said it, kept in the run.
        out: The run folder, of which all may be sent; beside it, ``<out>.private`` may not. A finished step is not done
            again, a killed run goes on.
        workers: Who works.
        ledger: Where each opening and each release is noted.

    Returns:
        The report, ``out/report.html``.

    Raises:
        PersonareError: Nothing of what was planned can be made, and how to mend that; or another process works in the
            same folder.
    """
    plan = choose_label(cohort, plan)
    text = with_label(text, plan.label)
    run = RunFolder(out)
    with run.lock(), workers.stages(stages(plan)) as shared:
        outcome = outputs.Outcome()
        removed = remove_withdrawn(run, cohort, ledger)
        outcome.skipped += [
            Withheld(item=f"release {n}", problem=why, fix="It was removed.") for n, why in removed.items()
        ]
        _release_recordings(cohort, plan, run, shared, ledger, outcome)
        _release_learned(cohort, plan, run, shared, ledger, outcome)
        if not outcome.releases and outcome.refused:
            told = "; ".join(f"{item.item}: {item.problem}" for item in outcome.not_made)
            raise DataError(f"Nothing could be made of {cohort.name}. {told}")
        # only now: a refused run leaves the last one's as it was
        remove_dropped(run, plan.names)
        outputs.write(run, cohort, plan, text, outcome, ledger)
        return write_report(out)


def stages(plan: StudyPlan) -> int:
    """Return in how many stages of work a plan is carried out."""
    learned = bool(plan.models or plan.representations or plan.synthetic)
    return (2 * len(plan.releases) + 3 if plan.releases else 0) + learned


def _release_recordings(
    cohort: Cohort, plan: StudyPlan, run: RunFolder, workers: Workers, ledger: Ledger, outcome: outputs.Outcome
) -> None:
    if not plan.releases:
        return
    try:
        study = _Study.open(cohort, plan, run, workers, ledger)
        outcome.skipped += [*study.skipped, *study.observe_originals()]
    except Exception as error:
        for disguise in plan.releases:
            outcome.missed(disguise.name, error)
        return
    made = [r for d in plan.releases if (r := _unless(outcome, d.name, partial(study.release, d))) is not None]
    outcome.releases += made
    outcome.rows += study.judge(made) if made else []


def _release_learned(
    cohort: Cohort, plan: StudyPlan, run: RunFolder, workers: Workers, ledger: Ledger, outcome: outputs.Outcome
) -> None:
    """Make every representation, made-up cohort and model; each is one process's work."""
    # a process that was begun earlier may stand in another folder
    real, folder = replace(cohort, root=cohort.root.resolve()), RunFolder(run.root.resolve())
    many: dict[str, Any] = {"cohort": real, "plan": plan, "run": folder, "ledger": ledger}
    many["opening"] = _opened(plan, Opening(cohort=real, ledger=ledger, known=_seen(folder)), workers.alone())
    features = FeatureReleases(**many, workers=workers.alone())
    kinds: list[tuple[Sequence[Any], Callable[[Any], _Learned]]] = [
        (plan.synthetic, features.synthesize),  # these take longest: begun first, they keep no process waiting
        (plan.representations, features.represent),
        (plan.models, Models(**many).make),
    ]
    work = {
        one.name: (one.name, partial(_with_classes, cohort, plan, make, one)) for ones, make in kinds for one in ones
    }
    # what one release costs a person must be in the ledger before the next one is priced
    alone = replace(workers, jobs=1) if plan.budget else workers
    made = dict(alone.run("learn from people", work, _tried, _lost)) if work else {}
    for name in (name for name in plan.names if name in work):
        found = made[name]
        outcome.add(found)
        outcome.releases += [replace(r, root=run.root / "releases" / r.name) for r in found.releases]


def _opened(plan: StudyPlan, opening: Opening, workers: Workers) -> Opening:
    """Open what the plan learns from, before it is handed to several processes."""
    learned: list[Any] = [*plan.synthetic, *plan.representations, *plan.models]
    for one in learned:
        with suppress(Exception):  # each release meets it again and says it
            opening(one.label, one.modalities, texts=getattr(one, "texts", True), workers=workers)
    for task in plan.transfer if plan.representations else ():
        with suppress(Exception):
            if not task.cohort:
                opening(task.label, ())
    return opening


def _seen(run: RunFolder) -> dict[str, dict[str, Track]]:
    """Return the tracks that this study has read already, of the films and sounds that it hides."""
    found: dict[str, dict[str, Track]] = {}
    for path in sorted((run.private / "views" / ORIGINAL).glob("*.npz")):
        with np.load(path, allow_pickle=False) as views:
            if "logmel" in views.files:
                found.setdefault(path.stem, {})["audio"] = sound_of(views["logmel"])
            if "blendshapes" in views.files:
                with suppress(DataError):  # no face is seen
                    found.setdefault(path.stem, {})["video"] = film_of(views["blendshapes"], path.stem)
    return found


def _with_classes(cohort: Cohort, plan: StudyPlan, make: Callable[[Any], _Learned], one: Any) -> _Learned:
    """Make a release that is learned from classes, unless its label is a continuous number."""
    kind = plan.kind if one.label == plan.label else kind_of_label(values_of(cohort, one.label))
    if kind == "continuous":
        raise DataError(
            f"It needs classes to learn from, and {one.label} is continuous. Name another label for it in the study "
            "file"
        )
    return make(one)


def _tried(item: tuple[str, Callable[[], _Learned]]) -> outputs.Outcome:
    """Make a release, or say why it cannot be made, in some process."""
    outcome = outputs.Outcome()
    found = _unless(outcome, *item)
    if found is not None:
        outcome.releases, outcome.rows, outcome.skipped = [found[0]], found[1], found[2]
    return outcome


def _lost(name: str, error: Exception) -> outputs.Outcome:
    outcome = outputs.Outcome()
    outcome.missed(name, error)
    return outcome


def _unless(outcome: outputs.Outcome, name: str, make: Callable[[], _Made]) -> _Made | None:
    """Make a release, or note why it cannot be made: one never stops the others."""
    try:
        return make()
    except Exception as error:
        outcome.missed(name, error)
        return None


@dataclass(frozen=True, kw_only=True)
class _Study:
    """One study under way.

    Attributes:
        recordings: Those that were admitted.
        sources: Their files, recording -> track -> path.
        skipped: Those that were not.
        stamps: What changes when a recording's files do.
    """

    cohort: Cohort
    plan: StudyPlan
    run: RunFolder
    workers: Workers
    ledger: Ledger
    recordings: tuple[Recording, ...]
    sources: Mapping[str, Mapping[str, Path]]
    skipped: tuple[Withheld, ...]
    stamps: Mapping[str, str]

    @classmethod
    def open(cls, cohort: Cohort, plan: StudyPlan, run: RunFolder, workers: Workers, ledger: Ledger) -> "_Study":
        """Ask the vault for every recording of the cohort."""
        recordings, sources, skipped = admit(cohort, plan.modalities, plan.purpose, ledger)
        if not recordings:
            why = skipped[0].problem if skipped else f"it has no {' or '.join(plan.modalities)}"
            raise DataError(f"No recording of {cohort.name} can be studied: {why}.")
        note_sources(run, ORIGINAL, plan.purpose, sources)
        return cls(
            cohort=cohort,
            plan=plan,
            run=run,
            workers=workers,
            ledger=ledger,
            recordings=recordings,
            sources=sources,
            skipped=tuple(skipped),
            stamps={name: _stamp(files) for name, files in sources.items()},
        )

    @cached_property
    def key(self) -> str:
        """What releases and figures depend on."""
        return fingerprint([self.stamps, [asdict(r) for r in self.recordings], self.plan.seed, has_landmarker()])

    def observe_originals(self) -> list[Withheld]:
        """Describe the originals and find their faces, once for all releases."""
        return self._observe(ORIGINAL, self.sources)

    def _observe(self, name: str, files: Mapping[str, Mapping[str, Path]]) -> list[Withheld]:
        views = needed_views(self.plan)
        observe = Observe(
            folder=self.run.private / "views" / name,
            views=views,
            locations=self.run.private / "locations",
            original=name == ORIGINAL,
        )
        keys = {
            recording: fingerprint([__version__, self.stamps[recording], _stamp(tracks), views, has_landmarker()])
            for recording, tracks in files.items()
        }
        items = {recording: (recording, tracks) for recording, tracks in files.items()}
        steps = self.run.private / "steps" / f"observe-{name}"
        found = self.workers.each(f"look at {name}", items, observe, steps, keys, _unseen)
        return [
            Withheld(item=f"{recording} ({name})", problem=problem, fix="It is left out where this is needed.")
            for recording, seen in sorted(found)
            for problem in seen["problems"]
        ]

    def release(self, disguise: Disguise) -> Release:
        """Make one release and describe it as an attacker would."""
        root = self.run.root / "releases" / disguise.name
        note_sources(self.run, disguise.name, self.plan.purpose, self.sources)
        step = self.run.step(
            f"release-{disguise.name}",
            inputs={"recordings": self.key},
            options=asdict(disguise),
            work=lambda: self._make(disguise),
            product=root,
        )
        release = Release(**{**step, "root": root, "withheld": tuple(Withheld(**w) for w in step["withheld"])})
        note_sources(self.run, disguise.name, self.plan.purpose, self.sources)
        cohort = open_cohort(release.root)
        files = {r.id: {track: release.root / path for track, path in r.tracks.items()} for r in cohort.recordings}
        self._observe(disguise.name, files)
        return release

    def _make(self, disguise: Disguise) -> Mapping[str, Any]:
        with self.run.making(disguise.name) as part:
            if not part.exists():
                self.run.forget(f"hide-{disguise.name}")  # what it remembers went with the folder
            masks = fit_masks(disguise, self.recordings, self.sources, self._locate_for(disguise), self.plan.seed)

            def hide(work: Sequence[tuple[Recording, Mapping[str, Path]]]) -> Iterator[Outcome]:
                items = {r.id: (r, self.sources[r.id], targets) for r, targets in work}
                hidden = partial(_hide, self.run.private / "locations", self.plan.seed, disguise, masks)
                steps = self.run.private / "steps" / f"hide-{disguise.name}"
                subjects = [(r.id, r.subject) for r in self.recordings]
                what = fingerprint([__version__, self.stamps, subjects, self.plan.seed, asdict(disguise)])
                keys = dict.fromkeys(items, what)
                for _, outcome in self.workers.each(disguise.name, items, hidden, steps, keys, _unhidden):
                    withheld = tuple(Withheld(**w) for w in outcome["withheld"])
                    files = {track: Path(path) for track, path in outcome["files"].items()}
                    yield Outcome(**{**outcome, "withheld": withheld, "files": files})

            release = release_recordings(self.recordings, disguise, part, hide, labels=(self.plan.label,))
            if not open_cohort(part).recordings:
                raise DataError(f"No recording could be protected. {release.withheld[0].problem}")
        self.ledger.append(
            "released", [{"cohort": self.cohort.name, "purpose": self.plan.purpose, "detail": asdict(disguise)}]
        )
        return asdict(replace(release, root=Path()))

    def _locate_for(self, disguise: Disguise) -> Callable[[Recording], Locate]:
        return partial(_locate, self.run.private / "locations", disguise.needs_landmarks())

    def judge(self, releases: Iterable[Release]) -> list[Result]:
        """Judge the originals, then every release against them."""
        judge = Judge(plan=self.plan, cohort=self.cohort, run=self.run, workers=self.workers, key=self.key)
        return judge(self.recordings, list(releases))


def _stamp(files: Mapping[str, Path]) -> str:
    """Return what changes when a file does."""
    known = {track: path.stat() for track, path in sorted(files.items())}
    return fingerprint([(track, stat.st_size, stat.st_mtime_ns) for track, stat in known.items()])


def _unseen(_recording: str, error: Exception) -> Mapping[str, Any]:
    return {"views": [], "problems": [reason(error)]}


def _unhidden(recording: str, error: Exception) -> Mapping[str, Any]:
    withheld = {"item": recording, "problem": reason(error), "fix": "Run again, or leave the recording out."}
    return {"recording": recording, "files": {}, "counts": {}, "withheld": [withheld]}


def made_up_cohort(root: Path, plan: StudyPlan, workers: Workers) -> Cohort:
    """Return the embedded default: people who do not exist, made once and kept in ``root``."""
    if (root / "dataset_description.json").exists():
        made = open_cohort(root)
        about = json.loads((root / "dataset_description.json").read_text(encoding="utf-8"))["Personare"]
        if (about.get("Seed"), len({r.subject for r in made.recordings})) == (plan.seed, plan.people):
            return made
        if cohort_kind(root) != "synthetic":
            raise DataError(f"{root} must hold made-up people to be made anew. Choose another folder with --out.")
        for path in root.iterdir():  # other people are asked for; the ledger goes on
            if path.is_dir():
                shutil.rmtree(path)
            elif not path.name.startswith("ledger.sqlite"):
                path.unlink()
        write_text(root / UNFINISHED, "Other people are being made up here.\n")
    return simulate_cohort(
        root, people=plan.people, seed=plan.seed, workers=workers.jobs, progress=workers.bar("make up people")
    )


def _locate(locations: Path, mesh: bool, recording: Recording) -> Locate:
    """Return what finds the faces of one recording: what was found before, or a new search."""
    kept = locations / f"{recording.id}.npz"
    return Locations.load(kept).replay if kept.exists() else partial(locate_live, mesh=mesh)


def _hide(
    locations: Path,
    seed: int,
    disguise: Disguise,
    masks: Masks,
    item: tuple[Recording, Mapping[str, Path], Mapping[str, Path]],
) -> Mapping[str, Any]:
    recording, sources, targets = item
    locate = _locate(locations, disguise.needs_landmarks(), recording)
    outcome = anonymize_recording(recording, sources, targets, disguise, masks, seed=seed, locate=locate)
    return {**asdict(outcome), "files": {track: str(path) for track, path in outcome.files.items()}}
