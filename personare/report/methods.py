"""Writes the methods paragraph of a study from what the study recorded; what was not recorded is not claimed.

The rules that hold for every study (people kept together, content kept apart) are stated where something was measured.
"""

import math
from collections.abc import Mapping
from typing import Any

from personare.report import wording
from personare.report.figures import informative
from personare.report.methods_made import made_paragraphs
from personare.report.methods_models import models_paragraphs
from personare.report.phrases import count, listing
from personare.report.run import RunRecord

__all__ = ["methods_paragraphs"]


def methods_paragraphs(record: RunRecord) -> list[str]:
    """Return the paragraphs, ready to be pasted into a paper."""
    written = [_cohort(record), _releases(record), _utility(record), _risk(record)]
    written += [*made_paragraphs(record), *models_paragraphs(record), _machine(record)]
    return [text for text in written if text]


def _cohort(record: RunRecord) -> str:
    about = record.cohort
    if not about:
        return ""
    name = str(about.get("name") or "The cohort")
    made_up = (
        " (made-up people: rendered faces and synthesized voices, nobody real)"
        if about.get("kind") == "synthetic"
        else ""
    )
    recordings, people = count(about.get("recordings"), "recording"), count(about.get("people"), "person")
    text = f"{name}{made_up} holds {recordings} of {people}"
    hours = about.get("hours")
    text += f" ({60 * hours:.0f} minutes)" if isinstance(hours, int | float) and math.isfinite(hours) else ""
    values = about.get("values") or about.get("emotions") or {}
    if about.get("label_kind") == "continuous":
        text += f", with the {record.label} measured from {values['lowest']:g} to {values['highest']:g}"
    elif values:
        steps = ", the steps of a scale" if about.get("label_kind") == "ordinal" else ""
        text += f", labelled by {record.label}{steps}: {listing([f'{value} ({n})' for value, n in values.items()])}"
    left_out = (
        f" {count(len(record.skipped), 'item')} could not be used and are listed with the reason."
        if record.skipped
        else ""
    )
    few = "".join(f" {line}." for line in about.get("too_few") or [])
    return f"{text}.{left_out}{few}"


def _releases(record: RunRecord) -> str:
    names = [name for name in record.names() if not record.modality(name)]
    if not names:
        return ""
    said = []
    for name in names:
        one = record.release(name)
        options = one.get("options") or {}
        said.append(f"{name}{_options(options)}")
    withheld = sum(len(record.release(name).get("withheld") or []) for name in names)
    text = f"{count(len(names), 'release')} of it {'was' if len(names) == 1 else 'were'} made: {'; '.join(said)}."
    kept_back = f" {count(withheld, 'file')} could not be protected and {'was' if withheld == 1 else 'were'} withheld."
    return text + (kept_back if withheld else "")


def _options(options: Mapping[str, Any]) -> str:
    flat = [
        f"{key} = {value}" for chosen in options.values() if isinstance(chosen, dict) for key, value in chosen.items()
    ]
    return f" ({', '.join(flat)})" if flat else ""


def _utility(record: RunRecord) -> str:
    rows = [r for r in record.of_recordings() if r.kind == "utility"]
    if not rows:
        return ""
    readers = sorted({r.measure.partition(".")[0].replace("_", " ") for r in rows} - {"reader"})
    attackers = {r.attacker for r in rows}
    text = f"Utility, here the {record.label} that is still read, was measured by {listing(readers)}."
    if any(r.measure.endswith(".ccc") for r in rows):
        text += " It is read as a number; its figure is Lin's concordance correlation."
    if any(r.measure.startswith("reader.") for r in rows):
        text += " Each group of people is read by the reader that reads all other people best."
    if {"fixed_reader", "retrained_reader"} <= attackers:
        text += " Each reader was applied twice: trained on originals (fixed), and trained on the release (retrained)."
    leaky = any("leaky" in r.measure or "leaky" in r.note for r in rows)
    return text + ("" if leaky else " Folds keep all recordings of a person together.")


def _risk(record: RunRecord) -> str:
    rows = [r for r in record.of_recordings() if r.kind == "risk"]
    if not rows:
        return ""
    attacks = sorted({r.measure.partition(".")[0] for r in rows} - {"identity"})
    known = [
        wording.attacker(a)
        for a in ("ignorant", "lazy_informed", "semi_informed")
        if any(r.attacker == a for r in rows)
    ]
    failed = sorted({r.measure.partition(".")[0].replace("_", " ") for r in rows if not informative(r)})
    text = f"Identification was attempted by {listing([a.replace('_', ' ') for a in attacks])}"
    text += f", as {listing(known)}." if known else "."
    text += " People were enrolled and tested on different content."
    text += " The strongest attack that passed its self-test on originals counts."
    return text + (f" Not informative, since the self-test failed: {listing(failed)}." if failed else "")


def _machine(record: RunRecord) -> str:
    seed = record.study.get("seed")
    text = "Intervals are 95 % bootstrap intervals with people as the unit of resampling."
    text += f" The seed was {seed}." if seed is not None else ""
    versions = [
        f"{name} {version}" for name, version in record.versions.items() if isinstance(version, str | int | float)
    ]
    return text + (f" Software: {', '.join(versions)}." if versions else "")
