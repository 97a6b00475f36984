"""Options that cannot be used are refused, with what they may be."""

import math
from dataclasses import dataclass
from typing import Literal

import pytest

from personare.core.errors import OptionError
from personare.core.options import check_options


@dataclass(frozen=True, kw_only=True)
class Method:
    size: float = 1.0
    policy: Literal["recording", "person", "common"] = "recording"

    def __post_init__(self):
        check_options(self, size=(0, math.inf))


def test_options_in_range_pass():
    assert Method(size=0, policy="common").size == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"policy": "always"}, "policy must be recording, person or common, 'always' was given"),
        ({"size": -1}, "size must be at least 0, -1 was given"),
        ({"size": math.nan}, "size must be at least 0, nan was given"),
    ],
)
def test_others_are_refused(options, says):
    with pytest.raises(OptionError, match=says):
        Method(**options)
