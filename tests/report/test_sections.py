import json
import re
from dataclasses import replace
from pathlib import Path

from personare.core.types import Result
from personare.report.run import RunRecord, read_run
from personare.report.sections import release_section, self_tests
from personare.report.writer import write_report

from .fake_run import REFERENCE, write


def record(root: Path, *rows: Result) -> RunRecord:
    empty = read_run(root)
    return RunRecord(**{**vars(empty), "results": rows})


def test_a_release_is_told_whole(fake_run: Path) -> None:
    section = release_section(read_run(fake_run), "avatar_and_veil", [])
    assert [modality for modality, *_ in section["methods"]] == ["Voice", "Face"]
    assert ("frames covered whole", "41") in section["counts"] and ("seconds", "31.4") in section["counts"]
    assert section["withheld"][0]["item"] == "sub-07_ses-01_task-fear02"
    assert [pivot["part"] for pivot in section["pivots"]] == ["Utility", "Risk", "Cost"]


def test_confusion_shares_are_of_the_row(fake_run: Path) -> None:
    fixed, retrained = release_section(read_run(fake_run), "voice_veil", [])["confusions"]
    assert "fixed reader" in fixed["title"] and "retrained reader" in retrained["title"]
    for counts, shares in zip(retrained["counts"], retrained["shares"], strict=True):
        assert sum(shares) == 1 or abs(sum(shares) - 1) < 1e-9
        assert shares[0] == counts[0] / 24


def test_scores_are_those_of_the_strongest_attack_before_and_after(fake_run: Path) -> None:
    [scores] = release_section(read_run(fake_run), "face_blur", [])["pictures"]
    titles = [title for title, _ in scores["images"]]
    assert titles == ["Face, face_pixels, on the originals", "Face, face_pixels, on this release, retrained"]


def test_a_note_that_holds_for_three_attackers_is_said_once(fake_run: Path) -> None:
    pivots = release_section(read_run(fake_run), "voice_veil", [])["pivots"]
    [risk] = [pivot for pivot in pivots if pivot["part"] == "Risk"]
    whose = {measure: who for measure, who, _ in risk["notes"]}
    assert whose["voice_ecapa.top1"] == "ignorant attacker, lazy-informed attacker, retrained attacker"
    assert len(risk["notes"]) == 5


def test_one_attribute_that_fails_does_not_condemn_another(tmp_path: Path) -> None:
    given = {"modality": "audio", "question": "infer", "method": "attributes", "figure": "uar", "release": "original"}
    failed = {"reason": "failed its self-test", "status": "not_informative"}
    bad = Result(subset="age", value=0.5, **failed, **given)  # type: ignore[arg-type]
    good = Result(subset="sex", value=0.97, **given)  # type: ignore[arg-type]
    cosine = replace(good, question="link", method="encoder", figure="r1", subset="", value=0.5, unit="cosine")
    found = {t["attack"]: t["passed"] for t in self_tests(record(tmp_path, bad, good, cosine))["recordings"]}
    assert found == {"attributes.age": False, "attributes.sex": True}


def test_an_attack_that_could_not_run_says_why(tmp_path: Path) -> None:
    nan = Result(
        release="original",
        modality="video",
        question="identify",
        method="face_onnx",
        figure="",
        value=float("nan"),
        reason="no model file",
    )
    [test] = self_tests(record(tmp_path, nan))["recordings"]
    assert (test["before"], test["passed"], test["why"]) == ("not tried", False, "no model file")


def test_published_figures_stand_beside_ours(tmp_path: Path) -> None:
    write(tmp_path, "reference", REFERENCE)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    table = text[text.index('<section id="published">') :].partition("</section>")[0]
    lines = [re.sub(r"<[^>]+>", "|", line) for line in table.splitlines() if 'scope="row"' in line]
    first, second, third = ([cell for cell in line.split("|") if cell] for line in lines)
    assert first == ["face emotion, original", "0.39", "0.68", "[0.61–0.74]", "0.68", "off-the-shelf reader"]
    assert "0.91 [0.87–0.95]" in second
    assert third == ["R2", "0.052 (mean)", "–", "–", "speaker encoder absent"]


def test_a_share_that_more_recordings_would_raise_is_told_first(fake_run: Path) -> None:
    rows = json.loads((fake_run / "results.json").read_text(encoding="utf-8"))
    gains = []
    for release in ("original", "voice_veil", "face_pixelate", "face_solid"):
        top1 = next(r for r in rows if (r["release"], r["figure"], r["attacker"]) == (release, "top1", "semi_informed"))
        gains.append({**top1, "figure": "learning_gain", "value": 0.12, "low": 0.05, "high": 0.2, "reason": ""})
    gains[2]["status"], gains[3]["low"] = "not_informative", 0.0
    write(fake_run, "results", rows + gains)
    write(fake_run, "details", [*json.loads((fake_run / "details.json").read_text(encoding="utf-8")), *[{}] * 4])
    text = write_report(fake_run).read_text(encoding="utf-8")
    first = " ".join(text[: text.index('<section id="frontier">')].split())
    assert "page says</strong> of voice_veil: there the attackers" in first
