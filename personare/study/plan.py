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
from personare.govern.policy import Use

_KINDS, _PRESETS = "personare.study.kinds", resources.files("personare.study") / "presets"
SIMULATED = "simulated"
_TABLES = ("releases", "representations", "synthetic", "models")


def kinds() -> dict[str, Any]:
    """Return the classes of the kinds of releases by the table of a study file that plans them, in reading order."""
    return {name: registry.load(_KINDS, name) for name in (*_TABLES, *sorted({*registry.find(_KINDS)} - {*_TABLES}))}


@dataclass(frozen=True, kw_only=True)
class TransferPlan:
    """Another task that representations are judged by, as they were fitted."""

    name: str  # unique in a study
    label: str  # what is read
    cohort: str = ""  # folder of another cohort; empty: the study's own, where the label must be another one


@dataclass(frozen=True, kw_only=True)
class AdaptPlan:
    """How the generator of another release is adapted: ``adapt = {...}`` of a ``[[synthetic]]`` entry."""

    of: str  # the release whose people the raters saw; all that this entry does not say is as there
    method: str  # a file of adapt
    options: Mapping[str, Any] = field(default_factory=dict)
    feedback: str = SIMULATED  # a file of votes or a database URL; ``simulated``: raters who do not exist
    raters: int = 6  # of simulated feedback, as is all that follows
    comparisons: int = 300
    checks: int = 120
    taste: str = "direction"

    def __post_init__(self) -> None:
        """Check the numbers, and that the method exists and takes its options."""
        if min(self.raters, self.comparisons) < 2:
            raise OptionError(f"Feedback needs 2 raters and 2 comparisons, not {self.raters} and {self.comparisons}.")
        registry.create("personare.adapt", self.method, self.options)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "AdaptPlan":
        """Return what ``adapt = {...}`` says."""
        plan: AdaptPlan = entry(cls, dict(values), "adapt")
        return plan


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure that somebody published, and the row of ours that answers it."""

    row: str  # what was measured
    published: str  # the figure as published
    release: str
    method: str
    figure: str
    attacker: str = ""  # who looks, as the publication did
    retrained: str = ""  # who looks after retraining; empty where that has no meaning


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """Which releases are made and how they are judged; see ``docs/study-file.md``."""

    releases: tuple[Any, ...] = ()  # these four are rows of kinds/<name>.py
    representations: tuple[Any, ...] = ()
    synthetic: tuple[Any, ...] = ()
    models: tuple[Any, ...] = ()
    others: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  # of kinds of releases from elsewhere, by table
    transfer: tuple[TransferPlan, ...] = ()
    attacks: tuple[str, ...] = ()  # files of evaluate/attacks to run on releases of recordings
    utilities: tuple[str, ...] = ()  # files of evaluate/utility
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # of attacks and utilities, by name
    # what is read, learned and kept: a label of recordings or a column of the participants; empty: the emotion, or else
    # the one label that the cohort has
    label: str = ""
    kind: str = ""  # of the label: nominal, ordinal or continuous; empty: as its values tell
    purpose: str = "evaluation"  # for which recordings are opened; consent must allow it
    context: str = "research"  # where answers will be used; with the next two, what govern/policy.toml asks for
    exception: str = ""  # that is claimed from one of its rules; with a written justification
    justification: str = ""
    seed: int = 0  # everything random follows from it
    people: int = 12  # size of the made-up cohort, where no cohort is given
    published: tuple[Published, ...] = ()
    # attacks on the models, and on what a model shows of people it never met; files of evaluate/attacks
    membership: tuple[str, ...] = ("membership_loss", "membership_lira", "membership_rmia")
    disclosure: tuple[str, ...] = ("model_identity", "model_attributes")
    shadows: int = 8  # like each model and generator, trained on halves of its people to attack it; even, 0 for none
    canaries: int = 8  # extreme people in the shadow generators, who must be found where nothing protects them
    budget: Budget | None = None  # the most that all runs together may cost one person
    public: str = ""  # folder of a cohort whose people's data need no protection, for scaling; empty: none

    def __post_init__(self) -> None:
        """Check names and numbers, and give the label to every release that names none."""

        def labelled(rows: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(replace(r, label=r.label or self.label) if hasattr(r, "label") else r for r in rows)

        self.use  # noqa: B018 - is checked where it is made
        if self.kind and self.kind not in KINDS:
            raise OptionError(f"The kind of the label must be one of {', '.join(KINDS)}, not {self.kind!r}.")
        for table in _TABLES:
            rows = labelled(getattr(self, table))
            completed = tuple(r.completed(rows) if hasattr(r, "completed") else r for r in rows)
            object.__setattr__(self, table, completed)
        object.__setattr__(self, "others", {table: labelled(rows) for table, rows in self.others.items()})
        if self.shadows < 0 or self.shadows % 2:
            raise OptionError(f"The number of shadow models must be even, or 0 for none; it is {self.shadows}.")
        names = self.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names or {"original", ""} & {*names}:
            raise OptionError(
                "Every release needs a name of its own, other than 'original', and there must be at least one; "
                f"given: {', '.join(names) or 'none'}."
            )

    @property
    def use(self) -> Use:
        """Where answers will be used, and the exception that is claimed."""
        return Use(context=self.context, exception=self.exception, justification=self.justification)

    def rows(self, table: str) -> tuple[Any, ...]:
        """Return the planned releases of one kind, by its table in a study file."""
        rows: tuple[Any, ...] = getattr(self, table) if table in _TABLES else self.others.get(table, ())
        return rows

    @property
    def names(self) -> list[str]:
        """What every release is called."""
        return [row.name for table in (*_TABLES, *self.others) for row in self.rows(table)]


def presets() -> list[str]:
    """Return the names of the presets that come with personare."""
    return sorted(f.name.removesuffix(".toml") for f in _PRESETS.iterdir() if f.name.endswith(".toml"))


def load_plan(preset: str = "quick", config: Path | None = None, **settings: str) -> tuple[StudyPlan, str]:
    """Return a preset, or a user's own study file, as a plan and its text.

    ``settings``, such as ``label`` and ``purpose``, stand in for those of the file where they are not empty.
    """
    if config is None:
        if preset not in presets():
            raise OptionError(f"There is no preset '{preset}'. Choose one of: {', '.join(presets())}.")
        text = (_PRESETS / f"{preset}.toml").read_text(encoding="utf-8")
    elif config.is_file():
        text = config.read_text(encoding="utf-8")
    else:
        raise OptionError(f"There is no study file {config}.")
    for name, value in settings.items():
        text = with_setting(text, name, value) if value else text
    return read_plan(text, str(config or preset)), text


def load_benchmark(name: str, config: Path | None = None, **settings: str) -> tuple[StudyPlan, str]:
    """Return a benchmark that comes with personare, or a user's own study file, as ``load_plan`` does."""
    with resources.as_file(resources.files("personare.study") / "benchmarks" / f"{name}.toml") as file:
        return load_plan(config=config or file, **settings)


def read_plan(text: str, where: str) -> StudyPlan:
    """Return the plan that the text of a study file says; ``where`` it stands is told of a fault."""
    try:
        return _plan(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise OptionError(f"{where} is not valid TOML: {error}.") from error


def for_tracks(plan: StudyPlan, tracks: Collection[str]) -> tuple[StudyPlan, list[str]]:
    """Return a preset as far as a cohort has what its releases are made of, and the names of those left out.

    A preset is made for everybody; what nobody could mean is not planned, and so not missed either.
    """
    fitting: dict[str, Any] = {t: tuple(row for row in plan.rows(t) if {*row.modalities} <= {*tracks}) for t in _TABLES}
    if not any(fitting.values()):
        return plan, []
    return replace(plan, **fitting), [row.name for t in _TABLES for row in plan.rows(t) if row not in fitting[t]]


def with_setting(text: str, name: str, value: Any) -> str:
    """Return a study file in which a setting of the whole study has this value."""
    begin = re.search(r"(?m)^\s*\[", text)  # of the first table
    end = begin.start() if begin else len(text)
    old = rf'(?ms)^{name}\s*=\s*(""".*?"""|\'\'\'.*?\'\'\'|)[^\n]*\n?'
    return f"{name} = {toml(value)}\n" + re.sub(old, "", text[:end]) + text[end:]


def as_toml(plan: StudyPlan) -> str:
    """Return a plan of models as the study file that asks for it."""
    names = [
        "label",
        "kind",
        "context",
        "exception",
        "justification",
        "seed",
        "shadows",
        "public",
        "membership",
        "disclosure",
        *["budget"] * bool(plan.budget),
    ]
    lines = [f"{name} = {toml(getattr(plan, name))}" for name in names]
    for model in plan.models:
        lines += ["[[models]]", *(f"{name} = {toml(value)}" for name, value in vars(model).items())]
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """Return a value as a study file writes it."""
    if isinstance(value, Budget):
        return toml(vars(value))
    if isinstance(value, Mapping):
        inside = ", ".join(f"{toml(name)} = {toml(item)}" for name, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _plan(content: dict[str, Any]) -> StudyPlan:
    entries: dict[str, Any] = {table: kind.row for table, kind in kinds().items() if table in content}
    entries |= {"transfer": TransferPlan, "published": Published}
    rows = {t: tuple(entry(cls, row, f"a [[{t}]] entry") for row in content.pop(t, [])) for t, cls in entries.items()}
    others = {table: rows.pop(table) for table in [*rows] if table not in (*_TABLES, "transfer", "published")}
    if "budget" in content:
        content["budget"] = entry(Budget, content["budget"], "[budget]")
    for name in {"attacks", "utilities", "membership", "disclosure"} & {*content}:
        content[name] = tuple(content[name])
    plan: StudyPlan = entry(StudyPlan, {**content, **rows, "others": others}, "a study file")
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


def entry(cls: Any, values: dict[str, Any], where: str) -> Any:
    """Return an entry of a study file as its dataclass; a setting that it does not have is refused."""
    names = [f.name for f in fields(cls)]
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise OptionError(f"{where} has no setting {', '.join(unknown)}. It has: {', '.join(names)}.")
    try:
        return cls(**values)
    except TypeError as error:
        raise OptionError(f"{where} must say more: {error}.") from error
