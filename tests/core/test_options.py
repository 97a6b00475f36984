"""Options are what their types declare, or are refused in words."""

from dataclasses import dataclass
from typing import Literal

import pytest

from personare.core.errors import OptionError
from personare.core.options import Count, Delta, Epsilon, NotNegative, PartShare, Positive, Share, Whole, check_options


@dataclass(frozen=True, kw_only=True)
class Options:
    count: Count = 1
    whole: Whole = 0
    positive: Positive = 0.1
    not_negative: NotNegative = 0.0
    share: Share = 1.0
    part: PartShare = 0.0
    word: Literal["one", "other"] = "one"
    epsilon: Epsilon = None
    delta: Delta = 1e-5
    free: str = ""
    size: float = 1.0

    def __post_init__(self):
        check_options(self, size=(0.5, 2.0))


def test_the_words_say_what_must_hold_and_what_was_given():
    with pytest.raises(OptionError, match=r"^count must be at least 1, it is 0\.$"):
        Options(count=0)
    with pytest.raises(OptionError, match=r"^size must lie from 0.5 to 2, it is 3.0. It is usually 1.0.$"):
        Options(size=3.0)


def test_what_lies_in_its_range_is_taken():
    assert Options(count=3, share=0.0, part=0.99, epsilon=100.0, word="other").count == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 0},
        {"whole": -1},
        {"positive": 0.0},
        {"positive": float("inf")},
        {"positive": float("nan")},
        {"not_negative": -0.1},
        {"share": 1.1},
        {"part": 1.0},
        {"epsilon": 0.0},
        {"epsilon": 101.0},
        {"epsilon": float("nan")},
        {"delta": 1.0},
        {"word": "another"},
        {"size": 0.4},
        {"size": float("nan")},
    ],
)
def test_what_does_not_is_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(OptionError, match=f"^{name} must (be|lie)"):
        Options(**wrong)
