"""All that belongs to a patient: the patient's compartment (R4 2.14), devices, and whom and what its resources name.

Shared resources (practitioners, organisations, medications) are found by way of references, up to two steps. Resources
of other patients never are, whoever refers to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from uuid import UUID

import msgspec

from chartwire.core.access import Access
from chartwire.formats.fhir.definitions import compartments, search_parameters, served_types
from chartwire.record.fhir_index import place_of
from chartwire.record.history import BEGINNING, Version
from chartwire.record.linked import ANY, Rule, linked
from chartwire.record.read import stored_of
from chartwire.store.pool import Connection
from chartwire.store.queries import q
from chartwire.trust.credentials import explaining

END = datetime(9999, 12, 31, tzinfo=UTC)
_ALSO = {"Device": ("patient",)}
"""What R4 leaves out of the compartment although it names the patient whose it is."""
_NOT_CARE = frozenset({"activity-date", "birthdate", "death-date", "location-period", "payment-date", "value-date"})
"""Dates that do not say when something was done."""
_NO_ID = UUID(int=0)
_STEPS = 2
_EVERYTHING = Rule(ANY, ANY)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a patient's resources: of some types (empty: all), changed at `since` or later, about the time from
    `start` on until before `end` as far as they have a date."""

    types: frozenset[str] = frozenset()
    since: datetime = BEGINNING
    start: datetime = BEGINNING
    end: datetime = END

    def has(self, resource_type: str) -> bool:
        """Whether resources of a type are wanted."""
        return not self.types or resource_type in self.types

    @property
    def dated(self) -> bool:
        """Whether only a time is asked about."""
        return self.start > BEGINNING or self.end < END


class Reached(msgspec.Struct, array_like=True, frozen=True):
    """How far one patient's resources were told: right behind this one."""

    type: str = ""
    id: UUID = _NO_ID


async def belonging(
    connection: Connection, access: Access, patient: UUID, wanted: Wanted, behind: Reached, limit: int
) -> list[Version]:
    """At most `limit` resources of a patient's, the patient among them, by type and id behind a place.

    `connection` may be in a transaction or in none. Raises AuthError (`credential_invalid`), TransientError.
    """
    columns = [(key, kind) for key, kind in _compartment() if wanted.has(kind)]
    args = (
        patient,
        [key for key, _ in columns],
        [kind for _, kind in columns],
        wanted.has("Patient"),
        wanted.since,
        list(_care_dates()) if wanted.dated else [],
        wanted.start,
        wanted.end,
        behind.type,
        behind.id,
        limit,
    )
    with explaining():
        rows = await connection.fetch(q.fhir_everything, access.credential_id, access.org, *args)
    return [Version(row["type"], stored_of(row, row["id"])) for row in rows]


async def named_by(
    connection: Connection, access: Access, told: Sequence[Version], wanted: Wanted, limit: int
) -> tuple[list[Version], bool]:
    """The shared resources that these name, and what those name, at most `limit`; and whether that is all."""
    found: dict[tuple[str, UUID], Version] = {}
    fresh = [(one.type, one.stored.id) for one in told]
    for _ in range(_STEPS):
        added, whole = await linked(connection, access, fresh, (_EVERYTHING,), limit)
        new = {(one.type, one.stored.id): one for one in added if _is_shared(one)}
        fresh = [named for named in new if named not in found]
        found |= new
        if not whole or not fresh:
            break
    kept = [one for one in found.values() if wanted.has(one.type)]
    return kept[:limit], whole and len(kept) <= limit


async def patients(connection: Connection, access: Access, behind: UUID, limit: int) -> list[UUID]:
    """Patients by id. `connection` is in a transaction that is bound to the organisation."""
    return [row["id"] for row in await connection.fetch(q.patients_after, access.org, behind, limit)]


def _is_shared(one: Version) -> bool:
    return one.type not in _of_patients() and one.stored.patient_id is None


@cache
def _of_patients() -> frozenset[str]:
    """Types whose resources belong to somebody."""
    members = compartments()["Patient"]
    return frozenset(kind for kind in served_types() if members.get(kind) or kind in _ALSO)


@cache
def _compartment() -> tuple[tuple[int, str], ...]:
    """(key, type) of the index rows by which resources name their patient. A linked patient is another's record."""
    members = {**compartments()["Patient"], **_ALSO}
    named = sorted((kind, key) for kind in _of_patients() - {"Patient"} for key in _keys(kind, members[kind]))
    return tuple((key, kind) for kind, key in named)


@cache
def _care_dates() -> tuple[int, ...]:
    """Keys of the index rows that say when something was done."""
    found: set[int] = set()
    for kind in _of_patients():
        parameters = search_parameters(kind).items()
        found |= _keys(kind, [code for code, told in parameters if told.kind == "date" and code not in _NOT_CARE])
    return tuple(sorted(found))


def _keys(resource_type: str, codes: Sequence[str]) -> set[int]:
    found: set[int] = set()
    for code in codes:
        if (place := place_of(resource_type, code)) is not None:
            found.update(place.keys())
    return found
