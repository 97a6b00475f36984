"""What a study does, as its TOML file says it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from personare.anonymize._recordings import Disguise
from personare.core.errors import OptionError

__all__ = ["Published", "StudyPlan", "load_plan", "presets"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure that somebody published, and the row of ours that answers it.

    Attributes:
        row: What was measured.
        published: The figure as published.
        release: Our release.
        measure: Our measure.
        attacker: Who looks, as the publication did.
        retrained: Who looks after retraining; empty where that has no meaning.
    """

    row: str
    published: str
    release: str
    measure: str
    attacker: str = ""
    retrained: str = ""


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """Which releases are made and how they are judged.

    Attributes:
        releases: One disguise for each release.
        attacks: Files of ``evaluate/attacks`` to run.
        utilities: Files of ``evaluate/utility`` to run.
        options: Options of attacks and utilities, by name.
        purpose: The purpose for which recordings are opened; consent must allow it.
        seed: Everything random follows from it.
        people: Size of the made-up cohort, where no cohort is given.
        published: Published figures to print beside ours.
    """

    releases: tuple[Disguise, ...]
    attacks: tuple[str, ...]
    utilities: tuple[str, ...]
    options: Mapping[str, Mapping[str, Any]]
    purpose: str = "evaluation"
    seed: int = 0
    people: int = 12
    published: tuple[Published, ...] = ()

    def __post_init__(self) -> None:
        """Check that releases have names of their own."""
        names = [release.name for release in self.releases]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names or "original" in names:
            raise OptionError(
                "Every release needs a name of its own, other than 'original', and there must be at least one; "
                f"given: {', '.join(names) or 'none'}."
            )

    @property
    def modalities(self) -> tuple[str, ...]:
        """What must be read from each recording."""
        return tuple(m for m in ("audio", "video") if any(m in release.modalities for release in self.releases))


def presets() -> list[str]:
    """Return the names of the presets that come with personare."""
    folder = resources.files("personare.study") / "presets"
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def load_plan(preset: str = "quick", config: Path | None = None) -> tuple[StudyPlan, str]:
    """Read a preset or a user's own study file.

    Returns:
        The plan, and its text as it will stand in the run folder.

    Raises:
        OptionError: The file is absent, is not TOML, or says something a study does not know.
    """
    if config is None:
        if preset not in presets():
            raise OptionError(f"There is no preset '{preset}'. Choose one of: {', '.join(presets())}.")
        text = (resources.files("personare.study") / "presets" / f"{preset}.toml").read_text(encoding="utf-8")
    elif config.is_file():
        text = config.read_text(encoding="utf-8")
    else:
        raise OptionError(f"There is no study file {config}.")
    try:
        return _plan(tomllib.loads(text)), text
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"{config or preset} is not valid TOML: {error}.") from error


def _plan(said: dict[str, Any]) -> StudyPlan:
    releases = tuple(_known(Disguise, row, "a [[releases]] entry") for row in said.pop("releases", []))
    published = tuple(_known(Published, row, "a [[published]] entry") for row in said.pop("published", []))
    said = {"attacks": [], "utilities": [], "options": {}} | said
    lists = {name: tuple(said.pop(name)) for name in ("attacks", "utilities")}
    plan: StudyPlan = _known(StudyPlan, {"releases": releases, "published": published, **lists, **said}, "a study file")
    return plan


def _known(cls: Any, values: dict[str, Any], where: str) -> Any:
    names = [f.name for f in fields(cls)]
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise OptionError(f"{where} has no setting {', '.join(unknown)}. It has: {', '.join(names)}.")
    return cls(**values)
