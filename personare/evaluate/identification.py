"""Who is it: an attack names people as each of the three attackers, and how well it does is measured.

Each person's recordings are halved by content (``data/splits.py``): one half is enrolled, the other is to be named, and
then the other way round, so that every recording is named once. A person is also named from five recordings of a half
and from all of them: who holds several knows more than one of them tells.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from personare.core.errors import DataError
from personare.core.protocols import Enroller, Identifier, Scorer
from personare.core.randomness import generator
from personare.core.strongest import GAIN
from personare.core.types import Array, Batch, Result
from personare.evaluate.classifiers import Clips, standardized
from personare.evaluate.clips import usable_clips
from personare.evaluate.metrics import mean_over_people, no_narrower, rank_credit, top1_credit, verification
from personare.evaluate.unmeasured import measured, unmeasured

ATTACKERS = ("ignorant", "lazy_informed", "semi_informed")
Halves = Sequence[tuple[Sequence[str], Sequence[str]]]
FIGURES: Mapping[str, Literal["higher", "lower"]] = {
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
    """What one attacker made of every recording it had to name."""

    attack: str  # name of the attack's file
    attacker: str  # one of ``ATTACKERS``
    ids: tuple[str, ...]  # (N,) recordings
    subjects: Array  # (N,) who is really in them
    people: Array  # (P,) everybody enrolled, sorted
    scores: Array  # (N, P) standardized within each recording; a row of zeros where there was nothing to look at
    half: Array  # (N,) which half of the recordings it was asked in; the other one was enrolled

    @property
    def truth(self) -> Array:
        """(N,) column of the right person."""
        return np.asarray(np.searchsorted(self.people, self.subjects))

    @property
    def missing(self) -> int:
        """How many recordings had nothing to look at."""
        return int((self.scores == 0).all(axis=1).sum())


def identify(
    identifier: Identifier,
    original: Batch,
    released: Batch,
    *,
    name: str,
    halves: Halves,
    seed: int,
    trained: dict[Any, Enroller] | None = None,
) -> list[Trials]:
    """Let an attack name the people of a release as each of the three attackers.

    ``ignorant`` is trained and enrolled on originals, ``lazy_informed`` trained on originals and enrolled on released,
    ``semi_informed`` trained and enrolled on released recordings. On unprotected data, the very same object twice, the
    three are one. Of several ``views`` each is tried, and enrollment data say how far to believe it. ``halves`` are
    (enroll, test) ids, usually both ways round. What is ``trained`` is added to what is given as such, and not trained
    again.
    """
    before = {view: usable_clips(original, view) for view in identifier.views}  # type: ignore[attr-defined]
    after = before if released is original else {view: usable_clips(released, view) for view in before}
    shown = set(released.ids)

    def enough(clips: Clips, there: set[str]) -> bool:
        """Whether at least half of the recordings on either side of the split can be looked at."""
        parts = [[i for i in ids if i in there] for half in halves for ids in half]
        return all(part and 2 * sum(i in clips for i in part) >= len(part) for part in parts)

    views = [view for view in before if enough(before[view], set(original.ids)) and enough(after[view], shown)]
    if not views:
        counts = [max(len(clips) for clips in side.values()) for side in (before, after)]
        raise DataError(
            f"{' or '.join(before)} must be there in at least half of the recordings; it is in {counts[0]} of "
            f"{len(original)} originals, {counts[1]} of {len(released)} released"
        )
    subjects = dict(zip(original.ids, original.subjects.tolist(), strict=True))
    people = np.unique([subjects[i] for half in halves for part in half for i in part])
    learns = getattr(identifier, "learns", True)
    trained = {} if trained is None else trained
    # what each attacker is trained on, and enrolls with
    attackers = dict(zip(ATTACKERS, ((before, before), (before, after), (after, after)), strict=True))
    if released is original:
        attackers = {"semi_informed": (after, after)}
    scores: dict[str, list[Array]] = {attacker: [] for attacker in attackers}
    tested = [[i for i in test if i in shown] for _, test in halves]
    for number, (enroll, _) in enumerate(halves):
        for attacker, (learned_from, enrolled_with) in attackers.items():
            rng = generator(seed, "identify", name, attacker, str(number))
            total = np.zeros((len(tested[number]), len(people)))
            for view in views:
                # two attackers share what was trained; what learns nothing is one for everybody, in both directions
                key = (view, number, learned_from is after) if learns else ()
                if key not in trained:
                    seen = _some(learned_from[view], enroll)
                    trained[key] = identifier.fit(seen, {i: subjects[i] for i in seen}, rng=rng)
                clips = _some(enrolled_with[view], enroll)
                # views count as much as they name enrollment clips better than guessing
                belief = 1.0
                if len(views) > 1:
                    belief = _inner(trained[key], clips, subjects, rng) - 1 / len(people)
                enrolled = {i: subjects[i] for i in clips}
                asked = _some(after[view], tested[number])
                raw = np.asarray(trained[key].enroll(clips, enrolled, rng=rng)(asked), dtype=float)
                # the lowest score for who could not be enrolled, zeros for recordings without the view
                full = np.repeat(raw.min(axis=1, keepdims=True), len(people), axis=1)
                full[:, np.searchsorted(people, sorted(set(enrolled.values())))] = raw
                total[np.isin(tested[number], list(asked))] += max(belief, 1e-3) ** 2 * standardized(full)
            scores[attacker].append(total)
    if released is original:
        scores = dict.fromkeys(ATTACKERS, scores["semi_informed"])
    return [_trials(name, attacker, parts, tested, subjects, people) for attacker, parts in scores.items()]


def _trials(
    attack: str,
    attacker: str,
    scores: Sequence[Array],
    asked: Sequence[Sequence[str]],
    subjects: Mapping[str, str],
    people: Array,
) -> Trials:
    """Put the scores of both halves, and the ids that were asked in each, together."""
    ids = tuple(i for part in asked for i in part)
    return Trials(
        attack=attack,
        attacker=attacker,
        ids=ids,
        subjects=np.array([subjects[i] for i in ids]),
        people=people,
        scores=np.concatenate(scores),
        half=np.repeat(np.arange(len(asked)), [len(part) for part in asked]),
    )


def _some(clips: Clips, ids: Sequence[str]) -> dict[str, Array]:
    return {i: clips[i] for i in ids if i in clips}


def _inner(enroller: Enroller, clips: Clips, subjects: Mapping[str, str], rng: np.random.Generator) -> float:
    """Name one half of the enrollment clips after enrolling the other, to compare views without looking at the test."""
    order: dict[str, list[str]] = {}
    for i in sorted(clips):
        order.setdefault(subjects[i], []).append(i)
    sides: list[list[str]] = [[i for ids in order.values() for i in ids[k::2]] for k in (0, 1)]
    right = []
    for enrolled, asked in (sides, sides[::-1]):
        if not (enrolled and asked):  # one clip of each person: views count alike
            continue
        whose = {i: subjects[i] for i in enrolled}
        scorer = enroller.enroll(_some(clips, enrolled), whose, rng=rng)
        named = np.unique(list(whose.values()))[np.argmax(scorer(_some(clips, asked)), axis=1)]
        right += [name == subjects[i] for name, i in zip(named, asked, strict=True)]
    return float(np.mean(right)) if right else 0.0


def learning_gain(
    identifiers: Mapping[str, Identifier],
    released: Batch,
    trials: Sequence[Trials],
    *,
    halves: Halves,
    trained: Mapping[str, dict[Any, Enroller]],
    seed: int,
) -> list[Result]:
    """Return what the second half of the recordings that the strongest attack learned from added to it: ``GAIN``.

    As the ``semi_informed`` attacker it is trained and enrolled anew on either half of each person's recordings, parted
    at random, and names the same ones: of one attack only, that costs about one training more. The figure is the share
    of other people whom the right one passed: it rises before more are named at the first guess.

    **Source**: M. Panariello et al., "The risks and detection of overestimated privacy protection in voice
    anonymisation", 2025, arXiv:2507.22534, on privacy that only seems high because the attacker was trained badly; to
    find it by half of the data is ours.
    """
    retrained = [t for t in trials if t.attacker == "semi_informed"]
    if not retrained:
        return []
    full = max(retrained, key=lambda t: float(top1_credit(t.scores, t.truth).mean()))
    name = full.attack
    rng, there = generator(seed, "learning gain", name), set(released.ids)
    subjects = dict(zip(released.ids, released.subjects.tolist(), strict=True))

    def parted(ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return two halves of each person's recordings; a single one is in both."""
        mine: dict[str, list[str]] = {}
        for i in rng.permutation([i for i in ids if i in there]).tolist():
            mine.setdefault(subjects[i], []).append(i)
        pairs = [(own[: max(1, len(own) // 2)], own[-max(1, len(own) // 2) :]) for own in mine.values()]
        return [i for first, _ in pairs for i in first], [i for _, second in pairs for i in second]

    def measure() -> list[Result]:
        parts = [parted(enroll) for enroll, _ in halves]
        if all(first == second for first, second in parts):
            raise DataError("nobody has two recordings to learn from, so that half of them cannot be taken away")
        asked = [[i for i in test if i in there] for _, test in halves]
        attack = identifiers[name]
        kept = {} if getattr(attack, "learns", True) else trained[name]
        gained = rank_credit(full.scores, full.truth)
        for enrolled in zip(*parts, strict=True):
            fewer = list(zip(enrolled, asked, strict=True))
            half = identify(attack, released, released, name=name, halves=fewer, seed=seed, trained=dict(kept))[-1]
            gained = gained - rank_credit(half.scores, half.truth) / 2
        estimate = mean_over_people(gained, full.subjects, rng=rng)
        columns = {**estimate.columns, "control": 0.0, "better": "lower"}
        return [Result(question="identify", method=name, figure=GAIN, attacker="semi_informed", **columns)]

    return measured(name, "identify", measure, figure=GAIN, attacker="semi_informed")


def name_rows(
    attack: str,
    values: Array,
    table: pd.DataFrame,
    halves: Halves,
    enroll: Callable[[Clips, Mapping[str, str]], Scorer],
    *,
    figures: Sequence[str],
    rng: np.random.Generator,
) -> list[Result]:
    """Enroll everybody by (N, D) numbers of one half of their recordings, and name them in the other; both ways round.

    ``table`` has N rows by recording id, with ``subject``; of the ``halves``, as of ``identify``, everybody is in both.
    ``enroll`` learns the people of some vectors; what it returns scores others. The attacker is ``semi_informed``.
    """
    if values.ndim != 2 or len(values) != len(table):
        raise DataError(f"Vectors must be (N, D) for the {len(table)} recordings, given {values.shape}.")
    clips = dict(zip(table.index, values.astype(float), strict=True))
    subjects = {str(i): str(who) for i, who in table["subject"].items()}
    scores = [enroll(_some(clips, enrolled), subjects)(_some(clips, asked)) for enrolled, asked in halves]
    asked = [asked for _, asked in halves]
    people = np.unique([subjects[i] for part in asked for i in part])
    return measure_trials(_trials(attack, "semi_informed", scores, asked, subjects, people), figures=figures, rng=rng)


def measure_trials(
    trials: Trials, *, figures: Sequence[str] = tuple(FIGURES), rng: np.random.Generator
) -> list[Result]:
    """Return how well one attacker names people, whatever kind of release they are named in; some of ``FIGURES``.

    ``top1`` from one recording, ``top1_5`` from random groups of five, ``person_top1`` from all of a half; and how well
    pairs are told apart, see ``verification``. The ``n`` of groups counts the halves of people's recordings; those with
    fewer than five have no part in ``top1_5``, which is NaN where none is left.
    """
    scores, truth, subjects = trials.scores, trials.truth, trials.subjects
    estimates = {"top1": mean_over_people(top1_credit(scores, truth), subjects, rng=rng)}
    linked, histograms = verification(scores, truth, subjects, rng=rng)
    groups: dict[tuple[str, int], list[int]] = {}
    for row, key in enumerate(zip(subjects.tolist(), trials.half.tolist(), strict=True)):
        groups.setdefault(key, []).append(row)
    parts = [np.array(rows) for rows in groups.values()]
    whose = np.array([person for person, _ in groups])

    def credit(rows: Array, count: int, groups: int) -> float:
        if len(rows) < count:
            return float("nan")
        total = np.stack([scores[rng.permutation(rows)[:count]].sum(axis=0) for _ in range(groups)])
        return float(top1_credit(total, np.repeat(truth[rows[0]], groups)).mean())

    credits = {
        "top1_5": np.array([credit(rows, _SEVERAL, _GROUPS) for rows in parts]),
        "person_top1": np.array([credit(rows, len(rows), 1) for rows in parts]),
    }
    estimates |= linked
    for figure, values in credits.items():
        people = len(np.unique(whose[np.isfinite(values)]))
        estimates[figure] = no_narrower(mean_over_people(values, whose, rng=rng), people)
    large, every = estimates["top1_5"].n, estimates["person_top1"].n
    few = f"{every - large} of {every} halves of a person's recordings hold fewer than {_SEVERAL}"
    few = "" if large == every else f"{'left out' if large else 'not measured'}: {few}"
    remark = f"{trials.missing} recordings without anything to look at count as guesses" if trials.missing else ""
    return [
        Result(
            question="identify",
            method=trials.attack,
            figure=figure,
            attacker=trials.attacker,
            **estimates[figure].columns,
            control=_CONTROLS.get(figure, 1 / len(trials.people)),
            better=FIGURES[figure],
            reason="; ".join(filter(None, (remark, few if figure == "top1_5" else ""))),
            detail=histograms if figure == "eer" else {},
        )
        for figure in figures
    ]


def not_measured(attack: Any, name: str, error: Exception) -> list[Result]:
    """Return rows without a value for an attack that could not be run: of one that names people, every figure's."""
    if attack.question != "identify":
        return [unmeasured(name, attack.question, error)]
    return [
        unmeasured(name, "identify", error, figure=figure, attacker=attacker, better=better)
        for attacker in ATTACKERS
        for figure, better in FIGURES.items()
    ]
