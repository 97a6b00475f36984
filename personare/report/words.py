"""Every word that the report has for names and numbers; what each means in full stands in ``docs/glossary.md``."""

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from types import CodeType
from typing import Any

from jinja2 import BytecodeCache, Environment, FunctionLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from personare.core.channels import CHANNELS
from personare.core.types import Result


def text(file: str) -> str:
    """Return a file of this folder."""
    return (resources.files("personare.report") / file).read_text(encoding="utf-8")


_WORDS: Mapping[str, Any] = tomllib.loads(text("words.toml"))
FIGURES: Mapping[str, str] = _WORDS["figures"]
ATTACKERS: Mapping[str, str] = _WORDS["attackers"]
PICTURES: Mapping[str, Mapping[str, str]] = _WORDS["pictures"]
KINDS: Mapping[str, Mapping[str, Any]] = _WORDS["kinds"]
LIKENESS = {(method, name): phrase for method, names in _WORDS["likeness"].items() for name, phrase in names.items()}
_MEASURES = LIKENESS | {(m, name): phrase for m, names in _WORDS["measures"].items() for name, phrase in names.items()}
# usually read in percent
_PERCENT = ("top1", "top1_5", "person_top1", "learning_gain", "eer", "tar_far1", "unicity", "covered_whole")


def kind_of(kind: str) -> Mapping[str, Any]:
    """Return how a kind of release is spoken of, also one that came with a package of its own."""
    return KINDS.get(kind) or {**KINDS["other"], "one": kind, "many": kind, "point": f"one {kind}"}


def measure(row: Result) -> str:
    """Say what a row is a measure of, such as ``voice gmm: identified at first guess (top-1)``."""
    phrase = _MEASURES.get((row.method, row.figure))
    if phrase is None:
        phrase = ": ".join(filter(None, (method(row.method), FIGURES.get(row.figure, plain(row.figure)))))
    return ", ".join(filter(None, (phrase, _WORDS["subsets"].get(row.subset, plain(row.subset)))))


def method(name: str) -> str:
    """Say what an attack, a reader or a measure is called."""
    return str(_WORDS["methods"].get(name, plain(name)))


def plain(name: str) -> str:
    """Write a name without underscores."""
    return name.replace("_", " ")


def group(name: str) -> str:
    """Say what is compared: a modality of recordings, or a kind of release."""
    return _WORDS["groups"].get(name) or plain(name.replace("+", " and ")).capitalize() or "Other"


def attacker(name: str) -> str:
    """Say who looks."""
    return ATTACKERS.get(name, name)


def protocol(name: str) -> str:
    """Say how people were parted."""
    return str(_WORDS["protocols"].get(name, plain(name) or "protocol not recorded"))


def label(release: str, kind: str) -> str:
    """Shorten a release's name in a picture whose title says what was hidden."""
    parts = re.split(r"\s*\+\s*|__", release)
    if kind == "recordings":
        parts = [re.sub(rf"^({'|'.join(f'{c.prefix}|{c.track}' for c in CHANNELS)})_", "", part) for part in parts]
    lines = [plain(part) or release for part in parts]
    return " +\n".join(line if len(line) <= 26 else f"{line[:25].rstrip()}…" for line in lines)


def number(value: float, *, percent: bool = False) -> str:
    """Write a number short, such as ``28 %`` or ``0.28``; missing is a dash."""
    if not math.isfinite(value):
        return "–"
    if percent:
        return f"{100 * value:.0f} %"
    value = round(value, 3) + 0.0  # what rounds to nothing has no sign
    small = 0 < abs(value) < 0.095
    return f"{value:.3f}" if small else f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def interval(low: float, high: float, *, percent: bool = False) -> str:
    """Write an interval; empty where there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    low, high = (round(100 * end if percent else end, 2) + 0.0 for end in (low, high))
    return f"[{low:.0f}–{high:.0f}]" if percent else f"[{low:.2f}–{high:.2f}]"


def share_like(row: Result, value: float) -> str:
    """Write another value of a row's figure as that figure is usually read."""
    return number(value, percent=row.unit == "share" and row.figure in _PERCENT)


def figure(row: Result | None) -> tuple[str, str]:
    """Write a row's value and interval in the way its figure is usually read."""
    if row is None:
        return "–", ""
    percent = row.unit == "share" and row.figure in _PERCENT
    ends = interval(row.low, row.high, percent=percent) if math.isfinite(row.value) else ""
    return number(row.value, percent=percent), ends


def amount(value: Any) -> str:
    """Write how many or how long."""
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}" if abs(value) >= 1 else number(value)


def published(value: Any, low: Any = None, high: Any = None) -> str:
    """Write a published figure, or ours beside it, with its interval if it has one."""
    if isinstance(value, dict):
        return published(**value)
    figure = number(float(value)) if isinstance(value, int | float) else str(value or "–")
    return figure if low is None or high is None else f"{figure} {interval(low, high)}"


def slug(name: str) -> str:
    """Make a name safe as an anchor of the page."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "release"


def count(number: Any, thing: str) -> str:
    """Say how many, such as ``1,200 people`` or ``an unrecorded number of files``."""
    plural = {"person": "people"}.get(thing, f"{thing}s")
    if not isinstance(number, int | float):
        return f"an unrecorded number of {plural}"
    return f"{number:,.0f} {thing if number == 1 else plural}"


def listing(items: Sequence[str]) -> str:
    """Join with commas and a last "and"."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


class Compiled(BytecodeCache):
    """Templates as Python, compiled once a process: to compile those of a report takes longer than to fill them."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give the code of a template whose text is still the same, if there is one."""
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of a template."""
        self._codes[bucket.key, bucket.checksum] = bucket.code


_COMPILED = {True: Compiled(), False: Compiled()}  # by whether the values are escaped, which the code says


def templates(escaped: bool = True) -> Environment:
    """Return the templates of this folder, to which these words are known."""
    strict: dict[str, Any] = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(
        loader=FunctionLoader(text), autoescape=escaped, bytecode_cache=_COMPILED[escaped], **strict
    )
    environment.filters |= {"attacker": attacker, "group": group, "measure": measure, "plain": plain}
    environment.filters |= {
        "spoken": method,
        "kind": kind_of,
        "headed": lambda keys: [(key, plain(key)) for key in keys],
    }
    # a long name is broken after its joints, and nowhere else
    environment.filters["breakable"] = lambda name: Markup(re.sub(r"([_+.])", r"\1<wbr>", str(escape(name))))
    environment.globals |= {"count": count, "listing": listing, "protocol": protocol, "attackers": list(ATTACKERS)}
    return environment
