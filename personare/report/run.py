"""What a study left in its run folder, read once; a missing or broken piece is noted, never fatal."""

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from personare.core.errors import DataError
from personare.core.types import Result
from personare.report.claims import Claim, read_cards, read_training
from personare.report.words import KINDS

__all__ = ["RunRecord", "read_run"]

_NUMBERS = ("value", "low", "high", "baseline", "control")
_FIELDS = {f.name for f in fields(Result)} - {"detail"}
_PIECES: Mapping[str, type] = {
    "results": list,
    "details": list,
    "releases": list,
    "skipped": list,
    "not_made": list,
    "ledger": dict,
    "cohort": dict,
    "versions": dict,
    "examples": dict,
    "reference": list,
}
_OPTIONAL = ("reference", "not_made")


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run folder as the report sees it: the study's files by name, empty where one is absent.

    ``trained`` is by model, ``claims`` by release, where its card or training tells; ``missing`` holds one sentence for
    each piece that is not there or could not be read.
    """

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
    trained: Mapping[str, Mapping[str, Any]]
    claims: Mapping[str, Claim]
    study: Mapping[str, Any]
    study_text: str
    missing: tuple[str, ...]

    def release(self, name: str) -> Mapping[str, Any]:
        """Return the study's record of a release; empty where there is none."""
        return next((r for r in self.releases if r.get("name") == name), {})

    @property
    def simulated(self) -> bool:
        """Whether the people are made up, so that nothing can be recommended."""
        return self.cohort.get("kind") == "synthetic"

    def names(self) -> list[str]:
        """Return the releases in the study's order, without the unprotected cohort."""
        listed = [str(r["name"]) for r in self.releases if r.get("name")]
        measured = [row.release for row in self.results]
        return [name for name in dict.fromkeys([*listed, *measured]) if name != "original"]

    def kind(self, name: str) -> str:
        """Return which kind of release it is."""
        known = self.release(name).get("kind") or next((r.kind for r in self.results if r.release == name), "")
        return str(known or "recordings")

    def of(self, kind: str) -> list[str]:
        """Return the releases of a kind."""
        return [name for name in self.names() if self.kind(name) == kind]

    def kinds(self) -> list[str]:
        """Return the kinds that were released in the order of the page, those of other packages last.

        A run in which nothing is known is one of recordings.
        """
        made = dict.fromkeys([*map(self.kind, self.names()), *(r.kind for r in self.results)])
        return [k for k in KINDS if k in made] + [k for k in made if k not in KINDS] or ["recordings"]

    def rows(self, kind: str) -> list[Result]:
        """Return what was measured of a kind of release."""
        return [row for row in self.results if row.kind == kind]

    @property
    def label(self) -> str:
        """What was read from recordings."""
        return str(self.cohort.get("label") or "emotion")

    @property
    def kept(self) -> str:
        """What the figure is called that says how well the label is read."""
        classes = self.cohort.get("label_kind") in (None, "", "nominal")
        return f"{self.label} {'recall' if classes else 'concordance'}"

    def protocol(self, name: str) -> str:
        """Return how people were parted to train and judge a model; empty where that is not recorded."""
        return str(self.trained[name]["options"].get("protocol") or "") if name in self.trained else ""

    def leaky(self, name: str) -> bool:
        """Whether a model was judged on other recordings of the people it learned from."""
        return self.protocol(name) == "leaky_random_9_1"

    def claim(self, name: str) -> Claim:
        """Return the privacy that a release claims; what was only asked for where neither step nor card says it."""
        if name in self.claims:
            return self.claims[name]
        for chosen in (self.release(name).get("options") or {}).values():
            if isinstance(chosen, dict) and isinstance(chosen.get("epsilon"), int | float):
                delta, unit = float(chosen.get("delta", math.nan)), str(chosen.get("unit") or "")
                return Claim(epsilon=float(chosen["epsilon"]), delta=delta, unit=unit)
        return Claim()


def read_run(run: Path) -> RunRecord:
    """Read everything a report can show; pieces that are absent or broken are empty and named in ``missing``."""
    if not run.is_dir():
        raise DataError(f"A run must be a folder, {run} is not one. Name a folder made by 'personare study'.")
    missing: list[str] = []
    piece = {name: _read_json(run / f"{name}.json", kind, missing) for name, kind in _PIECES.items()}
    text, study = _read_study(run / "study.toml", missing)
    rows = _rows(piece.pop("results"), piece.pop("details"), missing)
    for name in ("releases", "skipped", "not_made", "reference"):
        piece[name] = [entry for entry in piece[name] if isinstance(entry, dict)]
    trained, claims = read_training(run, missing)
    piece |= {"trained": trained, "claims": claims | read_cards(run, piece["releases"], missing)}
    return RunRecord(root=run, results=rows, study=study, study_text=text, missing=tuple(missing), **piece)


def _read_json(file: Path, kind: type, missing: list[str]) -> Any:
    if not file.is_file():
        if file.stem not in _OPTIONAL:
            missing.append(f"{file.name} is not in the run folder.")
        return kind()
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        missing.append(f"{file.name} could not be read ({error}).")
        return kind()
    if not isinstance(content, kind):
        missing.append(f"{file.name} must hold a {kind.__name__}, it holds a {type(content).__name__}.")
        return kind()
    return content


def _read_study(file: Path, missing: list[str]) -> tuple[str, Mapping[str, Any]]:
    try:
        # The report may be handed on: the reader's home folder is nobody's business.
        text = file.read_text(encoding="utf-8").replace(str(Path.home()), "~")
        return text, tomllib.loads(text)
    except (OSError, ValueError) as error:
        why = f"could not be read ({error})" if file.is_file() else "is not in the run folder"
        missing.append(f"{file.name} {why}.")
        return "", {}


def _rows(rows: Sequence[Any], details: Sequence[Any], missing: list[str]) -> tuple[Result, ...]:
    if details and len(details) != len(rows):
        missing.append(
            f"details.json has {len(details)} entries for {len(rows)} results: no pictures are drawn from it."
        )
        details = ()
    read: list[Result] = []
    for number, row in enumerate(rows):
        detail = details[number] if number < len(details) else None
        try:
            known: dict[str, Any] = {name: value for name, value in row.items() if name in _FIELDS}
            for name in _NUMBERS:  # JSON knows no NaN
                known[name] = math.nan if known.get(name) is None else float(known[name])
            known["n"] = int(known.get("n") or 0)
            read.append(Result(**known, detail=detail if isinstance(detail, dict) else {}))
        except (TypeError, ValueError, AttributeError) as error:
            missing.append(f"results.json, entry {number + 1}, was left out ({error}).")
    return tuple(read)
