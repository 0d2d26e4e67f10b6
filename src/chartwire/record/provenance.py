"""A FHIR Provenance for every version of every resource, made from the version's row when it is asked for.

Nothing is stored for it: its id says which version it is about (`Patient.<id in base 62>.<version>`), so that it can be
read back. Provenances that clients write are resources like any other; callers give both (R4 6.4, US Core Provenance).
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from chartwire.core.access import Access
from chartwire.core.clock import instant
from chartwire.core.fhir_ids import store_id
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.formats.fhir.definitions import resource_types
from chartwire.mapping.conversion import Json
from chartwire.record.read import Stored
from chartwire.store.pool import Connection, Pool, Row
from chartwire.store.queries import q

VERSIONS_MAX = 1_000
"""Of one question."""

_ALL_VERSIONS = 0
_ID = re.compile(r"([A-Z][A-Za-z]{1,33})\.([0-9A-Za-z]{22})\.([1-9][0-9]{0,6})")
_HEAD_ID = re.compile(r'"id":"([A-Za-z0-9\-.]{1,64})"')
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_OPERATIONS = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_AUTHOR = {"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "author"}
_TRANSMITTER = {
    "system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type",
    "code": "transmitter",
}
_IDS = "https://chartwire.org/fhir"
"""`{_IDS}/source`, `/key`, `/message`: the systems of our prefixed ids."""


class Version(NamedTuple):
    """A version of a resource, by the store's key."""

    type: str
    id: UUID
    number: int


def provenance_id(about: Version) -> str:
    """The FHIR id of the Provenance of a version: at most 64 characters."""
    number, digits = about.id.int, ""
    for _ in range(22):
        number, rest = divmod(number, 62)
        digits = _DIGITS[rest] + digits
    return f"{about.type}.{digits}.{about.number}"


def version_of(fhir_id: str) -> Version | None:
    """The version that such an id is about; None for any other id."""
    match = _ID.fullmatch(fhir_id)
    if match is None or match[1] not in resource_types():
        return None
    number = 0
    for digit in match[2]:
        number = number * 62 + _VALUES[digit]
    return Version(match[1], UUID(int=number), int(match[3])) if number < 1 << 128 else None


async def read_provenance(pool: Pool, access: Access, fhir_id: str) -> Stored | None:
    """The computed Provenance of this id, as if it were stored; None where there is no such version here.

    Its `patient_id` is the patient whose data the version holds.
    """
    about = version_of(fhir_id)
    if about is None:
        return None
    async with pool.transaction(access.org) as tx:
        found = await _read(tx, access, [(about.type, about.id)], about.number, 1)
    return found[0] if found else None


async def provenances(
    tx: Connection, access: Access, targets: Sequence[tuple[str, UUID]], *, limit: int = VERSIONS_MAX
) -> list[Stored]:
    """The Provenances of all versions of these resources (type and store's key), newest first, at most `limit`.

    `tx` is bound to the organisation of `access`. One statement, whatever the number of targets.
    """
    return await _read(tx, access, targets, _ALL_VERSIONS, min(limit, VERSIONS_MAX)) if targets else []


async def _read(
    tx: Connection, access: Access, targets: Sequence[tuple[str, UUID]], number: int, limit: int
) -> list[Stored]:
    types, ids = [target[0] for target in targets], [target[1] for target in targets]
    return [_made(row) for row in await tx.fetch(q.made_versions, access.org, types, ids, number, limit)]


def _made(row: Row) -> Stored:
    about = Version(row["type"], row["id"], row["version"])
    own_id, recorded = provenance_id(about), instant(row["updated_at"])
    body: Json = {
        "resourceType": "Provenance",
        "id": own_id,
        "meta": {"versionId": "1", "lastUpdated": recorded},
        "target": [{"reference": f"{about.type}/{_logical_id(row)}/_history/{about.number}"}],
        "recorded": recorded,
        "activity": {"coding": [_activity(row)]},
        "agent": _agents(row),
    }
    if row["message_id"] is not None:
        body["entity"] = [{"role": "source", "what": _message(row)}]
    return Stored(
        store_id(own_id),
        1,
        row["updated_at"],
        False,
        _patient(row),
        row["message_id"],
        row["actor"],
        msgspec.json.encode(body).decode(),
    )


def _logical_id(row: Row) -> str:
    match = _HEAD_ID.search(row["head"])
    return match[1] if match else str(row["id"])


def _patient(row: Row) -> UUID | None:
    found: UUID | None = row["id"] if row["type"] == "Patient" else row["patient_id"]
    return found


def _activity(row: Row) -> Json:
    code, display = ("DELETE", "delete") if row["deleted"] else ("UPDATE", "revise")
    if row["version"] == 1:
        code, display = "CREATE", "create"
    return {"system": _OPERATIONS, "code": code, "display": display}


def _agents(row: Row) -> list[Json]:
    """Who spoke; what a feed said was also transmitted by it (US Core asks for both)."""
    who, parts = _who(row), [_AUTHOR]
    if row["message_id"] is not None:
        parts.append(_TRANSMITTER)
    return [{"type": {"coding": [part]}, "who": who} for part in parts]


def _who(row: Row) -> Json:
    """The actor with its name where it has one: a feed's source, an API key, a person or process."""
    kind, _, name = row["actor"].partition(":")
    if kind == "key" and name:
        return _named("key", to_prefixed(PREFIXES["credential"], UUID(name)), row["key_name"] or "API key")
    if kind == "feed" and row["source_id"] is not None:
        return _named("source", to_prefixed(PREFIXES["source"], row["source_id"]), name)
    return {"display": name or kind}


def _message(row: Row) -> Json:
    """The message that made the version; its kind is told as long as the message is kept."""
    shown = f"HL7 v2 message {row['event']}" if row["event"] else "HL7 v2 message"
    return _named("message", to_prefixed(PREFIXES["message"], row["message_id"]), shown)


def _named(noun: str, value: str, display: Any) -> Json:
    return {"identifier": {"system": f"{_IDS}/{noun}", "value": value}, "display": display}
