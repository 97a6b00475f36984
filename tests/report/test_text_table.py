import json
from dataclasses import asdict
from pathlib import Path

import pytest

from personare.core.types import Result
from personare.report.tables import text_table

_NAMED = ("identify", "strongest")
_READ = ("read", "reader", "uar", 0.6, "retrained_reader")


def _row(kind: str, question: str, method: str, figure: str, value: float, attacker: str) -> dict[str, object]:
    modality = "audio" if kind == "recordings" else ""
    one = Result(
        release="x",
        kind=kind,
        modality=modality,
        question=question,  # type: ignore[arg-type]
        method=method,
        figure=figure,
        value=value,
        attacker=attacker,
        better="lower" if question in ("identify", "member") else "higher",
    )
    return {name: part for name, part in asdict(one).items() if name != "detail"}


@pytest.mark.parametrize(
    ("kind", "attack", "others"),
    [
        ("recordings", _NAMED, [_READ]),
        ("representations", _NAMED, [_READ]),
        (
            "model",
            ("identify", "model_identity_answers"),
            [("read", "model", "uar", 0.6, ""), ("member", "membership_loss", "auc", 0.7, "shadow")],
        ),
    ],
)
def test_the_terminal_says_who_is_named_from_one_and_from_all_recordings(
    tmp_path: Path, kind: str, attack: tuple[str, str], others: list[tuple[str, str, str, float, str]]
) -> None:
    named = (("top1", 0.25), ("top1_5", 0.5), ("person_top1", 0.75))
    rows = [_row(kind, *attack, figure, value, "semi_informed") for figure, value in named]
    rows += [_row(kind, *other) for other in others]
    (tmp_path / "cohort.json").write_text("{}", encoding="utf-8")
    (tmp_path / "results.json").write_text(json.dumps(rows, allow_nan=True), encoding="utf-8")
    line = text_table(tmp_path).splitlines()[-1]
    assert all(said in line.split() for said in ("x", "0.25", "0.75", "0.6", "0.5")[: 5 if kind != "model" else 4])


def test_the_terminal_names_the_attack_that_the_report_names(tmp_path: Path) -> None:
    """An attack that failed its self-test does not count, however much it seems to find."""
    rows = [
        _row("model", "member", "membership_loss", "auc", 0.6, "shadow"),
        _row("model", "member", "membership_lira", "auc", 0.9, "shadow") | {"status": "not_informative"},
    ]
    (tmp_path / "cohort.json").write_text("{}", encoding="utf-8")
    (tmp_path / "results.json").write_text(json.dumps(rows), encoding="utf-8")
    assert text_table(tmp_path).split()[-1] == "0.6"
