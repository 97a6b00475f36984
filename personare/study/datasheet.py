"""The card of a released data set, Croissant and Markdown: what it is, what it cost, what it may be used for."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq

from personare.core.types import Result, Spend
from personare.data.atomic import plain, write_json, write_text

__all__ = ["Sheet", "write_datasheet"]

_VOCABULARY = "urn:personare:"
_CROISSANT = "http://mlcommons.org/croissant/1.1"
_RAI = "http://mlcommons.org/croissant/RAI/1.0"
_MEDIA = {
    ".npy": "application/x-npy",
    ".wav": "audio/wav",
    ".mp4": "video/mp4",
    ".txt": "text/plain",
    ".gz": "application/gzip",
    ".png": "image/png",
}
_ALLOWED = (
    "Research on behavior in groups, teaching, and testing software, by those whom the consent of the people behind it "
    "names."
)
_PROHIBITED = (
    "Deciding about single people; looking for the people behind it; reading emotions at work or in education "
    "(EU AI Act, Art. 5(1)(f)); passing made-up recordings off as real ones."
)
_LIMITS = {
    "synthetic": "People who were not in the original, or were rare in it, are hardly in this either. What was not "
    "learned is not there: check any finding on real people before it is believed.",
    "representations": "A representation keeps what its readers were shown and loses other behavior. What its "
    "guarantee does not name may still be in it.",
}


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What is said of a data set.

    Attributes:
        name: Its name.
        kind: What it holds.
        source: The cohort it was made of.
        method: What made it.
        options: The method's options.
        made_of: Number of people and of recordings it was learned from.
        holds: Number of people and of recordings in it.
        label: What recordings are labelled with.
        spends: The privacy that this cost the people.
        rows: What was measured, utility and risk.
        guarantee: What the method itself guarantees; empty: nothing more than the privacy spent.
        about: ``dataset_description.json``'s own entries, such as ``License``.
    """

    name: str
    kind: Literal["synthetic", "representations"]
    source: str
    method: str
    options: Mapping[str, Any]
    made_of: tuple[int, int]
    holds: tuple[int, int]
    label: str
    spends: tuple[Spend, ...]
    rows: tuple[Result, ...] = ()
    guarantee: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def claim(self) -> str:
        """What may be claimed about the people it was made of, in a sentence or two."""
        if self.spends:
            told = "; ".join(
                f"ε = {s.epsilon:.3g} at δ = {s.delta:.1e} for one {s.unit}{_among(s)}, accountant {s.accountant}"
                for s in self.spends
            )
            return f"Differentially private: {told}. {self.guarantee}".strip()
        if self.guarantee:
            return self.guarantee
        return (
            "No guarantee: it was learned without differential privacy and may hold traces of people it was learned "
            "from. What the attacks on its card did not find, others may."
        )


def _among(spend: Spend) -> str:
    """Say what is compared: a group with and without one of many, or any recording in place of a single one."""
    return f" of {spend.units} (add or remove one)" if spend.units > 1 else " alone (whichever it was)"


def write_datasheet(root: Path, sheet: Sheet) -> None:
    """Write ``croissant.json`` and ``README.md`` into a finished cohort.

    Args:
        root: The cohort; its tables and its index are there.
        sheet: What is said.

    Raises:
        DataError: They cannot be written.

    **Source**: Croissant 1.1 and its responsible-AI extension (MLCommons); what they have no word for, privacy and
    attacks, is under ``personare:privacy``.
    """
    import mlcroissant as mlc

    metadata = mlc.Metadata(
        name=sheet.name,
        description=_description(sheet),
        conforms_to=[_CROISSANT, _RAI],
        cite_as=str(sheet.about.get("HowToAcknowledge", "")) or None,
        license=[str(sheet.about.get("License") or "as the consent of the people behind it says")],
        url=f"urn:personare:{sheet.kind}",
        version="1.0.0",
        distribution=_files(mlc, root),
        record_sets=_records(mlc, root),
        **_responsible(sheet),
    )
    content = json.loads(json.dumps(metadata.to_json(), default=str))
    content["@context"]["personare"] = _VOCABULARY
    content["personare:privacy"] = _privacy(sheet)
    write_json(root / "croissant.json", content)
    write_text(root / "README.md", _page(sheet))


def _description(sheet: Sheet) -> str:
    what = "Synthetic people, none of whom exists," if sheet.kind == "synthetic" else "Representations of people"
    return (
        f"{what} made by personare ({sheet.method}) after {sheet.source}: {sheet.holds[1]} recordings of "
        f"{sheet.holds[0]} people."
    )


def _files(mlc: Any, root: Path) -> list[Any]:
    tables = {
        "participants": ("participants.tsv", "text/tab-separated-values"),
        "index": ("index.parquet", "application/x-parquet"),
    }
    objects = [
        mlc.FileObject(id=name, name=name, content_url=file, encoding_formats=[form], sha256=_sha256(root / file))
        for name, (file, form) in tables.items()
    ]
    suffixes = sorted({path.suffix for path in root.glob("sub-*/**/*") if path.suffix in _MEDIA})
    sets = [
        mlc.FileSet(
            id=f"files-{suffix[1:]}",
            name=f"files-{suffix[1:]}",
            includes=[f"sub-*/**/*{suffix}"],
            encoding_formats=[_MEDIA[suffix]],
        )
        for suffix in suffixes
    ]
    return [*objects, *sets]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _records(mlc: Any, root: Path) -> list[Any]:
    fields = [
        mlc.Field(
            id=f"recordings/{name}",
            name=f"recordings/{name}",
            description=_told_column(name),
            data_types=[mlc.DataType.TEXT],
            source=mlc.Source(file_object="index", extract=mlc.Extract(column=name)),
        )
        for name in pq.read_schema(root / "index.parquet").names
    ]
    return [mlc.RecordSet(id="recordings", name="recordings", key=["recordings/id"], fields=fields)]


def _told_column(name: str) -> str:
    what, _, own = name.partition(".")
    return {"track": f"Path of the file with {own}", "label": f"The recording's {own}"}.get(
        what, f"The recording's {what}"
    )


def _responsible(sheet: Sheet) -> dict[str, Any]:
    people, recordings = sheet.made_of
    synthetic = sheet.kind == "synthetic"
    return {
        "data_collection": f"Computed from {recordings} recordings of {people} people of {sheet.source}, who consented "
        "to training. Nobody was recorded for it.",
        "data_collection_type": ["Others"],
        "data_manipulation_protocol": f"personare, method {sheet.method}, options {dict(sheet.options)}.",
        "machine_annotation_tools": [f"personare {sheet.method}"] if synthetic else [],
        "data_biases": [f"What {sheet.source} is biased in, this is too, and rare people more so."],
        "data_limitations": [_LIMITS[sheet.kind]],
        "data_use_cases": [_ALLOWED],
        "data_social_impact": f"Prohibited: {_PROHIBITED}",
        "personal_sensitive_information": [sheet.claim],
        "data_release_maintenance_plan": "Made again without a person who withdraws, where that is asked for.",
    }


def _privacy(sheet: Sheet) -> dict[str, Any]:
    spends = [
        {"unit": s.unit, "epsilon": s.epsilon, "delta": s.delta, "accountant": s.accountant, "units": s.units}
        for s in sheet.spends
    ]
    rows = [
        {
            k: getattr(row, k)
            for k in (
                "question",
                "method",
                "figure",
                "subset",
                "attacker",
                "value",
                "low",
                "high",
                "n",
                "control",
                "reason",
            )
        }
        for row in sheet.rows
    ]
    content: dict[str, Any] = plain(
        {
            "synthetic": sheet.kind == "synthetic",
            "privacyUnit": sheet.spends[0].unit if sheet.spends else "none",
            "spends": spends,
            "claim": sheet.claim,
            "measured": rows,
            "attacked": any(row.risk for row in sheet.rows),
            "allowedUse": [_ALLOWED],
            "prohibitedUse": _PROHIBITED,
        }
    )
    return content


def _page(sheet: Sheet) -> str:
    parts = [f"# {sheet.name}\n\n{_description(sheet)}\n\n## What can be claimed\n\n{sheet.claim}\n"]
    parts += [_table("What it is good for", [r for r in sheet.rows if not r.risk])]
    parts += [_table("What attacks find out", [r for r in sheet.rows if r.risk])]
    parts += [
        f"## Limits\n\n{_LIMITS[sheet.kind]}\n\n## Allowed use\n\n{_ALLOWED}\n\n## Prohibited use\n\n{_PROHIBITED}\n"
    ]
    return "\n".join(parts)


def _table(title: str, rows: Sequence[Result]) -> str:
    if not rows:
        return f"## {title}\n\n**Not measured.** Absence of a figure is no sign of safety or of use.\n"
    lines = [
        f"## {title}\n",
        "| measure | value | 95 % | guessing, or the worst | n | note |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        ends = f"{row.low:.3f}–{row.high:.3f}" if math.isfinite(row.low) else "–"
        value, control = (f"{v:.3f}" if math.isfinite(v) else "–" for v in (row.value, row.control))
        lines.append(f"| {row.name} {row.attacker} | {value} | {ends} | {control} | {row.n} | {row.reason} |")
    return "\n".join(lines) + "\n"
