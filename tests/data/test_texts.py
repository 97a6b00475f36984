from pathlib import Path

import pytest

from personare.core.errors import DataError
from personare.data.texts import read_text, without_addresses


@pytest.mark.parametrize(
    ("content", "encoding"),
    [("glad… 悪い", "utf-8"), ("\ufeffglad… 悪い", "utf-8"), ("glad… 悪い", "gb18030")],
)
def test_texts_are_read_whatever_they_were_saved_as(tmp_path: Path, content: str, encoding: str) -> None:
    (tmp_path / "1.txt").write_bytes(content.encode(encoding) + b"\r\n")
    assert read_text(tmp_path / "1.txt") == "glad… 悪い"


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_eight_and_sixteen_bit_texts_are_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "1.txt").write_bytes("José went to the café with Zoë.\r\n".encode(encoding))
    assert read_text(tmp_path / "1.txt") == "José went to the café with Zoë."


def test_a_text_cut_in_a_letter_is_still_read(tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_bytes("so 悪い".encode("gb18030")[:-1])
    assert read_text(tmp_path / "1.txt").startswith("so 悪")
    with pytest.raises(DataError, match="cannot be read"):
        read_text(tmp_path / "2.txt")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("RT @Ann_B: yes", "RT @user: yes"),
        ("see https://t.co/aB1 or www.me.org/ann!", "see http or http"),
        ("http:/t.co/broken pic.twitter.com/xyz", "http http"),
        ("write ann.b@mail.example.org", "write @user"),
        ("youtu.be is no link, bit.ly/abc is", "youtu.be is no link, http is"),
        ("＠ann and @ ben", "@user and @user"),
        ("nothing to hide #happy", "nothing to hide #happy"),
    ],
)
def test_handles_and_links_become_placeholders(text: str, left: str) -> None:
    assert without_addresses(text) == left
