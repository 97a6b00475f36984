"""Tables as people have them: each kind of file gives the same rows, and every message the right line."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from personare.core.errors import DataError
from personare.data.tables import read_rows

ROWS = [{"file": "a.wav", "subject": "Zoë"}, {"file": "b.wav", "subject": "02"}]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("File,Subject\na.wav,Zoë\nb.wav,02\n", "utf-8"),
        ("file;subject\r\na.wav;Zoë\r\nb.wav;02\r\n", "cp1252"),
        ("file\tsubject\r\na.wav\tZoë\r\nb.wav\t02\r\n", "utf-16"),
        ("file\tsubject\na.wav\tZoë\nb.wav\t02\n", "utf-16-le"),
        ("file,subject\na.wav,Zoë\nb.wav,02\n", "utf-16-be"),
        ("sep=;\r\nfile;subject\r\na.wav;Zoë\r\nb.wav;02\r\n", "utf-8-sig"),
        ('"sep=|"\nfile|subject\n\na.wav|Zoë\n\n\nb.wav|02\n', "utf-8"),
        ("\n\nfile,subject,,\na.wav,Zoë,,\n,,,\nb.wav,02\n", "utf-8"),
    ],
)
def test_every_kind_of_csv_gives_the_same_rows(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    assert [row for _, row in read_rows(tmp_path / "t.csv", required=("file", "subject"))] == ROWS


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("file,note\na,x\nb,y\n", [2, 3]),
        ('file,note\na,"two\nlines"\nb,y\n', [2, 4]),
        ('sep=,\nfile,note\n\na,"three\r\n\r\nlines"\n\nb,y\n', [4, 8]),
        ("\nfile,note\n,\na,x\n\n\nb,y", [4, 7]),
    ],
)
def test_a_row_knows_its_line_as_an_editor_counts(tmp_path: Path, text: str, lines: list[int]) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode())
    assert [line for line, _ in read_rows(tmp_path / "t.csv", required=("file",))] == lines


def test_a_sheet_is_read_as_the_spreadsheet_shows_it(tmp_path: Path) -> None:
    book = pytest.importorskip("openpyxl").Workbook()
    for cells in [
        [],
        ["File", "subject", "age", "onset", "day", "ok"],
        ["a.wav", 7, 33.0, 1.5, datetime(2024, 3, 1), True],
        [],
        ["b.wav", "P2", None, timedelta(seconds=90), date(2024, 3, 2), None],
    ]:
        book.active.append(cells or [None])
    book.active["B3"].number_format = "000"
    book.create_sheet("another").append(["x"])
    book.save(tmp_path / "t.xlsx")
    assert read_rows(tmp_path / "t.xlsx", required=("file",)) == [
        (3, {"file": "a.wav", "subject": "007", "age": "33", "onset": "1.5", "day": "2024-03-01", "ok": "True"}),
        (5, {"file": "b.wav", "subject": "P2", "age": "", "onset": "90.0", "day": "2024-03-02", "ok": ""}),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"file,Mood,mood \na,x,y\n", "column mood more than once"),
        (b"file,mood\na,sad, angry\n", "line 2 has a value that stands in no named column"),
        (b"file,,mood\na,x,sad\n", "line 2 has a value"),
        (b"path,subject\n", "file is missing. It has: path, subject"),
        (b"", "file is missing. It has: none"),
        (b"PK\3\4 broken", "cannot be read"),
        (b"\xff\xfea", "cannot be read"),
        (b"RIFF\0\0\0\0WAVE", "cannot be read"),
    ],
)
def test_what_would_lose_a_value_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError) as error:
        read_rows(tmp_path / "t.csv", required=("file",))
    assert said in str(error.value)


def test_thousands_of_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,subject\n" + "".join(f"{n}.wav,P{n % 50}\n" for n in range(20000)))
    assert read_rows(tmp_path / "t.csv", required=("file",))[-1] == (20001, {"file": "19999.wav", "subject": "P49"})
