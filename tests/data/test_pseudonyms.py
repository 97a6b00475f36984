"""Names and what is like them: who is hidden by an import, and what is said of the rest."""

import stat
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from personare.core.errors import DataError, PolicyError
from personare.core.types import Cohort, Withheld
from personare.data.importing import import_cohort
from personare.data.pseudonyms import numbered, spelling, suspicions
from personare.govern.consent import permits, read_consent
from personare.govern.storage import is_locked, lock_cohort

Tone = Callable[..., Path]
NAMES = ("Anna_Beispiel", "Müller, Jörg", "anna@example.org", "AB", "19840312", "+49 170 1234567")
TELLING = [b"nna", b"eispiel", b"ller", b"rg", b"example.org", b"1984", b"1234567"]


@pytest.fixture
def bring(tmp_path: Path, tone: Tone) -> Callable[..., tuple[Cohort, list[Withheld], list[str]]]:
    """Import a table whose rows are subject and further columns; each row gets a file in a folder of its subject."""

    def brought(*rows: str, head: str = "subject", **how: object) -> tuple[Cohort, list[Withheld], list[str]]:
        source, said = tmp_path / "Anna_Beispiel", list[str]()
        lines = []
        for n, row in enumerate(rows):
            folder = row.partition(";")[0].replace("/", "")
            tone(source / folder / f"Anna_Beispiel_{n}.wav", seconds=0.2 + n / 100)
            lines.append(f"{folder}/Anna_Beispiel_{n}.wav;{row}\n")
        (source / "labels.csv").write_text(f"file;{head}\n" + "".join(lines), encoding="utf-8")
        target = tmp_path / "cohorts" / str(how.pop("target", "Anna_Beispiel"))
        cohort, skipped = import_cohort(source, target, reader="folder", remark=said.append, **how)  # type: ignore[arg-type]
        return cohort, skipped, said

    return brought


def shown(cohort: Cohort) -> bytes:
    """Return every file name and text of a cohort but those that lead back to the source and are never released."""
    keys = ("imported.tsv", "import.json", "skipped.tsv")
    files = [path for path in cohort.root.rglob("*") if path.name not in keys]
    names = "\n".join(path.relative_to(cohort.root).as_posix() for path in files).encode()
    return names + b"".join(path.read_bytes() for path in files if path.is_file() and path.suffix != ".wav")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_in_the_cohort_if_kept_and_nowhere_if_not(
    bring: Callable[..., tuple[Cohort, list[Withheld], list[str]]], name: str
) -> None:
    if name.isalnum():  # the attack: what was done before, and is done where it is asked for
        kept, _, said = bring(name, "P2", pseudonyms="none", target="kept")
        assert f"sub-{name}".encode() in shown(kept)
        assert any("may be names and stay" in sentence for sentence in said)
    cohort, skipped, said = bring(name, "P2")
    assert not skipped
    assert sorted({r.subject for r in cohort.recordings}) == ["01", "P2"]
    assert not [telling for telling in TELLING if telling in shown(cohort)]
    assert f"sub-{name}".encode() not in shown(cohort)
    assert cohort.name == "cohort"
    assert any("1 of 2 people got numbers" in sentence for sentence in said)


def test_the_key_lies_outside_and_only_its_owner_reads_it(
    bring: Callable[..., tuple[Cohort, list[Withheld], list[str]]],
) -> None:
    cohort, _, _ = bring("Zoë B.", "P2", "Ben", target="mine")
    key = cohort.root.with_name("mine.key.tsv")
    assert key.read_text(encoding="utf-8").splitlines() == ["subject\tpseudonym", "Zoë B.\t01", "Ben\t02"]
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert cohort.name == "mine"


@pytest.mark.parametrize("subject", ["P01", "007", "s12", "1038", "A", "patient3", "vp07b"])
def test_codes_stay_unless_everybody_gets_a_number(
    bring: Callable[..., tuple[Cohort, list[Withheld], list[str]]], subject: str
) -> None:
    cohort, _, said = bring(subject)
    assert [r.subject for r in cohort.recordings] == [subject] and not said
    assert not cohort.root.with_name("Anna_Beispiel.key.tsv").exists()
    every, _, _ = bring(subject, pseudonyms="all", target="every")
    assert [r.subject for r in every.recordings] == ["01"]


def test_a_number_is_nobody_elses() -> None:
    key = numbered(["Anna", "1", "02", "Ben"], {}, "names")
    assert key == {"Anna": "03", "Ben": "04"}
    assert numbered(["Carl", "Ben"], key, "names") == {**key, "Carl": "01"}
    assert numbered(["Anna"], key, "none") == {}
    later = numbered(["3", "anna", "Dora"], {"Anna": "03"}, "names")  # 3 would now be Anna's number
    assert later == {"Anna": "03", "anna": "03", "3": "01", "Dora": "02"}
    assert len({spelling(number) for name, number in later.items() if name != "anna"}) == 3


@pytest.mark.parametrize("column", ["session", "task"])
def test_a_session_or_task_that_tells_the_name_is_left_out(
    bring: Callable[..., tuple[Cohort, list[Withheld], list[str]]], column: str
) -> None:
    cohort, skipped, _ = bring("Anna Beispiel;anna1", "Ben Muster;rest", head=f"subject;{column}")
    assert [r.subject for r in cohort.recordings] == ["02"]
    assert "holds the person's name" in skipped[0].problem
    assert b"anna" not in shown(cohort)


@pytest.mark.parametrize("column", ["session", "task"])
def test_dates_and_phrases_are_no_part_of_an_id(
    bring: Callable[..., tuple[Cohort, list[Withheld], list[str]]], column: str
) -> None:
    cohort, skipped, _ = bring("P1;2024-03-12", "P1;2024-03-19", "P2;2024-03-12", head=f"subject;{column}")
    assert not skipped and len(cohort.recordings) == 3
    assert not any("2024" in r.id for r in cohort.recordings)


@pytest.mark.parametrize("subject", ["Anna Beispiel", "anna  beispiel", "P2", "p02"])
def test_a_withdrawal_finds_its_person_under_the_number(
    tmp_path: Path, bring: Callable[..., tuple[Cohort, list[Withheld], list[str]]], subject: str
) -> None:
    (tmp_path / "Anna_Beispiel").mkdir()
    (tmp_path / "Anna_Beispiel/consent.tsv").write_text(
        "subject\tscope\tpurposes\tmodalities\tretention_until\twithdrawn_at\n"
        f"{subject}\tDUO:0000042\tevaluation\tall\t\t2026-01-01\nNobody\tDUO:0000042\tevaluation\tall\t\t2026-01-01\n"
    )
    cohort, _, said = bring("Anna Beispiel", "P2", consent_purposes=["evaluation"])
    consent = read_consent(cohort.root / "consent.tsv")
    reasons = {s: permits(consent, s, "evaluation", "audio", date(2026, 5, 1)) for s in ("01", "P2")}
    withdrew = "01" if "nna" in subject else "P2"
    assert [s for s, reason in reasons.items() if "withdrew" in reason] == [withdrew]
    assert any("'Nobody', who has no recording" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("column", "values", "what"),
    [
        ("contact", ["a.b@example.org", "n/a"], "an e-mail address"),
        ("born", ["12.03.1984", "1984-03-12"], "a date"),
        ("when", ["19840312", "3 March 1984"], "a date"),
        ("x", ["+49 170 1234567", "030 1234567"], "a phone number"),
        ("where", ["Hauptstraße 5", "12 Main Street"], "a postal address"),
        ("who", ["Jörg Müller", "Muster, Eva"], "a name"),
        ("original", ["clip 1.MP4", "x.wav"], "a file"),
        ("said", ["she told me that it was late", "no"], "free text"),
        ("remark", ["anna was tired", "fine"], "words of people's names"),
        ("dob", ["84", "91"], "its heading"),
        ("Diagnosis", ["F32", "none"], "its heading"),
        ("number", ["11", "12", "13", "14", "15"], "every person from every other"),
        ("emotion", ["Angry", "angry "], "different labels"),
    ],
)
def test_a_column_that_may_tell_who_it_is_is_named_without_its_values(
    column: str, values: list[str], what: str
) -> None:
    rows = [(f"P{n}", value) for n, value in enumerate(values)]
    (sentence,) = suspicions({column: rows}, ["Anna Beispiel"])
    assert what in sentence and f"column {column} " in sentence
    assert what == "different labels" or not [value for value in values if len(value) > 2 and value in sentence]


@pytest.mark.parametrize(
    "values",
    [["anger", "sadness"], ["yes", "no"], ["1", "2", "5"], ["0.25", "-0.75"], ["wütend", "colère"], ["Happy", "Sad"]],
)
def test_labels_of_behavior_are_not_suspected(values: list[str]) -> None:
    rows = [(f"P{n % 3}", value) for n, value in enumerate(values * 2)]
    assert not suspicions({"label": rows}, ["Anna Beispiel"])


def test_names_that_are_kept_must_still_be_file_names(
    bring: Callable[..., tuple[Cohort, list[Withheld], list[str]]],
) -> None:
    cohort, skipped, _ = bring("Anna M.", "P2", pseudonyms="none")
    assert [r.subject for r in cohort.recordings] == ["P2"]
    assert "letters" in skipped[0].problem
    with pytest.raises(DataError, match="no usable recording"):
        bring("Anna M.", pseudonyms="none", target="other")


def test_guarantee_with_a_passphrase_the_key_is_encrypted_and_read_again(
    bring: Callable[..., tuple[Cohort, list[Withheld], list[str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key() -> bytes:
        return b"".join(path.read_bytes() for path in (tmp_path / "cohorts").glob("*.key*/**/*") if path.is_file())

    bring("Anna_Beispiel", "Bea", target="c")
    plain = tmp_path / "cohorts" / "c.key.tsv"
    assert b"Anna_Beispiel" in plain.read_bytes()  # the attack: it can be read
    monkeypatch.setenv("PERSONARE_PASSPHRASE", "three little words")
    _, _, said = bring("Anna_Beispiel", "Bea", "Cem", target="c")
    assert not plain.exists() and key() and b"nna" not in key()
    assert any("c.keys/pseudonyms leads back" in sentence for sentence in said)
    cohort, _, _ = bring("Cem", "Anna_Beispiel", target="c")
    assert {r.subject for r in cohort.recordings} == {"01", "03"}  # numbers stay
    assert lock_cohort(cohort.root, "three little words") == []
    cohort, _, said = bring("Cem", "Anna_Beispiel", target="c")
    assert not is_locked(cohort.root) and any("is not any more" in sentence for sentence in said)
    for given, why in (("", "Give its passphrase"), ("three little wards", "not the passphrase")):
        monkeypatch.setenv("PERSONARE_PASSPHRASE", given)
        with pytest.raises(PolicyError, match=why):
            bring("Anna_Beispiel", "Dan", target="c")
    monkeypatch.setenv("PERSONARE_PASSPHRASE", "three little words")
    (tmp_path / "cohorts" / "c.keys" / "pseudonyms").unlink()
    with pytest.raises(DataError, match="is gone"):
        bring("Anna_Beispiel", target="c")
