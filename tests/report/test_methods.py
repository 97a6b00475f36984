from dataclasses import replace
from pathlib import Path

import pytest

from personare.report.frontier import Panel
from personare.report.plots import draw_frontier
from personare.report.run import read_run
from personare.report.writer import methods_paragraphs


def test_the_paragraphs_say_what_was_recorded(fake_run: Path) -> None:
    text = " ".join(methods_paragraphs(read_run(fake_run)))
    assert "144 recordings of 12 people" in text and "made-up people" in text
    assert "15 releases of it were made: voice_mcadams (strength = 0.8, policy = recording)" in text
    assert "9 files could not be protected and were withheld" in text
    assert "2 items could not be used" in text
    assert "Not informative, since the self-test failed: voice ecapa." in text
    assert "The seed was 7." in text and "torch 2.13.0" in text


def test_what_was_not_recorded_is_not_said(tmp_path: Path) -> None:
    assert methods_paragraphs(read_run(tmp_path)) == [
        "Intervals are 95 % bootstrap intervals with people as the unit of resampling."
    ]


def test_a_leaky_split_is_never_called_person_disjoint(fake_run: Path) -> None:
    record = read_run(fake_run)
    assert "keep all recordings of a person together" in " ".join(methods_paragraphs(record))
    leaky = replace(record, study={"protocol": "leaky_random"})
    assert "keep all recordings of a person together" not in " ".join(methods_paragraphs(leaky))


@pytest.mark.parametrize(
    ("label", "kind", "utility"),
    [
        ("depressed", "nominal", "depressed recall"),
        ("stress", "ordinal", "stress concordance"),
        ("valence", "continuous", "valence concordance"),
    ],
)
def test_the_report_speaks_of_the_label_that_was_asked_for(label: str, kind: str, utility: str, tmp_path: Path) -> None:
    values = {"lowest": -0.5, "highest": 0.9} if kind == "continuous" else {"1": 4, "2": 5}
    record = replace(read_run(tmp_path), cohort={"name": "mine", "label": label, "label_kind": kind, "values": values})
    assert record.utility_name == utility
    assert label in methods_paragraphs(record)[0]
    panel = Panel(group="audio", kind="recordings", points=(), utility_name=record.utility_name)
    up = draw_frontier(panel).axes[0].get_ylabel()
    assert label in up
    assert "emotion" not in " ".join([*methods_paragraphs(record), up])
