"""The page's titles and introductions: they follow from which kinds of releases a study made."""

from collections.abc import Sequence
from dataclasses import dataclass

from personare.report.frontier import Panel
from personare.report.run import KINDS, RunRecord

__all__ = ["Headings", "headings"]

_ONLY_MODELS = (
    "What was trained on whom, what it takes recordings for, and what attacks find in it. No recording is in this "
    "report."
)
_RELEASES = (
    "What was done, what could not be protected, how it sounds and looks. Only released files are shown; originals are "
    "never in a report."
)


@dataclass(frozen=True, kw_only=True)
class Headings:
    """What the page calls things.

    Attributes:
        title: Of the window.
        top: Of the page.
        counts: What was released, one text for each kind.
        thing: What one of them is called, ``release`` or ``model``.
        way: What a point of the frontier is.
        what: What a release is, here.
        releases: Introduces the sections of each release.
        recordings: Whether recordings of people were released, or nothing at all was.
        models: Whether models are all there is.
    """

    title: str
    top: str
    counts: Sequence[str]
    thing: str
    way: str
    what: str
    releases: str
    recordings: bool
    models: bool


def headings(record: RunRecord, drawn: Sequence[Panel]) -> Headings:
    """Return the words for what this study released."""
    made = {modality: len(record.of(modality)) for modality in KINDS}
    recordings = len(record.names()) - sum(made.values())
    # A run in which nothing is known to be anything else is one of recordings.
    shown = recordings > 0 or not sum(made.values()) or any(p.modality not in KINDS for p in drawn)
    models = not shown and made["model"] == len(record.names())
    title, top = _titles(shown, made["model"] if models else 0, record.label)
    return Headings(
        title=title,
        top=top,
        counts=_counts(recordings, made),
        thing="model" if models else "release",
        way=_way(shown, made),
        what=_what(shown, made),
        releases=_ONLY_MODELS if models else _RELEASES,
        recordings=shown,
        models=models,
    )


def _titles(recordings: bool, models: int, label: str) -> tuple[str, str]:
    if recordings:
        return "what is kept, who is named", f"How much of the {label} stays, and who is still named"
    if models == 1:
        return "what was learned, who is remembered", "What the model learned, and who it remembers"
    if models:
        return "what was learned, who is remembered", "What the models learned, and who they remember"
    return "what is learned, who is found", "What can still be learned, and who is found in it"


def _counts(recordings: int, made: dict[str, int]) -> list[str]:
    counted = [(recordings, "release", "releases"), (made["representation"], "representation", "representations")]
    counted += [(made["synthetic"], "cohort of synthetic people", "cohorts of synthetic people")]
    counted += [(made["model"], "model", "models")]
    return [f"{count} {one if count == 1 else many}" for count, one, many in counted if count]


def _way(recordings: bool, made: dict[str, int]) -> str:
    words = {
        "representation": "one representation",
        "synthetic": "one cohort of people who do not exist",
        "model": "one model",
    }
    said = ["one way of hiding people"] * recordings + [words[modality] for modality in KINDS if made[modality]]
    if len(said) < 2:
        return said[0].removeprefix("one ")
    return f"{', '.join(said[:-1]).removeprefix('one ')}, or {said[-1]}"


def _what(recordings: bool, made: dict[str, int]) -> str:
    words = {
        "representation": "rows of numbers that describe behavior without the person",
        "synthetic": "recordings of people who do not exist",
        "model": "a model that learned from them",
    }
    said = ["the same recordings with another face, another voice, or both"] * recordings
    said += [words[modality] for modality in KINDS if made[modality]]
    return f"here, {', or '.join(said)}."
