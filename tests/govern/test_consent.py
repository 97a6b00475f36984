from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from personare.core.errors import DataError, PolicyError
from personare.govern.consent import (
    CONSENT_COLUMNS,
    PURPOSES,
    check_consent,
    check_purposes,
    consent_all,
    ending_soon,
    no_consent,
    permits,
    read_consent,
)

TODAY = date(2026, 5, 1)


def table(*rows: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(CONSENT_COLUMNS))


def row(**changes: str) -> tuple[str, ...]:
    base = dict(zip(CONSENT_COLUMNS, ("01", "DUO:0000042", "research", "all", "", ""), strict=True))
    return tuple({**base, **changes}.values())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"purposes": "evaluation, research"}, ""),
        ({"purposes": "evaluation;research"}, ""),
        ({"modalities": "audio,video"}, ""),
        ({"retention_until": "2026-05-01"}, ""),
        ({"retention_until": "2026-04-30"}, "ended on 2026-04-30"),
        ({"retention_until": "next year"}, "cannot be read"),
        ({"withdrawn_at": "2026-04-30"}, "withdrew"),
        ({"withdrawn_at": "unreadable"}, "withdrew"),
        ({"withdrawn_at": "2030-01-01"}, "withdrew"),
        ({"subject": "02"}, "no consent"),
        ({"subject": "1"}, "no consent"),
        ({"purposes": ""}, "did not consent"),
        ({"purposes": "researching"}, "did not consent"),
        ({"purposes": "all"}, "did not consent"),
        ({"modalities": ""}, "did not consent"),
        ({"modalities": "video"}, "did not consent"),
    ],
)
def test_only_a_valid_row_opens(changes: dict[str, str], reason: str) -> None:
    answer = permits(table(row(**changes)), "01", "research", "audio", TODAY)
    assert reason in answer
    assert bool(answer) == bool(reason)


def test_an_ended_row_does_not_hide_a_valid_one() -> None:
    rows = table(row(retention_until="2020-01-01"), row(retention_until="2030-01-01"))
    assert permits(rows, "01", "research", "audio", TODAY) == ""


def test_a_withdrawal_beats_other_rows_for_the_same_use_only() -> None:
    rows = table(row(), row(modalities="video", withdrawn_at="2026-01-01"))
    assert permits(rows, "01", "research", "audio", TODAY) == ""
    assert "withdrew" in permits(rows, "01", "research", "video", TODAY)


def test_no_consent_permits_nothing() -> None:
    assert all(permits(no_consent(), "01", purpose, "audio", TODAY) for purpose in PURPOSES)


def test_consent_to_all_covers_every_person_for_these_purposes_only() -> None:
    consent = consent_all(["01", "02"], ["evaluation", "anonymization"])
    assert list(consent.columns) == list(CONSENT_COLUMNS)
    for subject in ("01", "02"):
        allowed = [p for p in PURPOSES if not permits(consent, subject, p, "video", TODAY)]
        assert allowed == ["anonymization", "evaluation"]
    assert check_consent(consent) == []
    assert consent_all([], ["research"]).empty


def test_a_purpose_must_be_on_the_list() -> None:
    with pytest.raises(PolicyError, match=r"not fun"):
        consent_all(["01"], ["fun"])
    assert check_purposes([]) == ()
    assert all(PURPOSES.values())


def test_what_is_written_is_read(tmp_path: Path) -> None:
    consent = table(row(), row(subject="001", retention_until="2030-01-01"))
    consent.to_csv(tmp_path / "consent.tsv", sep="\t", index=False)
    pd.testing.assert_frame_equal(read_consent(tmp_path / "consent.tsv"), consent)


def test_hand_written_tables_are_read(tmp_path: Path) -> None:
    path = tmp_path / "consent.tsv"
    path.write_text(
        "\ufeffsubject\tscope\tpurposes\tmodalities\tretention_until\twithdrawn_at\tnote\r\n"
        "sub-01 \tDUO:0000042\tresearch\tall\tn/a\tn/a\tsigned\r\n",
        encoding="utf-8",
    )
    assert permits(read_consent(path), "01", "research", "audio", TODAY) == ""


def test_a_missing_file_is_no_consent(tmp_path: Path) -> None:
    assert read_consent(tmp_path / "consent.tsv").empty


@pytest.mark.parametrize("content", [b"", b"subject\n01\n", b"\xff\xfe\x00", b'"'])
def test_a_damaged_table_says_what_it_must_have(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "consent.tsv").write_bytes(content)
    with pytest.raises(DataError, match=r"consent\.tsv must"):
        read_consent(tmp_path / "consent.tsv")


def test_a_consent_that_ends_soon_is_told_of() -> None:
    ends = ["2026-04-30", "2026-05-01", "2026-05-31", "2026-06-01", "", "some day"]
    rows = table(*(row(subject=f"{n:02d}", retention_until=end) for n, end in enumerate(ends)))
    gone = table(row(subject="99", retention_until="2026-05-02", withdrawn_at="2026-01-01"))
    assert "of 01 (in 0 days), 02 (in 30 days). Ask" in ending_soon(pd.concat([rows, gone]), TODAY)
    assert ending_soon(no_consent(), TODAY) == "" == ending_soon(gone, TODAY)
    many = table(*(row(subject=f"{n:02d}", retention_until="2026-05-09") for n in range(12)))
    assert "09 (in 8 days) and 2 more." in ending_soon(many, TODAY)
