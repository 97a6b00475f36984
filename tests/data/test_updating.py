"""The same command again: the cohort becomes what the source says now, and what people decided stays."""

import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from personare.core.errors import DataError
from personare.core.types import Cohort
from personare.data.cohort import open_cohort
from personare.data.importing import import_cohort
from personare.data.validate import validate
from personare.govern.consent import permits, read_consent

Tone = Callable[..., Path]
HEAD = "file,subject,mood,sex\n"
FIRST = HEAD + "a.wav,Anna Beispiel,low,F\nb.wav,P2,high,M\nc.wav,P2,low,M\nd.wav,Carl,low,M\n"


@pytest.fixture
def source(tmp_path: Path, tone: Tone) -> Path:
    for name in "abcde":
        tone(tmp_path / f"s/{name}.wav")
    (tmp_path / "s/labels.csv").write_text(FIRST)
    return tmp_path / "s"


def bring(source: Path, *purposes: str, **how: object) -> Cohort:
    target = source.parent / "c"
    return import_cohort(source, target, reader="folder", consent_purposes=purposes, **how)[0]  # type: ignore[arg-type]


def may(cohort: Cohort, subject: str, purpose: str) -> bool:
    return not permits(read_consent(cohort.root / "consent.tsv"), subject, purpose, "audio", date(2026, 5, 1))


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("table", "expected", "people"),
    [
        (
            FIRST.replace("low,F", "high,F"),  # a label
            {"01 a high", "P2 b high", "P2 c low", "02 d low"},
            {"01": "F", "02": "M", "P2": "M"},
        ),
        (
            FIRST.replace("a.wav,Anna Beispiel,low,F\n", ""),  # a person who is gone: nobody takes over the number
            {"P2 b high", "P2 c low", "02 d low"},
            {"02": "M", "P2": "M"},
        ),
        (
            HEAD + "e.wav,Dora,low,F\n" + FIRST.removeprefix(HEAD).replace("c.wav,P2", "c.wav,Carl"),  # a new one first
            {"03 e low", "01 a low", "P2 b high", "02 c low", "02 d low"},
            {"01": "F", "02": "M", "03": "F", "P2": "M"},
        ),
        (
            FIRST.replace("Anna Beispiel,low,F", "anna beispiel,low,M"),  # how a name is written, and a sex
            {"01 a low", "P2 b high", "P2 c low", "02 d low"},
            {"01": "M", "02": "M", "P2": "M"},
        ),
    ],
)
def test_a_corrected_table_is_imported_by_the_same_command(
    source: Path, table: str, expected: set[str], people: dict[str, str]
) -> None:
    bring(source, "evaluation")
    (source / "labels.csv").write_text(table)
    cohort = bring(source, "evaluation")
    assert cohort.recordings == open_cohort(source.parent / "c").recordings
    content = {(source / f"{name}.wav").read_bytes(): name for name in "abcde"}
    taken = [(r, content[(cohort.root / r.tracks["audio"]).read_bytes()]) for r in cohort.recordings]
    assert {f"{r.subject} {name} {r.labels['mood']}" for r, name in taken} == expected
    assert cohort.participants["sex"].to_dict() == people
    assert validate(cohort.root) == []
    assert {path.name for path in source.parent.iterdir()} == {"s", "c", "c.key.tsv"}


def test_decisions_in_the_consent_table_stay(source: Path) -> None:
    cohort = bring(source, "evaluation", "training")
    consent = read_consent(cohort.root / "consent.tsv").set_index("subject")
    consent.loc["01", "withdrawn_at"] = "2026-02-01"
    consent.loc["P2", "purposes"] = "evaluation"
    consent.drop(index="02").reset_index().to_csv(cohort.root / "consent.tsv", sep="\t", index=False)
    (source / "labels.csv").write_text(FIRST + "e.wav,Dora,low,F\n")
    again = bring(source, "evaluation", "training")
    assert {(s, p) for s in ("01", "02", "03", "P2") for p in ("evaluation", "training") if may(again, s, p)} == {
        ("P2", "evaluation"),  # and not training, which was struck out
        ("03", "evaluation"),  # who is new
        ("03", "training"),
    }
    more = bring(source, "anonymization")  # said of everybody for the first time; 02 was struck out
    assert {s for s in ("01", "02", "03", "P2") if may(more, s, "anonymization")} == {"03", "P2"}
    assert not may(bring(source, "anonymization", "evaluation"), "02", "evaluation")


@pytest.mark.parametrize("gone_for", [1, 2])
def test_a_withdrawal_counts_when_somebody_comes_back(source: Path, gone_for: int) -> None:
    cohort = bring(source, "evaluation")
    table = read_consent(cohort.root / "consent.tsv")
    table.loc[table["subject"] == "01", "withdrawn_at"] = "2026-02-01"
    table.to_csv(cohort.root / "consent.tsv", sep="\t", index=False)
    (source / "labels.csv").write_text(FIRST.replace("a.wav,Anna Beispiel,low,F\n", ""))
    for _ in range(gone_for):
        assert "01" not in {r.subject for r in bring(source, "evaluation").recordings}
    (source / "labels.csv").write_text(FIRST)
    assert not may(bring(source, "evaluation"), "01", "evaluation")


def test_consent_may_be_said_later(source: Path) -> None:
    assert not may(bring(source), "P2", "training")
    assert may(bring(source, "training"), "P2", "training")


def test_a_withdrawal_that_the_source_states_later_is_taken_over(source: Path) -> None:
    assert may(bring(source, "evaluation"), "01", "evaluation")
    row = "anna beispiel\tDUO:0000042\tevaluation\tall\t\t2026-03-01\n"
    (source / "consent.tsv").write_text("subject\tscope\tpurposes\tmodalities\tretention_until\twithdrawn_at\n" + row)
    assert not may(bring(source, "evaluation"), "01", "evaluation")


def test_what_others_laid_into_the_cohort_stays(source: Path) -> None:
    cohort = bring(source)
    (cohort.root / "ledger.sqlite").write_bytes(b"rows")
    (cohort.root / "phenotype").mkdir()
    (cohort.root / "phenotype/scores.tsv").write_text("x")
    again = bring(source)
    assert (again.root / "ledger.sqlite").read_bytes() == b"rows"
    assert (again.root / "phenotype/scores.tsv").read_text() == "x"


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), MemoryError(), DataError("no. Stop.")])
def test_an_update_that_fails_leaves_the_cohort_as_it_was(source: Path, fault: BaseException) -> None:
    cohort = bring(source, "evaluation")
    before = files(cohort.root)
    (source / "labels.csv").write_text(HEAD + "e.wav,P2,low,M\n")

    def check(_path: Path, _track: str) -> None:
        raise fault

    with pytest.raises((KeyboardInterrupt, DataError)):
        bring(source, "evaluation", check=check)
    assert files(cohort.root) == before
    assert {path.name for path in source.parent.iterdir()} == {"s", "c", "c.key.tsv"}


@pytest.mark.parametrize("moved_in", [False, True])
def test_an_exchange_that_was_killed_is_brought_to_its_end(source: Path, moved_in: bool) -> None:
    cohort = bring(source, "evaluation")
    aside = source.parent / ".c.before"
    shutil.copytree(cohort.root, aside)
    if not moved_in:
        shutil.rmtree(cohort.root)
    assert may(bring(source), "P2", "evaluation")
    assert not aside.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("another source", "was imported with source"),
        ("another reader", "was imported with reader folder, not bids"),
        ("other pseudonyms", "was imported with pseudonyms names, not all"),
        ("no key", "key .* is gone"),
        ("no import", "holds files"),
    ],
)
def test_a_cohort_of_something_else_is_left_alone(source: Path, change: str, said: str) -> None:
    cohort = bring(source, "evaluation")
    how: dict[str, object] = {"reader": "folder"}
    if change == "another source":
        source = Path(shutil.copytree(source, source.parent / "s2"))
    elif change == "another reader":
        how = {"reader": "bids"}
    elif change == "other pseudonyms":
        how |= {"pseudonyms": "all"}
    elif change == "no key":
        (source.parent / "c.key.tsv").unlink()
    else:
        (cohort.root / "import.json").unlink()
    before = files(cohort.root)
    with pytest.raises(DataError, match=said):
        import_cohort(source, cohort.root, **how)  # type: ignore[arg-type]
    assert files(cohort.root) == before


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_cohort_in_its_own_source_is_not_its_source(source: Path, times: int) -> None:
    for _ in range(times):
        cohort, skipped = import_cohort(source, source / "c", reader="folder")
        assert len(cohort.recordings) == 4
        assert [withheld.item for withheld in skipped] == ["e.wav"]


def test_what_an_import_notes_of_itself(source: Path) -> None:
    cohort = bring(source, "evaluation")
    note = json.loads((cohort.root / "import.json").read_text())
    assert note["source"] == str(source) and note["numbered"] and note["consent"] == ["evaluation"]
    assert "source" not in json.loads((cohort.root / "dataset_description.json").read_text())["Personare"]
    assert len(pd.read_csv(cohort.root / "imported.tsv", sep="\t")) == 4
