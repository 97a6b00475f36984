"""Consent as a user types it: granted, shown, handed out, withdrawn; clear messages, exit status 2 for mistakes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from personare.core.types import Cohort
from personare.data.vault import Vault
from personare.govern.ledger import Ledger

HOW = ("--controller", "Uni X, privacy@x.example", "--notice", "notice.txt", "--language", "en")


@pytest.fixture
def agreed(numbers: Cohort, typed: Callable[..., Any], tmp_path: Path) -> Cohort:
    """Ten people, of whom 01 has a record of evaluation until in ten days, and training."""
    (tmp_path / "notice.txt").write_text("We record you.")
    end = (datetime.now(UTC) + timedelta(days=10)).date()
    uses = ("--allow", "evaluation,training:voice,video", "--until", end)
    answer = typed("consent", "grant", "cohort", "sub-01", *uses, *HOW)
    assert (answer.status, answer.out) == (0, "sub-01/v0001: given\n"), answer.err
    return numbers


def test_from_the_grant_to_the_withdrawal(agreed: Cohort, typed: Callable[..., Any], tmp_path: Path) -> None:
    assert "evaluation,training with voice,video until 20" in typed("consent", "show", "cohort").out
    assert "10 days" in typed("validate", "cohort").err
    assert "one page" in typed("consent", "receipt", "cohort", "01").out
    assert "We record" not in (page := (tmp_path / "receipt-sub-01.html").read_text()) and "Uni X" in page
    for form in ("fhir", "odrl", "duo"):
        assert json.loads(typed("consent", "export", "cohort", "--form", form).out)
    vault = Vault(agreed, purpose="training", ledger=Ledger(agreed.root / "ledger.sqlite"))
    assert vault.admit(agreed.recordings[:1], "voice")[0]
    assert typed("consent", "withdraw", "cohort", "01", "--method", "mail").out.startswith("sub-01/v0002: withdrawn\n")
    assert "withdrew" in vault.admit(agreed.recordings[:1], "voice")[1][0].problem
    assert typed("consent", "withdraw", "cohort", "02").status == 0  # who had no record, only a row
    listed = typed("consent", "show", "cohort").out.splitlines()
    assert [line.split(",")[0] for line in listed] == [
        "sub-01/v0001 given",
        "sub-01/v0002 withdrawn",
        "sub-02/v0001 withdrawn",
    ]
    assert typed("ledger", "verify", "cohort").status == 0


def test_show_tells_of_records_that_are_not_what_the_ledger_says(agreed: Cohort, typed: Callable[..., Any]) -> None:
    file = agreed.root / "consent/sub-01/v0001.jsonld"
    file.write_bytes(file.read_bytes().replace(b"privacy@", b"nobody@"))
    assert "was changed after it was written" in typed("consent", "show", "cohort").out
    assert "was changed after it was written" in typed("consent", "receipt", "cohort", "01").err
    file.unlink()
    assert "are not there: [1]" in typed("consent", "show", "cohort").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("grant", "cohort", "01", "--allow", "training", *HOW), "--allow takes PURPOSE:MODALITY"),
        (("grant", "cohort", "99", "--allow", "training:voice", *HOW), "no subject '99'"),
        (("grant", "cohort", "01", "--allow", "fun:voice", *HOW), "not fun"),
        (("grant", "cohort", "01", "--allow", "training:smell", *HOW), "not 'smell'"),
        (("grant", "cohort", "01", "--allow", "training:voice", "--tier", "us", *HOW), "not 'us'"),
        (("grant", "cohort", "01", "--allow", "training:voice", "--until", "soon", *HOW), "date like 2030-12-31"),
        (("withdraw", "cohort", "99"), "no consent of subject '99'"),
        (("receipt", "cohort", "02"), "no record of subject 02"),
        (("import", "cohort", "gone.tsv"), "no table gone.tsv"),
        (("show", "nowhere"), "no cohort at nowhere"),
    ],
)
def test_mistakes_are_said_clearly(
    agreed: Cohort, typed: Callable[..., Any], words: tuple[str, ...], said: str
) -> None:
    answer = typed("consent", *words)
    assert answer.status == 2 and said in answer.err
