"""Sites that differ or lie, and noise that sites share, on real voices: benchmarks/sites.py DATA [differ|lie|noise].

DATA has ``crema-d``, and ``ravdess`` and ``emodb``, whose people nobody protects. Each figure is the accuracy on people
never met, over 5 folds (networks 3, noise 3 times 5): mean, and deviation over the folds.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from crema_private import FOR_PEOPLE, actors, people_splits, public_people

from personare.core import registry
from personare.core.randomness import generator
from personare.core.types import Batch
from personare.learn.federation import Federation
from personare.learn.site_protocol import SiteProtocol
from personare.train.joint import Joint
from personare.train.mla import Mla
from personare.train.private_head import PrivateHead

DIFFER = (
    {"label_skew": 1.0},
    {"label_skew": 0.1},
    {"missing": 0.3},
    {"missing": 0.5},
    {"wrong_labels": 0.3},
    {"tiny": True},
)
LIE = ({"poisoned": 1}, {"poisoned": 2}, {"poisoned": 1, "poison": "update"}, {"poisoned": 2, "poison": "update"})


class Bench:
    """The voices, and how well a learner reads them."""

    def __init__(self, data: Path) -> None:
        batch, acoustics = actors(data)
        both = {"speech": batch.arrays["speech"], "acoustics": np.nan_to_num(acoustics)}
        self.two = replace(batch, arrays=both, present=batch.present | {"acoustics": ~np.isnan(acoustics).any(axis=1)})
        self.one, self.public = batch, public_people(data)
        self.splits = list(people_splits(batch, repeats=3))

    def row(self, name, learner, batch: Batch, public: Batch | None = None, protocol=None, folds=5, sites=4) -> None:
        """Print a row; where the learner has no sites, the protocol's recordings are pooled."""
        scores, nobody = [], batch.take(np.arange(0))
        for number, (train, test) in enumerate(self.splits[:folds]):
            people, fold = batch.take(train), learner
            if protocol:
                made = SiteProtocol(**protocol)
                people, site_of = made(people, Federation(sites=sites), rng=generator(number, "sites"))
            if protocol and learner.federation.sites > 1:
                differing = replace(learner.federation, site_of=site_of, poisoned=made.poisoned_updates)
                fold = replace(learner, federation=differing)
            model = fold.fit(people, validation=nobody, rng=generator(number, "fit"), public=public)
            scores.append((model(batch.take(test)).argmax(axis=1) == batch.labels[test]).mean())
        print(f"{name:60} {np.mean(scores):.3f} +- {np.std(scores):.3f}", flush=True)


def over(sites: int, algorithm: str = "fedavg", rounds: int = 8, **how) -> Federation:
    """Return so many sites."""
    rule = registry.create("personare.federate", algorithm, how.pop("options", {}))
    return Federation(sites=sites, rounds=rounds, algorithm=rule, **how)


def differ(bench: Bench) -> None:
    """Four sites that differ."""
    for protocol in ({}, *DIFFER):
        bench.row(f"private_head pooled {protocol}", PrivateHead(), bench.two, protocol=protocol)
    for algorithm in ("fedavg", "fedprox"):
        made = PrivateHead(federation=over(4, algorithm))
        for protocol in ({}, *DIFFER):
            bench.row(f"private_head {algorithm} {protocol}", made, bench.two, protocol=protocol)
    for network in (Joint, Mla):
        bench.row(f"{network.__name__} pooled", network(epochs=16), bench.two, folds=3)
        for protocol in ({}, {"label_skew": 0.1}, {"missing": 0.5}):
            made = network(epochs=24, federation=over(4))
            bench.row(f"{network.__name__} {protocol}", made, bench.two, protocol=protocol, folds=3)


def lie(bench: Bench) -> None:
    """Eight sites, of which some lie."""
    for algorithm, options in (("fedavg", {}), ("trimmed_mean", {}), ("trimmed_mean", {"cut": 0.5})):
        made = PrivateHead(federation=over(8, algorithm, options=options))
        bench.row(f"{algorithm} {options} all honest", made, bench.two)
        for protocol in ({"label_skew": 0.3}, *LIE):
            bench.row(f"{algorithm} {options} {protocol}", made, bench.two, protocol=protocol, sites=8)


def noise(bench: Bench) -> None:
    """Noise of each site, and of all together, at epsilon = 8 for each person."""
    learner = PrivateHead(epsilon=8.0, delta=1e-3, **FOR_PEOPLE)
    learners = {"central": learner}
    for sites in (4, 16):
        learners[f"{sites} sites, each its own"] = replace(learner, federation=over(sites))
        learners[f"{sites} sites, shared"] = replace(learner, federation=over(sites, secure=True, noise="shared"))
    for name, made in (learners | {"no privacy": replace(learner, epsilon=None)}).items():
        bench.row(name, made, bench.one, bench.public, folds=15)


if __name__ == "__main__":
    made = Bench(Path(sys.argv[1]))
    for table in sys.argv[2:] or ("differ", "lie", "noise"):
        {"differ": differ, "lie": lie, "noise": noise}[table](made)
