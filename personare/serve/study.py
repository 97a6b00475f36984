"""The Study room: from a folder of one's own recordings to the report of a study, without a terminal."""

import base64
import csv
import hashlib
import io
import re
import shutil
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from personare.core import registry
from personare.core.errors import DataError, PersonareError
from personare.core.types import Cohort
from personare.data.cohort import DESCRIPTION, UNFINISHED, cohort_kind, declared_modalities, open_cohort
from personare.data.importing import READERS
from personare.data.media_files import files_under, track_of
from personare.data.roles import recorded_as
from personare.data.validate import validate
from personare.govern.consent import PURPOSES, permits, read_consent
from personare.govern.policy import CONTEXTS, EXCEPTIONS
from personare.serve.jobs import Job, Jobs
from personare.serve.pages import Pages, Room, served_file
from personare.study.labels import choose_label, values_of
from personare.study.plan import StudyPlan, for_tracks, kinds, load_plan, presets
from personare.study.policing import check_plan

_MOST_FILES = 100_000  # in a folder that is looked through
_PURPOSES = ("evaluation", "training", "anonymization")  # for which a study, its models and a release open recordings
_FOLDERS = {"releases": "anonymize", "representations": "represent", "synthetic": "synthesize", "models": "train"}
_STAGE = re.compile(r"^(.*) \((\d+) of (\d+)\)$|^(.*):\s+(\d+)%\|", re.MULTILINE)
_SURE = 0.1  # share of the work that must be done before the rest can be told from it


def study_room(pages: Pages, folder: Path) -> Room:
    """Return the room in which a folder becomes a cohort, and a cohort a report; what it makes lies in ``folder``.

    **Guarantee**: it opens no recording; what it starts asks for consent as from the command line. Of a run only the
    folder that may be sent is shown.
    """
    summary = "From a folder of recordings to a report: what each way of hiding people keeps, and who is still found."
    return Room(name="study", title="Study", router=_Steps(pages, folder).router, summary=summary)


class _Choice(BaseModel):
    """What is chosen of a study, as on the command line."""

    path: str  # of the cohort
    preset: str = "quick"
    label: str = ""
    purpose: str = ""
    context: str = ""
    exception: str = ""
    justification: str = ""
    config: str = ""
    name: str = ""  # of the study

    @property
    def settings(self) -> dict[str, str]:
        """What stands in for the study file's own."""
        names = ("label", "purpose", "context", "exception", "justification")
        return {name: str(getattr(self, name)) for name in names}

    def plan(self, cohort: Cohort) -> tuple[StudyPlan, list[str]]:
        """Return what the command line would plan for a cohort, and what it would leave out."""
        config = _file(self.config) if self.config else None
        plan, _ = load_plan(self.preset, config, **self.settings)
        return (plan, []) if config else for_tracks(plan, {track for one in cohort.recordings for track in one.tracks})


class _Steps:
    def __init__(self, pages: Pages, folder: Path) -> None:
        self._show, self._folder, self._jobs, self._lock = pages.show, folder, Jobs(folder / "jobs"), Lock()
        self.router = APIRouter()
        for method, path, answer in (
            ("GET", "", self.first),
            ("GET", "/folder", self.walk),
            ("GET", "/contents", self.look),
            ("GET", "/labels.csv", self.labels),
            ("POST", "/import", self.bring),
            ("GET", "/plan", self.plan),
            ("POST", "/start", self.start),
            ("GET", "/jobs/{name}", self.watch),
            ("GET", "/jobs/{name}/state", self.state),
            ("GET", "/jobs/{name}/run/{file:path}", self.file),
            ("POST", "/jobs/{name}/stop", self.stop),
            ("POST", "/jobs/{name}/again", self.again),
        ):
            self.router.add_api_route(path, answer, methods=[method])

    def first(self, request: Request) -> Response:
        """Show what was started before."""
        cohorts = sorted(path.parent for path in (self._folder / "cohorts").glob(f"*/{DESCRIPTION}"))
        jobs = [(job, self._jobs.state(job).name, datetime.fromtimestamp(job.started)) for job in self._jobs.all()]
        return self._show(request, "study.html", jobs=jobs, cohorts=cohorts)

    def walk(self, request: Request, path: str = "~") -> Response:
        """Show the folders below a folder, by name alone."""
        root = _folder(path)
        names = sorted((one.name for one in root.iterdir() if one.is_dir() and one.name[0] != "."), key=str.casefold)
        return self._show(request, "study_folder.html", root=root, names=names)

    def look(self, request: Request, path: str) -> Response:
        """Show what is in a folder: that of a cohort, or what it would become."""
        root, cohort, matches = _folder(path), None, []
        files = Counter(track_of(name) or "other" for name in _files(root))
        if (root / DESCRIPTION).is_file():
            cohort = _contents(open_cohort(root))
        if cohort is None or (cohort["kind"] == "identifiable" and not any(cohort["consent"].values())):
            matches = _matches(root)
        return self._show(
            request,
            "study_contents.html",
            root=root,
            files=files,
            cohort=cohort,
            matches=matches,
            purposes=PURPOSES,
        )

    def labels(self, path: str) -> Response:
        """Give the table that the reader ``folder`` needs, with a row for each file, to be filled in."""
        table = io.StringIO()
        rows = [(name, "", "") for name in _files(_folder(path)) if track_of(name) in ("audio", "video")]
        csv.writer(table).writerows([("file", "subject", "emotion"), *rows])
        headers = {"content-disposition": 'attachment; filename="labels.csv"'}
        return Response("\ufeff" + table.getvalue(), media_type="text/csv", headers=headers)  # as Excel reads UTF-8

    def bring(
        self,
        path: Annotated[str, Form()],
        reader: Annotated[str, Form()],
        purposes: Annotated[tuple[str, ...], Form()] = (),
    ) -> Response:
        """Start to make a cohort of a folder."""
        source = _folder(path)
        mark = hashlib.sha256(f"{source} {reader}".encode("utf-8", "surrogateescape")).hexdigest()[:6]
        target = self._folder / "cohorts" / f"{_slug(source.name)}-{mark}"  # the same again brings it up to date
        command = ["import", str(source), str(target), "--reader", reader]
        command += ["--consent-all", ",".join(purposes)] if purposes else []
        about = {"kind": "import", "title": f"Import of {source.name}", "place": str(target), "learned": []}
        return self._begin(command, target / DESCRIPTION, about)

    def plan(self, request: Request, choice: Annotated[_Choice, Query()]) -> Response:
        """Show what a study of a cohort will make, what it leaves out, and what is asked before it can begin."""
        from personare.study.needs import lacking_of  # brings torch, for which no start should wait

        cohort, problem = open_cohort(_folder(choice.path)), ""
        labels = sorted({name for one in cohort.recordings for name in one.labels})
        labels += [name for name in map(str, cohort.participants) if name not in labels]
        plan, left = choice.plan(cohort)
        try:
            plan = choose_label(cohort, plan)
            check_plan(cohort, plan)
        except PersonareError as error:
            problem = str(error)
        said = {"label": choice.label or ("" if problem else plan.label), "purpose": plan.purpose, **vars(plan.use)}
        name = _slug(f"{cohort.name}-{Path(choice.config).stem or choice.preset}")
        return self._show(
            request,
            "study_plan.html",
            choice=choice.model_copy(update=said),
            cohort=_contents(cohort),
            presets=presets(),
            labels={name: len(set(values_of(cohort, name))) for name in labels},
            purposes=PURPOSES,
            contexts=CONTEXTS,
            exceptions=EXCEPTIONS,
            made=_made(plan),
            left=left,
            lacking=[] if problem else lacking_of(cohort, plan),
            problem=problem,
            name=self._free_name(name),
        )

    def start(self, choice: Annotated[_Choice, Form()]) -> Response:
        """Start a study."""
        cohort = open_cohort(_folder(choice.path))
        plan, _ = choice.plan(cohort)
        check_plan(cohort, choose_label(cohort, plan))
        run = self._folder / "runs" / _slug(choice.name)
        if run.name != self._free_name(run.name):
            raise DataError(f"There is a study {run.name} already. Choose another name, or start that one again.")
        command = ["study", str(cohort.root.resolve()), "--out", str(run), f"--preset={choice.preset}"]
        command += [f"--{name}={value}" for name, value in choice.settings.items()]
        command += ["--config", str(_file(choice.config))] if choice.config else []
        learned = [name for name in plan.names if name not in {row.name for row in plan.releases}]
        about = {"kind": "study", "title": run.name, "place": str(run), "learned": learned}
        return self._begin(command, run / "report.html", about)

    def again(self, name: str) -> Response:
        """Start the work of a job once more: a study goes on where it stopped."""
        job = self._jobs.find(name)
        return self._begin(job.command, Path(job.product), job.about)

    def stop(self, name: str) -> Response:
        """End a job; what a study has finished is kept, half a cohort is removed."""
        job = self._jobs.find(name)
        self._jobs.stop(job)
        self._clear(Path(job.product))
        return RedirectResponse(f"/study/jobs/{name}", 303)

    def watch(self, request: Request, name: str) -> Response:
        """Show how far a job is, and what came of it."""
        job = self._jobs.find(name)
        return self._show(request, "study_job.html", job=job, now=self._progress(job))

    def state(self, name: str) -> dict[str, Any]:
        """Say how far a job is."""
        return self._progress(self._jobs.find(name))

    def file(self, name: str, file: str) -> Response:
        """Give a file of the run that may be sent, such as its report: no script of it runs but the report's own."""
        from personare.report.words import text

        job = self._jobs.find(name)
        if job.about["kind"] != "study":  # a cohort holds originals
            raise HTTPException(404, "There is no such file here.")
        script = base64.b64encode(hashlib.sha256(text("page.js").encode()).digest()).decode()
        response = served_file(Path(job.about["place"]), file)
        response.headers["content-security-policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self' data:; "
            f"script-src 'sha256-{script}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return response

    def _begin(self, command: Any, product: Path, about: Any) -> Response:
        with self._lock:  # a button that is pressed twice
            if any(job.product == str(product) and self._jobs.is_running(job) for job in self._jobs.all()):
                raise DataError("This work is being done already: see it in the list of what was started.")
            self._clear(product)
            job = self._jobs.start(command, product=product, about=about)
        return RedirectResponse(f"/study/jobs/{job.id}", 303)

    def _clear(self, product: Path) -> None:
        """Remove what an import that was ended left behind: half a copy of people's recordings."""
        target = product.parent
        for part in (target, target.with_name(f".{target.name}.import")):  # new, or beside the one it is to replace
            if (part / UNFINISHED).exists():
                shutil.rmtree(part)

    def _free_name(self, name: str) -> str:
        taken = {Path(job.about["place"]) for job in self._jobs.all()}
        names = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))]
        return next(one for one in names if self._folder / "runs" / one not in taken)

    def _progress(self, job: Job) -> dict[str, Any]:
        """Return in words how far a job is; what time is left is told from the share that is done, or not at all."""
        state = self._jobs.state(job)
        stages = _STAGE.findall(state.said)
        label, number, stage_count, work, percent = stages[-1] if stages else ("", 0, 1, "", 0)
        done, whole = int(percent or 0) / 100, 1
        if number:
            done, whole = int(number) - 1, int(stage_count)
            releases, learned = Path(job.about["place"]) / "releases", job.about["learned"]
            if label.startswith(("learn", "adapt")):  # stages in which many releases are made
                done += sum((releases / name).exists() for name in learned) - label.startswith("adapt")
            whole += max(0, len(learned) - 1)
        share = min(1.0, done / whole)
        rest_s = state.elapsed_s * (1 / share - 1) if share >= _SURE else None
        sentence = state.said.rpartition("personare: ")[2] if "personare: " in state.said else ""
        return {
            "state": state.name,
            "stage": label or work,
            "share": 1.0 if state.name == "done" else round(share, 3),
            "elapsed": _spoken(state.elapsed_s),
            "remaining": "not known yet" if rest_s is None else f"about {_spoken(rest_s)}",
            "lines": state.said.split("\n")[-12:],
            "sentence": "" if state.name == "running" else sentence,
        }


def _folder(path: str) -> Path:
    root = Path(path.strip()).expanduser()
    if not (root.is_absolute() and root.is_dir()):
        raise DataError(f"There is no folder {path}. Go back and choose another one.")
    return root.resolve()


def _file(path: str) -> Path:
    file = Path(path.strip()).expanduser()
    if not (file.is_absolute() and file.is_file()):
        raise DataError(f"There is no study file {path}. Go back, and give the whole path of one.")
    return file


def _files(root: Path) -> list[str]:
    if Path.home().resolve().is_relative_to(root) or len(files := files_under(root)) > _MOST_FILES:
        raise DataError(f"{root} holds too many files to look through. Choose the folder in which the recordings are.")
    return files


def _contents(cohort: Cohort) -> dict[str, Any]:
    """Return what a person must know of a cohort before a study: how much there is, and who agreed to what."""
    people = sorted({one.subject for one in cohort.recordings})
    tracks = Counter(track for one in cohort.recordings for track in one.tracks)
    labels: dict[str, Counter[str]] = {}
    for one in cohort.recordings:
        for name, value in one.labels.items():
            labels.setdefault(name, Counter())[value] += 1
    kind, declared, today = cohort_kind(cohort.root), declared_modalities(cohort.root), datetime.now(UTC).date()
    modalities = {recorded_as(track, declared) for track in tracks}
    rows = read_consent(cohort.root / "consent.tsv").groupby("subject")
    agreed: Counter[str] = Counter(dict.fromkeys(_PURPOSES, 0))
    for subject in [one for one in people if one in rows.groups]:
        own = rows.get_group(subject)
        for purpose in _PURPOSES:
            agreed[purpose] += any(not permits(own, subject, purpose, one, today) for one in modalities)
    return {
        "name": cohort.name,
        "kind": kind,
        "people": len(people),
        "recordings": len(cohort.recordings),
        "tracks": tracks,
        "labels": labels,
        "consent": agreed,
        "problems": validate(cohort.root),
    }


def _matches(root: Path) -> list[tuple[registry.Method, int, int, int]]:
    """Return the readers that find recordings in a folder, with recordings, people and what each would leave out."""
    matches = []
    for method in registry.find(READERS).values():
        with suppress(Exception):  # a reader may fail on a folder that is not its own in any way it likes
            recordings, _, skipped = registry.create(READERS, method.name)(root)
            matches.append((method, len(recordings), len({one.subject for one in recordings}), len(skipped)))
    return sorted((one for one in matches if one[1]), key=lambda one: (-one[1], one[3]))


def _made(plan: StudyPlan) -> dict[str, list[tuple[str, str]]]:
    """Return the releases of a plan by their kind in words, each with what its method does."""
    from personare.report.words import group

    made = {}
    for table in kinds():
        methods = registry.find(f"personare.{_FOLDERS[table]}") if table in _FOLDERS else {}
        titles = {"releases": "Recordings of hidden people", "models": group("model")}
        rows = []
        for row in plan.rows(table):
            names = [*row.methods.values()] if table == "releases" else [getattr(row, "method", "")]
            rows.append((row.name, " ".join(methods[name].summary for name in names if name in methods)))
        if rows:
            made[titles.get(table, group(table))] = rows
    return made


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-") or "mine"


def _spoken(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 60:
        return "less than a minute"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
