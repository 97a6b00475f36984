import pytest

from personare.report import sources

IN_MODULE = '"""Mask.\n\n**Source**: Doe (2020), doi 10.1/x. Changed:\nnothing.\n\n**Guarantee** none.\n"""'
IN_CLASS = '''"""Mask."""

class Mask:
    """It masks.

    {source}

    Example: 1
    """
'''


@pytest.mark.parametrize(
    "text",
    [
        IN_MODULE,
        IN_CLASS.format(source="**Source.** Doe (2020), doi 10.1/x. Changed:\n    nothing."),
        IN_CLASS.format(source="Source:\n        Doe (2020), doi 10.1/x. Changed:\n        nothing."),
    ],
)
def test_a_source_is_found_however_it_is_set(text: str) -> None:
    assert sources._source(text) == "Doe (2020), doi 10.1/x. Changed: nothing."


def test_no_source_is_no_source() -> None:
    assert sources._source('"""Mask.\n\nThe source of light is left.\n"""') == ""
    assert sources.sources_of([("no_such_method", ""), ("no_such_method", "")]) == []


def test_one_name_of_two_kinds_is_told_of_the_kind_that_was_made() -> None:
    assert any(sources.about("joint", "synthetic"))
    assert sources.about("joint", "synthetic") != sources.about("joint", "model")
