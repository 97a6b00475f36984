"""Representations and synthetic people in the report: their frontier, tables, pictures and words, from a real study."""

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from personare.core.strongest import CANARIES, LEARNED, MEMBER_PEOPLE, unprotected
from personare.core.types import Result
from personare.report import write_report
from personare.report.answer import answer
from personare.report.frontier import Panel, Point, before, best, gain, panels
from personare.report.plots import draw_likeness
from personare.report.run import RunRecord, links_of, read_run
from personare.report.sections import pictures, self_tests, transfer_matrix
from personare.report.tables import tables, to_csv, to_latex
from personare.report.writer import methods_paragraphs

from .fake_run import write, write_example, write_fake_run
from .test_writer import Page

pytestmark = pytest.mark.slow
BROKEN = "ABOVE THE BOUND, the privacy claim does not hold: epsilon 8 at delta 1.0e-03 allows 0.300 at most"


@pytest.fixture(scope="module")
def made(whole_made_run: Path) -> RunRecord:
    return read_run(whole_made_run)


@pytest.fixture(scope="module")
def html(whole_made_run: Path) -> str:
    return (whole_made_run / "report.html").read_text(encoding="utf-8")


def change(run: Path, measure: str, **values: object) -> None:
    """Change the rows of a measure in every release."""
    rows = json.loads((run / "results.json").read_text(encoding="utf-8"))
    assert [row.update(values) for row in rows if f"{row['method']}.{row['figure']}" == measure and not row["subset"]]
    write(run, "results", rows)


def row(measure: str, value: float, **more: object) -> Result:
    question, method, figure = measure.split(".")
    given = {"release": "s", "kind": "synthetic", "better": "lower" if question == "member" else "higher"} | more
    return Result(question=question, method=method, figure=figure, value=value, **given)  # type: ignore[arg-type]


def shown(record: RunRecord, *rows: Result) -> RunRecord:
    """The same run, in which only this was measured."""
    return replace(record, results=rows, releases=())


def test_a_study_puts_both_kinds_on_a_frontier_with_the_unprotected_people(made: RunRecord) -> None:
    drawn = {p.group: p for p in panels(made)}
    assert list(drawn) == ["representations", "synthetic"]
    rows = {(r.release, r.method, r.figure): r for r in made.results}
    erased = next(p for p in drawn["representations"].points if p.release == "erased")
    assert (erased.risk, erased.utility) == (
        rows["erased", "strongest", "top1"],
        rows["erased", "reader", "uar"],
    )
    own = before(drawn["representations"], erased)
    assert (own.risk.value, own.utility.value) == (erased.risk.baseline, erased.utility.baseline)
    assert drawn["representations"].original is not None
    most = max(p.utility.baseline for p in drawn["representations"].points if not p.original)
    assert drawn["representations"].original.utility.value == most
    columns = next(p for p in drawn["synthetic"].points if p.release == "columns")
    areas = [r for r in made.results if (r.question, r.figure, r.subset) == ("member", "auc", "")]
    areas = [r for r in areas if r.method not in CANARIES]
    believed = [r.value for r in areas if r.release == "columns" and r.status == "ok"]
    assert columns.risk.value == max(believed)
    assert columns.utility.figure == "tstr_uar" and drawn["synthetic"].original is not None


def test_outliers_and_the_planted_never_stand_for_everybody() -> None:
    rows = [row("member.synthetic_membership_normal.auc", 0.99, subset="outliers")]
    rows += [row("member.synthetic_canaries_normal.auc", 0.98)]
    rows += [row("member.synthetic_shadow_normal.auc", 0.9, status="not_informative")]
    believed = row("member.synthetic_membership_neighbor.auc", 0.6)
    assert MEMBER_PEOPLE.find([*rows, believed], "s", "synthetic") == believed


def test_releases_of_different_features_are_each_weighed_against_their_own() -> None:
    def point(name: str, kept: float, was: float) -> Point:
        given = {"release": name, "kind": "representations", "control": 0.5}
        utility = row("read.reader.uar", kept, baseline=was, **given)
        return Point(release=name, risk=row("identify.strongest.top1", 0.6, baseline=0.9, **given), utility=utility)

    poor, rich = point("poor", 0.6, 0.6), point("rich", 0.7, 0.9)
    original = Point(release="original", risk=replace(rich.risk, value=0.9), utility=replace(rich.utility, value=0.9))
    panel = Panel(group="representations", kind="representations", points=(original, poor, rich))
    assert panel.baselines == (0.6, 0.9)
    assert (gain(panel, poor), gain(panel, rich)) == (pytest.approx(0.75), pytest.approx(0.25))
    assert replace(panel, kind="recordings").baselines is None and best(panel) is not None


def test_a_shadow_attack_borrows_the_unprotected_point_from_the_attack_that_has_one() -> None:
    shadow = row("member.synthetic_shadow_normal.auc", 0.8)
    rows = [shadow, row("member.synthetic_membership_neighbor.auc", 0.6, baseline=0.97)]
    found = unprotected(rows, shadow, row("read.linear.tstr_uar", 0.4, baseline=0.7))
    assert found is not None and (found[0].value, found[1].value) == (0.97, 0.7)
    assert unprotected([shadow], shadow, rows[0]) is None


def test_each_kind_has_a_table_with_its_claims(made: RunRecord, whole_made_run: Path) -> None:
    represented, synthetic = tables(made, panels(made))
    rows = {r["release"]: r for r in csv.DictReader(io.StringIO(to_csv(synthetic)))}
    assert (rows["hidden"]["epsilon"], rows["hidden"]["unit"]) == ("8", "person")
    assert (rows["columns"]["claim"], rows["columns"]["epsilon"]) == ("none", "")
    assert float(rows["columns"]["learned_before"]) > float(rows["columns"]["learned_guess"])
    [noised] = [r for r in csv.DictReader(io.StringIO(to_csv(represented))) if r["release"] == "noised"]
    assert (noised["unit"], float(noised["epsilon"])) == ("recording", pytest.approx(60, rel=0.01))
    [line] = [text for text in to_latex(synthetic).splitlines() if text.startswith("hidden &")]
    assert "$\\varepsilon$ = 8" in line and line.endswith("\\\\")
    for name in ("representations_table", "synthetic_table"):
        assert {f"{name}.csv", f"{name}.tex"} <= {f.name for f in whole_made_run.iterdir()}
    assert not (whole_made_run / "results_table.csv").exists()


def test_the_page_is_whole_and_loads_nothing(html: str) -> None:
    page = Page()
    page.feed(html)
    assert page.bad == [] and page.open == [] and page.nameless == []
    anchors = {link[1:] for link in page.links if link.startswith("#")}
    assert anchors <= set(page.ids) and len(page.ids) == len(set(page.ids))
    beside = {link for link in page.links if not link.startswith("#")}
    assert [load for load in page.loads if not load.startswith(("#", "data:")) and load not in beside] == []
    assert "releases/columns/preview.html" in beside and "releases/erased/README.md" in beside
    assert "What can still be learned, and who is found in it" in html
    assert "Emotion recall" not in html and '<section id="ladder">' not in html


def test_links_lead_to_files_that_are_there(made: RunRecord, html: str) -> None:
    linked = re.findall(r'href="(releases/[^"]+)"', html)
    assert linked and all((made.root / link).is_file() for link in linked)


def test_made_up_people_are_seen_heard_and_marked(made_run: Path) -> None:
    write(made_run, "examples", {"columns": [write_example(made_run, "columns", kind) for kind in ("mp4", "wav")]})
    text = write_report(made_run).read_text(encoding="utf-8")
    part = text[text.index('id="release-columns"') : text.index('id="release-hidden"')]
    assert "made up by a machine: nobody said or did this" in part
    assert (part.count("<video"), part.count("<audio"), part.count("made up by a machine</span>")) == (1, 1, 2)
    assert "None of them is shown here" in text[text.index('id="release-hidden"') :]


def test_what_still_carries_identity_is_drawn(made: RunRecord) -> None:
    [carriers] = pictures(made, "erased")
    [(_, svg)] = carriers["images"]
    assert "acoustics: acoustics" in svg and "face: face" in svg
    [none] = pictures(replace(made, results=()), "erased")
    assert (none["images"], none["note"]) == ([], "Which parts of the input carry identity was not measured.")


def test_likeness_and_membership_are_drawn(made: RunRecord) -> None:
    likeness, found, disclosed = pictures(made, "hidden")
    assert "correlations kept across modalities" in likeness["images"][0][1]
    assert [title for title, _ in found["images"]] == [
        "AUC of all attacks",
        "Curves, everybody",
        "Curves, planted people",
    ]
    assert "the claim allows" in found["images"][1][1] and "the claim allows" in found["images"][2][1]
    assert "label inferred from all else, outliers" in disclosed["images"][0][1]
    assert "real recordings, unchanged" in disclosed["images"][1][1]
    said = [p["note"] for p in pictures(replace(made, results=()), "hidden") if not p["images"]]
    assert said == ["How like real people they are was not measured.", "No membership attack on their people was run."]


def test_a_picture_that_cannot_be_drawn_is_said(made: RunRecord) -> None:
    rows = [replace(r, detail={"carriers": ["nonsense"]}) for r in made.results if r.method == "strongest"]
    assert (
        pictures(replace(made, results=tuple(rows)), "erased")[0]["note"]
        == "It was recorded in a way that cannot be drawn."
    )


def test_right_is_better_for_every_likeness_and_a_worst_that_is_no_worst_is_left_out() -> None:
    good = [row("resemble.synthetic.c2st_trees", 0.6, baseline=0.5, control=1.0)]
    good += [row("resemble.synthetic.ks", 0.2, baseline=0.1)]
    lines = [line for line in draw_likeness(good).axes[0].lines if line.get_linestyle() == "None"]
    at = {(line.get_marker(), line.get_ydata()[0]): line.get_xdata()[0] for line in lines}  # type: ignore[index]
    assert at == {("x", 0): 0.0, ("D", 0): 1.0, ("o", 0): pytest.approx(0.8), ("D", 1): 0.9, ("o", 1): 0.8}


def test_made_up_histories_are_judged_by_what_comes_next(made: RunRecord) -> None:
    kinds = {"baseline": 0.8, "control": 0.5}
    rows = [row("read.synthetic_visits.next_visit_auc", 0.7, unit="auc", **kinds)]
    rows += [row("resemble.synthetic_visits.gaps", 0.3, baseline=0.1, control=0.0)]
    rows += [
        row("resemble.synthetic_visits.transitions", 0.02, **kinds),
        row("member.synthetic_visits.near_copies", 0.1, control=0.05),
    ]
    assert LEARNED.find(rows, "s", "synthetic") == rows[0]
    likeness, _, disclosed = pictures(shown(made, *rows), "s")
    assert "codes predicted" in likeness["images"][0][1] and "successive" not in likeness["images"][0][1]
    assert "nearer to a member than non-members are" in disclosed["images"][0][1]


def test_every_representation_is_read_for_every_task(made: RunRecord, html: str) -> None:
    tasks, lines = transfer_matrix(made)
    assert tasks == ["its own task", "what is said"]
    assert [release for release, _ in lines] == ["erased", "noised"]
    for _, cells in lines:
        for cell in cells:
            assert cell is not None and 0 <= cell[1] <= 1
    assert 'id="transfer"' in html


def test_attacks_on_both_kinds_are_tested_on_what_is_not_protected(made: RunRecord) -> None:
    tests = {t["attack"]: t for t in self_tests(made)["synthetic"]}
    assert tests["synthetic_membership_neighbor"]["before"] != "not tried"
    for attack in ("synthetic_shadow", "synthetic_canaries"):  # on the recordings themselves, also for a private one
        both = [tests[f"{attack}_{by}"] for by in ("neighbor", "normal")]
        assert not any("not tried" in t["why"] for t in both) and any("1.00" in t["before"] for t in both)
    assert {"naming_mlp", "attributes.sex"} <= {t["attack"] for t in self_tests(made)["representations"]}


def test_the_methods_say_what_was_made_and_how_it_was_attacked(made: RunRecord) -> None:
    text = " ".join(methods_paragraphs(made))
    assert "2 representations were fitted: erased (leace, 48 recordings of 12 people); noised (noise, epsilon" in text
    assert "2 cohorts of people who do not exist were made: columns (copula, 24 recordings of 6 people)" in text
    assert "hidden, ε = 8, δ = 0.001, for one person" in text and "and planted people by averages, held against" in text
    assert "releases of it were made" not in text and "Utility was measured" not in text


def test_a_broken_claim_is_told_first_and_not_ranked(made_run: Path) -> None:
    change(made_run, "synthetic_canaries_normal.auc", reason=BROKEN, status="claim_broken")
    record = read_run(made_run)
    [_, synthetic] = panels(record)
    assert ("hidden", "its privacy claim does not hold") in synthetic.absent
    text = write_report(made_run).read_text(encoding="utf-8")
    assert "A claim of privacy does not hold" in text[: text.index('<section id="frontier">')]
    assert "THE PRIVACY CLAIM DOES NOT HOLD" in (made_run / "synthetic_table.tex").read_text(encoding="utf-8")


def test_the_answer_says_who_is_found_and_what_is_learned(made_run: Path) -> None:
    change(made_run, "synthetic_membership_normal.auc", value=0.5, low=0.4, high=0.6)
    change(made_run, "synthetic_membership_neighbor.auc", value=0.45, low=0.3, high=0.6)
    change(made_run, "synthetic_shadow_normal.auc", value=0.5, low=0.4, high=0.6)
    change(made_run, "synthetic_shadow_neighbor.auc", value=0.5, low=0.4, high=0.6)
    record = read_run(made_run)
    one = answer({p.group: p for p in panels(record)}["synthetic"], record)
    assert (
        one.release
        and "The strongest attack tells members (people it was trained on) from others with a membership AUC of 0.50"
        in one.sentence
    )
    assert "a stronger one might" in one.caution


@pytest.mark.parametrize("piece", ["details", "releases", "results"])
def test_any_piece_may_be_missing(made_run: Path, piece: str) -> None:
    (made_run / f"{piece}.json").unlink()
    assert f"{piece}.json is not in the run folder" in write_report(made_run).read_text(encoding="utf-8")


def test_releases_that_are_gone_are_not_linked(made_run: Path) -> None:
    shutil.rmtree(made_run / "releases")
    text = write_report(made_run).read_text(encoding="utf-8")
    assert "The card of hidden could not be read" in text and 'href="releases/' not in text


def test_a_release_whose_name_leads_elsewhere_is_not_opened(made_run: Path) -> None:
    assert links_of(made_run, "columns") and not links_of(made_run, "../releases/columns/../../..")
    write(made_run, "releases", [{"name": "../../people", "claim": "no guarantee"}])
    record = read_run(made_run)
    assert record.claims == {} and "The card of ../../people could not be read" in record.missing[-1]


def test_beside_recordings_all_kinds_have_their_place(made_run: Path) -> None:
    other = write_fake_run(made_run.parent / "other", media=False)
    (other / "details.json").unlink()
    (made_run / "details.json").unlink()
    for piece, key in (("results", "release"), ("releases", "name")):
        own, more = (json.loads((root / f"{piece}.json").read_text(encoding="utf-8")) for root in (made_run, other))
        write(made_run, piece, [*(r for r in more if r[key] in ("original", "voice_veil")), *own])
    text = write_report(made_run).read_text(encoding="utf-8")
    order = [text.index(f'<section id="{name}">') for name in ("table", "representations", "synthetic", "ladder")]
    assert order == sorted(order)
    assert "1 release · 2 representations · 2 cohorts of synthetic people" in text
    table = text[text.index('<section id="table">') : text.index('<section id="representations">')]
    assert "release-erased" not in table and "release-columns" not in table
