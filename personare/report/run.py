"""What a study left in its run folder, read once; a missing or broken piece is noted, never fatal."""

import json
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import quote

from personare.core.errors import DataError
from personare.core.types import Result, Spend
from personare.report.words import KINDS

_LISTS = ("results", "details", "releases", "skipped", "not_made", "reference", "trained")
_MAPPINGS = ("ledger", "cohort", "versions", "examples")
_OPTIONAL = ("not_made", "reference", "trained")
_BESIDE = {
    "preview.html": "all of it, to look at",
    "README.md": "its card",
    "croissant.json": "its card, Croissant",
}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The privacy that a release claims; ``epsilon`` is infinite where none is claimed, NaN where none was recorded.

    Example:
        >>> Claim(epsilon=2.0, delta=1e-5, unit="person", accountant="pld").words
        'ε = 2, δ = 1e-05, for one person'
    """

    epsilon: float = math.nan
    delta: float = math.nan
    unit: str = ""
    accountant: str = ""

    @property
    def has_bound(self) -> bool:
        """Whether there is a bound at all."""
        return math.isfinite(self.epsilon)

    @property
    def words(self) -> str:
        """The claim as a line of text."""
        if not self.has_bound:
            return "none" if math.isinf(self.epsilon) else "not recorded"
        delta = f"δ = {self.delta:.3g}" if math.isfinite(self.delta) else "δ not recorded"
        return f"ε = {self.epsilon:.3g}, {delta}, for one {self.unit or 'unit that was not recorded'}"


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run folder as the report sees it: the study's files by name, empty where one is absent."""

    root: Path
    results: tuple[Result, ...]
    releases: Sequence[Mapping[str, Any]]
    skipped: Sequence[Mapping[str, Any]]
    not_made: Sequence[Mapping[str, Any]]
    ledger: Mapping[str, Any]
    cohort: Mapping[str, Any]
    versions: Mapping[str, Any]
    examples: Mapping[str, Any]
    reference: Sequence[Mapping[str, Any]]
    trained: Mapping[str, Mapping[str, Any]]  # by model: options, result
    claims: Mapping[str, Claim]  # by release, where its card or training tells
    study: Mapping[str, Any]
    study_text: str
    missing: tuple[str, ...]  # a sentence for each piece that is not there or could not be read

    def release(self, name: str) -> Mapping[str, Any]:
        """Return the study's record of a release; empty where there is none."""
        return next((r for r in self.releases if r.get("name") == name), {})

    @property
    def simulated(self) -> bool:
        """Whether the people are made up, so that nothing can be recommended."""
        return self.cohort.get("kind") == "synthetic"

    def names(self) -> list[str]:
        """Return the releases in the study's order, without the unprotected cohort."""
        names = [str(r["name"]) for r in self.releases if r.get("name")] + [row.release for row in self.results]
        return [name for name in dict.fromkeys(names) if name != "original"]

    def kind(self, name: str) -> str:
        """Return which kind of release it is."""
        kind = self.release(name).get("kind") or next((r.kind for r in self.results if r.release == name), "")
        return str(kind or "recordings")

    def of(self, kind: str) -> list[str]:
        """Return the releases of a kind."""
        return [name for name in self.names() if self.kind(name) == kind]

    def kinds(self) -> list[str]:
        """Return the kinds that were released in the order of the page, those of other packages last.

        A run in which nothing is known is one of recordings.
        """
        kinds = dict.fromkeys([*map(self.kind, self.names()), *(r.kind for r in self.results)])
        return [k for k in KINDS if k in kinds] + [k for k in kinds if k not in KINDS] or ["recordings"]

    def rows(self, kind: str) -> list[Result]:
        """Return what was measured of a kind of release."""
        return [row for row in self.results if row.kind == kind]

    @property
    def label(self) -> str:
        """What was read from recordings."""
        return str(self.cohort.get("label") or "emotion")

    @property
    def utility_name(self) -> str:
        """What the figure is called that says how well the label is read."""
        numbers = self.cohort.get("label_kind") not in (None, "", "nominal")
        return f"{self.label} {'concordance' if numbers else 'recall'}"

    def protocol(self, name: str) -> str:
        """Return how people were split to train and judge a model; empty where that is not recorded."""
        return str(self.trained[name]["options"].get("protocol") or "") if name in self.trained else ""

    def leaky(self, name: str) -> bool:
        """Whether a model was judged on other recordings of its training subjects."""
        return self.protocol(name) == "leaky_random_9_1"

    def claim(self, name: str) -> Claim:
        """Return the privacy that a release claims; what was only asked for where neither training nor card says it."""
        if name in self.claims:
            return self.claims[name]
        for options in (self.release(name).get("options") or {}).values():
            if isinstance(options, dict) and isinstance(options.get("epsilon"), int | float):
                delta, unit = float(options.get("delta", math.nan)), str(options.get("unit") or "")
                return Claim(epsilon=float(options["epsilon"]), delta=delta, unit=unit)
        return Claim()


def read_run(run: Path) -> RunRecord:
    """Read everything a report can show; pieces that are absent or broken are empty and named in ``missing``."""
    if not run.is_dir():
        raise DataError(f"A run must be a folder, {run} is not one. Name a folder made by 'personare study'.")
    missing: list[str] = []
    kinds = dict.fromkeys(_LISTS, list) | dict.fromkeys(_MAPPINGS, dict)
    piece: dict[str, Any] = {name: _read(run / f"{name}.json", kind, missing) for name, kind in kinds.items()}
    for name in ("releases", "skipped", "not_made", "reference"):
        piece[name] = [entry for entry in piece[name] if isinstance(entry, dict)]

    def parse_study(text: str) -> dict[str, Any]:
        text = text.replace(
            str(Path.home()), "~"
        )  # the report may be handed on: whose home it was is nobody's business
        return {"study": tomllib.loads(text), "study_text": text}

    piece |= {"study": {}, "study_text": ""} | _read(run / "study.toml", dict, missing, parse_study)
    piece["results"] = _rows(piece["results"], piece.pop("details"), missing)
    trained: dict[str, Any] = {}
    claims: dict[str, Claim] = {}
    for name in (str(release.get("name", "")) for release in piece["releases"] if release.get("claim")):
        try:
            card = json.loads((_folder(run, name) / "croissant.json").read_text(encoding="utf-8"))
            claims[name] = _claim(card["personare:privacy"]["spends"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            missing.append(
                f"The card of {name} could not be read ({type(error).__name__}): what it claims is not known."
            )
    for number, record in enumerate(piece["trained"], start=1):
        try:
            name = str(record["options"]["name"])
            claims[name] = _claim(record["result"]["spends"])  # absent is not the same as none: nothing is guessed
            trained[name] = record
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            missing.append(f"trained.json, entry {number}, could not be read ({type(error).__name__}: {error}).")
    return RunRecord(root=run, claims=claims, missing=tuple(missing), **(piece | {"trained": trained}))


def _read(file: Path, kind: type, missing: list[str], parse: Callable[[str], Any] = json.loads) -> Any:
    try:
        content = parse(file.read_text(encoding="utf-8"))
        if isinstance(content, kind):
            return content
        missing.append(f"{file.name} must hold a {kind.__name__}, it holds a {type(content).__name__}.")
    except (OSError, ValueError) as error:
        if file.is_file():
            missing.append(f"{file.name} could not be read ({error}).")
        elif file.stem not in _OPTIONAL:
            missing.append(f"{file.name} is not in the run folder.")
    return kind()


def _rows(rows: Sequence[Any], details: Sequence[Any], missing: list[str]) -> tuple[Result, ...]:
    if details and len(details) != len(rows):
        missing.append(
            f"details.json has {len(details)} entries for {len(rows)} results: no pictures are drawn from it."
        )
        details = ()
    columns = {f.name for f in fields(Result)} - {"detail"}
    results: list[Result] = []
    for number, (row, detail) in enumerate(zip_longest(rows, details), start=1):
        try:
            values: dict[str, Any] = {name: value for name, value in row.items() if name in columns}
            for name in ("value", "low", "high", "baseline", "control"):  # JSON knows no NaN
                values[name] = math.nan if values.get(name) is None else float(values[name])
            values["n"] = int(values.get("n") or 0)
            results.append(Result(**values, detail=detail if isinstance(detail, dict) else {}))
        except (TypeError, ValueError, AttributeError) as error:
            missing.append(f"results.json, entry {number}, was left out ({error}).")
    return tuple(results)


def _claim(spends: Sequence[Mapping[str, Any]]) -> Claim:
    """Return all that was spent as one claim, by composition; one of recordings, if any of it is."""
    if not spends:
        return Claim(epsilon=math.inf)
    unit = "recording" if "recording" in {spend["unit"] for spend in spends} else "person"
    epsilon, delta = float(spends[0]["epsilon"]), float(spends[0]["delta"])
    if len(spends) > 1:
        # Only here does a report need the accountant, which brings torch along.
        from personare.learn.accounting import as_one_claim

        if whole := as_one_claim([Spend(**spend) for spend in spends]):
            epsilon, delta = whole.epsilon, whole.delta
    return Claim(epsilon=epsilon, delta=delta, unit=unit, accountant=str(spends[0].get("accountant", "")))


def links_of(run: Path, name: str) -> list[tuple[str, str]]:
    """Return (address relative to the report, what it is) of a release's card and preview, where they are."""
    folder = _folder(run, name)
    return [(f"releases/{quote(name)}/{file}", what) for file, what in _BESIDE.items() if (folder / file).is_file()]


def papers_of(run: Path) -> list[tuple[str, str, int]]:
    """Return (address relative to the report, title, headings left to a person) of the papers drafted of a run."""
    papers = _read(run / "papers" / "papers.json", dict, [])
    return [
        (f"papers/{quote(file)}", str(one["title"]), sum(bool(field["to_write"]) for field in one["fields"]))
        for file, one in papers.items()
    ]


def _folder(run: Path, name: str) -> Path:
    """Return a release's folder; a name that leads elsewhere leads to none."""
    folder = (run / "releases" / name).resolve()
    return folder if folder.parent == (run / "releases").resolve() else run / "releases" / "none"
