"""The papers of a study, drafted from its run's records alone; what no record says is visibly left to a person.

A paper is a template of ``templates/``, made of fields that ask for what a law or a form asks for. A field is filled
by the record, says what a person must write, or both: never neither.
"""

import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, Template
from markupsafe import Markup

from personare.core.atomic import write_json, write_text
from personare.core.errors import DataError
from personare.core.strongest import ANY_KIND, CANARIES, STANDS, baseline, group_of, strongest
from personare.core.types import RISKS, Result, Spend
from personare.report import words
from personare.report.answer import change
from personare.report.run import RunRecord, read_run
from personare.report.sections import sources_of
from personare.report.writer import methods_paragraphs
from personare.study.cards import ALLOWED, MARK, PROHIBITED, as_text, claim_of, limits_of

_OF_RUN = {
    "dpia": "Data protection impact assessment",
    "ropa": "Record of processing activities",
    "methods": "Methods",
    "ai_act": "Technical documentation, EU AI Act",
}
_FIGURES = {  # which tell a risk; of other questions, all that was measured
    "identify": ("top1", "person_top1", "named", "risk", ""),
    "member": ("auc", "person_auc", "nearer", "exact", "epsilon", ""),
}
_HEAD = """\
> **DRAFT, written by personare from the records of a run. {left} of its {fields} headings hold a passage TO BE WRITTEN
> BY A PERSON.** A study that runs again writes it anew: copy it to another place before you fill it in.
"""
_PLACE = re.compile(r"(?<![\w/.:])(?:[A-Za-z]:\\|~?/)(?=[^\s/])(?:[^/\\\n]+[/\\])+\S*")  # an absolute path
_SOMEBODY = re.compile(r"\bsub-[A-Za-z0-9]+[\w.-]*|(?<=\bsubject )\w*\d\w*")
_COMPILED = words.Compiled()


def write_papers(run: Path, out: Path | None = None) -> Path:
    """Draft the papers of a run that others ask for, and ``papers.json``: which fields are filled, which are not.

    **Guarantee**: only the run's records are read, and no recording. No folder of this machine and nobody's pseudonym
    is written; whatever text a record holds cannot become markup. A field that no record fills is marked.

    ``out`` is a folder without papers; that of the run, ``papers``, is written anew. Returns the folder.

    Raises:
        DataError: A record of the run is missing or broken, or papers would be overwritten.
    """
    record, folder = read_run(run), out or run / "papers"
    if record.missing:
        raise DataError(
            f"Papers need every record of a run, and {run} lacks some. {' '.join(record.missing)} Run the study again."
        )
    if (folder / "papers.json").exists():
        if out:
            raise DataError(f"{out} must hold no papers yet: somebody may have filled them in. Choose another folder.")
        shutil.rmtree(folder)  # also the card of a release that is there no more
    environment, papers = _environment(record), dict[str, _Paper]()
    for title, template, name in _planned(record):
        file = "_".join(filter(None, (template, words.slug(name) if name else "")))
        while f"{file}.md" in papers:  # of another release
            file += "_"
        papers[f"{file}.md"] = paper = _Paper(title=title)
        write_text(folder / f"{file}.md", paper.text(environment.get_template(f"{template}.txt"), name))
    write_json(folder / "papers.json", papers)
    return folder


def _planned(record: RunRecord) -> Iterator[tuple[str, str, str]]:
    """Yield title, template and release of each paper; those of the whole run are of no release."""
    for template, title in _OF_RUN.items():
        yield title, template, ""
    for name in record.names():
        template = "model_card" if record.kind(name) in ("model", "assistant") else "data_card"
        yield f"{words.plain(template).capitalize()}: {name}", template, name


@dataclass(kw_only=True)
class _Paper:
    """A paper while it is written: its title, and each field with what is left to a person."""

    title: str
    fields: list[dict[str, Any]] = field(default_factory=list)

    def text(self, template: Template, name: str) -> str:
        """Return the whole paper in Markdown."""
        body = template.render(name=name, field=self._field)
        left = sum(bool(one["to_write"]) for one in self.fields)
        head = f"# {_plain(self.title)}\n\n{_HEAD.format(left=left, fields=len(self.fields))}\n"
        return re.sub(r"\n{3,}", "\n\n", head + body).strip() + "\n"

    def _field(self, title: str, article: str = "", ask: str = "", caller: Callable[[], str] = str) -> Markup:
        """Return a heading, what the record says under it, and what a person must write, which is noted."""
        text = Markup(caller().strip())
        ask = ask or ("" if text else "No record of the run says it.")
        self.fields.append({"field": title, "article": article, "filled": bool(text), "to_write": ask})
        parts = [f"## {title}", f"*{article}*" if article else "", text, MARK + ask if ask else ""]
        return Markup("\n\n".join(filter(None, parts)) + "\n\n")


def _environment(record: RunRecord) -> Environment:
    """Return the templates of the papers, with the words of the report; each value is made harmless as it is put in."""
    folder = resources.files("personare.study") / "templates"
    loader = FunctionLoader(lambda file: (folder / file).read_text(encoding="utf-8"))
    environment = words.templates().overlay(loader=loader, finalize=_plain, bytecode_cache=_COMPILED)
    environment.globals = {**environment.globals, **_content(record)}
    return environment


def _plain(value: Any) -> Markup:
    """Return a value as text that is no markup, and names no folder of a machine and no recording of anybody."""
    if isinstance(value, Markup):
        return value
    return Markup(as_text(_SOMEBODY.sub("(somebody)", _PLACE.sub("(a folder)", str(value)))))


def _content(record: RunRecord) -> dict[str, Any]:
    """Return what a template may say of a run."""

    def rows_of(name: str, question: str) -> list[Result]:
        return [row for row in record.results if (row.release, row.question) == (name, question)]

    def risks_of(name: str) -> Mapping[str, list[Result]]:
        return {question: _strongest(rows_of(name, question), question) for question in RISKS}

    def residual(name: str) -> dict[bool | None, list[str]]:
        """Return the questions by whether a strongest attack is above guessing; None: no attack can be believed."""
        answers: dict[bool | None, list[str]] = {}
        for question, rows in risks_of(name).items():
            seen = {above(row) for row in rows if row.status in ("ok", "claim_broken")}
            answers.setdefault(next((one for one in (True, False) if one in seen), None), []).append(question)
        return answers

    def spends_of(name: str) -> list[Spend] | None:
        return [Spend(**s) for s in record.trained[name]["result"]["spends"]] if name in record.trained else None

    return {
        "record": record,
        "words": words,
        "ends": lambda row: words.figure(row)[1].strip("[]") or "–",
        "above": above,
        "change": change,
        "baseline": baseline,
        "risks_of": risks_of,
        "residual": residual,
        "spends_of": spends_of,
        "claim_of": claim_of,
        "limits": limits_of,
        "allowed": ALLOWED,
        "prohibited": PROHIBITED,
        "read_of": lambda name: [row for row in rows_of(name, "read") if not row.subset],
        "groups_of": lambda name: [row for row in rows_of(name, "read") if row.subset],
        "utilities": [(name, _useful(record, name)) for name in record.names()],
        "methods": methods_paragraphs(record),
        "sources": sources_of(record),
        "withheld": sum(len(release.get("withheld") or []) for release in record.releases),
        "complete": (record.root / "not_made.json").is_file(),
        "learned": any(record.kind(name) != "recordings" for name in record.names()),
        "croissant": lambda name: (record.root / "releases" / name / "croissant.json").is_file(),
    }


def _strongest(rows: Sequence[Result], question: str) -> list[Result]:
    """Return, of each figure, group and subset, the attack that found most; planted people stand for nobody."""
    rows = [row for row in rows if row.method not in CANARIES or row.status == "claim_broken"]
    told = [row for row in rows if row.figure in _FIGURES.get(question, (row.figure,))] or rows
    groups: dict[tuple[str, ...], list[Result]] = {}
    for row in told:
        groups.setdefault((row.figure, group_of(row), row.subset), []).append(row)
    broken = [row for row in rows if row.status == "claim_broken"]
    strong = filter(None, map(strongest, groups.values()))
    return [*broken, *(row for row in strong if row not in broken)]


def _useful(record: RunRecord, name: str) -> Result | None:
    """Return the utility that stands for a release; of several modalities, of the first that has a figure."""
    kind = record.kind(name)
    query = STANDS.get(kind, ANY_KIND)[1][0]
    groups = dict.fromkeys(group_of(row) for row in record.results if row.release == name)
    rows = [row for group in groups if (row := query.find(record.results, name, group))]
    return next((row for row in rows if math.isfinite(row.value)), None)


def above(row: Result) -> bool | None:
    """Whether a risk is surely above what guessing gives; None where interval or guess are not there."""
    low, guess = (row.low, row.control) if row.better == "lower" else (-row.high, -row.control)
    return low > guess if math.isfinite(low) and math.isfinite(guess) else None
