"""How names and numbers of a study are said to people."""

import math
import re

from personare.core.types import Result
from personare.report.measures import PERCENT, measure

__all__ = [
    "AREAS",
    "ATTACKERS",
    "GROUPS",
    "PROTOCOLS",
    "attacker",
    "axes",
    "beside",
    "drawn",
    "figure",
    "group",
    "interval",
    "label",
    "measure",
    "number",
    "protocol",
    "share_like",
    "slug",
]

GROUPS = {
    "audio": "Voice",
    "video": "Face",
    "audio+video": "Voice and face together",
    "representation": "Representations",
    "synthetic": "Synthetic people",
    "model": "Models",
}
AREAS = ("model", "synthetic")
"""Kinds of releases whose risk is an area under a curve: 0.5 is guessing."""
ATTACKERS = {
    "ignorant": "ignorant attacker",
    "lazy_informed": "lazy-informed attacker",
    "semi_informed": "retrained attacker",
    "fixed_reader": "fixed reader",
    "retrained_reader": "retrained reader",
    "shadow": "attacker with shadow models",
}
PROTOCOLS = {
    "person_folds": "judged on people it never met",
    "unseen_sentences": "judged on people it never met, saying what it never heard",
    "published": "judged on the part named by the authors of the data set",
    "leaky_random_9_1": "judged on other recordings of the same people (leaky)",
}
_AXES = {
    "model": ("training data told from other data (AUC)", "recall in recordings it never met"),
    "representation": ("named by an attacker who retrains", "recall of a retrained reader"),
    "synthetic": ("people learned from, told from others (AUC)", "what a reader learns from made-up people"),
}
_DRAWN = {
    "model": ("recall", "membership told with an area of", "recall against membership"),
    "representation": ("recall", "named", "recall against people named"),
    "synthetic": ("recall", "membership told with an area of", "recall against membership of people"),
}


def group(modality: str) -> str:
    """Say which part of a person a modality shows.

    Example:
        >>> group("audio")
        'Voice'
    """
    return GROUPS.get(modality, modality.replace("+", " and ") or "Other")


def axes(modality: str, kept: str = "emotion recall") -> tuple[str, str]:
    """Say what the frontier of a modality shows, to the right and up."""
    named, kept = "named by an attacker who retrains", f"{kept} of a retrained reader"
    right, up = _AXES.get(modality, (named, kept))
    return f"{right}   (better ←)", f"{up}   (better →)"


def drawn(modality: str, kept: str = "emotion recall") -> tuple[str, str, str]:
    """Say what the two figures of a frontier are, and what is held against what.

    Example:
        >>> drawn("audio")
        ('emotion recall', 'named', 'emotion recall against people named')
    """
    return _DRAWN.get(modality, (kept, "named", f"{kept} against people named"))


def protocol(name: str) -> str:
    """Say how people were parted.

    Example:
        >>> protocol("person_folds")
        'judged on people it never met'
    """
    return PROTOCOLS.get(name, name.replace("_", " ") or "protocol not recorded")


def attacker(name: str) -> str:
    """Say who looks."""
    return ATTACKERS.get(name, name)


def label(release: str, modality: str) -> str:
    r"""Shorten a release's name where the modality is already said.

    Example:
        >>> label("voice_mcadams", "audio"), label("face_blur+voice_mcadams", "audio+video")
        ('mcadams', 'blur +\nmcadams')
    """
    parts = re.split(r"\s*\+\s*|__", release)
    short = [re.sub(r"^(voice|face|audio|video)_", "", part) if modality else part for part in parts]
    return " +\n".join(_cut(part.replace("_", " ") or release) for part in short)


def _cut(text: str, longest: int = 26) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def number(value: float, *, percent: bool = False) -> str:
    """Write a number short; missing is a dash.

    Example:
        >>> number(0.284, percent=True), number(0.284), number(float("nan"))
        ('28 %', '0.28', '–')
    """
    if not math.isfinite(value):
        return "–"
    if percent:
        return f"{100 * value:.0f} %"
    small = 0 < abs(value) < 0.095
    return f"{value:.3f}" if small else f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def interval(low: float, high: float, *, percent: bool = False) -> str:
    """Write an interval; empty where there is none.

    Example:
        >>> interval(0.2, 0.36, percent=True)
        '[20–36]'
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    if percent:
        return f"[{100 * low:.0f}–{100 * high:.0f}]"
    return f"[{low:.2f}–{high:.2f}]"


def figure(row: Result | None) -> tuple[str, str]:
    """Write a row's value and interval in the way its measure is usually read."""
    if row is None:
        return "–", ""
    percent = _in_percent(row)
    ends = interval(row.low, row.high, percent=percent) if math.isfinite(row.value) else ""
    return number(row.value, percent=percent), ends


def beside(row: Result) -> tuple[str, str]:
    """Write what the same measure gives on originals, and by guessing."""
    percent = _in_percent(row)
    return number(row.baseline, percent=percent), number(row.control, percent=percent)


def share_like(row: Result, value: float) -> str:
    """Write another value of a row's measure as that measure is usually read."""
    return number(value, percent=_in_percent(row))


def _in_percent(row: Result) -> bool:
    return row.unit == "share" and row.measure.rpartition(".")[2] in PERCENT


def slug(name: str) -> str:
    """Make a name safe as an anchor of the page.

    Example:
        >>> slug("face blur+voice")
        'face-blur-voice'
    """
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "release"
