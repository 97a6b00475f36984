"""What a study does, as its TOML file says it."""

import json
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

from personare.core import registry
from personare.core.errors import OptionError
from personare.data.labels import KINDS
from personare.evaluate.judging import check_attacks
from personare.evaluate.unmeasured import answers, kinds_of
from personare.govern.budget import Budget

_KINDS = "personare.study.kinds"
_TABLES = ("releases", "representations", "synthetic", "models")


def kinds() -> dict[str, Any]:
    """Return the classes of the kinds of releases by the table of a study file that plans them, in reading order."""
    return {name: registry.load(_KINDS, name) for name in (*_TABLES, *sorted({*registry.find(_KINDS)} - {*_TABLES}))}


@dataclass(frozen=True, kw_only=True)
class TransferPlan:
    """Another task that representations are judged by, as they were fitted.

    Attributes:
        name: Unique in a study.
        label: What is read.
        cohort: Folder of another cohort; empty: the study's own, where the label must be another one.
    """

    name: str
    label: str
    cohort: str = ""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure that somebody published, and the row of ours that answers it.

    Attributes:
        row: What was measured.
        published: The figure as published.
        release: Our release.
        method: Our attack, reader or measure.
        figure: What number of it.
        attacker: Who looks, as the publication did.
        retrained: Who looks after retraining; empty where that has no meaning.
    """

    row: str
    published: str
    release: str
    method: str
    figure: str
    attacker: str = ""
    retrained: str = ""


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """Which releases are made and how they are judged.

    Attributes:
        releases: One disguise for each release of recordings; these four are rows of ``kinds/<name>.py``.
        representations: One for each description of behavior without the person.
        synthetic: One for each cohort of people who do not exist.
        models: One for each model that is trained.
        others: Rows of kinds of releases from elsewhere, by table.
        transfer: Other tasks, in this or another cohort, by which representations are judged as they were fitted.
        attacks: Files of ``evaluate/attacks`` to run.
        utilities: Files of ``evaluate/utility`` to run.
        options: Options of attacks and utilities, by name.
        label: What is read, learned and kept: a label of recordings or a column of the participants. Empty: the
            emotion, or else the one label that the cohort has.
        kind: Of the label: ``nominal`` (classes), ``ordinal`` (steps of a scale) or ``continuous``; empty: told from
            its values.
        purpose: The purpose for which recordings are opened; consent must allow it.
        seed: Everything random follows from it.
        people: Size of the made-up cohort, where no cohort is given.
        published: Published figures to print beside ours.
        membership: Membership attacks on the models; files of ``evaluate/attacks``.
        disclosure: Attacks on what a model shows of people it never met; files of ``evaluate/attacks``.
        shadows: Models and generators like each one, trained on halves of its people for these attacks; even, 0 for
            none.
        canaries: Extreme people planted in the shadow generators, who must be found where nothing protects them.
        budget: The most that all runs together may cost one person, as ``[budget]`` with ``epsilon`` and ``delta``.
        public: Folder of a cohort whose people's data need no protection, for scaling and description; empty: none.
    """

    releases: tuple[Any, ...] = ()
    representations: tuple[Any, ...] = ()
    synthetic: tuple[Any, ...] = ()
    models: tuple[Any, ...] = ()
    others: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    transfer: tuple[TransferPlan, ...] = ()
    attacks: tuple[str, ...] = ()
    utilities: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    label: str = ""
    kind: str = ""
    purpose: str = "evaluation"
    seed: int = 0
    people: int = 12
    published: tuple[Published, ...] = ()
    membership: tuple[str, ...] = ("membership_loss", "membership_lira", "membership_rmia")
    disclosure: tuple[str, ...] = ("model_identity", "model_attributes")
    shadows: int = 8
    canaries: int = 8
    budget: Budget | None = None
    public: str = ""

    def __post_init__(self) -> None:
        """Check names and numbers, and give the label to every release that names none."""
        if self.kind and self.kind not in KINDS:
            raise OptionError(f"The kind of the label must be one of {', '.join(KINDS)}, not {self.kind!r}.")
        for name in ("representations", "synthetic", "models"):
            object.__setattr__(self, name, self._labelled(getattr(self, name)))
        object.__setattr__(self, "others", {name: self._labelled(rows) for name, rows in self.others.items()})
        if self.shadows < 0 or self.shadows % 2:
            raise OptionError(f"The number of shadow models must be even, or 0 for none; it is {self.shadows}.")
        names = self.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names or {"original", ""} & {*names}:
            raise OptionError(
                "Every release needs a name of its own, other than 'original', and there must be at least one; "
                f"given: {', '.join(names) or 'none'}."
            )

    def _labelled(self, rows: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(replace(row, label=row.label or self.label) if hasattr(row, "label") else row for row in rows)

    def rows(self, table: str) -> tuple[Any, ...]:
        """Return the planned releases of one kind, by its table in a study file."""
        found: tuple[Any, ...] = getattr(self, table) if table in _TABLES else self.others.get(table, ())
        return found

    @property
    def names(self) -> list[str]:
        """What every release is called."""
        return [row.name for table in (*_TABLES, *self.others) for row in self.rows(table)]


def presets() -> list[str]:
    """Return the names of the presets that come with personare."""
    folder = resources.files("personare.study") / "presets"
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def load_plan(preset: str = "quick", config: Path | None = None, *, label: str = "") -> tuple[StudyPlan, str]:
    """Read a preset or a user's own study file.

    Args:
        preset: A study that comes with personare.
        config: A file to read in its place.
        label: What is read instead of what the file says.

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
    text = with_label(text, label) if label else text
    try:
        return _plan(tomllib.loads(text)), text
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"{config or preset} is not valid TOML: {error}.") from error


def for_tracks(plan: StudyPlan, tracks: Collection[str]) -> tuple[StudyPlan, list[str]]:
    """Return a preset as far as a cohort has what its releases are made of, and the names of those left out.

    A preset is made for everybody; what nobody could mean is not planned, and so not missed either.
    """

    def fits(one: Any) -> bool:
        return {*one.modalities} <= {*tracks}

    kept: dict[str, Any] = {table: tuple(row for row in plan.rows(table) if fits(row)) for table in _TABLES}
    left = [row.name for table in _TABLES for row in plan.rows(table) if not fits(row)]
    return (replace(plan, **kept) if left and any(kept.values()) else plan), left if any(kept.values()) else []


def with_label(text: str, label: str) -> str:
    """Return a study file that says which label is read.

    Example:
        >>> with_label("[[models]]", "valence").splitlines()
        ['label = "valence"', '[[models]]']
    """
    begin = re.search(r"(?m)^\s*\[", text)  # of the first table
    end = begin.start() if begin else len(text)
    return f"label = {_toml(label)}\n" + re.sub(r"(?m)^label\s*=.*\n?", "", text[:end]) + text[end:]


def as_toml(plan: StudyPlan) -> str:
    """Return a plan of models as the study file that asks for it.

    Example:
        >>> from personare.study.kinds.models import ModelPlan
        >>> print(as_toml(StudyPlan(models=(ModelPlan(name="trees", method="forest"),))).split("[[models]]")[1].strip())
        name = "trees"
        method = "forest"
        options = {}
        modalities = []
        label = ""
        protocol = "person_folds"
    """
    said = ["label", "kind", "seed", "shadows", "public", "membership", "disclosure", *["budget"] * bool(plan.budget)]
    lines = [f"{name} = {_toml(getattr(plan, name))}" for name in said]
    for model in plan.models:
        lines += ["[[models]]", *(f"{name} = {_toml(value)}" for name, value in vars(model).items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Budget):
        return _toml(vars(value))
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_toml(name)} = {_toml(own)}" for name, own in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _plan(said: dict[str, Any]) -> StudyPlan:
    entries: dict[str, Any] = {table: kind.row for table, kind in kinds().items() if table in said}
    entries |= {"transfer": TransferPlan, "published": Published}
    rows: dict[str, Any] = {
        name: tuple(_known(kind, row, f"a [[{name}]] entry") for row in said.pop(name, []))
        for name, kind in entries.items()
    }
    others = {table: rows.pop(table) for table in [*rows] if table not in (*_TABLES, "transfer", "published")}
    if "budget" in said:
        said["budget"] = _known(Budget, said["budget"], "[budget]")
    lists: dict[str, Any] = {
        name: tuple(said.pop(name)) for name in ("attacks", "utilities", "membership", "disclosure") if name in said
    }
    plan: StudyPlan = _known(StudyPlan, {**rows, **lists, **said, "others": others}, "a study file")
    check_attacks(plan.attacks, "recordings")
    check_attacks(plan.membership, "model", ("member",))
    check_attacks(plan.disclosure, "model", ("identify", "infer"))
    for name in plan.utilities:
        measure = registry.load("personare.evaluate.utility", name)
        if not answers(measure, "recordings"):
            raise OptionError(
                f"{name} measures {' and '.join(kinds_of(measure))}, which it does unasked: leave it out."
            )
    return plan


def _known(cls: Any, values: dict[str, Any], where: str) -> Any:
    names = [f.name for f in fields(cls)]
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise OptionError(f"{where} has no setting {', '.join(unknown)}. It has: {', '.join(names)}.")
    try:
        return cls(**values)
    except TypeError as error:
        raise OptionError(f"{where} must say more: {error}.") from error
