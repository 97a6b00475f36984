"""One model learned by sites in processes of their own: what a site allows and sends, and who adds up what comes.

What goes over the line are messages; ``study/flower.py`` carries them. A site learns as it would alone, and waits
whenever something must be added up over all sites (``learn.federation.Federation.add_up``): each such sum has a number,
sites that missed some are brought up to date, and one that was started anew learns again from the sums that were.
"""

import hashlib
import json
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

import numpy as np

from personare import __version__
from personare.core import registry
from personare.core.errors import ClusterError, DataError, OptionError, PolicyError, data_errors
from personare.core.randomness import generator
from personare.core.state import load_weights, save_weights, state_of
from personare.core.types import Array, Batch, Cohort, Spend
from personare.govern.budget import Budget
from personare.govern.ledger import Ledger
from personare.learn.federation import Federation
from personare.learn.multimodal import shapes_of
from personare.learn.secure_aggregation import FEWEST_SITES, PublicKeys, Site, quantized, threshold_of, unmasked
from personare.study.access import part_people
from personare.study.kinds.models import ModelPlan
from personare.study.plan import StudyPlan, entry
from personare.study.study import Study, unseeded

_TRIES = 3  # of each sum; and how often in a row a site may not answer


class Message(NamedTuple):
    """What goes between the server and a site: facts that JSON can hold, and numbers."""

    facts: Mapping[str, Any]
    numbers: Array = np.empty(0)


Exchange = Callable[[Mapping[int, Message], float], Mapping[int, Message]]
"""Brings a message to each site, and returns the answers that came within so many seconds, by site."""


@dataclass(frozen=True, kw_only=True)
class FederatedPlan:
    """What sites are asked to learn together; see ``docs/federation.md``."""

    model: ModelPlan
    classes: tuple[str, ...]  # that the label has at all sites together, in order
    expires: date  # the last day on which a site takes part
    seed: int = 0
    wait_s: float = 600.0  # for a site to do its part between two sums
    context: str = "research"  # where answers will be used; with the next two, what each site's policy asks for
    exception: str = ""
    justification: str = ""
    text: str = ""  # of the file

    @classmethod
    def read(cls, text: str) -> "FederatedPlan":
        """Return the plan of a TOML file."""
        with data_errors("The plan is no TOML", "Mend it"):
            values = tomllib.loads(text)
        model = entry(ModelPlan, dict(values.pop("model", {})), "[model]")
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        plan: FederatedPlan = entry(cls, {**values, "model": model, "text": text}, "The plan")
        return plan

    def __post_init__(self) -> None:
        if type(self.expires) is not date or len(set(self.classes)) < 2 or not self.wait_s > 0:
            raise OptionError(
                "A plan needs expires = a date such as 2027-01-31, two classes or more, and wait_s above 0."
            )
        if not (self.model.label and self.model.modalities and self.model.sites > 1):
            raise OptionError("The [model] of a plan must say label, modalities, and how many sites are waited for.")
        if self.model.site_protocol:
            raise OptionError("Over a network sites are as they are: leave site_protocol out.")

    @property
    def study(self) -> StudyPlan:
        """What a site's own study would plan of it."""
        return StudyPlan(
            models=(self.model,),
            seed=self.seed,
            context=self.context,
            exception=self.exception,
            justification=self.justification,
        )

    @property
    def epsilon(self) -> float | None:
        """What the plan costs a person; None where nothing protects."""
        value = self.model.options.get("epsilon")
        return None if value is None else float(value)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a site lets be done with what its people have consented to."""

    budget: Budget | None = None  # of all plans together; None takes plans without differential privacy, too
    secure: bool = False  # whether its updates must be masked
    methods: Sequence[str] = ()  # learners that it takes part in; none: all
    held_out: float = 0.0  # share of its people who are not learned from, and by whom the site judges the model

    def check(self, plan: FederatedPlan, version: str, today: date) -> None:
        """Refuse a plan that is not of this version, too old, or goes further than the site allows."""
        if version != __version__:
            raise PolicyError(f"The server has personare {version}, and this site {__version__}: install the same.")
        if today > plan.expires:
            raise PolicyError(f"The plan ended on {plan.expires}.")
        if self.secure and not plan.model.secure:
            raise PolicyError("This site takes part only where updates are masked: secure = true.")
        if self.methods and plan.model.method not in self.methods:
            raise PolicyError(f"This site takes part in {', '.join(self.methods)} alone.")
        if self.budget and not (plan.epsilon or np.inf) <= self.budget.epsilon:
            raise PolicyError(
                f"This site allows epsilon up to {self.budget.epsilon:g}, and the plan has {plan.epsilon}."
            )


@dataclass(kw_only=True)
class Node:
    """A site: it answers messages, and its people's recordings stay.

    **Guarantee**: nothing is opened for a plan that the terms, consent or policy forbid; before a first number leaves,
    the plan is in the site's ledger and what it costs is charged there; where a plan is secure, all numbers leave
    masked, and none is revealed in two sums. Messages hold no code: what runs is installed here. What a site tells the
    server of its own errors says nothing of its people; the reason is told here.
    """

    cohort: Cohort
    ledger: Ledger
    name: str
    terms: Terms = field(default_factory=Terms)
    tell: Callable[[str], object] = field(default=lambda message: None)
    today: Callable[[], date] = date.today
    _run: str = ""
    _training: "_Training | None" = None

    def __call__(self, message: Message) -> Message:
        """Return the answer to the server's message."""
        facts = message.facts
        try:
            if facts["ask"] != "plan":
                known = self._training if self._run == facts["run"] else None
                return known(message) if known else Message({"place": -1})
            plan, self._training = FederatedPlan.read(facts["plan"]), None
            try:
                self.terms.check(plan, facts["version"], self.today())
            except PolicyError as error:
                return self._refuse(error, str(error))
            return self._begin(plan, facts["run"])
        except Exception as error:
            return self._refuse(error, "for a reason of which its operator was told")

    def _refuse(self, error: Exception, why: str) -> Message:
        self.tell(f"Does not take part. {type(error).__name__}: {error}")
        return Message({"refused": why, "name": self.name})

    def _begin(self, plan: FederatedPlan, run: str) -> Message:
        row, private = plan.model, plan.epsilon is not None
        study = Study(cohort=self.cohort, plan=replace(plan.study, budget=self.terms.budget), ledger=self.ledger)
        batch = _numbered(study.opened(row).batch, plan.classes)
        inside, outside = part_people(batch, self.terms.held_out, rng=study.rng("held out"))
        note = {"plan": plan.text, "site": self.name, "run": run}
        self.ledger.append("released", [{"cohort": self.cohort.name, "purpose": "training", "detail": note}])

        def learn(add_up: Callable[[Array, bool], Array]) -> Any:
            federation = Federation(
                rounds=row.rounds,
                algorithm=row.algorithm,
                secure=row.secure,
                noise=row.noise,
                add_up=add_up,
                charge=lambda spends: study.charge(spends, inside.subjects),
                seed=plan.seed,
                tell=self.tell,
            )
            learner = replace(registry.create("personare.train", row.method, dict(row.options)), federation=federation)
            rng = unseeded(private, generator(plan.seed, row.name, self.name))
            predictor = learner.fit(inside, validation=inside.take(np.arange(0)), rng=rng)
            if len(outside):
                right = predictor(outside).argmax(axis=1) == outside.labels
                recalls = [right[outside.labels == label].mean() for label in np.unique(outside.labels)]
                self.tell(f"Mean recall of {len(set(outside.subjects))} people held out here: {np.mean(recalls):.2f}.")
            return predictor

        self._run, self._training = run, _Training(row, learn)
        form = [[name, *shape, *batch.columns.get(name, ())] for name, shape in sorted(shapes_of(batch).items())]
        self.tell(f"Takes part in {row.name} with {len(set(inside.subjects))} people.")
        return Message({"place": 0, "name": self.name, "form": form})


class _Training:
    """Learns in a thread that waits whenever something must be added up, and hands out what this site adds."""

    def __init__(self, row: ModelPlan, learn: Callable[[Callable[[Array, bool], Array]], Any]) -> None:
        self._row = row
        self._place = 0  # how many sums there were
        self._offers: SimpleQueue[Any] = SimpleQueue()
        self._sums: SimpleQueue[Array] = SimpleQueue()
        self._offer: Any = None  # numbers, and if they are weighted; at the end the model, or the error that ended it
        self._site: Site | None = None  # of the sum that is added up now
        self._everybody: Mapping[int, PublicKeys] = {}
        self._revealed, self._threshold = False, 0

        def add_up(values: Array, weighted: bool) -> Array:
            self._offers.put((values, weighted))
            return self._sums.get()

        def run() -> None:
            try:
                self._offers.put(learn(add_up))
            except Exception as error:
                self._offers.put(error)

        Thread(target=run, daemon=True).start()

    def __call__(self, message: Message) -> Message:
        """Answer what the server asks of the sum with a number."""
        facts, here = message.facts, {"place": self._place}
        if facts["ask"] == "next":
            return self._next(message)
        if facts["number"] != self._place or self._site is None:
            return Message(here)
        if facts["ask"] == "share":
            self._everybody = {int(u): PublicKeys(**_bytes(keys)) for u, keys in facts["keys"].items()}
            # not what the server says; nor ever fewer than before, whose shares of a noise suffice together
            self._site.threshold = self._threshold = max(self._threshold, threshold_of(len(self._everybody)))
            return Message({**here, "shares": _hex(self._site.shares(self._everybody))})
        if facts["ask"] == "mask":
            return Message(here, self._site.masked(quantized(self._offer[0], len(self._everybody))))
        self._revealed = True
        sealed = {int(u): message for u, message in _bytes(facts["shares"]).items()}
        return Message({**here, "shares": self._site.reveal(sealed, facts["stayed"])})

    def _next(self, message: Message) -> Message:
        if message.facts["number"] == self._place + 1:
            self._waited_for()  # it may be too late for what it had
            self._sums.put(message.numbers)
            self._place, self._offer, self._revealed = self._place + 1, None, False
        here = {"place": self._place}
        if message.facts["number"] != self._place:
            return Message(here)
        self._waited_for()
        if not isinstance(self._offer, tuple):
            spends, content = _file(self._offer, self._row)
            return Message({**here, "offer": {"cost": [[spend.epsilon, spend.delta] for spend in spends]}}, content)
        if not self._row.secure:
            return Message({**here, "offer": {"weighted": self._offer[1]}}, self._offer[0])
        if self._revealed:
            raise PolicyError(
                "A sum is added up once: of two, over other sites, the difference would be one site's own."
            )
        self._site = Site(number=message.facts["site"], threshold=FEWEST_SITES)  # its keys serve once
        keys = self._site.keys()
        return Message({**here, "offer": _hex({"sealing": keys.sealing, "masking": keys.masking})})

    def _waited_for(self) -> None:
        if self._offer is None:
            self._offer = self._offers.get()
        if isinstance(self._offer, Exception):
            raise self._offer


def _file(predictor: Any, row: ModelPlan) -> tuple[Sequence[Spend], Array]:
    """Return what a model cost here, and its file, which is the same at every site."""
    tensors, about = state_of(replace(predictor, spends=()))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.safetensors"
        save_weights(file, tensors, {**about, "personare": json.dumps(asdict(row))})
        return predictor.spends, np.frombuffer(file.read_bytes(), dtype=np.uint8)


def _content(file: Array) -> str:
    """Return what is alike in files of equal models, in which words may stand in another order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(file.tobytes())
        tensors, about = load_weights(path)
    values = {name: hashlib.sha256(tensor.tobytes()).hexdigest() for name, tensor in tensors.items()}
    return json.dumps([values, about], sort_keys=True)


def _numbered(batch: Batch, classes: Sequence[str]) -> Batch:
    """Return recordings whose labels are numbered as the plan says."""
    if unknown := sorted({*np.array(batch.classes)[batch.labels]} - {*classes}):
        raise DataError(f"The plan does not know the class {unknown[0]!r}. Have it added, or relabel.")
    numbers = np.array([classes.index(name) if name in classes else 0 for name in batch.classes], dtype=np.int64)
    return replace(batch, labels=numbers[batch.labels], classes=tuple(classes))


def _hex(values: Mapping[Any, bytes]) -> dict[str, str]:
    return {str(name): value.hex() for name, value in values.items()}


def _bytes(values: Mapping[str, str]) -> dict[str, bytes]:
    return {name: bytes.fromhex(value) for name, value in values.items()}


class Learned(NamedTuple):
    """What came of a plan: the model's file, and who took part at what price."""

    model: bytes
    sites: tuple[str, ...]
    not_taking_part: Mapping[str, str]  # why, by site
    cost: tuple[float, float] | None  # epsilon and delta of the dearest site
    sums: int
    late: Mapping[str, int]  # of how many sums a site was left out


@dataclass(kw_only=True)
class Server:
    """Adds up what sites send, and follows the protocol; it has no recordings.

    **Guarantee**: with a secure plan nothing is computed but sums over three sites or more and two thirds of those that
    take part. A site that does not answer in time is left out of that sum; one that stays away, refuses or has other
    columns is left out of the rest, and named.
    """

    plan: FederatedPlan
    exchange: Exchange
    run: str  # unlike any earlier one
    tell: Callable[[str], object] = field(default=lambda message: None)
    _places: dict[int, int] = field(default_factory=dict)  # of the sites that take part
    _names: dict[int, str] = field(default_factory=dict)
    _missed: Counter[int] = field(default_factory=Counter)  # messages in a row
    _late: Counter[int] = field(default_factory=Counter)
    _left: dict[str, str] = field(default_factory=dict)
    _sums: list[Array] = field(default_factory=list)
    _threshold: int = 0  # of sites that must stay; never fewer than in an earlier sum

    def __call__(self, sites: Sequence[int]) -> Learned:
        """Learn with these sites.

        Raises:
            ClusterError: Too few sites took part, or answered to the end.
        """
        forms = {}
        for site, answer in self._ask({site: self._invitation() for site in sites}).items():
            forms[site], self._places[site] = repr(answer.facts["form"]), 0
        usual = Counter(forms.values()).most_common(1)
        for site in [site for site, form in forms.items() if form != usual[0][0]]:
            self._leave(site, "it has other columns than the others")
        while (finished := self._add()) is None:
            pass
        contents = {site: _content(message.numbers) for site, message in finished.items()}
        usual = Counter(contents.values()).most_common(1)
        if usual[0][1] < self._fewest:
            raise ClusterError("The sites do not agree on the model: have all of them install the same version.")
        for site in [site for site, digest in contents.items() if digest != usual[0][0]]:
            self._leave(site, "it came to another model")
        whole = next(finished[site].numbers for site, digest in contents.items() if digest == usual[0][0])
        costs = [tuple(cost) for message in finished.values() for cost in message.facts["offer"]["cost"]]
        return Learned(
            model=whole.tobytes(),
            sites=tuple(self._names[site] for site in self._places),
            not_taking_part=self._left,
            cost=max(costs) if costs else None,
            sums=len(self._sums),
            late={self._names[site]: count for site, count in self._late.items() if site in self._places},
        )

    @property
    def _fewest(self) -> int:
        few = FEWEST_SITES if self.plan.model.secure or hasattr(self.plan.model.algorithm, "combine") else 1
        return max(threshold_of(len(self._places)), few)

    def _invitation(self) -> Message:
        return Message({"ask": "plan", "run": self.run, "plan": self.plan.text, "version": __version__})

    def _ask(self, messages: Mapping[int, Message]) -> dict[int, Message]:
        """Return the answers that came; sites that refuse leave."""
        answers = dict(self.exchange(messages, self.plan.wait_s))
        for site in messages:
            self._missed[site] = 0 if site in answers else self._missed[site] + 1
            if site in answers and "name" in answers[site].facts:
                self._names[site] = str(answers[site].facts["name"])
            if site not in answers and (self._missed[site] >= _TRIES or site not in self._places):
                self._leave(site, "it did not answer")
            elif site in answers and "refused" in answers[site].facts:
                self._leave(site, str(answers.pop(site).facts["refused"]))
        return answers

    def _leave(self, site: int, why: str) -> None:
        name = self._names.get(site, f"site {site}")
        self._places.pop(site, None)
        self._left[name] = why
        self.tell(f"{name} does not take part: {why}.")

    def _add(self) -> Mapping[int, Message] | None:
        """Add one sum; return the last messages instead where sites have learned the model."""
        for _ in range(_TRIES):
            offers = self._offers()
            if len(offers) < self._fewest:
                continue
            finished = {site: message for site, message in offers.items() if "cost" in message.facts["offer"]}
            if finished:
                return finished
            total = self._unmasked(offers) if self.plan.model.secure else self._plain(offers)
            if total is not None:
                self._late.update(site for site in self._places if site not in offers)
                self._sums.append(total)
                return None
        raise ClusterError(
            f"At least {self._fewest} of {len(self._places)} sites must answer within {self.plan.wait_s:g} s, and did "
            f"not, {_TRIES} times. Nothing was learned. Look at the sites, then run again."
        )

    def _offers(self) -> dict[int, Message]:
        """Bring every site to the sum that is next, and return what they have for it."""
        number, offers = len(self._sums), dict[int, Message]()
        behind = set(self._places)
        while behind:
            answers = self._ask({site: self._next(site, number) for site in behind})
            for site, message in answers.items():
                before, self._places[site] = self._places[site], message.facts["place"]
                if self._places[site] == number and "offer" in message.facts:
                    offers[site] = message
                elif self._places[site] == before:
                    self._leave(site, "it does not go on")
            behind = {site for site in answers if site in self._places} - set(offers)
        return offers

    def _next(self, site: int, number: int) -> Message:
        place = self._places[site]
        if place < 0:
            return self._invitation()
        asked = min(place + 1, number)
        facts = {"ask": "next", "run": self.run, "number": asked, "site": self._number(site)}
        return Message(facts, self._sums[asked - 1] if asked else np.empty(0))

    def _number(self, site: int) -> int:
        return sorted(self._names).index(site) + 1

    def _plain(self, offers: Mapping[int, Message]) -> Array:
        """Return the sum of what sites have, or what a rule makes of weighted values, as if it weighed 1."""
        rows = np.stack([message.numbers for message in offers.values()])
        combine, weights = getattr(self.plan.model.algorithm, "combine", None), rows[:, -1]
        if not (combine and weights.any() and all(message.facts["offer"]["weighted"] for message in offers.values())):
            return np.asarray(rows.sum(axis=0))
        rows = rows[weights > 0]
        return np.append(combine(rows[:, :-1] / rows[:, -1:], rows[:, -1]), 1.0)

    def _unmasked(self, offers: Mapping[int, Message]) -> Array | None:
        """Return the sum of what sites have, none of which is seen; None where sites dropped out too early or late."""
        sites = {self._number(site): site for site in offers}
        keys = {u: offers[site].facts["offer"] for u, site in sites.items()}

        def ask(what: str, facts_for: Mapping[int, Mapping[str, Any]]) -> dict[int, Message]:
            about = {"ask": what, "run": self.run, "number": len(self._sums)}
            answers = self._ask({sites[u]: Message({**about, **facts}) for u, facts in facts_for.items()})
            return {u: answers[sites[u]] for u in facts_for if sites[u] in answers}

        answers = ask("share", {u: {"keys": keys} for u in sites})
        sealed = {u: a.facts["shares"] for u, a in answers.items() if "shares" in a.facts}
        if len(sealed) < len(sites):
            return None  # without its shares nobody could take the masks of a site off that drops out
        masked = {u: a.numbers for u, a in ask("mask", {u: {} for u in sites}).items() if len(a.numbers)}
        self._threshold = threshold = max(self._threshold, threshold_of(len(sites)))
        if len(masked) < max(threshold, FEWEST_SITES):
            return None
        wanted = {v: {"stayed": [*masked], "shares": {u: sealed[u][str(v)] for u in sites}} for v in masked}
        shares = {v: a.facts["shares"] for v, a in ask("reveal", wanted).items() if "shares" in a.facts}
        if len(shares) < threshold:
            return None
        public = {u: PublicKeys(**_bytes(own)) for u, own in keys.items()}
        return unmasked(
            masked, public, {v: {int(u): x for u, x in own.items()} for v, own in shares.items()}, threshold
        )
