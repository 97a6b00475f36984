"""What experts' answers amount to, against figures worked by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from personare.core.randomness import generator
from personare.core.strongest import STANDS, choose
from personare.core.types import Result
from personare.evaluate.experts import (
    agreement_rows,
    alarm_rows,
    failure_rows,
    human_attack_rows,
    krippendorff,
    win_rows,
)


def votes_of(*rows):
    names = ("rater", "task", "a", "b", "x", "answer", "failures", "repeat")
    return pd.DataFrame([dict(zip(names, row, strict=True)) for row in rows], columns=list(names))


def rng():
    return generator(0, "experts")


def by_figure(rows):
    return {(row.figure, row.subset): row for row in rows}


def compared(rater, a, b, answer, repeat=False):
    return rater, "compare", a, b, "", answer, "", repeat


def checked(rater, a, answer, failures=""):
    return rater, "check", a, "", "", answer, failures, False


def coincidences(*observers, values):
    """Count pairs of answers to the same question, as Krippendorff (2011) does."""
    table = np.zeros((1, values, values))
    for unit in zip(*observers, strict=True):
        given = [value for value in unit if value]
        for i, one in enumerate(given):
            for j, other in enumerate(given):
                if i != j:
                    table[0, one - 1, other - 1] += 1 / (len(given) - 1)
    return table


def test_alpha_is_what_krippendorff_worked_out():
    # Krippendorff (2011), A: two observers, ten units, two values: alpha = 0.095
    one, other = [1, 2, 1, 1, 1, 1, 1, 1, 2, 1], [2, 2, 2, 1, 1, 2, 1, 1, 1, 1]
    assert krippendorff(coincidences(one, other, values=2)) == pytest.approx([0.095], abs=5e-4)
    # D: four observers, twelve units, some missing (0), five ordered values: alpha = 0.815
    table = coincidences(
        [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
        [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
        values=5,
    )
    assert krippendorff(table) == pytest.approx([0.815], abs=5e-4)
    assert np.isnan(krippendorff(coincidences([1, 1], [1, 1], values=2)))


def test_agreement_is_that_of_questions_whatever_the_side():
    one, other = [1, 2, 1, 1, 1, 1, 1, 1, 2, 1], [2, 2, 2, 1, 1, 2, 1, 1, 1, 1]  # as above: 0.095
    rows = [checked("r0", f"r/{i}", ("plausible", "implausible")[v - 1]) for i, v in enumerate(one)]
    rows += [checked("r1", f"r/{i}", ("plausible", "implausible")[v - 1]) for i, v in enumerate(other)]
    rows += [checked("r1", "r/alone", "plausible"), checked("r0", "r/0", "cannot_tell")]
    for i in range(6):  # the same answers, shown to one rater with sides exchanged
        rows.append(compared("r0", f"r/{i}", f"s/{i}", "a" if i % 2 else "b"))
        rows.append(compared("r1", f"s/{i}", f"r/{i}", "b" if i % 2 else "a"))
    found = by_figure(agreement_rows(votes_of(*rows), rng=rng()))
    check, compare = found["alpha", "check"], found["alpha", "compare"]
    assert check.value == pytest.approx(0.095, abs=5e-4)
    assert check.low < check.value < check.high
    assert "10 of 11 questions" in check.reason
    assert compare.value == 1
    assert ("alpha", "same") not in found


def test_agreement_of_a_single_rater_is_not_measured():
    (row,) = agreement_rows(votes_of(checked("r0", "r/1", "plausible")), rng=rng())
    assert row.status == "not_measured"
    assert "0 of 1 questions" in row.reason


def test_raters_are_compared_with_their_own_earlier_answers():
    rows = [compared("r0", f"r/{i}", f"s/{i}", "a") for i in range(4)]
    rows += [compared("r1", f"r/{i}", f"s/{i}", "b") for i in range(4)]
    rows += [compared("r0", f"s/{i}", f"r/{i}", "b", True) for i in range(3)]  # the same item again
    rows += [compared("r1", "s/0", "r/0", "b", True), compared("r1", "s/1", "r/1", "a", True)]
    row = by_figure(agreement_rows(votes_of(*rows), rng=rng()))["consistency", ""]
    assert row.value == pytest.approx(4 / 5)
    assert row.detail["by_rater"] == {"r0": 1.0, "r1": 0.5}
    assert row.n == 5


def test_wins_count_ties_half_and_only_pairs_of_both_releases():
    rows = [compared("r0", f"new/{i}", f"old/{i}", "a") for i in range(6)]
    rows += [compared("r1", f"old/{i}", f"new/{i}", "a") for i in range(2)]
    rows += [compared("r1", "old/7", "new/7", "tie"), compared("r1", "old/8", "new/8", "cannot_tell")]
    rows += [compared("r1", "new/1", "new/2", "b"), compared("r0", "old/1", "newer/1", "a")]
    (row,) = win_rows(votes_of(*rows), adapted="new", unadapted="old", rng=rng())
    assert (row.value, row.n, row.control) == (pytest.approx(6.5 / 9), 9, 0.5)
    assert row.low < row.value < row.high
    assert "1 ties" in row.reason
    assert not win_rows(votes_of(*rows), adapted="new", unadapted="other", rng=rng())


def test_wins_of_all_have_an_interval_too():
    rows = [compared(f"r{i % 3}", f"new/{i}", f"old/{i}", "a") for i in range(30)]
    (row,) = win_rows(votes_of(*rows), adapted="new", unadapted="old", rng=rng())
    assert row.value == 1
    assert 0.8 < row.low < 1


def test_failures_stand_beside_those_before():
    rows = [checked("r0", f"new/{i}", "implausible" if i < 2 else "plausible", "clicks" * (i < 1)) for i in range(8)]
    rows += [
        checked("r1", f"old/{i}", "implausible" if i < 3 else "plausible", "clicks;slow" * (i < 2)) for i in range(4)
    ]
    rows += [checked("r1", "new/9", "cannot_tell"), checked("r1", "newer/1", "implausible", "odd")]
    found = by_figure(failure_rows(votes_of(*rows), release="new", before="old", rng=rng()))
    assert {kind for _, kind in found} == {"", "clicks", "slow"}
    values = [(found["failures", kind].value, found["failures", kind].baseline) for kind in ("", "clicks", "slow")]
    assert values == [(0.25, 0.75), (0.125, 0.5), (0.0, 0.5)]
    assert found["failures", "slow"].high > 0
    assert not failure_rows(votes_of(*rows), release="gone", before="old", rng=rng())


def seen_again():
    """Two raters of twelve people, right in three of four trials, and one who cannot tell."""
    truth = {f"{release}/{p}-{i}": f"p{p}" for release in ("hidden", "made") for p in range(12) for i in range(2)}
    rows = []
    for p in range(12):
        right, wrong, x = f"hidden/{p}-1", f"hidden/{(p + 1) % 12}-1", f"hidden/{p}-0"
        rows.append(("r0", "same", right, wrong, x, "a" if p % 4 else "b", "", False))
        rows.append(("r1", "same", wrong, right, x, "b" if p % 4 else "a", "", False))
    rows.append(("r1", "same", "hidden/0-1", "hidden/3-1", "hidden/0-0", "cannot_tell", "", False))
    rows.append(("r1", "same", "hidden/2-1", "hidden/3-1", "hidden/0-0", "a", "", False))  # of neither: no trial
    rows.append(("r1", "same", "made/0-1", "made/3-1", "made/0-0", "b", "", False))
    return votes_of(*rows), truth


def test_a_human_attacker_is_judged_by_people():
    votes, truth = seen_again()
    (row,) = human_attack_rows(votes, truth, release="hidden", rng=rng())
    assert (row.value, row.n, row.control) == (pytest.approx(18.5 / 25), 25, 0.5)
    assert (row.question, row.attacker, row.better) == ("link", "human", "lower")
    assert row.low < row.value < row.high
    assert not human_attack_rows(votes, truth, release="other", rng=rng())


def test_alarms_are_a_share_of_what_was_seen():
    votes, _ = seen_again()
    (row,) = alarm_rows(votes, pd.DataFrame({"item": ["hidden/0-0", "made/0-0"]}), release="hidden")
    assert (row.value, row.n) == (pytest.approx(1 / 24), 24)
    assert row.attacker == "human"
    assert not alarm_rows(votes, pd.DataFrame({"item": ["made/0-0"]}), release="other")


@pytest.mark.parametrize("kind", sorted(STANDS))
def test_human_attackers_never_stand_for_a_release(kind):
    votes, truth = seen_again()
    human = human_attack_rows(votes, truth, release="hidden", rng=rng())
    human += alarm_rows(votes, pd.DataFrame({"item": ["hidden/0-0"]}), release="hidden")
    human = [replace(row, kind=kind) for row in human]
    assert isinstance(choose(human, "hidden", kind), str)
    rows = []
    for query, _ in STANDS[kind]:
        method = (query.methods or ("some",))[0]
        columns = {"question": query.questions[0], "method": method, "figure": query.figures[0]}
        rows.append(Result(release="hidden", kind=kind, attacker=query.attacker, value=0.1, **columns))
    assert choose([*human, *rows], "hidden", kind) == choose(rows, "hidden", kind)
