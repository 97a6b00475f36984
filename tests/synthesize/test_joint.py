"""Who is far from everybody shapes what is made up, or is left out where that is asked."""

from dataclasses import replace

import numpy as np
import pytest

from personare.core.errors import OptionError
from personare.core.state import state_of
from personare.core.types import Batch
from personare.synthesize.joint import Joint


def group(people: int, each: int = 8) -> Batch:
    """People who look like themselves, in two moods."""
    rng = np.random.default_rng(0)
    whose, labels = np.repeat(np.arange(people), each), np.tile([0, 1], people * each // 2)
    face = rng.standard_normal((people, 5))[whose] + rng.standard_normal((len(whose), 5)) + labels[:, None]
    return Batch(
        ids=tuple(map(str, range(len(whose)))),
        arrays={"face": face.astype(np.float32)},
        present={"face": np.ones(len(whose), dtype=bool)},
        labels=labels,
        classes=("calm", "joy"),
        subjects=whose.astype(str),
    )


def test_who_is_far_from_everybody_is_left_out_where_asked() -> None:
    far = (whole := group(20)).subjects == "0"
    wild = replace(whole, arrays={"face": whole.arrays["face"] + 1000 * far[:, None].astype(np.float32)})
    apart, without, with_all = (
        Joint(hold_out=hold_out).fit(batch, validation=wild, rng=np.random.default_rng(0))
        for hold_out, batch in ((True, wild), (False, wild.take(~far)), (False, wild))
    )
    state, expected = state_of(apart)[0], state_of(without)[0]
    assert all(np.array_equal(values, expected[name]) for name, values in state.items())
    assert not np.array_equal(with_all.model.means, apart.model.means)


@pytest.mark.parametrize("secure", [False, True])
def test_sites_make_people_up_together_under_an_epsilon_only(secure) -> None:
    known, whole = replace(group(10), ids=tuple(f"public{i}" for i in range(80))), group(120)
    public = replace(known, subjects=np.char.add("public", known.subjects))
    how = {"validation": whole, "rng": np.random.default_rng(0), "public": public}
    made = Joint(epsilon=8.0, delta=1e-3, sites=4, secure=secure).fit(whole, **how)
    assert made.spends[0].units == (120 if secure else 30)
    with pytest.raises(OptionError, match="under an epsilon"):
        Joint(sites=4)
