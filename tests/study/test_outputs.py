from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

from personare.core.types import Result
from personare.study.outputs import text_table


def _row(measure: str, value: float, modality: str, **more: str) -> dict[str, object]:
    one = Result(release="x", modality=modality, measure=measure, kind="risk", value=value, **more)  # type: ignore[arg-type]
    return {name: part for name, part in asdict(one).items() if name != "detail"}


@pytest.mark.parametrize(
    ("modality", "attack", "others"),
    [
        ("audio", "identity", [("reader.uar", 0.6, "retrained_reader")]),
        ("representation", "identity", [("reader.uar", 0.6, "retrained_reader")]),
        ("model", "model_identity_answers", [("model.uar", 0.6, ""), ("membership_loss.auc", 0.7, "shadow")]),
    ],
)
def test_the_terminal_says_who_is_named_from_one_and_from_all_recordings(
    tmp_path: Path, modality: str, attack: str, others: list[tuple[str, float, str]]
) -> None:
    rows = [_row(f"{attack}.{figure}", value, modality, attacker="semi_informed") for figure, value in (
        ("top1", 0.25), ("top1_5", 0.5), ("person_top1", 0.75))]  # fmt: skip
    rows += [_row(measure, value, modality, attacker=who) for measure, value, who in others]
    (tmp_path / "cohort.json").write_text("{}", encoding="utf-8")
    pd.DataFrame(rows).to_parquet(tmp_path / "results.parquet")
    line = text_table(tmp_path).splitlines()[-1]
    assert "0.25" in line and "0.75" in line and ("0.5" in line.replace("0.25", "") or modality == "model")
