"""Runs a study: every release made, judged by utility and risk, and written into one run folder."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from personare.anonymize._recordings import Disguise, Locate, Masks, Outcome, anonymize_recording
from personare.anonymize._release import fit_masks, release_recordings
from personare.core.errors import DataError, PersonareError
from personare.core.types import Cohort, Recording, Release, Result, Withheld
from personare.data.cohort import open_cohort
from personare.data.labels import kind_of_label
from personare.data.runs import RunFolder, fingerprint
from personare.features.locations import Locations
from personare.govern.ledger import Ledger
from personare.report import write_report
from personare.simulate.cohort import simulate_cohort
from personare.study import outputs
from personare.study.admission import admit
from personare.study.evidence import Observe, has_landmarker, locate_live
from personare.study.features import FeatureReleases
from personare.study.judge import Judge, Judged, needed_views
from personare.study.labels import choose_label, values_of
from personare.study.models import Models
from personare.study.parallel import Workers
from personare.study.plan import StudyPlan, with_label

__all__ = ["made_up_cohort", "run_study"]

_Made = TypeVar("_Made")
_Learned = tuple[Release, list[Result], list[Withheld]]


def run_study(cohort: Cohort, plan: StudyPlan, text: str, out: Path, *, workers: Workers, ledger: Ledger) -> Path:
    """Make and judge every release of a plan; the originals stay where they are, the run folder tells what came out.

    Args:
        cohort: The people's recordings.
        plan: What to do.
        text: The plan as its file said it, kept in the run.
        out: The run folder. A finished step in it is not done again, a killed run goes on.
        workers: Who works.
        ledger: Where each opening and each release is noted.

    Returns:
        The report, ``out/report.html``.

    Raises:
        PolicyError: Consent allows no recording to be opened for the plan's purpose.
        DataError: There is nothing to judge, or another process works in the same folder.
    """
    plan = choose_label(cohort, plan)
    text = with_label(text, plan.label)
    with RunFolder(out).lock():
        skipped: list[Withheld] = []
        recordings, judged = _release_recordings(cohort, plan, out, workers, ledger, skipped)
        learned, rows = _release_learned(cohort, plan, out, workers, ledger, skipped)
        every = [*recordings, *learned]
        if not every:
            raise DataError(f"Nothing could be made of {cohort.name}. {skipped[-1].item}: {skipped[-1].problem}")
        (out / "study.toml").write_text(
            text, encoding="utf-8"
        )  # only now: a refused run leaves the last one's as it was
        outputs.write(out, cohort, (every, [*judged, *rows], skipped), plan, ledger)
        return write_report(out)


def _release_recordings(
    cohort: Cohort, plan: StudyPlan, out: Path, workers: Workers, ledger: Ledger, skipped: list[Withheld]
) -> tuple[list[Release], Judged]:
    if not plan.releases:
        return [], []
    study = _Study.open(cohort, plan, out, workers, ledger)
    skipped += [*study.skipped, *study.observe_originals()]
    made = [release for d in plan.releases if (release := _unless(skipped, d.name, partial(study.release, d)))]
    return made, study.judge(made)


def _release_learned(
    cohort: Cohort, plan: StudyPlan, out: Path, workers: Workers, ledger: Ledger, skipped: list[Withheld]
) -> tuple[list[Release], Judged]:
    """Make every representation, made-up cohort and model; each is one process's work."""
    # a process that was begun earlier may stand in another folder
    real = replace(cohort, root=cohort.root.resolve())
    many: dict[str, Any] = {"cohort": real, "plan": plan, "out": out.resolve(), "ledger": ledger}
    public = open_cohort(Path(plan.public)) if plan.public else None
    features = FeatureReleases(**many, workers=replace(workers, jobs=1, quiet=True))
    models = Models(**many, public=public)
    kinds: list[tuple[Sequence[Any], Callable[[Any], _Learned]]] = [
        (plan.synthetic, features.synthesize),  # these take longest: begun first, they keep no process waiting
        (plan.representations, features.represent),
        (plan.models, models.make),
    ]
    work = {
        one.name: (one.name, partial(_with_classes, cohort, plan, make, one)) for ones, make in kinds for one in ones
    }
    # what one release costs a person must be in the ledger before the next one is priced
    alone = replace(workers, jobs=1) if plan.budget else workers
    made = dict(alone.run("learn from people", work, _tried)) if work else {}
    releases, rows = [], []
    for name in [one.name for ones in (plan.representations, plan.synthetic, plan.models) for one in ones]:
        found, problems = made[name]
        skipped.extend(item for item in problems if item not in skipped)
        if found:
            releases.append(replace(found[0], root=out / "releases" / found[0].name))
            rows += found[1]
    return releases, rows


def _with_classes(cohort: Cohort, plan: StudyPlan, make: Callable[[Any], _Learned], one: Any) -> _Learned:
    """Make a release that is learned from classes, unless its label is a continuous number."""
    kind = plan.kind if one.label == plan.label else kind_of_label(values_of(cohort, one.label))
    if kind == "continuous":
        raise DataError(
            f"It is learned from classes, and {one.label} is continuous. Name another label for it in the study file"
        )
    return make(one)


def _tried(item: tuple[str, Callable[[], _Learned]]) -> tuple[_Learned | None, list[Withheld]]:
    """Make a release, or say why it cannot be made, in some process."""
    problems: list[Withheld] = []
    found = _unless(problems, *item)
    return found, [*problems, *(found[2] if found else [])]


def _unless(skipped: list[Withheld], name: str, make: Callable[[], _Made]) -> _Made | None:
    """Make a release, or note why it cannot be made: one never stops the others."""
    try:
        return make()
    except PersonareError as error:
        fix = "Do what the message says, then run again."
        skipped.append(Withheld(item=f"release {name}", problem=str(error), fix=fix))
        return None


@dataclass(frozen=True, kw_only=True)
class _Study:
    """One study under way.

    Attributes:
        recordings: Those that were admitted.
        sources: Their files, recording -> track -> path.
        skipped: Those that were not.
        key: Hash of the recordings and the seed: what every step depends on.
    """

    cohort: Cohort
    plan: StudyPlan
    out: Path
    workers: Workers
    ledger: Ledger
    recordings: tuple[Recording, ...]
    sources: Mapping[str, Mapping[str, Path]]
    skipped: tuple[Withheld, ...]
    key: str

    @classmethod
    def open(cls, cohort: Cohort, plan: StudyPlan, out: Path, workers: Workers, ledger: Ledger) -> "_Study":
        """Ask the vault for every recording of the cohort."""
        recordings, sources, skipped = admit(cohort, plan.modalities, plan.purpose, ledger)
        if not recordings:
            why = skipped[0].problem if skipped else f"it has no {' or '.join(plan.modalities)}"
            raise DataError(f"No recording of {cohort.name} can be studied: {why}.")
        stamps = [
            (name, track, p.stat().st_size) for name, files in sorted(sources.items()) for track, p in files.items()
        ]
        key = fingerprint([stamps, [asdict(r) for r in recordings], plan.seed, needed_views(plan), has_landmarker()])
        return cls(
            cohort=cohort,
            plan=plan,
            out=out,
            workers=workers,
            ledger=ledger,
            recordings=recordings,
            sources=sources,
            skipped=tuple(skipped),
            key=key,
        )

    def observe_originals(self) -> list[Withheld]:
        """Describe the originals and find their faces, once for all releases."""
        return self._observe("original", self.sources, self.key)

    def _observe(self, name: str, files: Mapping[str, Mapping[str, Path]], key: str) -> list[Withheld]:
        observe = Observe(
            folder=self.out / "private" / name,
            views=needed_views(self.plan),
            locations=self.out / "private" / "locations",
            original=name == "original",
        )
        items = {recording: (recording, tracks) for recording, tracks in files.items()}
        steps = self.out / "steps" / f"observe-{name}"
        found = self.workers.each(f"look at {name}", items, observe, steps, key)
        return [
            Withheld(item=f"{recording} ({name})", problem=problem, fix="It is left out where this is needed.")
            for recording, seen in sorted(found)
            for problem in seen["problems"]
        ]

    def release(self, disguise: Disguise) -> Release:
        """Make one release and describe it as an attacker would."""
        key = fingerprint([self.key, asdict(disguise)])
        step = RunFolder(self.out).step(
            f"release-{disguise.name}",
            inputs={"recordings": key},
            options=asdict(disguise),
            work=lambda: self._make(disguise, key),
        )
        release = Release(
            **{**step, "root": self.out / step["root"], "withheld": tuple(Withheld(**w) for w in step["withheld"])}
        )
        cohort = open_cohort(release.root)
        files = {r.id: {track: release.root / path for track, path in r.tracks.items()} for r in cohort.recordings}
        self._observe(disguise.name, files, key)
        return release

    def _make(self, disguise: Disguise, key: str) -> Mapping[str, Any]:
        masks = fit_masks(disguise, self.recordings, self.sources, self._locate_for(disguise), self.plan.seed)

        def hide(work: Sequence[tuple[Recording, Mapping[str, Path]]]) -> Iterator[Outcome]:
            items = {r.id: (r, self.sources[r.id], targets) for r, targets in work}
            hidden = partial(_hide, self.out / "private" / "locations", self.plan.seed, disguise, masks)
            steps = self.out / "steps" / f"hide-{disguise.name}"
            for _, outcome in self.workers.each(disguise.name, items, hidden, steps, key):
                withheld = tuple(Withheld(**w) for w in outcome["withheld"])
                files = {track: Path(path) for track, path in outcome["files"].items()}
                yield Outcome(**{**outcome, "withheld": withheld, "files": files})

        release = release_recordings(
            self.cohort, self.recordings, disguise, self.out / "releases" / disguise.name, hide
        )
        self.ledger.append(
            "released", [{"cohort": self.cohort.name, "purpose": self.plan.purpose, "detail": asdict(disguise)}]
        )
        return {**asdict(release), "root": f"releases/{disguise.name}"}

    def _locate_for(self, disguise: Disguise) -> Callable[[Recording], Locate]:
        return partial(_locate, self.out / "private" / "locations", disguise.needs_landmarks())

    def judge(self, releases: Iterable[Release]) -> Judged:
        """Judge the originals, then every release against them."""
        return Judge(plan=self.plan, cohort=self.cohort, out=self.out, workers=self.workers, key=self.key)(
            self.recordings, list(releases)
        )


def made_up_cohort(root: Path, plan: StudyPlan, workers: Workers) -> Cohort:
    """Return the embedded default: people who do not exist, made once and kept in ``root``."""
    if (root / "dataset_description.json").exists():
        return open_cohort(root)
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
    outcome = anonymize_recording(recording, sources, targets, disguise, masks, (seed, locate))
    return {**asdict(outcome), "files": {track: str(path) for track, path in outcome.files.items()}}
