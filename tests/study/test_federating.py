"""Sites in processes of their own: what they allow, what they send, who drops out and comes back."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from personare.core import registry
from personare.core.errors import ClusterError, OptionError
from personare.core.randomness import generator
from personare.core.state import load_weights, restored
from personare.data.cohort import open_cohort
from personare.evaluate.synthetic_case import together
from personare.govern.budget import Budget
from personare.govern.ledger import Ledger
from personare.learn.federation import Federation
from personare.study.access import open_batch
from personare.study.federating import FederatedPlan, Message, Node, Server, Terms
from personare.train.private_head import PrivateHead

PLAN = """\
expires = 2999-12-31
classes = ["anger", "happiness"]
wait_s = 5
[model]
name = "wards"
method = "private_head"
label = "emotion"
modalities = ["eda"]
sites = 3
rounds = 3
secure = {secure}
{more}
options = {{ steps = 3{options} }}
"""


def plan(secure=False, options="", more=""):
    return FederatedPlan.read(PLAN.format(secure=str(secure).lower(), options=options, more=more))


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory, speakers):
    """Three sites whose people differ in number, and in all else by what is left of one cohort."""
    root = tmp_path_factory.mktemp("sites")
    return [speakers(root / f"site{n}", people=4 + n, each=4, tracks=("eda",)) for n in range(3)]


@pytest.fixture
def nodes(cohorts, tmp_path):
    return [
        Node(cohort=cohort, ledger=Ledger(tmp_path / f"{n}.sqlite"), name=f"site {n}")
        for n, cohort in enumerate(cohorts)
    ]


def wire(nodes, *, absent=lambda site, message: False, seen=None):
    """Carry messages as a network would: as JSON; ``absent`` says whose answer does not come."""

    def exchange(messages, wait_s):
        answers = {}
        for site, message in messages.items():
            if absent(site, message):
                continue
            answer = nodes[site](Message(json.loads(json.dumps(message.facts)), message.numbers))
            answers[site] = Message(json.loads(json.dumps(answer.facts)), answer.numbers)
            if seen is not None:
                seen.append((message.facts["ask"], answers[site]))
        return answers

    return exchange


def learn(asked, nodes, **how):
    told = []
    server = Server(plan=asked, exchange=wire(nodes, **how), run="r1", tell=told.append)
    return server(list(range(len(nodes)))), told


def model(learned, tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(learned.model)
    return restored(PrivateHead(), *load_weights(file))


@pytest.mark.parametrize(
    ("secure", "algorithm"), [(False, "fedavg"), (True, "fedavg"), (False, "trimmed_mean"), (True, "fedadam")]
)
def test_processes_learn_what_one_process_learns_over_the_same_sites(nodes, cohorts, tmp_path, secure, algorithm):
    learned, told = learn(plan(secure, more=f'federation = "{algorithm}"'), nodes)
    batches = [open_batch(c, "emotion", ["eda"], Ledger(tmp_path / "own.sqlite")).batch for c in cohorts]
    named = [
        replace(b, ids=tuple(f"{n}{i}" for i in b.ids), subjects=np.array([f"{n}{s}" for s in b.subjects]))
        for n, b in enumerate(batches)
    ]
    where = {s: s[0] for b in named for s in b.subjects.tolist()}
    rule = registry.create("personare.federate", algorithm)
    learner = PrivateHead(steps=3, federation=Federation(rounds=3, site_of=where, algorithm=rule))
    pooled = together(named)
    expected = learner.fit(pooled, validation=pooled.take(np.arange(0)), rng=generator(0))
    np.testing.assert_allclose(model(learned, tmp_path).head, expected.head, atol=1e-6)
    assert learned.sites == ("site 0", "site 1", "site 2")
    assert (learned.not_taking_part, learned.cost, told) == ({}, None, [])


def test_sites_share_one_noise_and_never_less_of_it(cohorts, tmp_path):
    """Four sites begin, so that three must stay in every sum: with two the noise would be too small."""
    nodes = [Node(cohort=cohorts[n % 3], ledger=Ledger(tmp_path / f"{n}.sqlite"), name=f"{n}") for n in range(4)]
    private = plan(True, options=", epsilon = 8.0, delta = 0.01", more='noise = "shared"')
    assert learn(private, nodes)[0].cost == (pytest.approx(8.0, rel=0.02), 0.01)
    spent = [json.loads(d)["spends"][0]["units"] for d in nodes[0].ledger.rows(action="spent")["detail"]]
    assert set(spent) == {4 + 5 + 6 + 4}

    def gone(site, message):  # two sites, once the sums of everybody are there
        return site in (2, 3) and message.facts.get("number", 0) > 2

    with pytest.raises(ClusterError):
        learn(private, nodes, absent=gone)


def test_with_epsilon_every_site_is_charged_before_anything_leaves_and_the_dearest_is_the_price(nodes):
    charged = []

    def watched(site, message):
        if message.facts["ask"] == "next" and message.facts["number"] == 1 and not charged:
            charged.extend(len(node.ledger.rows(action="spent")) for node in nodes)
        return False

    private = plan(options=", epsilon = 8.0, delta = 0.01")
    learned, _ = learn(private, nodes, absent=watched)
    assert learned.cost == (pytest.approx(8.0, rel=0.02), 0.01)
    assert charged == [4, 5, 6]  # people
    for node in nodes:
        node.terms = Terms(budget=Budget(epsilon=9.0, delta=0.01))
    with pytest.raises(ClusterError):  # the second plan would cost more than all may
        learn(private, nodes)


def test_guarantee_nothing_but_masked_numbers_and_public_keys_leave_under_a_secure_plan(nodes):
    def offered(secure):
        seen = []
        learn(plan(secure), nodes, seen=seen)
        return [
            message.numbers for ask, message in seen if ask in ("next", "mask") and message.numbers.dtype != np.uint8
        ]

    plain, masked = offered(False), [numbers for numbers in offered(True) if len(numbers)]
    small = [np.abs(np.asarray(n, float)).max() < 1e6 for n in plain if len(n)]
    assert small and all(small)  # what a server sees of weights
    assert {n.dtype for n in masked} == {np.dtype(np.uint64)}
    spread = np.concatenate(masked) / 2.0**64
    assert abs(spread.mean() - 0.5) < 0.1 and abs(spread.std() - 12**-0.5) < 0.05  # looks like noise


def test_guarantee_no_number_is_revealed_in_two_sums(nodes):
    """A server that says that a sum failed, and asks for it again without one site, would see that site's numbers."""
    twice = iter([False] * 100)

    def lost(site, message):
        return message.facts["ask"] == "reveal" and site == 2 and next(twice) is False

    learned, told = learn(plan(secure=True), nodes, absent=lost)
    assert learned.sums and not told  # two thirds suffice
    nodes[0](Message({"ask": "plan", "run": "r2", "plan": plan(secure=True).text, "version": "0.1.0"}))
    training = nodes[0]._training
    training._offer, training._revealed = (np.zeros(3), True), True
    assert (
        nodes[0](Message({"ask": "next", "run": "r2", "number": 0, "site": 1})).facts["refused"]
        == "for a reason of which its operator was told"
    )


@pytest.mark.parametrize("secure", [False, True])
def test_a_site_that_drops_out_misses_sums_and_learns_the_same_model_when_it_is_back(cohorts, tmp_path, secure):
    nodes = [Node(cohort=cohorts[n % 3], ledger=Ledger(tmp_path / f"{n}.sqlite"), name=f"{n}") for n in range(4)]

    def absent(site, message):
        return site == 3 and message.facts["ask"] == "next" and message.facts["number"] == 2 and next(away, False)

    away = iter([True])
    learned, told = learn(plan(secure), nodes, absent=absent)
    assert (learned.sites, dict(learned.late), told) == (("0", "1", "2", "3"), {"3": 1}, [])


def test_a_site_that_was_started_anew_learns_again_from_the_sums_that_were(nodes):
    def absent(site, message):
        if site == 1 and message.facts["ask"] == "next" and message.facts["number"] == 2 and not forgot:
            nodes[1]._training = None
            forgot.append(site)
        return False

    forgot = []
    learned, told = learn(plan(), nodes, absent=absent)
    assert forgot and learned.sites == ("site 0", "site 1", "site 2") and not told


def test_too_few_sites_end_a_plan_with_nothing_learned(nodes):
    with pytest.raises(ClusterError, match="At least 3 of 2 sites"):
        learn(plan(secure=True), nodes, absent=lambda site, message: site == 0)


@pytest.mark.parametrize(
    ("terms", "asked", "why"),
    [
        (Terms(secure=True), plan(), "only where updates are masked"),
        (Terms(budget=Budget(epsilon=1.0, delta=0.01)), plan(), "up to 1, and the plan has None"),
        (Terms(budget=Budget(epsilon=1.0, delta=0.01)), plan(options=", epsilon = 8.0, delta = 0.01"), "has 8.0"),
        (Terms(methods=["joint"]), plan(), "takes part in joint alone"),
    ],
)
def test_a_site_refuses_what_its_terms_forbid_and_opens_nothing(nodes, terms, asked, why):
    nodes[1].terms = terms
    learned, told = learn(asked, nodes)
    assert learned.sites == ("site 0", "site 2") and why in told[0]
    assert not nodes[1].ledger.exists()


def test_expired_plans_and_other_versions_are_refused(nodes):
    nodes[0].today = lambda: date(3000, 1, 1)
    facts = {"ask": "plan", "run": "r", "plan": plan().text, "version": "0.1.0"}
    assert "ended on 2999-12-31" in nodes[0](Message(facts)).facts["refused"]
    assert "install the same" in nodes[1](Message({**facts, "version": "0.0.9"})).facts["refused"]


def test_consent_and_policy_of_the_site_hold_and_their_reasons_stay_there(nodes, cohorts):
    told = []
    nodes[2].tell = told.append
    text = plan().text
    consent = cohorts[2].root / "consent.tsv"
    kept = consent.read_text()
    consent.write_text(kept.replace("training", "archiving"))
    answer = nodes[2](Message({"ask": "plan", "run": "r", "plan": text, "version": "0.1.0"}))
    consent.write_text(kept)
    assert answer.facts["refused"] == "for a reason of which its operator was told"
    assert "may be opened for training" in told[0]
    workplace = 'context = "workplace"\n' + text
    answer = nodes[2](Message({"ask": "plan", "run": "r", "plan": workplace, "version": "0.1.0"}))
    assert "refused" in answer.facts and "workplace" in told[1]


@pytest.mark.parametrize("change", ["columns", "one person", "one class", "NaN"])
def test_a_site_with_unfit_recordings_is_left_out_and_the_others_go_on(nodes, speakers, tmp_path, change):
    odd = speakers(tmp_path / "odd", people=1 if change == "one person" else 4, each=4, tracks=("eda",))
    for path in sorted(odd.root.rglob("*_eda.npy")):
        if change == "columns":
            np.save(path, np.append(np.load(path), 1).astype(np.float32))
        if change == "NaN":
            np.save(path, np.full(4, np.nan, np.float32))
    for path in sorted(odd.root.rglob("*.json")) if change == "one class" else ():
        path.write_text(path.read_text().replace("happiness", "anger"))
    node = Node(cohort=open_cohort(odd.root), ledger=Ledger(tmp_path / "odd.sqlite"), name="odd")
    learned, told = learn(plan(), [*nodes, node])
    assert "odd" not in learned.sites and len(learned.sites) == 3
    assert any(text.startswith("odd does not take part") for text in told)


def test_plans_that_cannot_be_followed_are_refused_where_they_are_read():
    for old, new in (
        ("2999-12-31", '"soon"'),
        ('["anger", "happiness"]', '["anger"]'),
        ('label = "emotion"', ""),
        ("private_head", "forest"),
        ("wait_s", "wait"),
        ("secure = false", 'secure = true\nfederation = "trimmed_mean"'),
        ("sites = 3", "sites = 1"),
        ("secure = false", "site_protocol = { missing = 0.3 }"),
    ):
        with pytest.raises(OptionError):
            FederatedPlan.read(plan().text.replace(old, new))
