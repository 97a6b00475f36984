"""What a method's file says of itself, read without running it."""

import sys
from pathlib import Path

import pytest

from personare.core.registry import Method, find
from personare.report.sections import about

IN_MODULE = '"""Mask.\n\n**Source**: Doe (2020), doi 10.1/x. Changed:\nnothing.\n\n**Guarantee** none.\n"""'
IN_CLASS = '''"""Mask."""

class Mask:
    """It masks.

    {source}

    Example: 1
    """
'''


def described(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Method:
    """Find a method's file of this text in a folder of another package."""
    folder = tmp_path / f"masks_{tmp_path.name}"
    folder.mkdir()
    (folder / "mask.py").write_text(f'{text}\n__all__ = ["Mask"]\n', encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return find(folder.name)["mask"]


@pytest.mark.parametrize(
    "text",
    [
        IN_MODULE,
        IN_CLASS.format(source="**Source.** Doe (2020), doi 10.1/x. Changed:\n    nothing."),
        IN_CLASS.format(source="Source:\n        Doe (2020), doi 10.1/x. Changed:\n        nothing."),
    ],
)
def test_a_source_is_found_however_it_is_set(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = described(text, tmp_path, monkeypatch)
    assert (method.summary, method.source) == ("Mask.", "Doe (2020), doi 10.1/x. Changed: nothing.")


def test_no_source_is_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert described('"""Mask.\n\nThe source of light is left.\n"""', tmp_path, monkeypatch).source == ""
    assert about("no_such_method") is None


def test_one_name_of_two_kinds_is_told_of_the_kind_that_was_made() -> None:
    synthetic, model = about("joint", "synthetic"), about("joint", "model")
    assert synthetic is not None and synthetic.source and synthetic != model
