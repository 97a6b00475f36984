"""Consent records in the forms of others (FHIR for hospitals, ODRL for machines, DUO for archives), and a receipt."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from personare.govern.consent import PURPOSES, SCOPES
from personare.govern.consent_records import LEGAL_BASES, TIERS, Record

_URN = "urn:personare:consent"
_IRIS = ("action", "assigner", "leftOperand", "operator", "target")
_ODRL = {
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "label": "http://www.w3.org/2000/01/rdf-schema#label",
    "date": "http://www.w3.org/2001/XMLSchema#date",
    **{name: f"odrl:{name}" for name in ("permission", "prohibition", "constraint", "assignee", "rightOperand")},
    **{name: {"@id": f"odrl:{name}", "@type": "@id"} for name in _IRIS},
}


def fhir(records: Iterable[Record], today: date) -> dict[str, Any]:
    """Return a bundle of Consent resources; nothing is allowed but what a provision permits.

    **Source**: HL7 FHIR R4 (4.0.1), Consent. Purposes and modalities are codes of our own.
    """

    def concept(system: str, code: str) -> dict[str, Any]:
        return {"coding": [{"system": system, "code": code}]}

    def resource(record: Record) -> dict[str, Any]:
        provisions = [
            {
                "type": "permit",
                "period": {"end": use.retention_until},
                "purpose": [{"system": f"{_URN}:purpose", "code": name} for name in use.purposes],
                "code": [concept(f"{_URN}:modality", name) for name in use.modalities],
            }
            for use in record.uses
        ]
        notice = {"title": record.notice.file, "language": record.notice.language}
        return {
            "resourceType": "Consent",
            "id": record.name.replace("/", "-"),
            "identifier": [{"system": _URN, "value": record.name}],
            "status": "active" if record.state_on(today) == "given" else "inactive",
            "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "research"),
            "category": [concept("http://loinc.org", "59284-0")],
            "patient": {"identifier": {"system": f"{_URN}:subject", "value": record.subject}},
            "dateTime": record.event.time,
            "organization": [{"display": record.controller}],
            "sourceAttachment": notice,
            "policyRule": concept("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTIN"),
            "provision": {"provision": provisions},
        }

    entries = [{"fullUrl": f"{_URN}:{record.name}", "resource": resource(record)} for record in records]
    return dict(_filled({"resourceType": "Bundle", "type": "collection", "entry": entries}))


def _filled(content: Any) -> Any:
    """Return content without what is empty, which FHIR forbids."""
    if isinstance(content, Mapping):
        return {key: kept for key, value in content.items() if (kept := _filled(value))}
    return [*filter(None, map(_filled, content))] if isinstance(content, list) else content


def odrl(records: Iterable[Record], today: date) -> dict[str, Any]:
    """Return policies, one a person; training that a person did not agree to, or all that they took back, is forbidden.

    **Source**: W3C ODRL Information Model 2.2. Purposes and modalities are terms of our own.
    """
    actions = {"anonymization": "odrl:anonymize", "sharing": "odrl:distribute"}

    def limit(name: str, operator: str, value: dict[str, str]) -> dict[str, Any]:
        return {"leftOperand": f"odrl:{name}", "operator": f"odrl:{operator}", "rightOperand": value}

    def policy(record: Record) -> dict[str, Any]:
        holds, person = record.state_on(today) == "given", f"{_URN}:sub-{record.subject}"
        permissions = [
            {
                "target": [f"{person}/{name}" for name in use.modalities],
                "assigner": person,
                "assignee": [
                    {"label": name} for name in (record.recipients if purpose == "sharing" else [record.controller])
                ],
                "action": actions.get(purpose, "odrl:use"),
                "constraint": [
                    limit("purpose", "eq", {"@id": f"{_URN}:{purpose}"}),
                    *(
                        limit("dateTime", "lteq", {"@value": end, "@type": "date"})
                        for end in [use.retention_until]
                        if end
                    ),
                ],
            }
            for use in record.uses
            for purpose in use.purposes
        ]
        never = {"target": person, "assigner": person, "action": "odrl:use"}
        training = {**never, "constraint": limit("purpose", "eq", {"@id": f"{_URN}:training"})}
        return {
            "@id": f"{_URN}:{record.name}",
            "@type": "odrl:Set",
            "permission": permissions if holds else [],
            "prohibition": [] if holds and record.ai_training else [training] if holds else [never],
        }

    return {"@context": _ODRL, "@graph": [policy(record) for record in records]}


def duo(records: Iterable[Record], today: date) -> dict[str, Any]:
    """Return the codes of the Data Use Ontology (GA4GH) of everybody whose consent holds, by pseudonym."""

    def codes(record: Record) -> dict[str, str]:
        modifiers = {
            "DUO:0000025 time limit on use": any(use.retention_until for use in record.uses),
            "DUO:0000026 user specific restriction": bool(record.recipients),
            "DUO:0000027 project specific restriction": "institution" not in record.tiers,
            "DUO:0000028 institution specific restriction": "institution" in record.tiers,
        }
        holding = [name.split(" ", 1) for name, holds in modifiers.items() if holds]
        return {**{use.scope: SCOPES[use.scope] for use in record.uses}, **{code: words for code, words in holding}}

    return {record.subject: codes(record) for record in records if record.state_on(today) == "given"}


FORMS: Mapping[str, Callable[[Iterable[Record], date], dict[str, Any]]] = {"fhir": fhir, "odrl": odrl, "duo": duo}


def receipt(record: Record, *, digest: str, cohort: str, today: date) -> str:
    """Return a page in plain words for the person themselves: who may do what with which recordings until when."""
    template = resources.files("personare.govern").joinpath("receipt.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    words = {"purposes": PURPOSES, "tiers": TIERS, "article": LEGAL_BASES[record.legal_basis]}
    facts = {"record": record, "digest": digest, "cohort": cohort, "today": today, "state": record.state_on(today)}
    return environment.from_string(template).render(facts | words)
