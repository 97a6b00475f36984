"""Papers say what the run's records say and no more: the rest is marked for a person, and nobody is named."""

import json
import re
import shutil
from pathlib import Path

import mlcroissant as mlc
import pytest
from report.fake_models import SPEND, write_fake_models
from report.fake_run import write, write_fake_run

from personare.anonymize._recordings import Disguise
from personare.core.errors import DataError
from personare.core.types import Cohort, Result, Spend
from personare.data.runs import RunFolder
from personare.govern.ledger import Ledger
from personare.report import write_report
from personare.report.run import read_run
from personare.study import outputs
from personare.study.cards import MARK, Sheet, write_datasheet
from personare.study.papers import above, write_papers
from personare.study.plan import StudyPlan
from personare.study.study import Outcome

REQUIRED = {
    "dpia.md": ["GDPR 35(7)(a)", "GDPR 35(7)(b)", "GDPR 35(7)(c)", "GDPR 35(7)(d)", "GDPR 35(1)", "GDPR 35(2)",
                "GDPR 35(8)", "GDPR 35(9)", "GDPR 35(11)", "GDPR 36", "GDPR 6, 9", "GDPR 35(7)(c)-(d)"],
    "ropa.md": ["GDPR 30(1)(a)", "GDPR 30(1)(b)", "GDPR 30(1)(c)", "GDPR 30(1)(d)", "GDPR 30(1)(e)", "GDPR 30(1)(f)",
                "GDPR 30(1)(g), 32(1)"],
    "ai_act.md": [f"AI Act, Annex IV {n}" for n in
                  ["1", *(f"2({letter})" for letter in "abcdefgh"), "3", "4", "5; Article 9", "6", "7",
                   "8; Article 47", "9; Article 72"]],
}  # fmt: skip
HEADINGS = {
    "methods.md": {"Methods", "Privacy accounting", "Not made", "References", "Ethics", "Availability"},
    "model_card_private.md": {"Model", "Intended use", "Out of scope", "Training data", "Evaluation",
                              "Evaluation by group", "Attacks", "Privacy spent", "Limits", "License", "Contact"},
    "data_card_face-blur.md": {"Description", "Collection", "Labels", "Use", "Prohibited use",
                               "Personal and sensitive information", "Biases", "Limits", "Maintenance", "License",
                               "Contact"},
}  # fmt: skip
HIDDEN = ("face_blur", "voice_codebook", "avatar_and_veil")
KINDS = {"described": "representations", "nobody": "synthetic", "helper": "assistant", "foreign": "gaits"}
CONSENT = {
    "purposes": {"training": 11, "sharing": 0},
    "scopes": {"DUO:0000042, general research use": 12},
    "kept_until": {"2031": 9, "no end stated": 3},
    "withdrawn": 1,
    "without": 2,
}
LINK = re.compile(r"(?<!\\)\]\(")
PLANTED = ("/home/anna/secret", "C:\\Users\\anna", "sub-beispiel07", "beispiel07")
NAME = "People](javascript:alert) <script>alert(1)</script> | **TO BE WRITTEN BY A PERSON:** `x` /home/anna/secret/x"


def read(run: Path, name: str) -> list:
    return json.loads((run / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Releases of every kind, one model that was planned and not made, and names that should not get through."""
    root = write_fake_models(write_fake_run(tmp_path_factory.mktemp("whole") / "run", media=False), beside=True)
    asked = {"name": "helper", "method": "vlm", "label": "emotion", "protocol": "person_folds", "cues": ["age_band"]}
    asked |= {"adversary": 0.5, "sites": 2, "align_steps": 1, "instruct_steps": 2, "prefer_steps": 3}
    taught = {"spends": [SPEND] * 2, "modalities": ["picture"], "recordings": 480, "people": 48, "tested": 60}
    write(root, "trained", [*read(root, "trained"), {"options": asked, "result": taught}])
    few = {"original", *HIDDEN, "open", "private", "weak"}
    releases = [one for one in read(root, "releases") if one["name"] in few]
    rows = [row for row in read(root, "results") if row["release"] in few]
    for name, kind in KINDS.items():
        releases.append({"name": name, "kind": kind, "methods": {kind: "copula"}, "options": {}, "counts": {}})
        rows.append({**rows[0], "release": name, "kind": kind, "modality": "", "question": "read"})
        attack = {**rows[-1], "question": "infer", "subset": "sex", "better": "lower", "attacker": "semi_informed"}
        rows += [{**attack, "status": "not_informative", "value": 0.1, "reason": "at sub-beispiel07_ses-01"}]
        rows += [{**attack, "question": "link", "value": None, "reason": "subject beispiel07 in /home/anna/secret/x"}]
    write(root, "releases", releases)
    write(root, "results", rows)
    write(root, "details", [{}] * len(rows))
    cohort = {"name": NAME, "people": 12, "recordings": 144, "tracks": {"audio": 144}, "consent": CONSENT}
    write(root, "cohort", {**json.loads((root / "cohort.json").read_text()), **cohort, "kind": "identifiable"})
    lost = {"item": "lost", "problem": "no film in C:\\Users\\anna\\x of sub-beispiel07_ses-01", "fix": ""}
    write(root, "not_made", [lost])
    write_papers(root)
    return root


@pytest.fixture(scope="module")
def drafts(whole: Path) -> dict[str, str]:
    return texts(whole / "papers")


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """The same without papers, to be changed."""
    shutil.copytree(whole, tmp_path / "run", ignore=shutil.ignore_patterns("papers"))
    return tmp_path / "run"


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.md")}


def test_every_field_that_the_law_asks_for_is_filled_or_marked(whole, drafts):
    papers = json.loads((whole / "papers/papers.json").read_text())
    assert {*papers} == {*drafts}
    for file, paper in papers.items():
        left = sum(bool(field["to_write"]) for field in paper["fields"])
        assert all(field["filled"] or field["to_write"] for field in paper["fields"])
        assert drafts[file].count(MARK) == left and f"{left} of its {len(paper['fields'])} headings" in drafts[file]
        for field in paper["fields"]:
            section = drafts[file].partition(f"## {field['field']}\n")[2].partition("\n## ")[0]
            said = re.sub(r"^\s*\*[^*]+\*\n", "", section).partition(MARK)[0].strip()
            assert bool(said) == field["filled"] and bool(MARK in section) == bool(field["to_write"]), (file, field)
    for file, articles in REQUIRED.items():
        assert sorted({field["article"] for field in papers[file]["fields"]}) == sorted(articles)
    for file, headings in HEADINGS.items():
        assert {field["field"] for field in papers[file]["fields"]} == headings


def test_what_only_a_person_knows_is_never_filled(whole):
    papers = json.loads((whole / "papers/papers.json").read_text())
    for file, heading in (("ropa.md", "Controller"), ("ropa.md", "Recipients"), ("dpia.md", "Decision"),
                          ("dpia.md", "Advice of the data protection officer"), ("model_card_open.md", "License"),
                          ("model_card_open.md", "Contact"), ("ai_act.md", "8 Declaration of conformity")):  # fmt: skip
        [field] = [field for field in papers[file]["fields"] if field["field"] == heading]
        assert field["to_write"] and field["filled"] == (heading == "Decision")


def test_risks_in_the_assessment_are_those_of_the_results(whole, drafts):
    """The strongest informative attack on each release, with interval, unprotected, guessing; never a weaker one."""
    draft, rows = drafts["dpia.md"], read_run(whole).results
    sections = {name: text for name, text in re.findall(r"### (\S+)\n(.*?)(?=\n###? |\Z)", draft, re.S)}
    assert {*sections} == {*read_run(whole).names()}
    for name in HIDDEN:
        top = max((r for r in rows if (r.release, r.figure, r.method) == (name, "top1", "strongest")),
                  key=lambda r: r.value)  # fmt: skip
        [line] = [line for line in sections[name].splitlines() if "first guess" in line]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[2:7] == [f"{100 * top.value:.0f} %", f"{100 * top.low:.0f}–{100 * top.high:.0f}",
                              f"{100 * top.baseline:.0f} %", f"{100 * top.control:.0f} %", str(top.n)]  # fmt: skip
        assert "above guessing" in line and ("lower" in line) == (top.high < top.baseline)
        assert len([line for line in sections[name].splitlines() if "**not measured**" in line]) == 3
    area = next(r for r in rows if (r.release, r.method, r.figure) == ("private", "membership_loss", "auc"))
    assert f"| {area.value:.2f} | {area.low:.2f}–{area.high:.2f} |" in sections["private"]
    assert (
        "not informative**, no sign of safety" in sections["weak"]
        and "above guessing" not in sections["weak"].split("membership")[-1]
    )
    for name in KINDS:
        assert "**not informative**, no sign of safety" in sections[name]
        assert "**not measured**, no sign of safety: " in sections[name]


def test_other_figures_are_those_of_the_results(whole, drafts):
    record = read_run(whole)
    uar = next(r for r in record.results if (r.release, r.method, r.figure) == ("private", "model", "uar"))
    assert (
        f"| {uar.value:.2f} | {uar.low:.2f}–{uar.high:.2f} | {uar.control:.2f} | {uar.n} |"
        in drafts["model_card_private.md"]
    )
    assert "ε = 4 at δ = 1.0e-03 for one person of 48" in drafts["model_card_private.md"]
    assert "No guarantee" in drafts["model_card_open.md"]
    assert "| agreed to the purpose training | 11 |" in drafts["ropa.md"] and "sharing |" not in drafts["ropa.md"]
    assert "kept: until the end of 2031 | 9 |" in drafts["ropa.md"] and "| 2 |" in drafts["ropa.md"]
    assert "The seed was 7" in drafts["methods.md"] and "numpy 2.4.0" in drafts["methods.md"]


def test_a_refuted_claim_stands_first_and_says_so(run):
    rows = read(run, "results")
    broken = next(row for row in rows if (row["release"], row["figure"]) == ("private", "person_auc"))
    write(run, "results", [*rows, {**broken, "method": "synthetic_canaries_normal", "status": "claim_broken"}])
    write(run, "details", [])
    lines = texts(write_papers(run))["dpia.md"].partition("### private\n")[2].splitlines()
    assert "**the claim of privacy is refuted: do not release**" in next(
        line for line in lines if "membership)" in line
    )


def test_what_was_not_made_is_said(run, drafts):
    for file in ("dpia.md", "ropa.md", "methods.md"):
        assert "**not made**" in drafts[file] and "- lost: no film in" in drafts[file]
    (run / "not_made.json").unlink()
    assert "is not recorded" in texts(write_papers(run))["dpia.md"]
    write(run, "not_made", [])
    assert "All that was planned was made." in texts(write_papers(run))["dpia.md"]


def test_without_a_model_the_technical_file_says_that_there_is_none(tmp_path):
    folder = write_papers(write_fake_run(tmp_path / "run", media=False))
    assert "**No model was made in this run.**" in texts(folder)["ai_act.md"]
    assert "These people are made up" in texts(folder)["dpia.md"]
    assert "need no consent" in texts(folder)["ropa.md"]


def test_what_an_older_run_did_not_record_is_not_guessed(run):
    cohort = json.loads((run / "cohort.json").read_text())
    write(run, "cohort", {name: value for name, value in cohort.items() if name not in ("consent", "tracks")})
    limits = texts(write_papers(run))["ropa.md"].partition("## Time limits")[2].partition("## ")[0]
    assert "|" not in limits and MARK in limits


def test_guarantee_papers_name_no_folder_and_nobody(whole):
    """Planted in the records, and found there by the same search."""
    kept = "".join(path.read_text() for path in whole.glob("*.json"))
    assert all(json.dumps(word)[1:-1] in kept for word in PLANTED)
    for file in (whole / "papers").iterdir():
        found = [word for word in (*PLANTED, str(whole), "sub-07") if word in file.read_text()]
        assert found == [], file


def test_guarantee_what_a_record_says_cannot_become_markup(drafts):
    for file, draft in drafts.items():
        assert "<script" not in draft and not LINK.search(draft) and "`x`" not in draft, file
        assert all(line.startswith("> **") for line in draft.splitlines() if "TO BE WRITTEN BY A PERSON:**" in line
                   and "\\*" not in line)  # fmt: skip
        for table in re.findall(r"(?:^\|.*\n)+", draft, re.M):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, file


@pytest.mark.parametrize("name", ["results", "releases", "cohort", "versions", "ledger", "skipped"])
def test_without_a_record_there_are_no_papers(run, name):
    (run / f"{name}.json").unlink()
    with pytest.raises(DataError, match=rf"{name}\.json is not in the run folder.*Run the study again"):
        write_papers(run)
    assert not (run / "papers").exists()


def test_papers_that_somebody_may_have_filled_in_are_not_overwritten(run, tmp_path):
    out = tmp_path / "mine"
    write_papers(run, out)
    (out / "dpia.md").write_text("signed")
    with pytest.raises(DataError, match="must hold no papers yet"):
        write_papers(run, out)
    assert (out / "dpia.md").read_text() == "signed"


def test_two_releases_of_nearly_one_name_have_two_cards(run):
    write(run, "releases", [*read(run, "releases"), {"name": "face-blur", "kind": "recordings"}])
    assert {"data_card_face-blur.md", "data_card_face-blur_.md"} <= {*texts(write_papers(run))}


def test_the_report_links_the_papers_and_the_verb_counts_what_is_left(run, typed):
    assert 'href="papers/' not in write_report(run).read_text()
    answer = typed("papers", run)
    assert answer.status == 0 and "dpia.md" in answer.out and "12 of 12 headings left to a person" in answer.out
    page = write_report(run).read_text()
    assert 'href="papers/dpia.md"' in page and "12 headings left to a person" in page
    assert typed("papers", run.parent).status == 2


@pytest.mark.parametrize(
    ("low", "high", "control", "better", "expected"),
    [(0.6, 0.8, 0.5, "lower", True), (0.5, 0.8, 0.5, "lower", False), (0.1, 0.4, 0.5, "higher", True),
     (0.1, 0.6, 0.5, "higher", False), (float("nan"), 0.8, 0.5, "lower", None),
     (0.6, 0.8, float("nan"), "lower", None)],
)  # fmt: skip
def test_above_guessing_is_read_from_the_interval(low, high, control, better, expected):
    row = Result(
        question="link", method="x", figure="eer", value=0.5, low=low, high=high, control=control, better=better
    )
    assert above(row) is expected


def test_consent_is_counted_and_nobody_is_told_apart(numbers: Cohort):
    people = sorted({r.subject for r in numbers.recordings})
    head = "subject\tscope\tpurposes\tmodalities\tretention_until\twithdrawn_at\n"
    lines = [f"{people[0]}\tDUO:0000042\ttraining, evaluation\tall\t2031-05-17\t\n",
             f"{people[1]}\tDUO:0000042\tevaluation;Beispiel\tall\tBeispiel\t\n",
             f"{people[2]}\tDUO:0000042\ttraining\tall\t\t2026-01-02\n"]  # fmt: skip
    (numbers.root / "consent.tsv").write_text(head + "".join(lines))
    counts = outputs._consent(numbers)
    assert counts["purposes"]["training"] == 1 and counts["purposes"]["evaluation"] == 2
    assert counts["kept_until"] == {"2031": 1, "(not a date)": 1}
    assert counts["withdrawn"] == 1 and counts["without"] == len(people) - 3
    assert "Beispiel" not in json.dumps(counts) and "05-17" not in json.dumps(counts)


def test_papers_that_cannot_be_written_cost_nobody_the_study(numbers: Cohort, tmp_path, monkeypatch):
    def torn(_run: Path) -> Path:
        raise IndexError("torn")

    folder, plan = RunFolder(tmp_path / "run"), StudyPlan(releases=(Disguise(name="noisy", voice="voice_noise"),))
    ledger = Ledger(tmp_path / "ledger")
    ledger.append("released", [{"cohort": numbers.name, "purpose": "evaluation", "detail": {}}])
    for write_ in (write_papers, torn):
        monkeypatch.setattr(outputs, "write_papers", write_)
        outputs.write(folder, numbers, plan, "", Outcome(), ledger)
        lost = [(one.item, "IndexError" in one.problem) for one in outputs.not_made(folder.root)]
        assert lost == ([] if write_ is write_papers else [("papers", True)])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # rdflib, which mlcroissant reads with
@pytest.mark.parametrize("kind", ["representations", "synthetic"])
def test_the_data_card_for_machines_is_valid_croissant_with_rai_fields(numbers: Cohort, kind):
    spend = Spend(unit="person", sampling_rate=1, noise_multiplier=2, steps=1, epsilon=3, delta=1e-3, accountant="pld",
                  units=9)  # fmt: skip
    sheet = Sheet(kind=kind, source=NAME, method="noise", options={}, made_of=(3, 9), holds=(3, 9), spends=(spend,))
    write_datasheet(numbers.root, sheet)
    card = mlc.Dataset(jsonld=numbers.root / "croissant.json")
    assert not card.metadata.ctx.issues.errors
    content = json.loads((numbers.root / "croissant.json").read_text())
    for name in ("dataCollection", "dataBiases", "dataLimitations", "dataUseCases", "dataSocialImpact",
                 "personalSensitiveInformation", "dataReleaseMaintenancePlan"):  # fmt: skip
        assert content[f"rai:{name}"], name
    page = (numbers.root / "README.md").read_text()
    assert "<script" not in page and not LINK.search(page) and "## License and contact" in page
