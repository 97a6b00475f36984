"""What privacy each release claims, and how models were trained: from training records and the releases' cards."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from personare.core.types import Spend

__all__ = ["Claim", "links_of", "read_cards", "read_training"]

_BESIDE = (
    ("preview.html", "all of it, to look at"),
    ("README.md", "its card"),
    ("croissant.json", "its card, Croissant"),
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of privacy; ``epsilon`` is infinite where none is made, NaN where none was recorded."""

    epsilon: float = math.nan
    delta: float = math.nan
    unit: str = ""
    accountant: str = ""

    @property
    def made(self) -> bool:
        """Whether there is a bound at all."""
        return math.isfinite(self.epsilon)

    @property
    def words(self) -> str:
        """The claim as a line of text.

        Example:
            >>> Claim(epsilon=2.0, delta=1e-5, unit="person", accountant="pld").words
            'ε = 2, δ = 1e-05, for one person'
            >>> Claim(epsilon=math.inf).words
            'none'
        """
        if not self.made:
            return "none" if math.isinf(self.epsilon) else "not recorded"
        delta = f"δ = {self.delta:.3g}" if math.isfinite(self.delta) else "δ not recorded"
        return f"ε = {self.epsilon:.3g}, {delta}, for one {self.unit or 'unit that was not recorded'}"


def claim_of(spends: Sequence[Mapping[str, Any]]) -> Claim:
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


def read_training(run: Path, missing: list[str]) -> tuple[dict[str, Mapping[str, Any]], dict[str, Claim]]:
    """Return how each model was trained (``options``, ``result``), from ``trained.json``, and what it claims.

    ``missing`` gets a sentence for what cannot be read.
    """
    file, trained, claims = run / "trained.json", {}, {}
    try:
        records = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    except (OSError, ValueError) as error:
        missing.append(f"trained.json could not be read ({error}).")
        records = []
    for number, record in enumerate(records, start=1):
        try:
            name = str(record["options"]["name"])
            claims[name] = claim_of(record["result"]["spends"])  # absent is not the same as none: nothing is guessed
            trained[name] = record
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            missing.append(f"trained.json, entry {number}, could not be read ({type(error).__name__}: {error}).")
    return trained, claims


def read_cards(run: Path, releases: Sequence[Mapping[str, Any]], missing: list[str]) -> dict[str, Claim]:
    """Return what the cards of releases claim, from the ``croissant.json`` of each that puts a claim into words."""
    found = {}
    for one in releases:
        name = str(one.get("name", ""))
        if one.get("claim"):
            try:
                card = json.loads((_folder(run, name) / "croissant.json").read_text(encoding="utf-8"))
                found[name] = claim_of(card["personare:privacy"]["spends"])
            except (OSError, ValueError, TypeError, KeyError) as error:
                said = f"The card of {name} could not be read ({type(error).__name__}): what it claims is not known."
                missing.append(said)
    return found


def links_of(run: Path, name: str) -> list[tuple[str, str]]:
    """Return (address relative to the report, what it is) of a release's card and preview, where they are."""
    folder = _folder(run, name)
    return [(f"releases/{quote(name)}/{file}", words) for file, words in _BESIDE if (folder / file).is_file()]


def _folder(run: Path, name: str) -> Path:
    """Return a release's folder; a name that leads elsewhere leads to none."""
    folder = (run / "releases" / name).resolve()
    return folder if folder.parent == (run / "releases").resolve() else run / "releases" / "none"
