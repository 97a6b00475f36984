"""Judges a release of recordings: every attack and every measure that applies, each beside originals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.registry import create, find, load
from personare.core.types import RISKS, Array, Batch, Result
from personare.data.splits import content_halves
from personare.evaluate.identification import Halves, Trials, identify, measure_trials, not_measured
from personare.evaluate.reading import ANSWERS, Reading, measure_chosen
from personare.evaluate.selftest import marked, strongest
from personare.evaluate.unmeasured import answers, kinds_of, unmeasured

_ATTACKS = "personare.evaluate.attacks"
_UTILITIES = "personare.evaluate.utility"
_Options = Mapping[str, Mapping[str, Any]]


def judge(
    original: Batch,
    released: Batch,
    *,
    modality: str,
    seed: int,
    attacks: Sequence[str] | None = None,
    utilities: Sequence[str] | None = None,
    options: _Options | None = None,
    baseline: Sequence[Result] | None = None,
    label: str = "emotion",
    label_kind: str = "",
) -> list[Result]:
    """Measure what a release still tells about behavior and about the person.

    **Guarantee**: an attack that fails its self-test on unprotected data is marked ``not informative`` and never counts
    as the strongest; a figure that cannot be had is NaN with a reason. The same arguments give the same rows.

    Args:
        original: The recordings before.
        released: The same recordings after. A batch equal to ``original`` gives the self-tests and baselines: the
            three attackers are then one.
        modality: What was released: ``audio``, ``video`` or ``audio+video``.
        seed: Everything random follows from it.
        attacks: Files of ``evaluate/attacks``; None for all that apply.
        utilities: Files of ``evaluate/utility``; None for all that apply.
        options: Options by method name.
        baseline: Rows of ``judge(original, original, ...)``; measured here where absent.
        label: What measures of behavior read.
        label_kind: Of the label; empty to tell from its values.

    Returns:
        One row for each figure and attacker or reader; rows of the method ``strongest``: the strongest informative
        attack; and of ``reader``: the reader that is chosen for each person on all others.
        ``release`` is empty (``original`` for unprotected data).
    """
    unprotected = released is original or _equal(original, released)
    released = original if unprotected else released
    check_attacks(attacks or (), "recordings")
    attacks, utilities = (
        [name for name in (find(folder) if names is None else names) if applies(load(folder, name), modality)]
        for folder, names in ((_ATTACKS, attacks), (_UTILITIES, utilities))
    )
    if not unprotected and not baseline:
        baseline = judge(
            original,
            original,
            modality=modality,
            seed=seed,
            attacks=attacks,
            utilities=utilities,
            options=options,
            label=label,
            label_kind=label_kind,
        )
    options = options or {}
    rows = _risks(original, released, modality, seed, attacks, options) if attacks else []
    rows = marked(rows, rows if unprotected else baseline or ())
    rows += strongest(rows, modality)
    asked = {"label": label, "kind": label_kind}
    labelled = {n for n in utilities if {"label", "kind"} <= {f.name for f in fields(load(_UTILITIES, n))}}
    given = {name: {**(asked if name in labelled else {}), **options.get(name, {})} for name in utilities}
    rows += _utilities(original, released, modality, seed, given, labelled)
    known = {r.key: r.value for r in (rows if unprotected else baseline or ())}
    name = "original" if unprotected else ""
    return [replace(r, release=name, baseline=known.get(r.key, float("nan"))) for r in rows]


def applies(method: Any, modality: str) -> bool:
    """Whether a method can be used on a release of recordings of these modalities.

    A method of one modality needs that one, a method of ``audio+video`` both, a method of ``any`` takes what it gets.
    """
    if not answers(method, "recordings"):
        return False
    return method.modality == "any" or set(method.modality.split("+")) <= set(modality.split("+"))


def check_attacks(names: Sequence[str], kind: str, questions: Sequence[str] = RISKS) -> None:
    """Refuse attacks that cannot be made on a kind of release, or ask something else: they would silently do nothing.

    ``kind`` is ``recordings``, ``representations``, ``synthetic`` or ``model``; ``questions`` as of ``Result``.
    """
    for name in names:
        attack = load(_ATTACKS, name)
        if getattr(attack, "question", "") not in RISKS:
            raise OptionError(f"{name} must say in its class which question it asks: one of {', '.join(RISKS)}.")
        if not answers(attack, kind):
            whose = " or ".join(kinds_of(attack))
            raise OptionError(
                f"{name} attacks releases of the kind {whose}, not {kind}, and would do nothing here. In a study, "
                "attacks on models are named under membership and disclosure; those on synthetic people are always run."
            )
        if attack.question not in questions:
            raise OptionError(
                f"{name} asks to {attack.question}, and here is asked to {' or '.join(questions)}. 'personare methods' "
                "says which question each attack asks."
            )


@dataclass(frozen=True, kw_only=True)
class Need:
    """How many ``people``, each with so many recordings, something needs, and ``why`` where it is not plain."""

    people: int
    recordings_per_person: int = 1
    why: str = ""

    @classmethod
    def of(cls, method: Any) -> "Need":
        """Return what a method's class attributes declare.

        Where they are silent: to name people, three with two recordings each; else two people.
        """
        naming = getattr(method, "question", "") == "identify"
        people = getattr(method, "needs_people", 3 if naming else 2)
        each = getattr(method, "needs_recordings_per_person", 2 if naming else 1)
        return cls(people=people, recordings_per_person=each)

    def lacking(self, subjects: Array) -> str:
        """Return why there are too few people among (N,) subjects of recordings; empty where there are enough.

        Example:
            >>> Need(people=3, recordings_per_person=2).lacking(np.array(["a", "a", "b", "c"]))
            'too few people: 3 people with 2 recordings each needed, 1 there (of 3 people)'
        """
        counts = np.unique(np.asarray(subjects, dtype=str), return_counts=True)[1]
        found = int((counts >= self.recordings_per_person).sum())
        if found >= self.people:
            return ""
        each = f" with {self.recordings_per_person} recordings each" if self.recordings_per_person > 1 else ""
        of = f" (of {len(counts)} people)" if found < len(counts) else ""
        return f"too few people: {self.people} people{each}{self.why and f' {self.why}'} needed, {found} there{of}"


def _equal(one: Batch, other: Batch) -> bool:
    """Whether two batches are the same recordings, unchanged."""
    if one.table is None or other.table is None or not one.table.equals(other.table):
        return False
    if set(one.arrays) != set(other.arrays):
        return False

    def same(a: Array, b: Array) -> bool:
        return a.shape == b.shape and np.array_equal(a, b, equal_nan=np.issubdtype(a.dtype, np.floating))

    for track in one.arrays:
        before, after = one.clips(track), other.clips(track)
        if set(before) != set(after) or not all(same(clip, after[name]) for name, clip in before.items()):
            return False
    return True


def _risks(
    original: Batch, released: Batch, modality: str, seed: int, names: Sequence[str], options: _Options
) -> list[Result]:
    """Run every attack; those that join what others found come after those others."""
    attacks = {
        name: load(_ATTACKS, name) for name in sorted(names, key=lambda n: not hasattr(load(_ATTACKS, n), "fit"))
    }
    lacking = {name: Need.of(attack).lacking(original.subjects) for name, attack in attacks.items()}
    rows = [
        row
        for name in names
        if lacking[name]
        for row in not_measured(attacks[name], name, DataError(lacking[name]), modality=modality)
    ]
    attacks = {name: attack for name, attack in attacks.items() if not lacking[name]}
    halves: Halves = []
    reason = ""
    if any(hasattr(attack, "fit") for attack in attacks.values()):
        if original.table is None:
            raise DataError("Naming people needs a table of facts beside their recordings.")
        enroll, test, alone = content_halves(original.table, rng=generator(seed, "content halves"))
        halves = [(enroll, test), (test, enroll)]
        reason = f"{len(alone)} people with a single recording cannot be tested" if alone else ""
    trials: list[Trials] = []
    for name in attacks:
        attack = create(_ATTACKS, name, options.get(name))  # an option that it does not have is the user's to mend
        found: list[Trials | Result] = []
        try:
            if hasattr(attack, "fit"):
                named = identify(attack, original, released, name=name, halves=halves, seed=seed)
                trials += named
                if hasattr(attack, "compare"):
                    rows += attack.compare(original, released, rng=generator(seed, "compare", name))
                found += named
            else:
                found += attack(original, released, trials=trials, rng=generator(seed, "attack", name))
            rng = generator(seed, "bootstrap", name)
            measured = [[f] if isinstance(f, Result) else measure_trials(f, modality=modality, rng=rng) for f in found]
            rows += [replace(row, modality=modality) for part in measured for row in part]
        except Exception as error:
            rows += not_measured(attack, name, error, modality=modality)
    return [replace(r, reason="; ".join(part for part in (r.reason, reason) if part)) for r in rows]


def _utilities(
    original: Batch, released: Batch, modality: str, seed: int, options: _Options, labelled: set[str]
) -> list[Result]:
    """Run every measure; of those that read the label, the best is chosen for each person on all others."""
    rows: list[Result] = []
    readers: dict[str, dict[str, Reading]] = {}
    for name, chosen in options.items():
        measure = create(_UTILITIES, name, chosen)
        try:
            if why := Need.of(measure).lacking(original.subjects):
                raise DataError(why)
            found = measure(original, released, rng=generator(seed, "utility", name))
        except Exception as error:
            found = [unmeasured(name, "read", error)]
        for row in found:
            if name in labelled and ANSWERS in row.detail:
                readers.setdefault(row.attacker, {})[row.method] = row.detail[ANSWERS]
        rows += found
    for who, same in readers.items():
        try:
            rows += measure_chosen(same, modality=modality, rng=generator(seed, "choose", who))
        except Exception as error:
            rows.append(unmeasured("reader", "read", error, attacker=who))
    shown = [{key: value for key, value in row.detail.items() if key != ANSWERS} for row in rows]
    return [replace(row, modality=modality, detail=detail) for row, detail in zip(rows, shown, strict=True)]
