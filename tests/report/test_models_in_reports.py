import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from personare.report import write_report
from personare.report.answer import answer
from personare.report.frontier import panels
from personare.report.plots import draw_frontier
from personare.report.run import RunRecord, read_run
from personare.report.sections import release_section, self_tests
from personare.report.tables import tables, to_csv, to_latex
from personare.report.writer import methods_paragraphs

from .fake_models import MODELS, SPEND, write_fake_models, write_step
from .fake_run import FAKE, write, write_fake_run
from .test_writer import Page

BROKEN = "ABOVE THE BOUND, the privacy claim does not hold: epsilon 4 at delta 1.0e-03 allows 0.300 at most"


@pytest.fixture(scope="module")
def mixed_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings and models of one study; only for tests that leave it as it is."""
    root = write_fake_run(tmp_path_factory.mktemp("mixed") / "run", media=False)
    write_report(write_fake_models(root, beside=True))
    return root


@pytest.fixture(scope="module")
def model_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run of models alone; only for tests that leave it as it is."""
    return write_report(write_fake_models(tmp_path_factory.mktemp("page") / "run"))


def change(run: Path, release: str, measure: str, **values: object) -> None:
    """Change the rows of a measure."""
    rows = json.loads((run / "results.json").read_text(encoding="utf-8"))
    for row in rows:
        if (row["release"], f"{row['method']}.{row['figure']}") == (release, measure):
            row |= values
    write(run, "results", rows)


def table(record: RunRecord) -> dict[str, dict[str, str]]:
    text = to_csv(tables(record, panels(record))[-1])
    return {row["release"]: row for row in csv.DictReader(io.StringIO(text))}


def section(html: str, name: str) -> str:
    return html[html.index(f'<section id="{name}">') :].partition("</section>")[0]


def by_attack(record: RunRecord) -> dict[str, dict[str, Any]]:
    return {test["attack"]: test for test in self_tests(record)["model"]}


def test_models_have_a_table_of_their_own(mixed_run: Path) -> None:
    record = read_run(mixed_run)
    drawn = panels(record)
    recordings, models = tables(record, drawn)
    assert {row.release for row in recordings.rows} == {"original", *FAKE}
    assert [row.release for row in models.rows] == list(MODELS)
    html = (mixed_run / "report.html").read_text(encoding="utf-8")
    assert 'id="model-table"' in section(html, "model")
    assert not any(f"#release-{name}" in section(html, "table") for name in MODELS)
    assert {"results_table.csv", "models_table.csv", "models_table.tex"} <= {f.name for f in mixed_run.iterdir()}


def test_csv_has_what_was_measured_and_what_is_claimed(model_run: Path) -> None:
    rows = table(read_run(model_run))
    private = rows["private"]
    assert (private["uar_value"], private["accuracy_value"], private["ece_value"]) == ("0.55", "0.57", "0.12")
    assert (private["confacc_low_value"], private["people_measure"]) == ("0.31", "membership_loss.person_auc")
    assert (private["recordings_value"], private["people_value"]) == ("0.53", "0.58")
    assert private["people_before"] == "0.91" and rows["open"]["people_before"] == ""
    assert (private["epsilon"], private["delta"], private["unit"], private["accountant"]) == (
        "4",
        "0.001",
        "person",
        "pld",
    )
    assert (rows["open"]["claim"], rows["open"]["epsilon"]) == ("none", "")
    assert "not informative" in rows["weak"]["people_note"]
    assert rows["weak"]["standing"] == "not ranked: attacks find nobody in it without privacy either"


def test_an_attack_that_may_not_be_believed_never_hides_one_that_may(model_run: Path) -> None:
    change(model_run, "private", "membership_loss.person_auc", reason="finds nobody", status="not_informative")
    one = table(read_run(model_run))["private"]
    assert (one["people_measure"], one["people_value"]) == ("membership_lira.person_auc", "0.57")


def test_latex_has_a_line_for_each_model(model_run: Path) -> None:
    record = read_run(model_run)
    text = to_latex(tables(record, panels(record))[-1])
    [private] = [line for line in text.splitlines() if line.startswith("private &")]
    assert private.endswith("& $\\varepsilon$ = 4, $\\delta$ = 0.001, for one person \\\\") and " / 0.91 &" in private
    assert re.search(r"^open & .* & none \\\\$", text, re.M)
    assert r"\textsuperscript{*}" in next(line for line in text.splitlines() if line.startswith("weak &"))


def test_no_record_of_a_training_is_not_a_record_of_no_privacy(model_run: Path) -> None:
    (model_run / "trained.json").unlink()
    rows = table(read_run(model_run))
    assert rows["open"]["claim"] == "not recorded"
    assert rows["private"]["claim"] == "ε = 4, δ = 0.001, for one person"


def test_several_spends_are_one_claim_that_costs_more_than_each(model_run: Path) -> None:
    write_step(model_run, "private", spends=[SPEND, SPEND])
    claim = read_run(model_run).claim("private")
    price = SPEND["epsilon"]
    assert claim.unit == "person" and claim.has_bound and claim.epsilon != price
    write_step(model_run, "private", spends=[SPEND, {**SPEND, "unit": "recording"}])
    assert read_run(model_run).claim("private").unit == "recording"


def test_a_broken_record_of_a_training_is_told(model_run: Path) -> None:
    write(model_run, "trained", [{"options": {"name": "open"}, "result": {}}])
    record = read_run(model_run)
    assert record.claim("open").words == "not recorded"
    assert any("trained.json, entry 1, could not be read" in said for said in record.missing)


def test_the_ladder_is_of_recordings_only(mixed_run: Path, model_page: Path) -> None:
    ladder = section((mixed_run / "report.html").read_text(encoding="utf-8"), "ladder")
    assert ladder.count("<svg") == 3 and "Models" not in ladder
    assert '<section id="ladder">' not in model_page.read_text(encoding="utf-8")


def test_one_line_for_each_attack_on_models(model_run: Path) -> None:
    record = read_run(model_run)
    assert list(self_tests(record)) == ["model"]
    tests = by_attack(record)
    assert list(tests) == ["membership_lira", "membership_loss", "model_identity_answers"]
    loss = tests["membership_loss"]
    # without privacy: open is its own trial (.74, .93), private .91, weak .55
    assert (loss["before"], loss["guess"]) == ("recordings 0.55–0.91, people 0.55–0.93", "0.50")
    assert loss["passed"] and loss["why"].startswith(
        "weak (recordings, people): not informative: it does not find who is in the same model"
    )
    assert (tests["model_identity_answers"]["before"], tests["model_identity_answers"]["why"]) == ("60 %", "")


def test_an_attack_that_finds_nobody_without_privacy_fails_its_self_test(model_run: Path) -> None:
    record = read_run(model_run)
    alone = replace(record, results=tuple(r for r in record.results if r.release == "weak"))
    assert not by_attack(alone)["membership_loss"]["passed"]
    rows = [replace(r, value=0.51, low=0.45, high=0.57) for r in record.results if r.release == "open"]
    test = by_attack(replace(record, results=tuple(rows)))["membership_lira"]
    assert (test["passed"], test["why"]) == (False, "open (recordings, people): finds nobody, without privacy")


def test_the_frontier_of_models_begins_at_guessing(model_run: Path, fake_run: Path) -> None:
    [panel] = panels(read_run(model_run))
    assert [p.release for p in panel.unsure] == ["weak"]
    left, right = draw_frontier(panel).axes[0].get_xlim()
    assert 0.4 < left < 0.5 and right > 0.99
    recordings = panels(read_run(fake_run))[0]
    assert draw_frontier(recordings).axes[0].get_xlim()[0] < 0


def test_the_title_says_what_was_released(model_page: Path, mixed_run: Path) -> None:
    html = model_page.read_text(encoding="utf-8")
    assert "<h1>What the models learned, and who they remember</h1>" in html
    assert "still identified" not in html and "Emotion recall" not in html
    assert not (model_page.parent / "results_table.csv").exists()
    assert "<h1>How much of the emotion stays, and who is still identified</h1>" in (
        mixed_run / "report.html"
    ).read_text(encoding="utf-8")


def test_a_model_is_shown_by_two_curves_one_reliability_and_its_confusions(model_run: Path) -> None:
    shown = release_section(read_run(model_run), "private", [])
    [curves] = shown["pictures"]
    assert [title.split()[1] for title, _ in curves["images"]] == ["recordings", "people", "sure"]
    assert "the claim allows" in curves["images"][0][1] and "the claim allows" not in curves["images"][2][1]
    [matrix] = shown["confusions"]
    assert (matrix["classes"], matrix["shares"][2]) == (["anger", "joy", "calm"], [0.25, 0.3, 0.45])
    assert ("recordings trained on", "480") in shown["counts"]


def test_the_methods_say_what_was_trained_and_how_it_was_attacked(model_run: Path) -> None:
    text = " ".join(methods_paragraphs(read_run(model_run)))
    assert "3 models were trained. Model open (pamrl) learned emotion from audio and physio of 480 recordings" in text
    assert "of 48 people; it was judged on people it never met (120 recordings)." in text
    assert "trained without a guarantee of privacy" in text
    assert "private for one person (add or remove one): ε = 4 at δ = 0.001 by the PLD accountant; 300 steps" in text
    assert "attacked by membership loss and membership lira through 16 shadow models" in text
    assert "was read by model identity answers." in text
    assert "Identification was attempted" not in text and "enrolled" not in text and "Utility was" not in text


def test_the_methods_keep_recordings_and_models_apart(mixed_run: Path) -> None:
    paragraphs = methods_paragraphs(read_run(mixed_run))
    [attempted] = [p for p in paragraphs if p.startswith("Identification")]
    assert "voice gmm" in attempted and "membership" not in attempted
    assert "15 releases of it were made" in " ".join(paragraphs)


def test_the_words_explain_models_where_there_are_models(mixed_run: Path, model_page: Path, tmp_path: Path) -> None:
    explained = ("Membership AUC", "Shadow models", "Calibration error", "Above the bound")
    words = section((mixed_run / "report.html").read_text(encoding="utf-8"), "words")
    assert all(word in words for word in (*explained, "Linkability"))
    words = section(model_page.read_text(encoding="utf-8"), "words")
    assert all(word in words for word in explained) and "Linkability" not in words
    words = section(write_report(tmp_path).read_text(encoding="utf-8"), "words")
    assert not any(word in words for word in explained)


@pytest.mark.parametrize("measure", ["membership_lira.auc", "membership_lira.tpr_fpr1"])
def test_a_broken_claim_is_told_first_and_the_model_is_not_ranked(model_run: Path, measure: str) -> None:
    change(model_run, "private", measure, value=0.6, low=0.5, reason=BROKEN, status="claim_broken")
    record = read_run(model_run)
    drawn = panels(record)
    assert ("private", "its privacy claim does not hold") in drawn[0].absent
    assert answer(drawn[0], record).release == "open"
    html = write_report(model_run).read_text(encoding="utf-8")
    assert "A claim of privacy does not hold" in html[: html.index('<section id="frontier">')]
    assert table(record)["private"]["claim_broken"] == f"{measure}: {BROKEN}"
    assert "THE PRIVACY CLAIM DOES NOT HOLD" in (model_run / "models_table.tex").read_text(encoding="utf-8")


def test_a_claim_that_holds_makes_no_alarm(model_page: Path) -> None:
    assert "A claim of privacy does not hold" not in model_page.read_text(encoding="utf-8")


def test_the_best_model_hides_its_people_where_one_does(model_run: Path) -> None:
    record = read_run(model_run)
    [only] = [answer(p, record) for p in panels(record)]
    assert only.release == "private" and "Attacks tell members from others" in only.caution
    for name in ("membership_loss", "membership_lira"):
        change(model_run, "open", f"{name}.auc", value=0.51, low=0.45, high=0.57)
        change(model_run, "open", f"{name}.person_auc", value=0.52, low=0.46, high=0.58)
    record = read_run(model_run)
    [only] = [answer(p, record) for p in panels(record)]
    assert only.release == "open" and "Attacks tell members from others" not in only.caution
    assert "only a model with an ε has a bound" in only.caution


def test_a_model_judged_on_people_it_learned_from_is_not_ranked_with_others(model_run: Path) -> None:
    write_step(model_run, "open", spends=[], protocol="leaky_random_9_1")
    record = read_run(model_run)
    assert dict(panels(record)[0].absent)["open"] == "it was judged on people it was trained on, the others were not"
    html = write_report(model_run).read_text(encoding="utf-8")
    assert '<span class="flag">judged on other recordings of the same people (leaky)</span>' in html
    for name in ("private", "weak"):
        write_step(model_run, name, spends=[SPEND], protocol="leaky_random_9_1")
    assert "open" in {p.release for p in panels(read_run(model_run))[0].points}


def test_the_page_of_models_is_well_nested_and_every_anchor_exists(mixed_run: Path, model_page: Path) -> None:
    for html in ((mixed_run / "report.html"), model_page):
        page = Page()
        page.feed(html.read_text(encoding="utf-8"))
        assert page.bad == [] and page.open == [] and page.nameless == []
        assert {link[1:] for link in page.links} <= set(page.ids) and len(page.ids) == len(set(page.ids))
