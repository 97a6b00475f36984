import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import rdflib

from personare.core.errors import DataError, PolicyError
from personare.govern.consent import SCOPES
from personare.govern.consent_exports import duo, fhir, odrl, receipt
from personare.govern.consent_records import Event, Notice, Record, Records, Use, sha256
from personare.govern.ledger import Ledger

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph:DeprecationWarning")  # of rdflib itself
TODAY = date(2026, 5, 1)
GIVEN = Event(state="given", time="2026-04-01T10:00:00+00:00", method="signed form")


def record(**changes: Any) -> Record:
    uses = (
        Use(purposes=("evaluation", "training"), modalities=("audio",), retention_until="2026-12-31"),
        Use(purposes=("research",), modalities=("video", "text")),
    )
    base = {"version": 1, "uses": uses, "controller": "Uni <X>", "notice": Notice(file="n.txt", language="de")}
    return Record(**{"subject": "01", "event": GIVEN, **base, **changes})


def shared(**changes: Any) -> Record:
    return record(uses=(Use(purposes=("sharing",), modalities=("all",)),), recipients=("Uni Y",), **changes)


def test_what_is_written_is_read() -> None:
    for one in (record(), shared(tiers=("institution",)), Record(subject="01", event=GIVEN)):
        assert Record.of(json.loads(one.content())) == one


def test_the_file_is_linked_data_in_terms_of_dpv() -> None:
    graph = rdflib.Graph().parse(data=record().content(), format="json-ld")
    dpv, own = rdflib.Namespace("https://w3id.org/dpv#"), rdflib.Namespace("urn:personare:consent:")
    node = own["sub-01/v0001"]
    assert (node, rdflib.RDF.type, dpv.ConsentRecord) in graph
    assert (graph.value(node, dpv.hasConsentStatus), rdflib.RDF.type, dpv.ConsentGiven) in graph
    assert str(graph.value(node, dpv.hasLegalBasis)).endswith("gdpr#A9-2-a")
    processes = list(graph.objects(node, dpv.hasProcess))
    assert {str(p) for one in processes for p in graph.objects(one, dpv.hasPurpose)} == {
        f"urn:personare:consent:{name}" for name in ("evaluation", "training", "research")
    }
    assert rdflib.URIRef("http://purl.obolibrary.org/obo/DUO_0000042") in set(graph.objects())


@pytest.mark.parametrize(
    "change",
    [
        {"subject": None},
        {"name": "Anna"},
        {"ai_training": False},
        {"uses": [{"purposes": ["evaluation"]}]},
        {"uses": 3},
        {"event": "given"},
        {"@id": "urn:personare:consent:sub-02/v0001"},
    ],
)
def test_what_is_not_such_a_record_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="no consent record of personare"):
        Record.of({**json.loads(record().content()), **change})
    for other in ([], "text", {}, None):
        with pytest.raises(DataError, match="no consent record of personare"):
            Record.of(other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Use(purposes=("fun",), modalities=("audio",)), "purpose must be one of .* not fun"),
        (lambda: Use(purposes=("research",), modalities=()), "must name a purpose and a modality"),
        (lambda: Use(purposes=("research",), modalities=("all",), scope="DUO:1"), "scope must be one of"),
        (lambda: Use(purposes=("research",), modalities=("all",), retention_until="soon"), "date like 2030-12-31"),
        (lambda: Use(purposes=("research",), modalities=("all",), retention_until="20301231"), "in another way"),
        (lambda: Event(state="given", time="2026-05-01T10:00:00"), "no time zone"),
        (lambda: record(tiers=("friends",)), "tier must be one of study, institution, protected, synthetic"),
        (lambda: record(legal_basis="because"), "legal basis must be one of"),
        (lambda: Event(state="maybe", time=GIVEN.time), "state must be one of given, withdrawn, expired"),
        (lambda: Event(state="given", time="yesterday"), "time of a consent must be like"),
    ],
)
def test_lists_are_closed(make: Any, said: str) -> None:
    with pytest.raises((PolicyError, DataError), match=said):
        make()


def test_a_record_permits_what_it_says() -> None:
    one, late = record(), date(2027, 1, 1)
    assert one.permits("training", "audio", TODAY) == "" == one.permits("research", "text", late)
    assert "did not consent to training with video" in one.permits("training", "video", TODAY)
    assert "ended on 2026-12-31" in one.permits("training", "audio", late)
    assert (one.state_on(TODAY), one.state_on(late)) == ("given", "given")
    assert record(uses=one.uses[:1]).state_on(late) == "expired"
    gone = record(event=Event(state="withdrawn", time=GIVEN.time))
    assert "withdrew consent (2026-04-01)" in gone.permits("research", "text", TODAY)


def test_originals_are_shared_only_with_the_tier_for_it() -> None:
    assert shared(tiers=("study", "institution")).permits("sharing", "audio", TODAY) == ""
    for tiers in (("study",), ("protected", "synthetic")):
        assert "nobody outside the study" in shared(tiers=tiers).permits("sharing", "audio", TODAY)


@pytest.fixture
def kept(tmp_path: Path) -> Ledger:
    """Two records of 01, as the ledger says."""
    ledger = Ledger(tmp_path / "ledger.sqlite")
    (tmp_path / "consent/sub-01").mkdir(parents=True)
    for one in (record(), record(version=2)):
        (tmp_path / f"consent/{one.name}.jsonld").write_bytes(one.content())
        row = {"cohort": "c", "subject": "01", "version": one.version, "sha256": sha256(one.content())}
        ledger.append("consent", [row])
    return ledger


def test_guarantee_a_record_that_was_tampered_with_is_never_read(kept: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "consent/sub-01"
    file = folder / "v0002.jsonld"
    content = file.read_bytes()

    def ask(cohort: str = "c") -> str:
        return Records(tmp_path, cohort, kept).permits("01", "research", "video", TODAY)

    assert ask() == ""
    assert "is not in this ledger" in ask("another cohort")
    file.write_bytes(content.replace(b'"video"', b'"audio"'))
    assert "v0002 of subject 01 was changed" in ask()
    file.write_bytes((folder / "v0001.jsonld").read_bytes())
    assert "v0002 of subject 01 was changed" in ask()
    file.unlink()
    assert "v0002 of subject 01, which the ledger knows, is not there" in ask()
    (folder / "v0001.jsonld").unlink()
    folder.rmdir()
    assert "is not there" in ask()
    folder.mkdir()
    file.write_bytes(content)
    assert ask() == ""
    (folder / "v0003.jsonld").write_bytes(record(version=3).content())
    assert "v0003 of subject 01 is not in this ledger" in ask()


def test_nobody_without_a_record_is_kept_out_by_records(tmp_path: Path) -> None:
    records = Records(tmp_path, "c", Ledger(tmp_path / "none.sqlite"))
    assert records.permits("01", "research", "video", TODAY) == ""
    assert (records.newest("01"), records.subjects(), records.next_version("01")) == (None, [], 1)


def test_fhir_permits_what_was_given_and_holds_nothing_empty() -> None:
    bundle = fhir([record(), shared(subject="02", event=Event(state="withdrawn", time=GIVEN.time))], TODAY)
    first, second = (entry["resource"] for entry in bundle["entry"])
    assert (first["status"], second["status"]) == ("active", "inactive")
    provision = first["provision"]["provision"][0]
    assert provision["type"] == "permit" and provision["period"] == {"end": "2026-12-31"}
    assert [coding["code"] for coding in provision["purpose"]] == ["evaluation", "training"]
    assert {"scope", "category", "policyRule", "patient", "dateTime"} <= first.keys()
    assert not [empty for empty in ('""', "[]", "{}", "null") if empty in json.dumps(bundle)]


def test_odrl_is_linked_data_and_forbids_training_that_was_not_agreed_to() -> None:
    people = [record(), record(subject="02", uses=record().uses[1:]), shared(subject="03", tiers=("institution",))]
    graph = rdflib.Graph().parse(data=json.dumps(odrl(people, TODAY)), format="json-ld")
    own, terms = rdflib.Namespace("urn:personare:consent:"), rdflib.Namespace("http://www.w3.org/ns/odrl/2/")
    assert len(list(graph.objects(own["sub-01/v0001"], terms.permission))) == 3
    forbidden = [list(graph.objects(own[f"sub-{n}/v0001"], terms.prohibition)) for n in ("01", "02", "03")]
    assert [len(one) for one in forbidden] == [0, 1, 1]
    assert own.training in set(graph.objects(graph.value(forbidden[1][0], terms.constraint), terms.rightOperand))
    assert rdflib.Literal("Uni Y") in set(graph.objects())
    gone = odrl([record(event=Event(state="withdrawn", time=GIVEN.time))], TODAY)["@graph"][0]
    assert gone["permission"] == [] and gone["prohibition"][0]["action"] == "odrl:use"


def test_duo_lists_whoever_agrees_now() -> None:
    listed = duo([record(), shared(subject="02", tiers=("institution",))], TODAY)
    assert [*listed["01"]] == ["DUO:0000042", "DUO:0000025", "DUO:0000027"]
    assert [*listed["02"]] == ["DUO:0000042", "DUO:0000026", "DUO:0000028"]
    assert listed["01"]["DUO:0000042"] == SCOPES["DUO:0000042"]
    assert duo([record(uses=record().uses[:1])], date(2027, 1, 1)) == {}


def test_the_receipt_says_all_in_plain_words_and_runs_nothing() -> None:
    page = receipt(record(), digest="ab12", cohort="<script>", today=TODAY)
    for words in ("Uni &lt;X&gt;", "2026-12-31", "no end was set", "sound", "may learn", "Article 9(2)(a)", "ab12"):
        assert words in page
    assert "<script" not in page and "http" not in page
    assert page.count("<b>No</b>") == 3 and "You agreed on 2026-04-01" in page
    gone = receipt(record(event=Event(state="withdrawn", time=GIVEN.time)), digest="", cohort="c", today=TODAY)
    assert "took your consent back on 2026-04-01" in gone and "may learn" not in gone and "<b>Yes" not in gone
    assert "may <b>not</b> learn" in receipt(shared(), digest="", cohort="c", today=TODAY)
