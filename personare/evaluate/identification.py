"""Runs an attack that names people, as each of the three attackers, and measures how well it does.

Each person's recordings are halved by content (``data/splits.py``): one half is enrolled, the other is to be named, and
then the other way round, so that every recording is named once. A person is also named from five recordings of a half
and from all of them: who holds several knows more than one of them tells.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from personare.core.errors import DataError
from personare.core.protocols import Enroller, Identifier, Scorer
from personare.core.randomness import generator
from personare.core.types import Array, Evidence, Result
from personare.evaluate.clips import usable_clips
from personare.evaluate.control import wilson_ends
from personare.evaluate.metrics import Estimate, mean_over_people, top1_credit, verification
from personare.evaluate.unmeasured import unmeasured

__all__ = [
    "ATTACKERS",
    "FIGURES",
    "Attack",
    "Halves",
    "Trials",
    "few_recordings",
    "identify",
    "measure_trials",
    "named_together",
    "not_measured",
]

ATTACKERS = ("ignorant", "lazy_informed", "semi_informed")
Halves = Sequence[tuple[Sequence[str], Sequence[str]]]
FIGURES: Mapping[str, Any] = {
    "top1": "lower",
    "top1_5": "lower",
    "person_top1": "lower",
    "eer": "higher",
    "dsys": "lower",
    "tar_far1": "lower",
}
"""What is measured of an attack that names people, and which way is better for them."""
_CONTROLS: Mapping[str, float] = {"eer": 0.5, "dsys": 0.0, "tar_far1": 0.01}  # of the others, one of the people
_SEVERAL = 5
_GROUPS = 20  # random groups of five of each half of a person's recordings


@dataclass(frozen=True, kw_only=True)
class Trials:
    """What one attacker made of every recording it had to name.

    Attributes:
        attack: Name of the attack's file.
        attacker: One of ``ATTACKERS``.
        ids: (N,) recordings.
        subjects: (N,) who is really in them.
        people: (P,) everybody enrolled, sorted.
        scores: (N, P) standardized within each recording; a row of zeros where the view is missing.
        half: (N,) which half of the recordings it was asked in; the other one was enrolled.
        missing: How many recordings had nothing to look at.
    """

    attack: str
    attacker: str
    ids: tuple[str, ...]
    subjects: Array
    people: Array
    scores: Array
    half: Array
    missing: int

    @property
    def truth(self) -> Array:
        """(N,) column of the right person."""
        return np.asarray(np.searchsorted(self.people, self.subjects))


class Attack(Protocol):
    """An attack that does not name people by itself: it reads attributes, or joins what others found."""

    def __call__(
        self, original: Evidence, released: Evidence, *, trials: Sequence[Trials], rng: np.random.Generator
    ) -> "list[Result] | list[Trials]":
        """Return rows, or trials to be measured like any other attack's."""
        ...


def identify(
    identifier: Identifier, original: Evidence, released: Evidence, *, name: str, halves: Halves, seed: int
) -> list[Trials]:
    """Let an attack name the people of a release as each of the three attackers.

    Args:
        identifier: The attack. Of several ``views`` each is tried, and enrollment data say how far to believe it.
        original: The recordings before.
        released: The same recordings after; the very same object to measure unprotected data.
        name: The attack's name.
        halves: (enroll, test) ids, usually both ways round.
        seed: Of the run.

    Returns:
        The trials of ``ignorant`` (trained and enrolled on originals), ``lazy_informed`` (trained on originals,
        enrolled on released), ``semi_informed`` (trained and enrolled on released). On unprotected data the three
        are one and the same.

    Raises:
        DataError: Fewer than half of the recordings have any of the views.
    """
    views = [view for view in _views(identifier) if _covered(original, released, view, halves)]
    if not views:
        raise DataError(_why_missing(identifier, original, released))
    subjects = {str(i): str(s) for i, s in original.table["subject"].items()}
    people = np.unique([subjects[i] for half in halves for part in half for i in part])
    parts: dict[str, list[_Part]] = {attacker: [] for attacker in ATTACKERS}
    untrained: dict[bool, Enroller] = {}
    for number, half in enumerate(halves):
        seen = [_side(identifier, (original, released), view, half, untrained) for view in views]
        for attacker in ATTACKERS[2:] if released is original else ATTACKERS:
            rng = generator(seed, "identify", name, attacker, str(number))
            asked = [i for i in half[1] if i in released.table.index]
            parts[attacker].append(_attack(seen, attacker, (asked, people, subjects), rng))
    if released is original:
        parts = dict.fromkeys(ATTACKERS, parts["semi_informed"])
    return [_join(name, attacker, found) for attacker, found in parts.items()]


def _views(identifier: Identifier) -> tuple[str, ...]:
    views: tuple[str, ...] = identifier.views  # type: ignore[attr-defined]
    return views


def _covered(original: Evidence, released: Evidence, view: str, halves: Halves) -> bool:
    """Whether at least half of the recordings on either side of the split can be looked at."""
    for evidence in (original, released):
        seen, known = usable_clips(evidence, view), set(evidence.table.index)
        for part in (ids for half in halves for ids in half):
            here = [i for i in part if i in known]
            if not here or 2 * sum(i in seen for i in here) < len(here):
                return False
    return True


def _why_missing(identifier: Identifier, original: Evidence, released: Evidence) -> str:
    def counted(evidence: Evidence) -> int:
        return max(len(usable_clips(evidence, view)) for view in _views(identifier))

    return (
        f"{' or '.join(_views(identifier))} must be there in at least half of the recordings; it is in "
        f"{counted(original)} of {len(original.table)} originals, {counted(released)} of {len(released.table)} released"
    )


@dataclass(frozen=True, kw_only=True)
class _View:
    """One view of one direction of the split."""

    identifier: Identifier
    original: Mapping[str, Array]  # to enroll
    released: Mapping[str, Array]  # to enroll
    test: Mapping[str, Array]
    trained: dict[bool, Enroller]

    def train(self, retrained: bool, subjects: Mapping[str, str], rng: np.random.Generator) -> Enroller:
        """Train on released or original clips, once for the two attackers who share it."""
        if not getattr(self.identifier, "learns", True):
            retrained = False  # nothing is learned before enrollment: one for everybody, in both directions
        if retrained not in self.trained:
            clips = self.released if retrained else self.original
            self.trained[retrained] = self.identifier.fit(clips, {i: subjects[i] for i in clips}, rng=rng)
        return self.trained[retrained]


def _side(
    identifier: Identifier,
    evidence: tuple[Evidence, Evidence],
    view: str,
    half: tuple[Sequence[str], Sequence[str]],
    untrained: dict[bool, Enroller],
) -> _View:
    before, after = (usable_clips(one, view) for one in evidence)
    enroll, test = half
    return _View(
        identifier=identifier,
        original={i: before[i] for i in enroll if i in before},
        released={i: after[i] for i in enroll if i in after},
        test={i: after[i] for i in test if i in after},
        trained={} if getattr(identifier, "learns", True) else untrained,
    )


@dataclass(frozen=True, kw_only=True)
class _Part:
    ids: list[str]
    subjects: Array
    people: Array
    scores: Array
    missing: int


def _attack(
    views: Sequence[_View],
    attacker: str,
    asked: tuple[list[str], Array, Mapping[str, str]],
    rng: np.random.Generator,
) -> _Part:
    """One direction of one attacker; views count as much as they name enrollment clips better than guessing."""
    ids, people, subjects = asked
    total = np.zeros((len(ids), len(people)))
    for view in views:
        clips = view.original if attacker == "ignorant" else view.released
        known = {i: subjects[i] for i in clips}
        trained = view.train(attacker == "semi_informed", subjects, rng)
        belief = 1.0 if len(views) == 1 else _inner(trained.enroll, clips, known, rng) - 1 / len(people)
        scorer = trained.enroll(clips, known, rng=rng)
        found = _scores(scorer, view.test, ids, sorted(set(known.values())), people)
        total += max(belief, 1e-3) ** 2 * found
    return _Part(
        ids=ids,
        subjects=np.array([subjects[i] for i in ids]),
        people=people,
        scores=total,
        missing=int((total == 0).all(axis=1).sum()),
    )


def _inner(
    enroll: Callable[..., Scorer], clips: Mapping[str, Array], subjects: Mapping[str, str], rng: np.random.Generator
) -> float:
    """Name one half of the enrollment clips after enrolling the other, to compare views without looking at the test."""
    order: dict[str, list[str]] = {}
    for i in sorted(clips):
        order.setdefault(subjects[i], []).append(i)
    sides: list[list[str]] = [[i for own in order.values() for i in own[k::2]] for k in (0, 1)]
    right = []
    for known, asked in (sides, sides[::-1]):
        if not (known and asked):  # one clip of each person: views count alike
            continue
        scorer = enroll({i: clips[i] for i in known}, {i: subjects[i] for i in known}, rng=rng)
        people = np.array(sorted({subjects[i] for i in known}))
        found = people[np.argmax(scorer({i: clips[i] for i in asked}), axis=1)]
        right += [name == subjects[i] for name, i in zip(found, asked, strict=True)]
    return float(np.mean(right)) if right else 0.0


def _scores(scorer: Scorer, clips: Mapping[str, Array], ids: list[str], enrolled: list[str], people: Array) -> Array:
    """Return standardized scores (N, P): zeros without the view, the lowest score where not enrolled."""
    seen = [i for i in ids if i in clips]
    raw = np.asarray(scorer({i: clips[i] for i in seen}), dtype=float)
    full = np.repeat(raw.min(axis=1, keepdims=True), len(people), axis=1)
    full[:, np.searchsorted(people, enrolled)] = raw
    spread = full.std(axis=1, keepdims=True)
    total = np.zeros((len(ids), len(people)))
    total[np.isin(ids, seen)] = (full - full.mean(axis=1, keepdims=True)) / np.where(spread > 1e-12, spread, np.inf)
    return total


def _join(name: str, attacker: str, parts: Sequence[_Part]) -> Trials:
    return Trials(
        attack=name,
        attacker=attacker,
        ids=tuple(i for part in parts for i in part.ids),
        subjects=np.concatenate([part.subjects for part in parts]),
        people=parts[0].people,
        scores=np.concatenate([part.scores for part in parts]),
        half=np.repeat(np.arange(len(parts)), [len(part.ids) for part in parts]),
        missing=sum(part.missing for part in parts),
    )


def named_together(
    scores: Array, truth: Array, subjects: Array, half: Array, *, rng: np.random.Generator
) -> dict[str, Estimate]:
    """Return how often a person is named by the sum of the scores of several recordings.

    Args:
        scores: (N, P) of each recording and enrolled person; higher is more likely.
        truth: (N,) column of the right person.
        subjects: (N,) who is in it.
        half: (N,) only recordings asked in the same half are added up.
        rng: Groups, and the people drawn for the interval.

    Returns:
        ``top1_5``, of random groups of five, and ``person_top1``, of all of a half. Their ``n`` counts the halves of
        people's recordings; those with fewer than five have no part in ``top1_5``, which is NaN where none is left.

    Example:
        >>> scores = np.array([[3.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> found = named_together(scores, np.array([0, 0, 1]), np.array(["a", "a", "b"]), np.zeros(3),
        ...     rng=np.random.default_rng(0))
        >>> found["person_top1"].value, found["top1_5"].n
        (1.0, 0)
    """
    keys = list(dict.fromkeys(zip(subjects.tolist(), half.tolist(), strict=True)))
    parts = [np.flatnonzero((subjects == person) & (half == number)) for person, number in keys]

    def credit(rows: Array, count: int, groups: int) -> float:
        if len(rows) < count:
            return float("nan")
        total = np.stack([scores[rng.permutation(rows)[:count]].sum(axis=0) for _ in range(groups)])
        return float(top1_credit(total, np.repeat(truth[rows[0]], groups)).mean())

    people = np.array([person for person, _ in keys])
    credits = {
        "top1_5": [credit(rows, _SEVERAL, _GROUPS) for rows in parts],
        "person_top1": [credit(rows, len(rows), 1) for rows in parts],
    }
    return {figure: _over_people(np.array(values), people, rng) for figure, values in credits.items()}


def _over_people(values: Array, people: Array, rng: np.random.Generator) -> Estimate:
    """Return the mean; where all people are alike, resampling finds no interval and Wilson's is given."""
    found = mean_over_people(values, people, rng=rng)
    if found.low < found.high or not found.n:
        return found
    low, high = wilson_ends(found.value, len(np.unique(people[np.isfinite(values)])))
    return replace(found, low=low, high=high)


def few_recordings(together: Mapping[str, Estimate]) -> str:
    """Say how many halves are too small for groups of five; empty where none is."""
    every, large = together["person_top1"].n, together["top1_5"].n
    if large == every:
        return ""
    said = "left out" if large else "not measured"
    return f"{said}: {every - large} of {every} halves of a person's recordings hold fewer than {_SEVERAL}"


def measure_trials(trials: Trials, *, modality: str, rng: np.random.Generator) -> list[Result]:
    """Return the ``FIGURES``: named from one recording, from five, from all; how well pairs are told apart."""
    found = {"top1": mean_over_people(top1_credit(trials.scores, trials.truth), trials.subjects, rng=rng)}
    linked, histograms = verification(trials.scores, trials.truth, trials.subjects, rng=rng)
    together = named_together(trials.scores, trials.truth, trials.subjects, trials.half, rng=rng)
    found |= linked | together
    note = f"{trials.missing} recordings without anything to look at count as guesses" if trials.missing else ""
    few = "; ".join(part for part in (note, few_recordings(together)) if part)
    return [
        Result(
            modality=modality,
            question="identify",
            method=trials.attack,
            figure=figure,
            attacker=trials.attacker,
            value=found[figure].value,
            low=found[figure].low,
            high=found[figure].high,
            n=found[figure].n,
            control=_CONTROLS.get(figure, 1 / len(trials.people)),
            better=better,
            reason=few if figure == "top1_5" else note,
            detail=histograms if figure == "eer" else {},
        )
        for figure, better in FIGURES.items()
    ]


def not_measured(attack: Any, name: str, error: Exception, *, modality: str) -> list[Result]:
    """Return rows without a value for an attack that could not be run: of one that names people, every figure's."""
    question = attack.question
    if question != "identify":
        return [unmeasured(name, question, error, modality=modality)]
    return [
        unmeasured(name, question, error, figure=figure, modality=modality, attacker=attacker, better=better)
        for attacker in ATTACKERS
        for figure, better in FIGURES.items()
    ]
