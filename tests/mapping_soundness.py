"""Whether a conversion is sound FHIR R4: shared by the unit, property and corpus tests of the maps."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from chartwire.core.source import IdentifierRule, Source
from chartwire.mapping import Conversion, to_bundle

# Elements with min 1 in R4, by type; `a|b` = either; `x.y` = in every x where there is one.
REQUIRED = {
    "AllergyIntolerance": ["patient", "reaction.manifestation"],
    "Appointment": ["status", "participant", "participant.status"],
    "Condition": ["subject"],
    "Coverage": ["status", "beneficiary", "payor", "class.type", "class.value"],
    "Binary": ["contentType"],
    "DiagnosticReport": ["status", "code"],
    "DocumentReference": ["status", "content", "content.attachment", "relatesTo.code", "relatesTo.target"],
    "Encounter": ["status", "class", "location.location", "diagnosis.condition"],
    "Location": [],
    "Observation": ["status", "code", "component.code"],
    "Organization": ["identifier|name"],
    "Patient": ["communication.language"],
    "Practitioner": ["qualification.code"],
    "Procedure": ["status", "subject", "performer.actor"],
    "RelatedPerson": ["patient", "communication.language"],
    "ServiceRequest": ["status", "intent", "subject"],
    "Specimen": [],
}
DATE = r"([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1]))?)?"
TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
ZONE = r"(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
SHAPES = {
    "code": re.compile(r"[^\s]+(\s[^\s]+)*"),
    "date": re.compile(DATE),
    "dateTime": re.compile(rf"{DATE}(?<=-\d\d-\d\d)T{TIME}{ZONE}|{DATE}"),
    "instant": re.compile(rf"\d{{4}}-\d\d-\d\dT{TIME}{ZONE}"),
    "time": re.compile(TIME),
    "id": re.compile(r"[A-Za-z0-9\-.]{1,64}"),
    "uri": re.compile(r"\S+"),
}
DATE_TIMES = {
    "deceasedDateTime", "onsetDateTime", "recordedDate", "effectiveDateTime", "valueDateTime", "authoredOn",
    "occurrenceDateTime", "receivedTime", "collectedDateTime",
}  # fmt: skip
CODES = {"code", "status", "gender", "use", "intent", "priority", "mode", "type", "category", "criticality", "severity"}
ESCAPES = re.compile(r"\\(?:[FSTRE]|X[0-9A-Fa-f]+|\.br)\\")


def source(**changes: Any) -> Source:
    """A feed of HOSP in New York that identifies patients by MR and PI of any authority."""
    settings: dict[str, Any] = {
        "org": UUID(int=1), "id": UUID(int=2), "name": "feed", "authority": "HOSP", "timezone": "America/New_York",
        "identifiers": (IdentifierRule("*", "MR"), IdentifierRule("*", "PI")),
    }  # fmt: skip
    return Source(**(settings | changes))


def problems(conversion: Conversion) -> list[str]:
    """Everything wrong with the Bundle of a conversion; places and rules, no values."""
    bundle = to_bundle(conversion)
    entries = bundle.get("entry", [])
    urls = {entry["fullUrl"] for entry in entries}
    found = ["two resources of one id"] if len(urls) < len(entries) else []
    for entry in entries:
        resource = entry["resource"]
        kind = resource["resourceType"]
        found += [f"{kind}.{path}: missing" for path in REQUIRED[kind] if not _has(resource, path.split("."))]
        found += _invariants(resource)
        for path, value in _walk(resource, kind):
            found += [f"{path}: {fault}" for fault in _faults(path, value, urls)]
    return found


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, value
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _walk(item, f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, f"{path}[]")


def _has(value: Any, names: list[str]) -> bool:
    if not names:
        return True
    if isinstance(value, list):
        return bool(value) and all(_has(item, names) for item in value)
    options = names[0].split("|")
    if len(names) == 1:
        return any(option in value or f"_{option}" in value for option in options)
    return names[0] not in value or _has(value[names[0]], names[1:])


def _invariants(resource: dict[str, Any]) -> list[str]:
    found = []
    if resource["resourceType"] == "Appointment":
        start, end = (name in resource or f"_{name}" in resource for name in ("start", "end"))
        if start != end or (not start and resource["status"] not in {"proposed", "cancelled", "waitlist"}):
            found.append("Appointment: app-2, app-3")
        if "start" in resource and "end" in resource and resource["start"] > resource["end"]:
            found.append("Appointment: ends before it starts")
    for choice in ("value", "effective", "deceased", "multipleBirth", "collected", "occurrence", "performed"):
        taken = [name for name in resource if re.fullmatch(rf"{choice}[A-Z]\w*", name)]
        found += [f"{resource['resourceType']}.{choice}[x] twice"] if len(taken) > 1 else []
    return found


def _faults(path: str, value: Any, urls: set[str]) -> list[str]:
    if isinstance(value, dict | list):
        return [] if value else ["empty"]
    if not isinstance(value, str):
        return ["null"] if value is None else []
    name = path.removesuffix("[]").rpartition(".")[2]
    found = [] if value.strip() and value != '""' else ["empty or NULL"]
    if ESCAPES.search(value):
        found.append("undecoded escape")
    shape = _shape(name, path)
    if shape and not SHAPES[shape].fullmatch(value):
        found.append(f"no {shape}")
    if (name == "reference" or (name == "url" and value.startswith("Binary/"))) and value not in urls:
        found.append("unresolved reference")
    return found


def _shape(name: str, path: str) -> str | None:
    if name in CODES or name in {"valueCode", "comparator"}:
        return "code"
    if name == "birthDate":
        return "date"
    if name in DATE_TIMES or re.search(r"[pP]eriod(?:\[\])?\.(?:start|end)$", path):
        return "dateTime"
    if name == "issued" or re.fullmatch(r"Appointment\.(?:start|end)", path):
        return "instant"
    return {"valueTime": "time", "id": "id", "system": "uri", "url": "uri"}.get(name)
