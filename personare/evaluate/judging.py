"""Judges a release: every attack and every measure that applies, each beside the same figure on unprotected data."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from personare.core.errors import DataError, OptionError
from personare.core.randomness import generator
from personare.core.registry import create, find, load
from personare.core.types import Evidence, Result
from personare.data.splits import content_halves
from personare.evaluate.choice import measure_chosen
from personare.evaluate.identification import Halves, Trials, identify, measure_trials, not_measured
from personare.evaluate.needs import Need
from personare.evaluate.reading import ANSWERS, Reading
from personare.evaluate.selftest import marked, strongest
from personare.evaluate.unmeasured import unmeasured

__all__ = ["applies", "check_attacks", "judge"]

_ATTACKS = "personare.evaluate.attacks"
_UTILITIES = "personare.evaluate.utility"
_Options = Mapping[str, Mapping[str, Any]]


def judge(
    original: Evidence,
    released: Evidence,
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
        released: The same recordings after. Evidence equal to ``original`` gives the self-tests and baselines: the
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

    Example:
        >>> import pandas as pd
        >>> nothing = Evidence(table=pd.DataFrame({"subject": []}), views={})
        >>> judge(nothing, nothing, modality="audio", seed=0, attacks=[], utilities=[])
        []
    """
    unprotected = released is original or _equal(original, released)
    released = original if unprotected else released
    check_attacks(attacks or (), "recordings")
    chosen = [_chosen(folder, names, modality) for folder, names in ((_ATTACKS, attacks), (_UTILITIES, utilities))]
    if not unprotected and not baseline:
        baseline = judge(
            original,
            original,
            modality=modality,
            seed=seed,
            attacks=chosen[0],
            utilities=chosen[1],
            options=options,
            label=label,
            label_kind=label_kind,
        )
    rows = _risks(original, released, (modality, seed), chosen[0], options or {})
    rows = marked(rows, rows if unprotected else baseline or ())
    rows += strongest(rows, modality)
    asked = {name: {"label": label, "kind": label_kind} for name in chosen[1] if _reads_label(name)}
    given = {name: {**asked.get(name, {}), **(options or {}).get(name, {})} for name in chosen[1]}
    rows += _utilities(original, released, (modality, seed), given, asked)
    known = {r.key: r.value for r in (rows if unprotected else baseline or ())}
    name = "original" if unprotected else ""
    return [replace(r, release=name, baseline=known.get(r.key, float("nan"))) for r in rows]


def applies(method: Any, modality: str) -> bool:
    """Whether a method can be used on a release of these modalities.

    A method of one modality needs that one, a method of ``audio+video`` both, a method of ``any`` takes what it gets.
    """
    wanted = str(method.modality)
    return wanted == "any" or set(wanted.split("+")) <= set(modality.split("+"))


def check_attacks(names: Sequence[str], kind: str) -> None:
    """Refuse attacks that cannot be made on a kind of release: named there, they would silently do nothing.

    Args:
        names: Files of ``evaluate/attacks``.
        kind: Of release: ``recordings``, ``representations``, ``synthetic`` or ``model``.

    Raises:
        OptionError: One of them is about other kinds of release.
    """
    for name in names:
        attack = load(_ATTACKS, name)
        if kind not in attack.kinds:
            raise OptionError(
                f"{name} attacks releases of the kind {' or '.join(attack.kinds)}, not {kind}, and would do nothing "
                "here. In a study, attacks on models are named under membership and disclosure, and those on synthetic "
                "people are always run."
            )


def _chosen(folder: str, names: Sequence[str] | None, modality: str) -> list[str]:
    wanted = find(folder) if names is None else names
    return [name for name in wanted if applies(load(folder, name), modality)]


def _equal(one: Evidence, other: Evidence) -> bool:
    """Whether two sets of evidence are the same recordings, unchanged."""
    if not one.table.equals(other.table) or set(one.views) != set(other.views):
        return False
    return all(
        set(one.views[view]) == set(other.views[view])
        and all(_same(array, other.views[view][name]) for name, array in one.views[view].items())
        for view in one.views
    )


def _same(one: Any, other: Any) -> bool:
    return one.shape == other.shape and np.array_equal(one, other, equal_nan=np.issubdtype(one.dtype, np.floating))


def _halves(original: Evidence, seed: int) -> tuple[Halves, str]:
    """Return both directions of the split by content, and what must be said about it."""
    enroll, test, *left_out = content_halves(original.table, rng=generator(seed, "content halves"))
    alone = list(left_out[0]) if left_out else []
    note = f"{len(alone)} people with a single recording cannot be tested" if alone else ""
    return [(enroll, test), (test, enroll)], note


def _risks(
    original: Evidence, released: Evidence, how: tuple[str, int], names: Sequence[str], options: _Options
) -> list[Result]:
    modality, seed = how
    if not names:
        return []
    subjects = original.table["subject"].to_numpy(dtype=str)
    lacking = {name: Need.of(load(_ATTACKS, name)).lacking(subjects) for name in names}
    rows = [
        row
        for name, why in lacking.items()
        if why
        for row in not_measured(load(_ATTACKS, name), name, DataError(why), modality=modality)
    ]
    names = [name for name in names if not lacking[name]]
    naming = any(hasattr(load(_ATTACKS, name), "fit") for name in names)
    halves, note = _halves(original, seed) if naming else ([], "")
    trials: list[Trials] = []
    # attacks that join what others found come after those others
    for name in sorted(names, key=lambda n: not hasattr(load(_ATTACKS, n), "fit")):
        attack = create(_ATTACKS, name, options.get(name))  # an option that it does not have is the user's to mend
        try:
            if hasattr(attack, "fit"):
                found = identify(attack, original, released, name=name, halves=halves, seed=seed)
                trials += found
                if hasattr(attack, "compare"):
                    rows += attack.compare(original, released, rng=generator(seed, "compare", name))
            else:
                found = attack(original, released, trials=trials, rng=generator(seed, "attack", name))
            rows += _measured(found, modality, generator(seed, "bootstrap", name))
        except Exception as error:
            rows += not_measured(attack, name, error, modality=modality)
    return [replace(r, reason="; ".join(part for part in (r.reason, note) if part)) for r in rows]


def _measured(found: Iterable[Trials | Result], modality: str, rng: np.random.Generator) -> list[Result]:
    rows: list[Result] = []
    for one in found:
        rows += [replace(one, modality=modality)] if isinstance(one, Result) else []
        rows += measure_trials(one, modality=modality, rng=rng) if isinstance(one, Trials) else []
    return rows


def _reads_label(name: str) -> bool:
    return {"label", "kind"} <= {f.name for f in fields(load(_UTILITIES, name))}


def _utilities(
    original: Evidence, released: Evidence, how: tuple[str, int], options: _Options, reading: Collection[str]
) -> list[Result]:
    """Run every measure; of those in ``reading``, the best is chosen for each person on all others."""
    modality, seed = how
    rows: list[Result] = []
    readers: dict[str, dict[str, Reading]] = {}
    for name, chosen in options.items():
        measure = create(_UTILITIES, name, chosen)
        try:
            if why := Need.of(measure).lacking(original.table["subject"].to_numpy(dtype=str)):
                raise DataError(why)
            found = measure(original, released, rng=generator(seed, "utility", name))
        except Exception as error:
            found = [unmeasured(name, "read", error)]
        for row in found:
            answers = row.detail.get(ANSWERS)
            if answers is not None and name in reading:
                readers.setdefault(row.attacker, {})[row.method] = answers
            detail = {key: value for key, value in row.detail.items() if key != ANSWERS}
            rows.append(replace(row, modality=modality, detail=detail))
    for who, same in readers.items():
        try:
            found = measure_chosen(same, modality=modality, rng=generator(seed, "choose", who))
        except Exception as error:
            found = [unmeasured("reader", "read", error, modality=modality, attacker=who)]
        rows += [replace(row, detail={k: v for k, v in row.detail.items() if k != ANSWERS}) for row in found]
    return rows
