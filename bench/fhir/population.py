"""A made population in the shape of Synthea's: patients with their visits, findings, problems, medicines and bills.

All of it follows from the seed and the number of a patient, so that any two servers are filled with the same.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid5

Json = dict[str, Any]
Refer = Callable[[UUID, str], str]
"""The reference to a resource of this key and type."""

NUMBERS = "urn:bench:mrn"
LOINC, SNOMED, RXNORM = "http://loinc.org", "http://snomed.info/sct", "http://www.nlm.nih.gov/research/umls/rxnorm"
CATEGORIES = "http://terminology.hl7.org/CodeSystem/observation-category"
_NAMESPACE = UUID("7d0d9a0e-4f0f-5e54-8d0a-3c5a1d0c7b11")
_FIRST_DAY = date(2016, 1, 4)
_FAMILIES = tuple(
    a + b
    for a in ("Har", "Lind", "Mor", "Okon", "Sil", "Tan", "Weid", "Yam")
    for b in ("a", "berg", "kwo", "mann", "ov", "son")
)
_GIVEN = (
    "Ada",
    "Bela",
    "Chidi",
    "Dora",
    "Emeka",
    "Femi",
    "Grace",
    "Hana",
    "Ines",
    "Jonas",
    "Kaya",
    "Liv",
    "Mara",
    "Noor",
)
_FINDINGS = (
    ("8302-2", "Body Height", "cm", 150, 195),
    ("29463-7", "Body Weight", "kg", 48, 120),
    ("8867-4", "Heart rate", "/min", 55, 100),
    ("9279-1", "Respiratory rate", "/min", 11, 20),
    ("2339-0", "Glucose", "mg/dL", 65, 190),
    ("6299-2", "Urea Nitrogen", "mg/dL", 7, 25),
    ("2093-3", "Total Cholesterol", "mg/dL", 120, 290),
    ("718-7", "Hemoglobin", "g/dL", 11, 18),
)
_PROBLEMS = (
    ("44054006", "Diabetes"),
    ("38341003", "Hypertension"),
    ("195662009", "Acute viral pharyngitis"),
    ("10509002", "Acute bronchitis"),
)
_MEDICINES = (("314076", "lisinopril 10 MG"), ("860975", "metformin 500 MG"), ("313782", "acetaminophen 325 MG"))
PER_PATIENT = 17


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of a patient, to search by."""

    key: UUID
    number: str
    family: str
    born: str


def key_of(number: int, kind: str, count: int = 0) -> UUID:
    """The key of one resource of a patient."""
    return uuid5(_NAMESPACE, f"{number}/{kind}/{count}")


def person(number: int) -> Person:
    """The patient of a number."""
    dice = random.Random(number)
    born = date(1930, 1, 1) + timedelta(days=dice.randrange(32_000))
    return Person(
        key_of(number, "Patient"), f"B{number:07}", dice.choice(_FAMILIES) + str(number % 97), born.isoformat()
    )


def resources(number: int, refer: Refer) -> Iterator[tuple[UUID, Json]]:
    """The resources of one patient with their keys, the patient first."""
    dice, who = random.Random(number + 1_000_000), person(number)
    subject = {"reference": refer(who.key, "Patient")}
    yield who.key, _patient(dice, who)
    for count in range(2):
        visit, day = key_of(number, "Encounter", count), _FIRST_DAY + timedelta(days=dice.randrange(3_500))
        during = {"reference": refer(visit, "Encounter")}
        yield visit, _encounter(subject, day)
        for index in range(5):
            yield key_of(number, "Observation", count * 5 + index), _observation(dice, subject, during, day)
    yield key_of(number, "Condition"), _condition(dice, subject, during, day)
    yield key_of(number, "MedicationRequest"), _prescription(dice, subject, during, day)
    yield key_of(number, "Immunization"), _immunization(subject, during, day)
    yield key_of(number, "Claim"), _claim(dice, subject, during, day)


def _patient(dice: random.Random, who: Person) -> Json:
    kind = {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}],
        "text": "Medical Record Number",
    }
    race = {
        "url": "ombCategory",
        "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3", "display": "White"},
    }
    return {
        "resourceType": "Patient",
        "extension": [
            {
                "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
                "extension": [race, {"url": "text", "valueString": "White"}],
            }
        ],
        "identifier": [{"type": kind, "system": NUMBERS, "value": who.number}],
        "active": True,
        "name": [{"use": "official", "family": who.family, "given": [dice.choice(_GIVEN), dice.choice(_GIVEN)]}],
        "telecom": [
            {"system": "phone", "value": f"555-{dice.randrange(10_000):04}-{dice.randrange(1000):03}", "use": "home"}
        ],
        "gender": dice.choice(("female", "male")),
        "birthDate": who.born,
        "address": [
            {
                "line": ["12 Main Street"],
                "city": dice.choice(("Boston", "Lowell", "Salem")),
                "state": "MA",
                "country": "US",
            }
        ],
        "maritalStatus": {"text": "M"},
    }


def _encounter(subject: Json, day: date) -> Json:
    return {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "type": [{"coding": [{"system": SNOMED, "code": "185345009", "display": "Encounter for symptom"}]}],
        "subject": subject,
        "period": {"start": f"{day}T09:00:00-05:00", "end": f"{day}T09:30:00-05:00"},
    }


def _observation(dice: random.Random, subject: Json, visit: Json, day: date) -> Json:
    code, display, unit, low, high = dice.choice(_FINDINGS)
    category = "vital-signs" if unit in {"cm", "kg", "/min"} else "laboratory"
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": CATEGORIES, "code": category}]}],
        "code": {"coding": [{"system": LOINC, "code": code, "display": display}], "text": display},
        "subject": subject,
        "encounter": visit,
        "effectiveDateTime": f"{day}T09:{dice.randrange(60):02}:00-05:00",
        "issued": f"{day}T09:59:59.000-05:00",
        "valueQuantity": {
            "value": round(dice.uniform(low, high), 2),
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        },
    }


def _condition(dice: random.Random, subject: Json, visit: Json, day: date) -> Json:
    code, display = dice.choice(_PROBLEMS)
    base = "http://terminology.hl7.org/CodeSystem/condition-"
    return {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [{"system": f"{base}clinical", "code": "active"}]},
        "verificationStatus": {"coding": [{"system": f"{base}ver-status", "code": "confirmed"}]},
        "code": {"coding": [{"system": SNOMED, "code": code, "display": display}], "text": display},
        "subject": subject,
        "encounter": visit,
        "onsetDateTime": f"{day}T09:00:00-05:00",
    }


def _prescription(dice: random.Random, subject: Json, visit: Json, day: date) -> Json:
    code, display = dice.choice(_MEDICINES)
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {
            "coding": [{"system": RXNORM, "code": code, "display": display}],
            "text": display,
        },
        "subject": subject,
        "encounter": visit,
        "authoredOn": f"{day}T09:20:00-05:00",
    }


def _immunization(subject: Json, visit: Json, day: date) -> Json:
    return {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "140", "display": "Influenza"}]},
        "patient": subject,
        "encounter": visit,
        "occurrenceDateTime": f"{day}T09:10:00-05:00",
        "primarySource": True,
    }


def _claim(dice: random.Random, subject: Json, visit: Json, day: date) -> Json:
    return {
        "resourceType": "Claim",
        "status": "active",
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/claim-type", "code": "professional"}]},
        "use": "claim",
        "patient": subject,
        "created": f"{day}T09:30:00-05:00",
        "provider": {"display": "Bench practice"},
        "priority": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/processpriority", "code": "normal"}]},
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "Bench insurance"}}],
        "item": [{"sequence": 1, "productOrService": {"text": "Encounter for symptom"}, "encounter": [visit]}],
        "total": {"value": dice.randrange(5_000, 30_000) / 100, "currency": "USD"},
    }
