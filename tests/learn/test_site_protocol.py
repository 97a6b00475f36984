"""Sites that are made to differ: each change does what it says, to the recordings of its site alone."""

import numpy as np
import pytest

from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.types import Batch
from personare.learn.federation import Federation
from personare.learn.site_protocol import SiteProtocol

LABELS = np.arange(1200) % 4
BATCH = Batch(
    ids=tuple(map(str, range(1200))),
    arrays={"voice": np.ones((1200, 2), np.float32), "words": np.full(1200, "yes")},
    present={"voice": np.ones(1200, bool), "words": np.ones(1200, bool)},
    labels=LABELS,
    classes=("a", "b", "c", "d"),
    subjects=np.repeat([f"p{i:02d}" for i in range(40)], 30),
)
SITES = Federation(sites=4)


def differing(batch=BATCH, seed=0, **how):
    made, site_of = SiteProtocol(**how)(batch, SITES, rng=generator(seed, "sites"))
    rows = Federation(site_of=site_of).deal(made.subjects)
    return made, [made.take(part) for part in rows]


def test_guarantee_nobody_changes_sites_and_what_becomes_of_a_recording_depends_on_no_other():
    everything = {"label_skew": 0.5, "missing": 0.3, "wrong_labels": 0.2, "poisoned": 1}
    made, parts = differing(**everything, tiny=True)
    before = [set(BATCH.subjects[part]) for part in SITES.deal(BATCH.subjects)]
    assert all(set(part.subjects) <= people for part, people in zip(parts, before, strict=True))
    other = Batch(**vars(BATCH) | {"labels": np.where(np.arange(1200) < 600, LABELS, 3 - LABELS)})
    made, changed = (differing(batch, **everything)[0] for batch in (BATCH, other))
    same = [set(zip(m.ids, m.labels, strict=True)) for m in (made, changed)]
    assert {i for i, _ in same[0] if int(i) < 600} == {i for i, _ in same[1] if int(i) < 600}
    assert {(i, y) for i, y in same[0] if int(i) < 600} == {(i, y) for i, y in same[1] if int(i) < 600}


def test_classes_of_a_site_are_skewed_and_differ():
    _, parts = differing(label_skew=0.3)
    shares = np.array([np.bincount(part.labels, minlength=4) / len(part) for part in parts])
    assert shares.max(axis=1).mean() > 0.5
    assert np.ptp(shares, axis=0).max() > 0.3
    _, alike = differing(label_skew=1000.0)
    assert max(np.bincount(part.labels).max() / len(part) for part in alike) < 0.3


def test_what_is_missing_is_zero_and_something_remains():
    made, _ = differing(missing=0.4)
    present = np.stack(list(made.present.values()))
    assert 0.2 < 1 - present.mean() < 0.4
    assert present.any(axis=0).all()
    assert not made.arrays["voice"][~made.present["voice"]].any()
    assert set(made.arrays["words"][~made.present["words"]]) == {""}


def test_wrong_labels_are_others_and_a_poisoned_site_has_none_right():
    made, _ = differing(wrong_labels=0.2)
    assert 0.15 < (made.labels != LABELS).mean() < 0.25
    made, parts = differing(poisoned=1)
    assert [(part.labels == LABELS[np.array(part.ids, int)]).mean() for part in parts] == [0.0, 1.0, 1.0, 1.0]


def test_a_tiny_site_has_two_people():
    _, parts = differing(tiny=True)
    assert [len(set(part.subjects)) for part in parts] == [10, 10, 10, 2]


def test_what_cannot_be_is_refused():
    with pytest.raises(OptionError, match="Of 4 sites"):
        differing(poisoned=5)
    with pytest.raises(OptionError, match="needs two modalities"):
        differing(BATCH.only("voice"), missing=0.2)
    with pytest.raises(DataError, match="raise label_skew"):
        differing(BATCH.take(LABELS == 0), label_skew=0.1)
