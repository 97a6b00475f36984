"""Models: learned from a cohort, judged on people they never met, attacked through shadow models."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from personare.core import registry
from personare.core.atomic import make_folder
from personare.core.errors import DataError, OptionError
from personare.core.protocols import Predictor
from personare.core.randomness import part_of
from personare.core.state import load_weights, restored, save_weights, state_of
from personare.core.types import Array, Batch, Release, Result, Spend, Withheld
from personare.data import splits
from personare.evaluate.classification import judge_model
from personare.evaluate.membership import Signals, judge_membership, split_halves
from personare.evaluate.selftest import beside, marked
from personare.evaluate.synthetic_case import together
from personare.evaluate.unmeasured import answers, measured, unmeasured, without_figure
from personare.evaluate.updates import Updates
from personare.learn.accounting import as_one_claim
from personare.learn.describing import describe_batch
from personare.learn.federation import Federation, Observed
from personare.learn.site_protocol import SiteProtocol
from personare.study.access import table
from personare.study.cards import write_card
from personare.study.needs import MEMBERSHIP, private_need
from personare.study.plan import entry
from personare.study.study import Outcome, Study, read_result, unseeded

__all__ = ["Models"]

_ATTACKS = "personare.evaluate.attacks"
_FOLDS = 5
_PROTOCOLS = ("person_folds", "person_hash", "unseen_sentences", "published", "leaky_random_9_1")


@dataclass(frozen=True, kw_only=True)
class ModelPlan:
    """A model to train.

    By ``person_folds`` it is judged on people it never met; by ``unseen_sentences`` on such as also say what it never
    heard; by ``person_hash`` on people chosen by a hash, so that nobody else changes sides where somebody is erased;
    by ``published`` on the part that the data set's authors named in the label ``split``; by
    ``leaky_random_9_1`` on other clips of the same people, to compare with tables published that way.
    """

    name: str  # unique in the study
    method: str  # a file of train
    options: Mapping[str, Any] = field(default_factory=dict)  # epsilon among them
    modalities: Sequence[str] = ()  # tracks to read; none: all but films
    label: str = ""  # what is learned; empty: the study's
    protocol: str = "person_folds"
    sites: int = 1  # over which people are dealt out, and their recordings never leave
    site_column: str = ""  # of recordings or participants: where everybody is, in place of ``sites``
    federation: str = "fedavg"  # a file of federate; asked where there are several sites
    federation_options: Mapping[str, Any] = field(default_factory=dict)
    rounds: int = 8
    secure: bool = False  # secure aggregation: nobody sees what one site sent
    noise: Literal["site", "shared"] = "site"  # each site hides its people, or all together hide all: a share from each
    site_protocol: Mapping[str, Any] = field(default_factory=dict)  # how sites are made to differ: a ``SiteProtocol``

    def __post_init__(self) -> None:
        """Check the protocol, and that the methods exist and take their options."""
        if self.protocol not in _PROTOCOLS:
            raise OptionError(f"The protocol must be one of {', '.join(_PROTOCOLS)}, not {self.protocol!r}.")
        if (self.site_protocol or self.noise != "site") and not self.federated:
            raise OptionError("Shared noise and a site_protocol need sites: say how many, or in which column they are.")
        if self.noise == "shared" and (self.options.get("epsilon") is None or self.federation != "fedavg"):
            raise OptionError("Shared noise needs an epsilon, and fedavg: each step is one sum over the sites.")
        self.learner()

    @property
    def protocol_of_sites(self) -> SiteProtocol:
        """How sites are made to differ."""
        protocol: SiteProtocol = entry(SiteProtocol, dict(self.site_protocol), "site_protocol")
        return protocol

    @property
    def algorithm(self) -> Any:
        """What moves the weights that sites share."""
        return registry.create("personare.federate", self.federation, self.federation_options)

    @property
    def federated(self) -> bool:
        """Whether it is learned over sites."""
        return self.sites != 1 or bool(self.site_column)

    def words(self, sites: int) -> str:
        """Say how it was learned over so many sites; empty where it was not."""
        sums = "in one sum of all (secure aggregation)" if self.secure else "one by one"
        rounds = "in steps under shared noise" if self.noise == "shared" else f"in {self.rounds} rounds"
        text = f"Learned over {sites} sites {rounds} by `{self.federation}`; the server saw updates {sums}."
        if self.site_protocol:
            changes = ", ".join(f"{name} = {value}" for name, value in self.site_protocol.items())
            text += f" Sites were made to differ, which changed what was learned from: {changes}."
        return text if self.federated else ""

    def learner(self, site_of: Mapping[str, str] | None = None, notices: list[str] | None = None) -> Any:
        """Return the method with its options and its sites; ``notices`` is filled with what took no part."""
        if "federation" in self.options:
            raise OptionError("Sites are named beside a model's options, not among them: sites = 4.")
        learner = registry.create("personare.train", self.method, dict(self.options))
        if not self.federated:
            return learner
        federation = Federation(
            sites=self.sites,
            rounds=self.rounds,
            algorithm=self.algorithm,
            secure=self.secure,
            noise=self.noise,
            poisoned=self.protocol_of_sites.poisoned_updates,
            site_of=site_of or {},
            tell=(list[str]() if notices is None else notices).append,
        )
        if not hasattr(learner, "federation"):
            raise OptionError(
                f"{self.method} cannot be trained over sites: leave them out, or take joint or late_fusion."
            )
        return replace(learner, federation=federation)


@dataclass(frozen=True)
class Models:
    """Trains each model, saves it with its card, and measures what it can do and what it gives away."""

    row = ModelPlan

    def __call__(self, study: Study, rows: Sequence[ModelPlan]) -> Outcome:
        """Make and judge these models."""
        outcome = Outcome()
        for row in rows:
            opened = study.opened(row)
            model = Model(study=study, row=row, batch=opened.batch)
            root, made = study.make(row, model.batch, model.train, {})  # other attacks train and charge nothing
            plan, file = study.plan, (root / "model.safetensors").read_bytes()
            attacks = {"shadows": plan.shadows, "membership": plan.membership, "disclosure": plan.disclosure}
            judged = study.folder.step(
                f"judge-{row.name}",
                inputs={**study.key(model.batch), "model": hashlib.sha256(file).hexdigest()},
                options={**asdict(row), **attacks},
                work=model.judge,
            )
            results = [read_result(result) for result in judged["rows"]]
            spends = tuple(Spend(**spend) for spend in made["spends"])
            write_card(root / "README.md", study.cohort, row, spends, results, made, plan.use.statement)
            release = Release(
                name=row.name,
                kind="model",
                root=root,
                modalities=("model",),
                methods={"model": row.method},
                options={row.method: dict(row.options)},
                counts={name: made[name] for name in ("recordings", "people", "seconds")},
            )
            fix = "The model was learned from the others: look at this site's recordings."
            lost = [Withheld(item=f"{row.name}, a site", problem=text, fix=fix) for text in made.get("notices", ())]
            outcome.add(Outcome(releases=[release], rows=results, skipped=list(opened.skipped), not_made=lost))
        return outcome


class Parts(NamedTuple):
    """A batch by a protocol: what is learned from, what may be looked at meanwhile, what judges."""

    train: Batch
    validation: Batch
    test: Batch
    site_of: Mapping[str, str] = {}  # by subject; empty where people are dealt out, or there are no sites


def split_people(batch: Batch, protocol: str, table: pd.DataFrame, *, rng: np.random.Generator) -> Parts:
    """Part a batch by a protocol (see ``ModelPlan``), and check that nobody leaks where nobody should.

    ``table`` has the columns ``sentence`` and ``split``, by recording id, where a protocol asks for them.
    """
    subjects = dict(zip(batch.ids, map(str, batch.subjects), strict=True))
    sentences = None

    def labels(name: str) -> dict[str, str]:
        if name not in table or table.loc[list(batch.ids), name].isna().any():
            raise DataError(
                f"The protocol {protocol} needs the label '{name}' of every recording. Add it, or use another."
            )
        return dict(zip(batch.ids, table.loc[list(batch.ids), name].astype(str), strict=True))

    if protocol == "leaky_random_9_1":
        split = splits.leaky_random_9_1(batch.ids, rng=rng, validation=0.1)
    elif protocol == "person_hash":
        folds = {i: part_of(subject, _FOLDS, protocol) for i, subject in subjects.items()}
        test, validation, *train = (tuple(i for i in batch.ids if folds[i] == fold) for fold in range(_FOLDS))
        split = splits.Split(protocol=protocol, train=sum(train, ()), validation=validation, test=test)
    elif protocol == "unseen_sentences":
        sentences = labels("sentence")
        split = splits.unseen_sentences(subjects, sentences, _FOLDS, rng=rng)[0]
    elif protocol == "published":
        split = splits.as_published(subjects, labels("split"), _FOLDS, rng=rng)
    else:
        classes = dict(zip(batch.ids, np.array(batch.classes)[batch.labels].tolist(), strict=True))
        split = splits.k_folds_with_validation(subjects, _FOLDS, labels=classes, rng=rng)[0]
    if protocol != "leaky_random_9_1":
        splits.check_apart(split, subjects, sentences)
    place = {name: i for i, name in enumerate(batch.ids)}
    parts = (split.train, split.validation, split.test)
    learned, watched, judging = (batch.take(np.array([place[name] for name in ids], dtype=int)) for ids in parts)
    return Parts(learned, watched, judging)


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model of a study: what was asked for, and what it learns from."""

    study: Study
    row: ModelPlan
    batch: Batch
    notices: list[str] = field(default_factory=list)  # of the training that is released: which sites took no part

    @cached_property
    def learner(self) -> Any:
        """The method with its options and its sites."""
        return self.row.learner(self.parts.site_of)

    def _site_by_column(self) -> dict[str, str]:
        if not (column := self.row.site_column):
            return {}
        recordings = [r for r in self.study.cohort.recordings if r.id in set(self.batch.ids)]
        facts = table(self.study.cohort, recordings, column)
        if column not in facts or facts[column].isna().any():
            raise DataError(f"Everybody must have a site in the column {column!r}: add it, or say how many sites.")
        if len(moving := facts.groupby("subject")[column].nunique().loc[lambda counts: counts > 1]):
            raise DataError(f"{len(moving)} people are at several sites, e.g. {moving.index[0]}: give each one site.")
        return dict(zip(facts["subject"].astype(str), facts[column].astype(str), strict=True))

    @cached_property
    def table(self) -> pd.DataFrame:
        """What is known about the recordings and their people, by recording id."""
        ids = set(self.batch.ids)
        return table(self.study.cohort, [r for r in self.study.cohort.recordings if r.id in ids])

    @cached_property
    def parts(self) -> Parts:
        """Who is learned from, watched, and judged by: the same people for all models of a protocol."""
        rng, row = self.study.rng("split", self.row.protocol), self.row
        parts, site_of = split_people(self.batch, row.protocol, self.table, rng=rng), self._site_by_column()
        if not row.site_protocol:
            return parts._replace(site_of=site_of)
        federation = row.learner(site_of).federation
        train, site_of = row.protocol_of_sites(parts.train, federation, rng=self.study.rng("sites"))
        return parts._replace(train=train, site_of=site_of)

    @cached_property
    def _public(self) -> Batch | None:
        return self.study.public_batch(self.row.label, self.row.modalities)

    def _rng(self, *what: str) -> np.random.Generator:
        return self.study.rng(self.row.name, *what)

    def train(self, folder: Path) -> Mapping[str, Any]:
        """Train the model that is released, and write it."""
        parts = self.parts
        private = getattr(self.learner, "epsilon", None) is not None
        shards = self.study.folder.private / "shards" / self.row.name
        learner = self.row.learner(self.parts.site_of, self.notices)
        predictor = self.fit(learner, parts.train, unseeded(private, self._rng("fit")), cache=shards)
        self.study.charge(predictor.spends, parts.train.subjects)  # refuses before anything is written or seen
        tensors, about = state_of(predictor)
        note = {**about, "personare": json.dumps(asdict(self.row))}
        save_weights(make_folder(folder) / "model.safetensors", tensors, note)
        self.study.note(self.row, predictor.spends)
        return {
            "cohort": str(self.study.cohort.root.resolve()),
            "spends": [asdict(spend) for spend in predictor.spends],
            "classes": list(predictor.classes),
            "modalities": list(parts.train.arrays),
            "test": list(parts.test.ids),
            "recordings": len(parts.train),
            "people": len(set(parts.train.subjects)),
            "notices": list(dict.fromkeys(self.notices)),  # each network of a model tells
            "federation": self.row.words(len(set(self.parts.site_of.values())) or self.row.sites),
        }

    def fit(self, learner: Any, train: Batch, rng: np.random.Generator, *, cache: Path | None = None) -> Predictor:
        """Train on these recordings, with this model's validation people and public data."""
        shards = {"cache": cache} if hasattr(learner, "shards") else {}
        predictor: Predictor = learner.fit(
            train, validation=self.parts.validation, rng=rng, public=self._public, **shards
        )
        return predictor

    def judge(self) -> Mapping[str, Any]:
        """Measure the released model: what it can do, and what its answers and representation tell about strangers."""
        test = self.parts.test
        predictor = load_model(self.study.folder.root / "releases" / self.row.name / "model.safetensors")[0]
        people = self.table.loc[list(test.ids)]
        answers = predictor(test)
        rows = judge_model(answers, test, people, rng=self._rng("judge"))
        if why := private_need(self.learner).lacking(self.parts.train.subjects):
            rows = [without_figure(row, why) for row in rows]

        def tracks(**vectors: Array) -> Batch:
            by_id = {name: dict(zip(test.ids, rows.astype(float), strict=True)) for name, rows in vectors.items()}
            return Batch.of(people, by_id)

        def disclosed() -> list[Result]:
            hidden = {"representation": predictor.represent(test)} if hasattr(predictor, "represent") else {}
            original = tracks(raw=describe_batch(test, tuple(test.arrays)))
            released = tracks(answers=answers, **hidden)
            rows: list[Result] = []
            for name in self.study.plan.disclosure:
                attack = registry.create(_ATTACKS, name)
                work = partial(attack, original, released, rng=self._rng(name))
                rows += measured(name, attack.question, work)
            return rows

        rows += measured("model_identity", "identify", disclosed)
        rows += measured("membership", "member", self.membership)
        rows += measured("updates", "member", self.updates)
        return {"rows": [asdict(replace(row, release=self.row.name, kind="model")) for row in rows]}

    def membership(self) -> list[Result]:
        """Train shadows on halves of the training people, and let every attack tell who was in which."""
        plan = self.study.plan
        if not plan.shadows or not plan.membership:
            return []
        if why := MEMBERSHIP.lacking(self.parts.train.subjects):
            return [unmeasured(name, "member", DataError(why), figure="auc") for name in plan.membership]
        rows = self._attacked(self.learner)
        if getattr(self.learner, "epsilon", None) is None:
            return rows
        # An attack that finds nobody in the same model without privacy would say nothing about what privacy bought.
        unprotected = {row.key: row for row in self._attacked(replace(self.learner, epsilon=None))}
        return [beside(row, unprotected[row.key], "the same model without privacy") for row in rows]

    def _attacked(self, learner: Any) -> list[Result]:
        plan, pool = self.study.plan, self.parts.train
        units = np.array(pool.ids) if getattr(learner, "unit", "person") == "recording" else pool.subjects
        inside = split_halves(units, plan.shadows, rng=self._rng("halves"))
        if hasattr(learner, "fit_many"):
            shadows: Sequence[Predictor] = learner.fit_many(pool, inside, rng=self._rng("shadows"), public=self._public)
        else:
            shadows = [self.fit(learner, pool.take(rows), self._rng("shadow", str(i))) for i, rows in enumerate(inside)]
        answers = np.stack([predictor(pool) for predictor in shadows])
        signals = Signals.of_probabilities(answers, inside, pool.labels, pool.subjects)
        attacks = {name: registry.create(_ATTACKS, name) for name in plan.membership}
        claim = as_one_claim(shadows[0].spends)
        return judge_membership(signals, attacks, claim=claim, rng=self._rng("membership"))

    def updates(self) -> list[Result]:
        """Train over the sites once more, look on as their server, and let every attack on updates read along.

        What protects the updates is taken away in a second training, in which the attacks must succeed.
        """
        if not self.row.federated or not self.study.plan.shadows:
            return []
        rows = before = self._overseen(self.learner)
        private = getattr(self.learner, "epsilon", None) is not None
        if self.row.secure or private:
            open_rounds = replace(self.learner.federation, secure=False, noise="site")
            bare = replace(self.learner, federation=open_rounds)
            before = self._overseen(replace(bare, epsilon=None) if private else bare)
        return [replace(row, baseline=b.value) for row, b in zip(marked(rows, before), before, strict=True)]

    def _overseen(self, learner: Any) -> list[Result]:
        rounds: list[Observed] = []
        parts, federation = self.parts, replace(learner.federation, observe=rounds.append)
        predictor: Any = self.fit(replace(learner, federation=federation), parts.train, self._rng("fit"))
        if len(rounds) != federation.rounds and federation.noise == "site":  # else a sum in each step
            raise DataError(f"{self.row.method} sends several networks, attacks on updates read one: take joint.")
        pool = together([parts.train, parts.validation, parts.test])
        sites = np.full(len(pool), -1)
        private = getattr(learner, "epsilon", None) is not None
        for site, rows in enumerate(federation.parts(parts.train.subjects, parts.train.labels, private=private)):
            sites[rows] = site
        # whoever is learned from is no stranger in other recordings, and whose site sat out is none of either
        asked = (sites >= 0) | ~np.isin(pool.subjects, parts.train.subjects)
        updates = Updates(rounds=rounds, predictor=predictor, batch=pool.take(asked), sites=sites[asked])
        attacks = {name: registry.load(_ATTACKS, name) for name in registry.find(_ATTACKS)}
        return [
            row
            for name, attack in attacks.items()
            if answers(attack, "updates")
            for row in measured(name, attack.question, partial(attack(), updates, rng=self._rng(name)))
        ]


def load_model(path: Path) -> tuple[Predictor, ModelPlan]:
    """Read a released model, numbers and text only, nothing that can run; and the plan it was made by."""
    tensors, about = load_weights(path)
    about = dict(about)
    try:
        model = ModelPlan(**json.loads(about.pop("personare")))
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path} is not a model written by personare: {error}.") from error
    return restored(model.learner(), tensors, about), model
