import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from personare.core.errors import DataError
from personare.report import write_report

from .fake_run import COHORT, FAKE, write

VOID = {"meta", "link", "img", "br", "wbr", "input", "hr", "source", "path", "use", "rect"}
LOADS = {"src", "href", "xlink:href", "poster", "action", "data", "srcset", "formaction", "background"}


class Page(HTMLParser):
    """What a browser would load, name and nest."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.nameless: list[str] = []
        self.bad: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.loads += [given[name] for name in LOADS & set(given)]
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        if tag in {"svg", "video", "audio"} and not given.get("aria-label"):
            self.nameless.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and self.open.pop() != tag:
            self.bad.append(f"</{tag}> at {self.getpos()}")


@pytest.fixture(scope="session")
def html(full_run: Path) -> str:
    return write_report(full_run).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def page(html: str) -> Page:
    parser = Page()
    parser.feed(html)
    return parser


def test_guarantee_the_page_makes_no_request(html: str, page: Page) -> None:
    assert len(page.loads) > 100
    assert [load[:60] for load in page.loads if not load.startswith(("#", "data:"))] == []
    assert [found for found in re.findall(r"url\(([^)]*)\)", html) if not found.strip("'\"").startswith("#")] == []
    assert "@import" not in html and "<link" not in html and "fetch(" not in html and "XMLHttpRequest" not in html
    assert "default-src 'none'" in html


def test_the_page_is_well_nested_and_every_anchor_exists_once(page: Page) -> None:
    assert page.bad == [] and page.open == []
    assert sorted({i for i in page.ids if page.ids.count(i) > 1}) == []
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert page.nameless == []


def test_the_picture_comes_first_and_everything_promised_is_there(html: str) -> None:
    order = [
        "frontier",
        "table",
        "ladder",
        "published",
        "releases",
        "self-tests",
        "skipped",
        "methods",
        "ledger",
        "words",
        "sources",
    ]
    places = [html.index(f'<section id="{name}">') for name in order]
    assert places == sorted(places)
    for name in FAKE:
        assert f'id="release-{name.replace("_", "-")}"' in html
    assert "0.91 [0.87–0.95]" in html and "speaker encoder absent" in html


def test_what_the_run_says_is_text_never_markup(html: str) -> None:
    assert "<script>alert(1)" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_examples_of_releases_play_in_the_page(page: Page) -> None:
    assert page.tags.count("audio") == 3 * sum(m == "audio" for m, *_ in FAKE.values())
    assert page.tags.count("video") == 3 * sum(m != "audio" for m, *_ in FAKE.values())


def test_a_failed_self_test_is_told(html: str) -> None:
    part = html[html.index('<section id="self-tests">') : html.index('<section id="skipped">')]
    assert "not informative: names 0.14 of people in originals" in part
    assert part.count("✓ informative") == 5


@pytest.mark.parametrize(("kind", "best"), [("identifiable", True), ("release", True), ("synthetic", False)])
def test_the_first_page_calls_a_method_best_only_of_real_people(fake_run: Path, kind: str, best: bool) -> None:
    write(fake_run, "cohort", COHORT | {"kind": kind})
    text = write_report(fake_run).read_text(encoding="utf-8")
    assert ("Best trade" in text) is best
    assert ("These people are made up, so no method is called best." in text) is not best
    assert "from all of a person’s recordings" in text[: text.index('<section id="frontier">')]


def test_tables_and_pictures_lie_beside_the_report(full_run: Path, html: str) -> None:
    assert html
    for name in ("results_table.csv", "results_table.tex", "frontier.svg", "frontier.png"):
        assert (full_run / name).stat().st_size > 500
    assert not list(full_run.glob(".*"))


def test_an_empty_run_still_gets_a_report_that_says_so(tmp_path: Path) -> None:
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert "This report is incomplete" in text and "results.json is not in the run folder" in text
    assert "Nothing was measured" in text
    assert not (tmp_path / "frontier.svg").exists()


@pytest.mark.parametrize("piece", ["details", "releases", "skipped", "ledger", "cohort", "versions", "examples"])
def test_any_single_piece_may_be_missing(fake_run: Path, piece: str) -> None:
    rows = json.loads((fake_run / "results.json").read_text(encoding="utf-8"))
    write(fake_run, "results", [r for r in rows if r["release"] in ("original", "voice_veil", "voice_mcadams")])
    (fake_run / "details.json").unlink()
    (fake_run / f"{piece}.json").unlink(missing_ok=True)
    text = write_report(fake_run).read_text(encoding="utf-8")
    assert f"{piece}.json is not in the run folder" in text
    assert "voice_veil" in text


def test_a_release_with_only_nan_is_named_with_its_reason(fake_run: Path) -> None:
    rows = json.loads((fake_run / "results.json").read_text(encoding="utf-8"))
    for row in rows:
        if row["release"] == "voice_veil" and row["question"] == "identify":
            row |= {"value": None, "low": None, "high": None, "reason": "every person has one clip only"}
    write(fake_run, "results", rows)
    text = write_report(fake_run).read_text(encoding="utf-8")
    assert "every person has one clip only" in text[: text.index('<section id="table">')]


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        write_report(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


def test_a_kind_of_release_from_another_package_has_its_place(fake_run: Path) -> None:
    rows = json.loads((fake_run / "results.json").read_text(encoding="utf-8"))
    read = {"question": "read", "method": "reader", "figure": "uar", "value": 0.6, "baseline": 0.8, "control": 0.2}
    told = {
        "question": "identify",
        "method": "matcher",
        "figure": "top1",
        "value": 0.3,
        "baseline": 0.9,
        "control": 0.1,
    }
    own = [{"release": "drawn", "kind": "sketches", **one} for one in (read, told | {"better": "lower"})]
    write(fake_run, "results", [*rows, *own])
    (fake_run / "details.json").unlink()
    released = json.loads((fake_run / "releases.json").read_text(encoding="utf-8"))
    made = {"name": "drawn", "kind": "sketches", "modalities": [], "methods": {"sketches": "pencil"}, "options": {}}
    write(fake_run, "releases", [*released, made])
    write(fake_run, "cohort", COHORT | {"kind": "identifiable"})
    text = write_report(fake_run).read_text(encoding="utf-8")
    assert '<section id="sketches">' in text and 'id="release-drawn"' in text
    assert "The strongest attack finds 30\u00a0%" in text and "Best trade: sketches" in text
    assert "matcher" in text[text.index('<section id="self-tests">') : text.index('<section id="skipped">')]
    assert "drawn,pencil,0.6" in (fake_run / "sketches_table.csv").read_text(encoding="utf-8")


def test_a_kind_whose_name_leads_elsewhere_writes_nothing_there(fake_run: Path) -> None:
    row = {"release": "x", "kind": "../out", "question": "read", "method": "reader", "figure": "uar", "value": 0.6}
    write(fake_run, "results", [row])
    (fake_run / "details.json").unlink()
    before = set(fake_run.parent.iterdir())
    write_report(fake_run)
    assert set(fake_run.parent.iterdir()) == before and (fake_run / "out_table.csv").is_file()
