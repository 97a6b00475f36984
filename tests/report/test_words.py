"""Every word of the report is explained, and every page of the documentation leads to where."""

import tomllib
from pathlib import Path

import pytest

from personare.core.types import Result
from personare.report import words

DOCS = Path(__file__).parents[2] / "docs"


def test_the_glossary_explains_every_figure_in_the_words_of_the_report() -> None:
    glossary = (DOCS / "glossary.md").read_text(encoding="utf-8")
    likeness = {figure: said for (_, figure), said in words.LIKENESS.items()}
    missing = [
        f"{f}: {said}" for f, said in {**likeness, **words.FIGURES}.items() if f"| `{f}` | {said} |" not in glossary
    ]
    assert missing == []


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_every_page_leads_to_the_glossary(page: Path) -> None:
    assert page.stem == "glossary" or "(glossary.md)" in page.read_text(encoding="utf-8")


def test_a_figure_nobody_knows_is_said_by_its_name() -> None:
    row = Result(question="resemble", method="my_measure", figure="odd_share", subset="audio", value=0.5)
    assert words.measure(row) == "my measure: odd share, audio"
    assert words.kind_of("sketches")["many"] == "sketches" and words.group("sketches") == "Sketches"


def test_every_text_and_template_goes_along_when_the_package_is_installed() -> None:
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    [packed] = project["tool"]["setuptools"]["package-data"].values()
    files = [f for f in (DOCS.parent / "personare").rglob("*.*") if f.is_file() and "__pycache__" not in f.parts]
    assert {f"*{f.suffix}" for f in files} - {"*.py", *packed} == set()
