"""Synthetic people: cohorts of people who do not exist, made after one of people who do."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from personare.core import registry
from personare.core.errors import DataError, OptionError
from personare.core.protocols import Generator, Sampler
from personare.core.types import Array, Batch, Recording, Result, Spend, Withheld
from personare.data.cohort import CohortWriter, open_cohort, recording_id
from personare.evaluate.synthetic import FitAndSample, judge_shadows, judge_synthetic_risk, judge_synthetic_use
from personare.evaluate.synthetic_case import near_recordings, together
from personare.evaluate.unmeasured import measured
from personare.features.marks import mark
from personare.learn.accounting import as_one_claim
from personare.study.access import Opened, building, part_people
from personare.study.adapting import Experts, keep_made, load_sampler
from personare.study.cards import Sheet, write_datasheet, write_preview
from personare.study.plan import AdaptPlan
from personare.study.rendering import rendering_of, write_recording
from personare.study.study import Outcome, Study, unseeded

__all__ = ["Synthetic"]

_PACKAGE = "personare.synthesize"
_ENOUGH = 10  # people, of whom one can be spared for validation


@dataclass(frozen=True, kw_only=True)
class SyntheticPlan:
    """What people are made up."""

    method: str = ""  # a file of synthesize
    name: str = ""  # unique in a study; anything elsewhere
    options: Mapping[str, Any] = field(default_factory=dict)  # epsilon among them
    people: int = 50  # how many
    recordings: int = 12  # of each
    label: str = ""  # what recordings are made of, such as emotion; empty: the study's
    classes: Sequence[str] = ()  # only these; none: all that the cohort has
    modalities: Sequence[str] = ()  # tracks to learn; none: all but films and events
    held_out: float = 0.2  # share of the people who are kept out of learning, to measure risk and use by
    media: bool = True  # whether sound and films are made of arrays that have none of their own
    watermark: bool = False  # whether sound carries a mark that outlives re-encoding
    adapt: Mapping[str, Any] = field(default_factory=dict)  # an ``AdaptPlan``; all else is then as of the release

    def __post_init__(self) -> None:
        """Check the numbers, and that the method exists and takes its options."""
        if self.adapt:
            AdaptPlan.read(self.adapt)
            if not self.method:  # ``completed`` takes over the rest
                return
        if self.people < 1 or self.recordings < 1:
            raise OptionError(
                f"There must be at least one person and one recording of each, not {self.people} and {self.recordings}."
            )
        if not 0 <= self.held_out < 1:
            raise OptionError(f"held_out must be a share from 0 to below 1, not {self.held_out}. Give e.g. 0.2.")
        registry.create(_PACKAGE, self.method, self.options)

    def completed(self, rows: "Sequence[SyntheticPlan]") -> "SyntheticPlan":
        """Return an adapted release's plan with all that the plan of the release it is of, among ``rows``, says."""
        if not self.adapt:
            return self
        names = {row.name: row for row in rows if not row.adapt}
        if (of := AdaptPlan.read(self.adapt).of) not in names:
            raise OptionError(
                f"{self.name} adapts {of!r}, which must be a [[synthetic]] release of the study, not adapted itself. "
                f"There are: {', '.join(names) or 'none'}."
            )
        return replace(names[of], name=self.name, adapt=self.adapt)

    @property
    def texts(self) -> bool:
        """Whether the generator makes words; else they are not among the tracks that it learns where none are named."""
        return bool(getattr(registry.load(_PACKAGE, self.method), "makes_texts", True))


@dataclass(frozen=True)
class Synthetic:
    """Makes each cohort of synthetic people once, and measures who is found in it and what can be learned from it."""

    row = SyntheticPlan
    slow = True

    def __call__(self, study: Study, rows: Sequence[SyntheticPlan]) -> Outcome:
        """Make and judge these people."""
        outcome, plan = Outcome(), study.plan
        options = {"seed": plan.seed, "shadows": plan.shadows, "canaries": plan.canaries}
        for row in rows:
            if not row.adapt:
                outcome.add(study.make_cohort(row, "synthetic", write_synthetic, options))
                continue
            experts = Experts.of(study, AdaptPlan.read(row.adapt), row.name)
            write = partial(write_synthetic, experts=experts)
            outcome.add(study.make_cohort(row, "synthetic", write, {**options, "experts": experts.key}))
            outcome.rows += [replace(r, release=row.name, kind="synthetic") for r in experts.rows(study, row.name)]
        return outcome


def write_synthetic(study: Study, row: SyntheticPlan, out: Path, experts: Experts | None = None) -> Sheet:
    """Write a cohort of synthetic people.

    **Guarantee**: until everything is written there is no cohort at ``out``; privacy is charged to the people before
    anything is written, and refused where their budget does not suffice; noise that hides people does not follow from
    the seed. Every file, every recording and every person is marked as synthetic, and nothing of the participants'
    table of real people is taken over.

    The study's plan names the seed, the public cohort, the budget, and the generators that attack; ``out`` is an empty
    or absent folder.
    """
    method: Generator = registry.create(_PACKAGE, row.method, dict(row.options))
    private = getattr(method, "epsilon", None) is not None
    with building(out) as part:
        opened = study.opened(row)
        public = study.public_batch(row.label, tuple(opened.batch.arrays))
        labels = _wanted(study, row, opened)
        train, control = part_people(opened.batch, row.held_out, rng=study.rng("held out"))

        def learn(some: Batch, rng: np.random.Generator) -> Sampler:
            """Learn from these people."""
            learned = validation = some  # of few people the same
            if private:
                validation = some.take(np.zeros(0, int))
            elif len(np.unique(some.subjects)) >= _ENOUGH:
                learned, validation = part_people(some, 1 / _ENOUGH, rng=study.rng(row.method, "watched"))
            return method.fit(learned, validation=validation, rng=unseeded(private, rng), public=public)

        rng = study.rng(row.method, "fit")
        adapted = experts.adapt(load_sampler(study.folder, experts.plan.of, method), rng=rng) if experts else None
        sampler = adapted or learn(train, rng)
        if not adapted:
            study.charge(sampler.spends, train.subjects)
        made = sampler(row.people, row.recordings, rng=rng, labels=labels)
        spends = () if experts and experts.lacking else sampler.spends
        generators = study.plan.shadows * (2 if study.plan.canaries else 1)
        with tqdm(desc="generators that attack", total=generators, disable=study.workers.quiet) as bar:

            def again(some: Batch, rng: np.random.Generator) -> Batch:
                bar.update()
                shadow = learn(some, rng)
                if experts:
                    with suppress(DataError):  # where the raters kept out disagree a generator stays as it is
                        shadow = experts.adapt(shadow, rng=rng)
                return shadow(row.people, row.recordings, rng=rng, labels=labels)

            results = judge(study, made, train, control, make=again, spends=spends) if len(control) else []
        problems = _write(study, row, part, made, opened)
        sheet = Sheet(
            kind="synthetic",
            source=study.cohort.name,
            method=row.method,
            options=dict(row.options),
            made_of=(len(set(train.subjects)), len(train)),
            holds=(len(set(made.subjects)), len(made)),
            spends=tuple(spends),
            rows=(*results, *([experts.drift_row(adapted)] if experts and adapted else [])),
            guarantee=experts.guarantee(sampler.spends) if experts else "",
            statement=study.plan.use.statement,
            about=_about(study, row),
            skipped=[*opened.skipped, *problems],
        )
        write_preview(part, open_cohort(part), label=row.label, told=f"{sheet.claim} {sheet.statement}".strip())
        write_datasheet(part, sheet)
        if study.run:
            named = replace(made, ids=tuple(r.id for r in _named(made, row.label)))
            # who is near in a private one would cost more than its claim
            near = np.zeros(len(made), bool) if private else near_recordings(made, train)
            keep_made(study.run, row.name, named, np.array(named.ids)[near].tolist(), None if adapted else sampler)
    study.note(replace(row, adapt={**row.adapt, "feedback": experts.key}) if experts else row, spends)
    return sheet


def judge(
    study: Study, made: Batch, train: Batch, control: Batch, *, make: FitAndSample, spends: Sequence[Spend] = ()
) -> list[Result]:
    """Return use and risks of recordings made after those of ``train``, beside people whom the generator never met.

    ``make`` fits such a generator on some of both: the plan says how many attack, and how many people are planted.
    """
    plan, claim = study.plan, as_one_claim(spends)
    numbers = [name for name, values in train.arrays.items() if values.dtype.kind == "f"]
    made, train, control = (batch.only(*numbers) for batch in (made, train, control))
    use = partial(judge_synthetic_use, made, train, control, rng=study.rng("use"))
    risk = partial(judge_synthetic_risk, made, train, control, rng=study.rng("risk"), claim=claim, models=plan.shadows)
    rows = measured("synthetic", "resemble", use)
    rows += measured("synthetic_membership", "member", partial(risk, make=make if plan.shadows else None))
    if plan.shadows and plan.canaries:
        pool, rng = together([train, control]), study.rng("canaries")
        plant = partial(judge_shadows, pool, make, canaries=plan.canaries, models=plan.shadows, claim=claim, rng=rng)
        rows += measured("synthetic_canaries", "member", plant)
    return rows


def _wanted(study: Study, row: SyntheticPlan, opened: Opened) -> Array | None:
    """Return the classes to make, in equal shares: how often each occurs would tell of the people."""
    classes = opened.batch.classes
    if unknown := sorted(set(row.classes) - set(classes)):
        raise DataError(
            f"Nobody in {study.cohort.name} has the {row.label} {', '.join(unknown)}. Choose from: "
            f"{', '.join(classes)}."
        )
    wanted = row.classes if row.classes or opened.recording_label else classes
    if not wanted:
        return None
    index = np.array([classes.index(name) for name in wanted])
    turns = np.arange(row.people * row.recordings)
    turns = turns if opened.recording_label else turns // row.recordings
    return np.asarray(index[turns % len(index)], dtype=np.int64)


def _write(study: Study, row: SyntheticPlan, root: Path, made: Batch, opened: Opened) -> list[Withheld]:
    writer = CohortWriter(
        root, name=f"{study.cohort.name}: {row.method}", kind="synthetic", description=_about(study, row)
    )
    note = mark("synthetic", row.method)
    how = rendering_of(made, opened.forms, note=note, media=row.media, watermark=row.watermark)
    recordings = _named(made, row.label)
    items = {
        r.id: (
            replace(made.take(np.array([i])), ids=(r.id,)),
            {track: writer.path(r, track, suffix) for track, suffix in how.suffixes.items()},
        )
        for i, r in enumerate(recordings)
    }
    written = dict(study.workers.run("made-up recordings", items, partial(write_recording, how, study.plan.seed)))
    for r in recordings:
        paths, (tracks, _) = items[r.id][1], written[r.id]
        files = {track: paths[track].relative_to(root).as_posix() for track in tracks}
        labels = r.labels if opened.recording_label else {"synthetic": "true"}
        writer.add(replace(r, tracks=files, labels=labels), about=note)
    people = {  # that they do not exist, and their label where people have it
        r.subject: {"synthetic": "true"} | ({} if opened.recording_label else {row.label: r.labels[row.label]})
        for r in recordings
    }
    writer.finish(pd.DataFrame.from_dict(people, orient="index").rename_axis("subject"))
    fix = "Nothing to do, or make the people again with another seed."
    return [Withheld(item=name, problem=text, fix=fix) for name, (_, problems) in written.items() for text in problems]


def _about(study: Study, row: SyntheticPlan) -> dict[str, Any]:
    source = json.loads((study.cohort.root / "dataset_description.json").read_text(encoding="utf-8-sig"))
    kept = {key: source[key] for key in ("License", "HowToAcknowledge", "ReferencesAndLinks") if source.get(key)}
    return {
        **kept,
        "Acknowledgements": f"Made up by personare after {study.cohort.name}; nobody in it exists.",
        "Synthetic": True,
        "Method": row.method,
        "Options": dict(row.options),
    }


def _named(made: Batch, label: str) -> list[Recording]:
    """Return the recordings under names that BIDS allows."""
    recordings = []
    counts: Counter[tuple[str, str]] = Counter()
    for name, target in zip(map(str, made.subjects), made.labels, strict=True):
        subject, word = _plain(name), _plain(made.classes[target])
        counts[subject, word] += 1
        labels = {label: made.classes[target], "synthetic": "true"}
        identity = recording_id(subject, "01", f"{word}{counts[subject, word]:02d}")
        recordings.append(Recording(id=identity, subject=subject, session="01", tracks={}, labels=labels))
    return recordings


def _plain(text: str) -> str:
    return "".join(letter for letter in text if letter.isascii() and letter.isalnum()) or "other"
