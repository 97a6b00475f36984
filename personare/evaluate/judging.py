"""Judges a release of recordings: every attack and every measure that applies, each beside originals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.protocols import Enroller
from personare.core.randomness import generator
from personare.core.registry import create, find, load
from personare.core.types import RISKS, Array, Batch, Result
from personare.data.splits import content_halves
from personare.evaluate.identification import Halves, Trials, identify, learning_gain, measure_trials, not_measured
from personare.evaluate.reading import ANSWERS, Reading, measure_chosen
from personare.evaluate.selftest import marked, strongest
from personare.evaluate.unmeasured import answers, kinds_of, measured, unmeasured

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

    There is a row for each figure and attacker or reader; ``strongest`` is the strongest informative attack, ``reader``
    the reader that is chosen for each person on all others. ``release`` is empty (``original`` for unprotected data).

    Args:
        original: The recordings before.
        released: The same recordings after. A batch equal to ``original`` gives the self-tests and baselines: the
            three attackers are then one.
        modality: What was released: ``audio``, ``video`` or ``audio+video``.
        seed: Everything random follows from it.
        attacks: Files of ``evaluate/attacks``; None for all that apply.
        utilities: Files of ``evaluate/utility``; None for all that apply.
        options: By method name.
        baseline: Rows of ``judge(original, original, ...)``; measured here where absent.
        label: What measures of behavior read.
        label_kind: See ``data/labels.py``; empty to tell from the label's values.
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
    rows = _risks(original, released, seed, attacks, options)
    rows = marked(rows, rows if unprotected else baseline or ())
    rows += strongest(rows)
    rows += _utilities(original, released, seed, utilities, options, {"label": label, "kind": label_kind})
    before = {r.key: r.value for r in (rows if unprotected else baseline or ())}
    name = "original" if unprotected else ""
    return [replace(r, release=name, modality=modality, baseline=before.get(r.key, float("nan"))) for r in rows]


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
        people, each = (3, 2) if getattr(method, "question", "") == "identify" else (2, 1)
        return cls(
            people=getattr(method, "needs_people", people),
            recordings_per_person=getattr(method, "needs_recordings_per_person", each),
        )

    def lacking(self, subjects: Array) -> str:
        """Return why there are too few people among (N,) subjects of recordings; empty where there are enough."""
        counts = np.unique(np.asarray(subjects, dtype=str), return_counts=True)[1]
        enough = int((counts >= self.recordings_per_person).sum())
        if enough >= self.people:
            return ""
        each = f" with {self.recordings_per_person} recordings each" if self.recordings_per_person > 1 else ""
        of = f" (of {len(counts)} people)" if enough < len(counts) else ""
        return f"too few people: {self.people} people{each}{self.why and f' {self.why}'} needed, {enough} there{of}"


def _equal(one: Batch, other: Batch) -> bool:
    """Whether two batches are the same recordings, unchanged."""
    if one.table is None or other.table is None or not one.table.equals(other.table):
        return False
    pairs = ((one.clips(track), other.clips(track)) for track in {*one.arrays, *other.arrays})
    return all(
        before.keys() == after.keys()
        and all(
            clip.dtype.names == after[i].dtype.names
            and np.array_equal(clip, after[i], equal_nan=clip.dtype.kind == "f")
            for i, clip in before.items()
        )
        for before, after in pairs
    )


def _risks(original: Batch, released: Batch, seed: int, names: Sequence[str], options: _Options) -> list[Result]:
    """Run every attack; those that join what others found come after those others."""
    rows: list[Result] = []
    attacks = {}
    for name in sorted(names, key=lambda n: not hasattr(load(_ATTACKS, n), "fit")):
        attack = create(_ATTACKS, name, options.get(name))  # an option that it does not have is the user's to mend
        if why := Need.of(attack).lacking(original.subjects):
            rows += not_measured(attack, name, DataError(why))
        else:
            attacks[name] = attack
    halves: Halves = []
    reason = ""
    if any(hasattr(attack, "fit") for attack in attacks.values()):
        if original.table is None:
            raise DataError("Naming people needs a table of facts beside their recordings.")
        enroll, test, single = content_halves(original.table, rng=generator(seed, "content halves"))
        halves = [(enroll, test), (test, enroll)]
        reason = f"{len(single)} people with a single recording cannot be tested" if single else ""
    trials: list[Trials] = []
    trained: dict[str, dict[Any, Enroller]] = {}
    for name, attack in attacks.items():
        try:
            if hasattr(attack, "fit"):
                known = trained.setdefault(name, {})
                made = identify(attack, original, released, name=name, halves=halves, seed=seed, trained=known)
                trials += made
                if hasattr(attack, "compare"):
                    rows += attack.compare(original, released, rng=generator(seed, "compare", name))
            else:
                made = attack(original, released, trials=trials, rng=generator(seed, "attack", name))
            rng = generator(seed, "bootstrap", name)
            for part in made:
                rows += [part] if isinstance(part, Result) else measure_trials(part, rng=rng)
        except Exception as error:
            rows += not_measured(attack, name, error)
    rows += learning_gain(attacks, released, trials, halves=halves, trained=trained, seed=seed)
    return [replace(r, reason="; ".join(filter(None, (r.reason, reason)))) for r in rows]


def _utilities(
    original: Batch, released: Batch, seed: int, names: Sequence[str], options: _Options, asked: Mapping[str, str]
) -> list[Result]:
    """Run every measure; of those that read the label, the best is chosen for each person on all others."""
    rows: list[Result] = []
    readers: dict[str, dict[str, Reading]] = {}
    for name in names:
        labelled = asked.keys() <= {field.name for field in fields(load(_UTILITIES, name))}
        settings = {**(asked if labelled else {}), **options.get(name, {})}
        measure = create(_UTILITIES, name, settings)
        run = partial(measure, original, released, rng=generator(seed, "utility", name))
        why = Need.of(measure).lacking(original.subjects)
        for row in [unmeasured(name, "read", DataError(why))] if why else measured(name, "read", run):
            detail = dict(row.detail)
            # readers of another label, or of the same as another kind, are no choice
            if (reading := detail.pop(ANSWERS, None)) and labelled and asked.items() <= settings.items():
                readers.setdefault(row.attacker, {})[row.method] = reading
            rows.append(replace(row, detail=detail))
    for who, same in readers.items():
        choose = partial(measure_chosen, same, rng=generator(seed, "choose", who))
        rows += measured("reader", "read", choose, attacker=who)
    return rows
