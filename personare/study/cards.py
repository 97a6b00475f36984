"""The card of a release: what it is, what it cost the people behind it, what was measured, what it may be used for.

A model has a page of Markdown. A cohort has one too, beside a Croissant file of the same and, where its people do not
exist, a page on which they can be seen and heard.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from jinja2 import Environment, StrictUndefined

from personare.core.atomic import plain, write_json, write_text
from personare.core.types import Cohort, Recording, Result, Spend, Withheld
from personare.study.showing import shown_items

_MEDIA_TYPES = {
    ".npy": "application/x-npy",
    ".wav": "audio/wav",
    ".mp4": "video/mp4",
    ".txt": "text/plain",
    ".gz": "application/gzip",
    ".png": "image/png",
}
ALLOWED = (
    "Research on behavior in groups, teaching, and testing software, by those whom the consent of the people behind it "
    "names."
)
PROHIBITED = (
    "Deciding about single people; naming them, or looking for the people behind it; reading emotions at work or in "
    "education (EU AI Act, Art. 5(1)(f)); passing made-up recordings off as real ones; any purpose outside the consent "
    "under which the recordings were made."
)
_LIMITS = {
    "synthetic": "People who were not in the original, or were rare in it, are hardly in this either. What was not "
    "learned is not there: check any finding on real people before it is believed.",
    "representations": "A representation keeps what its readers were shown and loses other behavior. What its "
    "guarantee does not name may still be in it.",
    "recordings": "Whoever knows the people well, or attacks with better means, may still recognize them. Behavior "
    "that was not measured may be lost.",
    "assistant": "It says what fits the cues it reads, and can read them wrong. It may remember people it was taught "
    "by: where nothing else is claimed, keep it inside the circle of their recordings.",
    "model": "It may remember people it learned from: where nothing else is claimed, keep it inside the circle of its "
    "recordings.",
}
_COLUMNS = (  # of a row, for machines
    "question", "method", "figure", "subset", "attacker", "value", "low", "high", "n", "control", "reason",
)  # fmt: skip

_PEOPLE, _RECORDINGS = 3, 4  # shown on a preview, and of each

MARK = "> **TO BE WRITTEN BY A PERSON:** "
_ANSWERABLE = (
    f"## License and contact\n\n{MARK}The license, which cannot allow more than the consent of the people behind it; "
    "and who answers questions, and takes withdrawals and complaints.\n"
)
# an underscore inside a name is no markup, nor is the sign of a number
_MARKUP = re.compile(r"[\\`*\[\]|~#!$]|(?<![^\W_])_|_(?![^\W_])|^\s*[-+=](?!\d)")


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What is said of a release that was learned from people."""

    kind: str  # of release
    source: str  # the cohort it was made of
    method: str
    options: Mapping[str, Any]
    made_of: tuple[int, int]  # number of people and of recordings it was learned from
    holds: tuple[int, int] = (0, 0)  # number of people and of recordings in it
    spends: tuple[Spend, ...]  # the privacy that this cost the people
    rows: tuple[Result, ...] = ()  # what was measured
    guarantee: str = ""  # of the method itself; empty: nothing more than the privacy spent
    statement: str = ""  # of the exception that is claimed from a rule of the policy
    about: Mapping[str, Any] = field(default_factory=dict)  # entries of dataset_description.json, such as License
    skipped: Sequence[Withheld] = ()  # what took no part, or could not be made; not on the card

    @property
    def name(self) -> str:
        """What the released cohort is called."""
        return f"{self.source}: {self.method}"

    @property
    def claim(self) -> str:
        """What may be claimed about the people it was made of, in a few sentences."""
        return claim_of(self.spends, self.guarantee)

    def page(self, title: str, description: str, *, use: str) -> str:
        """Return the card in Markdown: what it is and may claim, what was measured under ``use``, what it is for."""
        claim = f"## What can be claimed\n\n{self.claim}\n"
        if self.spends:
            claim += "\nThe figures below were measured on the people, and are outside it.\n"
        if any(spend.unit == "recording" for spend in self.spends):
            claim += "\nA claim for one recording is not one for a person who has several of them.\n"
        uses = f"## Allowed use\n\n{ALLOWED}\n\n## Prohibited use\n\n{PROHIBITED}\n"
        limits = f"## Limits\n\n{limits_of(self.kind)}\n"
        if self.statement:
            description += f"\n\n**{as_text(self.statement)}**"
        head, tables = f"# {as_text(title)}\n\n{description}\n", _tables(self.rows, use=use)
        return "\n".join([head, claim, *tables, limits, uses, _ANSWERABLE])


def as_text(value: Any) -> str:
    """Return a value for a page of Markdown in which it stands as it is: nothing in it becomes markup, or a line."""
    escaped = _MARKUP.sub(lambda match: f"\\{match[0].lstrip()}", re.sub(r"\s", " ", str(value)))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def claim_of(spends: Sequence[Spend], guarantee: str = "") -> str:
    """Say what may be claimed about people who paid this privacy, and what a method guarantees beyond it."""
    prices = []
    for s in spends:
        # a group with and without one of many, or any recording in place of a single one
        among = f" of {s.units} (add or remove one)" if s.units > 1 else " alone (whichever it was)"
        price = f"ε = {s.epsilon:.3g} at δ = {s.delta:.1e}"
        prices.append(f"{price} for one {s.unit}{among}, accountant {s.accountant}")
    if prices:
        return f"Differentially private: {'; '.join(prices)}. {guarantee}".strip()
    return guarantee or (
        "No guarantee: it was learned without differential privacy and may hold traces of people it was learned "
        "from. What the attacks on its card did not find, others may."
    )


def limits_of(kind: str) -> str:
    """Say what holds of every release of a kind, however it was measured."""
    return _LIMITS.get(kind, "What its guarantee does not name may still be in it.")


def _tables(rows: Sequence[Result], *, use: str) -> list[str]:
    """Return what was measured, use before risk; what has no figure is named below a table, by its reason."""
    tables = []
    for title, risk in ((use, False), ("What attacks find out", True)):
        lines, absent = list[str](), dict[str, list[str]]()
        for row in (row for row in rows if row.risk == risk):
            name = f"{row.name} {row.attacker}".strip()
            if math.isfinite(row.value):
                ends = f"{row.low:.3f}–{row.high:.3f}" if math.isfinite(row.low) else "–"
                control = f"{row.control:.3f}" if math.isfinite(row.control) else "–"
                lines.append(f"| {name} | {row.value:.3f} | {ends} | {control} | {row.n} | {row.reason} |\n")
            else:
                absent.setdefault(row.reason, []).append(name)
        if lines:
            lines = [
                "| measure | value | 95 % | guessing, or the worst | n | reason |\n",
                "|---" * 6 + "|\n",
                *lines,
                "\n",
            ]
        elif not absent:
            lines = ["**Not measured.** Absence of a figure is no sign of safety or of use.\n"]
        lines += [f"- Without a figure: {', '.join(names)}: {why}\n" for why, names in absent.items()]
        tables.append(f"## {title}\n\n{''.join(lines).rstrip()}\n")
    return tables


def write_card(
    path: Path,
    cohort: Cohort,
    model: Any,
    spends: Sequence[Spend],
    rows: Sequence[Result],
    made: Mapping[str, Any],
    statement: str = "",
) -> None:
    """Write the card of a model of a cohort's recordings, Markdown with a YAML head.

    ``made`` says ``classes`` and ``modalities`` that it knows, and the ``recordings`` and ``people`` it learned from.
    """
    guarantee = ""
    if spends:
        rates = [f"rate {s.sampling_rate:.3g}, noise {s.noise_multiplier:.3g}, {s.steps} steps" for s in spends]
        guarantee = f"It holds for the weights (Poisson {'; '.join(rates)})."
    sheet = Sheet(
        kind="model",
        source=cohort.name,
        method=model.method,
        options=model.options,
        made_of=(made["people"], made["recordings"]),
        spends=tuple(spends),
        rows=tuple(rows),
        guarantee=guarantee,
        statement=statement,
    )
    options = as_text(dict(model.options) or "as they come")
    description = (
        f"Reads {as_text(model.label)} ({as_text(', '.join(made['classes']))}) from {', '.join(made['modalities'])}. "
        f"Learned by `{model.method}` from {made['recordings']} recordings of {made['people']} people of "
        f"{as_text(cohort.name)}; protocol `{model.protocol}`. Options: {options}."
    )
    description = " ".join(
        [description, *filter(None, [made.get("federation", "")]), *map(as_text, made.get("notices", ()))]
    )
    head = f"---\nlibrary_name: personare\ntags: [{model.label}, {model.method}]\n---\n\n"
    write_text(path, head + sheet.page(model.name, description, use="What it can do"))


def write_datasheet(root: Path, sheet: Sheet) -> None:
    """Write ``croissant.json`` and ``README.md`` into a finished cohort, whose tables and index are there.

    **Source**: Croissant 1.1 and its responsible-AI extension (MLCommons); what they have no word for, privacy and
    attacks, is under ``personare:privacy``.
    """
    import mlcroissant as mlc

    synthetic = sheet.kind == "synthetic"
    what = "Synthetic people, none of whom exists," if synthetic else f"{sheet.kind.capitalize()} of people"
    description = (
        f"{what} made by personare ({sheet.method}) after {sheet.source}: {sheet.holds[1]} recordings of "
        f"{sheet.holds[0]} people."
    )
    distribution, fields = _contents(mlc, root)
    metadata = mlc.Metadata(
        name=sheet.name,
        description=description,
        conforms_to=["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        cite_as=str(sheet.about.get("HowToAcknowledge", "")) or None,
        license=[str(sheet.about.get("License") or "as the consent of the people behind it says")],
        url=f"urn:personare:{sheet.kind}",
        version="1.0.0",
        distribution=distribution,
        record_sets=[mlc.RecordSet(id="recordings", name="recordings", key=["recordings/id"], fields=fields)],
        data_collection=f"Computed from {sheet.made_of[1]} recordings of {sheet.made_of[0]} people of {sheet.source}, "
        "who consented to training. Nobody was recorded for it.",
        data_collection_type=["Others"],
        data_manipulation_protocol=f"personare, method {sheet.method}, options {dict(sheet.options)}.",
        machine_annotation_tools=[f"personare {sheet.method}"] if synthetic else [],
        data_biases=[f"What {sheet.source} is biased in, this is too, and rare people more so."],
        data_limitations=[limits_of(sheet.kind)],
        data_use_cases=[ALLOWED],
        data_social_impact=f"Prohibited: {PROHIBITED}",
        personal_sensitive_information=[sheet.claim],
        data_release_maintenance_plan="Made again without a person who withdraws, where that is asked for.",
    )
    content = json.loads(json.dumps(metadata.to_json(), default=str))
    content["@context"]["personare"] = "urn:personare:"
    content["personare:privacy"] = plain(
        {
            "synthetic": synthetic,
            "privacyUnit": sheet.spends[0].unit if sheet.spends else "none",
            "spends": [asdict(spend) for spend in sheet.spends],
            "claim": sheet.claim,
            "exception": sheet.statement,
            "measured": [{name: getattr(row, name) for name in _COLUMNS} for row in sheet.rows],
            "attacked": any(row.risk for row in sheet.rows),
            "allowedUse": [ALLOWED],
            "prohibitedUse": PROHIBITED,
        }
    )
    write_json(root / "croissant.json", content)
    write_text(root / "README.md", sheet.page(sheet.name, as_text(description), use="What it is good for"))


def _contents(mlc: Any, root: Path) -> tuple[list[Any], list[Any]]:
    """Return the files of a cohort and the columns of its index, as Croissant describes them."""
    files, fields = [], []
    for file, form in (("participants.tsv", "text/tab-separated-values"), ("index.parquet", "application/x-parquet")):
        name, checksum = file.partition(".")[0], hashlib.sha256((root / file).read_bytes()).hexdigest()
        files.append(mlc.FileObject(id=name, name=name, content_url=file, encoding_formats=[form], sha256=checksum))
    for suffix in sorted({path.suffix for path in root.glob("sub-*/**/*") if path.suffix in _MEDIA_TYPES}):
        name, form = f"files-{suffix[1:]}", _MEDIA_TYPES[suffix]
        files.append(mlc.FileSet(id=name, name=name, includes=[f"sub-*/**/*{suffix}"], encoding_formats=[form]))
    for column in pq.read_schema(root / "index.parquet").names:
        what, _, name = column.partition(".")
        fields.append(
            mlc.Field(
                id=f"recordings/{column}",
                name=f"recordings/{column}",
                description=f"Path of the file with {name}" if what == "track" else f"The recording's {name or what}",
                data_types=[mlc.DataType.TEXT],
                source=mlc.Source(file_object="index", extract=mlc.Extract(column=column)),
            )
        )
    return files, fields


def write_preview(root: Path, cohort: Cohort, *, label: str, told: str) -> None:
    """Write ``preview.html`` into a finished cohort: a few people, a few recordings of each, and what can be claimed.

    The page makes no request but for files beside it. It is for cohorts of people who do not exist: whoever holds it
    sees and hears what is in the cohort. ``label`` is shown over each recording; those of different labels come first.
    """
    people = []
    for subject in sorted({r.subject for r in cohort.recordings})[:_PEOPLE]:
        by_label: dict[str, list[Recording]] = {}
        for r in cohort.recordings:
            if r.subject == subject:
                by_label.setdefault(r.labels.get(label, ""), []).append(r)
        turns = zip_longest(*(by_label[value] for value in sorted(by_label)))
        shown = [r for turn in turns for r in turn if r][:_RECORDINGS]
        cards = [{"id": r.id, "label": r.labels.get(label, ""), "items": [*shown_items(root, r)]} for r in shown]
        people.append({"subject": subject, "recordings": cards})
    template = resources.files("personare.study").joinpath("preview.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    total = (len({r.subject for r in cohort.recordings}), len(cohort.recordings))
    page = environment.from_string(template).render(name=cohort.name, people=people, told=told, total=total)
    write_text(root / "preview.html", page)
