from pathlib import Path

from personare.core.types import Result
from personare.report.run import RunRecord, read_run
from personare.report.sections import reference_rows, release_section
from personare.report.selftests import self_tests

from .fake_run import REFERENCE, write


def record(root: Path, *rows: Result) -> RunRecord:
    empty = read_run(root)
    return RunRecord(**{**vars(empty), "results": rows})


def test_a_release_is_told_whole(fake_run: Path) -> None:
    section = release_section(read_run(fake_run), "avatar_and_veil", [])
    assert [modality for modality, *_ in section.methods] == ["Voice", "Face"]
    assert ("frames covered whole", "41") in section.counts and ("seconds", "31.4") in section.counts
    assert section.withheld[0]["item"] == "sub-07_ses-01_task-fear02"
    assert [pivot.kind for pivot in section.pivots] == ["utility", "risk", "cost"]


def test_confusion_shares_are_of_the_row(fake_run: Path) -> None:
    fixed, retrained = release_section(read_run(fake_run), "voice_veil", []).confusions
    assert "fixed reader" in fixed.title and "retrained reader" in retrained.title
    for counts, shares in zip(retrained.counts, retrained.shares, strict=True):
        assert sum(shares) == 1 or abs(sum(shares) - 1) < 1e-9
        assert shares[0] == counts[0] / 24


def test_scores_are_those_of_the_strongest_attack_before_and_after(fake_run: Path) -> None:
    titles = [h.title for h in release_section(read_run(fake_run), "face_blur", []).histograms]
    assert titles == ["Face, face_pixels, on the originals", "Face, face_pixels, on this release, retrained"]


def test_a_note_that_holds_for_three_attackers_is_said_once(fake_run: Path) -> None:
    risk = next(p for p in release_section(read_run(fake_run), "voice_veil", []).pivots if p.kind == "risk")
    whose = {measure: who for measure, who, _ in risk.notes}
    assert whose["voice_ecapa.top1"] == "ignorant attacker, lazy-informed attacker, retrained attacker"
    assert len(risk.notes) == 5


def test_one_attribute_that_fails_does_not_condemn_another(tmp_path: Path) -> None:
    given = {"modality": "audio", "kind": "risk", "release": "original"}
    bad = Result(measure="attributes.age", value=0.5, note="failed its self-test", status="not_informative", **given)  # type: ignore[arg-type]
    good = Result(measure="attributes.sex", value=0.97, **given)  # type: ignore[arg-type]
    cosine = Result(measure="encoder.r1", value=0.5, unit="cosine", **given)  # type: ignore[arg-type]
    found = {t.attack: t.passed for t in self_tests(record(tmp_path, bad, good, cosine))}
    assert found == {"attributes.age": False, "attributes.sex": True}


def test_an_attack_that_could_not_run_says_why(tmp_path: Path) -> None:
    nan = Result(
        release="original",
        modality="video",
        measure="face_onnx.top1",
        kind="risk",
        value=float("nan"),
        note="no model file",
    )
    [test] = self_tests(record(tmp_path, nan))
    assert (test.row, test.why) == (None, "no model file")


def test_published_figures_stand_beside_ours(tmp_path: Path) -> None:
    write(tmp_path, "reference", REFERENCE)
    first, second, third = reference_rows(read_run(tmp_path))
    assert (first["published"], first["ours"], first["interval"]) == ("0.39", "0.68", "[0.61–0.74]")
    assert second["retrained"] == "0.91 [0.87–0.95]"
    assert (third["published"], third["ours"], third["interval"], third["retrained"]) == ("0.052 (mean)", "–", "", "–")
