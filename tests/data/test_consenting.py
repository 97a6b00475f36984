import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from personare.core.errors import DataError, PersonareError, PolicyError
from personare.core.types import Cohort
from personare.data import consenting
from personare.data.cohort import open_cohort
from personare.data.consenting import read_consents, settled, stated, withdrawn, write_records
from personare.data.importing import import_cohort
from personare.data.vault import Vault
from personare.govern.consent import consent_all, read_consent
from personare.govern.consent_records import Event, Record
from personare.govern.ledger import Ledger

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite", clock=lambda: NOW)


def row(**given: str) -> dict[str, str]:
    return {"subject": "01", "purposes": "evaluation", "modalities": "audio", **given}


def grant(cohort: Cohort, ledger: Ledger, *rows: dict[str, str]) -> list[Record]:
    return write_records(cohort, stated(rows or [row()], Path(), NOW), ledger, NOW)


def withdraw(cohort: Cohort, ledger: Ledger, subject: str = "01") -> list[Record]:
    event = Event(state="withdrawn", time=NOW.isoformat())
    return write_records(cohort, [withdrawn(cohort, subject, settled(cohort, ledger), event)], ledger, NOW)


def opened(cohort: Cohort, ledger: Ledger, purpose: str = "evaluation") -> dict[str, str]:
    """Return why the first recording of each person stays closed; empty where it was opened."""
    vault = Vault(cohort, purpose=purpose, ledger=ledger, today=lambda: date(2026, 5, 1))
    first = [r for r in cohort.recordings if "anger" in r.id]
    admitted, refused = vault.admit(first, "audio")
    return {r.subject: "" if r.id in admitted else next(w.problem for w in refused if w.item == r.id) for r in first}


def test_a_grant_is_a_record_a_row_of_the_ledger_and_a_row_of_the_table(small_cohort: Cohort, ledger: Ledger) -> None:
    assert opened(small_cohort, ledger)["02"] == "there is no consent of subject 02"
    (one,) = grant(small_cohort, ledger, row(subject="sub-02", retention_until="2026-05-02"))
    assert opened(small_cohort, ledger) == {"01": "", "02": ""}
    assert one.name == "sub-02/v0001" and json.loads(ledger.rows(action="consent")["detail"][0])["version"] == 1
    assert read_consent(small_cohort.root / "consent.tsv").iloc[-1].tolist()[2:5] == [
        "evaluation",
        "audio",
        "2026-05-02",
    ]
    assert ledger.verify().ok


def test_guarantee_a_change_never_writes_over(small_cohort: Cohort, ledger: Ledger) -> None:
    folder = small_cohort.root / "consent/sub-01"
    contents: list[bytes] = []
    for change in (grant, withdraw, grant):
        change(small_cohort, ledger)
        files = sorted(folder.glob("v*"))
        assert [path.read_bytes() for path in files[:-1]] == contents
        contents = [path.read_bytes() for path in files]
    assert len(set(contents)) == 3 and len(ledger.rows(action="consent")) == 3
    assert opened(small_cohort, ledger)["01"] == ""  # agreed anew after the withdrawal


def test_guarantee_a_withdrawal_holds_from_the_next_opening_on(small_cohort: Cohort, ledger: Ledger) -> None:
    grant(small_cohort, ledger)
    vault = Vault(small_cohort, purpose="evaluation", ledger=ledger, today=lambda: date(2026, 5, 1))
    assert vault.admit(small_cohort.recordings[:1], "audio")[0]
    withdraw(small_cohort, ledger)
    admitted, refused = vault.admit(small_cohort.recordings[:1], "audio")  # the same vault, in the middle of a study
    assert not admitted and "withdrew consent (2026-05-01)" in refused[0].problem
    assert vault.permitted(small_cohort.recordings[:1], "audio") == set()


def test_a_withdrawal_cannot_be_undone_in_the_table(small_cohort: Cohort, ledger: Ledger) -> None:
    withdraw(small_cohort, ledger)  # who never had a record, only a row
    consent_all(["01", "02"], ["evaluation"]).to_csv(small_cohort.root / "consent.tsv", sep="\t", index=False)
    assert opened(small_cohort, ledger) == {"01": "subject 01 withdrew consent (2026-05-01), by record v0001", "02": ""}


def test_the_table_may_allow_less_than_the_record_and_never_more(small_cohort: Cohort, ledger: Ledger) -> None:
    grant(small_cohort, ledger)
    table = small_cohort.root / "consent.tsv"
    table.write_text(table.read_text().replace("evaluation", "evaluation,training"))
    assert opened(small_cohort, ledger)["01"] == ""
    assert "did not consent to training with audio, by record v0001" in opened(small_cohort, ledger, "training")["01"]
    table.write_text(table.read_text().replace("evaluation,", ""))
    assert "did not consent to evaluation" in opened(small_cohort, ledger)["01"]


def test_tampered_and_removed_records_are_refused_and_others_are_not(small_cohort: Cohort, ledger: Ledger) -> None:
    grant(small_cohort, ledger, row(), row(subject="02"))
    file = small_cohort.root / "consent/sub-01/v0001.jsonld"
    file.write_bytes(file.read_bytes().replace(b'"audio"', b'"all"'))
    assert "was changed after it was written" in opened(small_cohort, ledger)["01"]
    assert opened(small_cohort, ledger)["02"] == ""
    vault = Vault(small_cohort, purpose="evaluation", ledger=ledger, today=lambda: date(2026, 5, 1))
    with pytest.raises(PolicyError, match="was changed"):  # nothing that was made is removed for it
        vault.permitted(small_cohort.recordings, "audio")
    file.unlink()
    assert "is not there" in opened(small_cohort, ledger)["01"]
    assert withdraw(small_cohort, ledger)[0].version == 2  # which is always possible
    assert "withdrew" in opened(small_cohort, ledger)["01"]


def test_other_lines_of_the_table_stay_byte_by_byte(small_cohort: Cohort, ledger: Ledger) -> None:
    table = small_cohort.root / "consent.tsv"
    before = (
        b"\xef\xbb\xbfnote\tsubject\tscope\tpurposes\tmodalities\tretention_until\twithdrawn_at\r\n"
        b"said\x0byes \tsub-02 \tDUO:0000042\tevaluation; research\tall\tn/a\tn/a\r\n"
        b"a\tsub-01\tDUO:0000042\tresearch\tall\t2030-01-01\tn/a\r\n"
        b"b\t01\tDUO:0000042\tsharing\tall\t\t2025-01-01"
    )
    table.write_bytes(before)
    withdraw(small_cohort, ledger)
    lines = before.split(b"\r\n")
    assert table.read_bytes() == b"\r\n".join(
        [lines[0], lines[1], lines[2].replace(b"n/a", b"2026-05-01"), lines[3], b""]
    )
    grant(small_cohort, ledger)
    new = b"a\t01\tDUO:0000042\tevaluation\taudio\t\t\r\n"
    assert table.read_bytes() == b"\r\n".join([lines[0], lines[1], new])


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("at", ["table", "rename"])
@pytest.mark.parametrize("change", [grant, withdraw])
def test_what_is_killed_after_the_ledger_is_closed_until_the_next_call_ends_it(
    small_cohort: Cohort, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, at: str, change: Callable[..., Any]
) -> None:
    with monkeypatch.context() as patched:
        name = "_rewritten" if at == "table" else "Path.rename"
        patched.setattr(f"personare.data.consenting.{name}", _killed)
        with pytest.raises(KeyboardInterrupt):
            change(small_cohort, ledger)
    assert opened(small_cohort, ledger)["01"]
    settled(small_cohort, ledger)
    assert bool(opened(small_cohort, ledger)["01"]) == (change is withdraw)
    assert [path.name for path in (small_cohort.root / "consent/sub-01").iterdir()] == ["v0001.jsonld"]


def test_what_is_killed_before_the_ledger_never_was(
    small_cohort: Cohort, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "append", _killed)
        with pytest.raises(KeyboardInterrupt):
            grant(small_cohort, ledger, row(purposes="training"))
    assert opened(small_cohort, ledger)["01"] == "" and settled(small_cohort, ledger).newest("01") is None
    assert grant(small_cohort, ledger)[0].version == 1
    assert opened(small_cohort, ledger, "training")["01"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (row(subject="99"), "no subject '99'"),
        (row(subject=""), "no subject ''"),
        (row(modalities="smell"), "modality must be one of all, audio.*not 'smell'"),
        (row(purposes="fun"), "not fun"),
        (row(tiers="friends"), "not 'friends'"),
        (row(purposes="sharing"), "tier institution and a recipient"),
        (row(notice="gone.txt"), "gone.txt cannot be read"),
        (row(colour="red"), "not colour"),
        (row(subject="02", tiers="protected"), "must differ in their uses alone"),
    ],
)
def test_of_several_consents_all_are_written_or_none(
    small_cohort: Cohort, ledger: Ledger, bad: dict[str, str], said: str
) -> None:
    table = (small_cohort.root / "consent.tsv").read_bytes()
    with pytest.raises(PersonareError, match=said):
        grant(small_cohort, ledger, row(subject="02"), bad)
    assert (small_cohort.root / "consent.tsv").read_bytes() == table
    assert not ledger.exists() and not list(small_cohort.root.glob("consent/sub-*"))


def test_who_never_agreed_cannot_withdraw(small_cohort: Cohort, ledger: Ledger) -> None:
    for subject in ("02", "99"):
        with pytest.raises(PolicyError, match="no consent of subject"):
            withdraw(small_cohort, ledger, subject)


def test_with_a_clock_set_back_no_consent_is_recorded(small_cohort: Cohort, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "later.sqlite", clock=lambda: datetime(2026, 5, 2, tzinfo=UTC))
    ledger.append("opened", [{}])
    with pytest.raises(PolicyError, match="The clock says 2026-05-01"):
        grant(small_cohort, ledger)
    assert not list(small_cohort.root.glob("consent/sub-*"))


def test_a_table_and_records_are_imported(small_cohort: Cohort, ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "notice.txt").write_text("We record your voice.")
    (tmp_path / "people.tsv").write_text(
        "subject\tpurposes\tmodalities\ttiers\trecipients\tretention_until\tnotice\tlanguage\tcontroller\n"
        "sub-01\tevaluation,training\taudio\tstudy,institution\tUni Y; Uni Z\t2030-01-01\tnotice.txt\tde\tUni X\n"
        "sub-01\tsharing\taudio\tstudy,institution\tUni Y; Uni Z\t\tnotice.txt\tde\tUni X\n"
        "02\tresearch\tall\t\t\t\t\t\t\n"
    )
    first, second = write_records(small_cohort, read_consents(tmp_path / "people.tsv", NOW), ledger, NOW)
    assert len(first.uses) == 2 and first.recipients == ("Uni Y", "Uni Z") and len(first.notice.sha256) == 64
    assert second.tiers == ("study",) and opened(small_cohort, ledger, "sharing") == {
        "01": "",
        "02": "subject 02 did not consent to sharing with audio",
    }
    file = tmp_path / "both.jsonld"
    file.write_text(json.dumps([json.loads(one.content()) for one in (first, second)]))
    other = Ledger(tmp_path / "other.sqlite", clock=lambda: NOW)  # a new ledger is told so of older records
    assert "is not in this ledger" in opened(small_cohort, other, "training")["01"]
    again = write_records(small_cohort, read_consents(file, NOW), other, NOW)
    assert [one.version for one in again] == [2, 2] and opened(small_cohort, other, "training")["01"] == ""
    file.write_text(json.dumps([json.loads(first.content())] * 2))
    with pytest.raises(DataError, match="one record a person"):
        write_records(small_cohort, read_consents(file, NOW), other, NOW)
    file.write_text(json.dumps({**json.loads(first.content()), "uses": [], "ai_training": False}))
    with pytest.raises(DataError, match="must name a use"):
        write_records(small_cohort, read_consents(file, NOW), other, NOW)
    file.write_text("{")
    with pytest.raises(DataError, match="must be a table or JSON"):
        read_consents(file, NOW)


def test_importing_again_keeps_records_and_withdrawals(small_cohort: Cohort, ledger: Ledger, tmp_path: Path) -> None:
    source, target = small_cohort.root, tmp_path / "imported"
    cohort, _ = import_cohort(source, target, reader="bids", consent_purposes=["evaluation"])
    grant(cohort, ledger, row(subject="02"))
    withdraw(cohort, ledger)
    import_cohort(source, target, reader="bids", consent_purposes=["evaluation", "training"])
    again = open_cohort(target)
    assert "withdrew" in opened(again, ledger)["01"] and opened(again, ledger)["02"] == ""
    assert "by record v0001" in opened(again, ledger, "training")["02"]  # said for all, but not by this person
    assert consenting.settled(again, ledger).subjects() == ["01", "02"]


@pytest.mark.parametrize("by_hand", [True, False])
def test_guarantee_no_import_of_consents_undoes_a_withdrawal(
    small_cohort: Cohort, ledger: Ledger, by_hand: bool
) -> None:
    given = stated([row(), row(subject="02")], Path(), NOW)
    write_records(small_cohort, given, ledger, NOW, anew=False)
    if by_hand:
        table = small_cohort.root / "consent.tsv"
        table.write_text(table.read_text().replace("audio\t\t\n", "audio\t\t2026-05-01\n"))
    else:
        withdraw(small_cohort, ledger)
    with pytest.raises(PolicyError, match="Subject 01 withdrew"):
        write_records(small_cohort, given, ledger, NOW, anew=False)
    assert "withdrew" in opened(small_cohort, ledger)["01"]
