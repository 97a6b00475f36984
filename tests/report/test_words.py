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


def test_names_and_numbers_are_said_short() -> None:
    named = Result(question="identify", method="voice_gmm", figure="top1", value=0.284)
    attribute = Result(question="infer", method="attributes", figure="uar", subset="sex", value=0.8, low=0.7, high=0.9)
    assert words.measure(named) == "voice gmm: identified at first guess (top-1)"
    assert (words.measure(attribute), words.figure(named)) == ("attribute read, sex", ("28 %", ""))
    assert (words.figure(attribute), words.figure(None)) == (("0.80", "[0.70–0.90]"), ("–", ""))
    assert words.label("face_blur+voice_mcadams", "recordings") == "blur +\nmcadams"
    assert (words.group("audio"), words.group("synthetic")) == ("Voice", "Synthetic people")
    assert (words.amount(8936), words.amount(31.44), words.amount(0.041)) == ("8,936", "31.4", "0.041")
    assert (words.number(-1e-9), words.interval(-1e-9, 0.2)) == ("0.00", "[0.00–0.20]")
    assert words.count(1200, "person") == "1,200 people" and words.count(1, "person") == "1 person"
    assert words.count(None, "file") == "an unrecorded number of files"
    assert (words.listing(["a", "b", "c"]), words.listing([])) == ("a, b and c", "")


def test_a_figure_nobody_knows_is_said_by_its_name() -> None:
    row = Result(question="resemble", method="my_measure", figure="odd_share", subset="audio", value=0.5)
    assert words.measure(row) == "my measure: odd share, audio"
    assert words.kind_of("sketches")["many"] == "sketches" and words.group("sketches") == "Sketches"


def test_every_text_and_template_goes_along_when_the_package_is_installed() -> None:
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    [packed] = project["tool"]["setuptools"]["package-data"].values()
    files = [f for f in (DOCS.parent / "personare").rglob("*.*") if f.is_file() and "__pycache__" not in f.parts]
    assert {f"*{f.suffix}" for f in files} - {"*.py", *packed} == set()
