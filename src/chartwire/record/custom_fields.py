"""The registry of custom fields: what a practice keeps of its own beside a record, typed and named.

A field is retired, not deleted: its values stay and are read, but none can be written.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from chartwire.core.access import Access
from chartwire.core.errors import ConflictError, FaultsError, NotFoundError
from chartwire.core.limits import CUSTOM_FIELDS_PER_NOUN_MAX
from chartwire.mapping.conversion import Json
from chartwire.record.custom_values import FHIR_TYPES, CustomField, Noun, check, check_definition, extensions
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q


async def create(tx: Connection, access: Access, draft: CustomField) -> CustomField:
    """Register a field. Raises FaultsError for a draft that breaks a rule, ConflictError (`custom_field_exists`)."""
    check_definition(draft)
    if len(await many(tx, access, draft.noun)) >= CUSTOM_FIELDS_PER_NOUN_MAX:
        told = f"a noun has at most {CUSTOM_FIELDS_PER_NOUN_MAX} custom fields"
        raise FaultsError(told, code="custom_fields_max", faults=[])
    row = await tx.fetchrow(
        q.insert_custom_field, access.org, draft.noun, draft.name, draft.id, draft.type, draft.label,
        draft.required, draft.searchable, draft.max_length, list(draft.allowed),
    )  # fmt: skip
    if row is None:
        raise ConflictError("this noun has a custom field of this name, perhaps retired", code="custom_field_exists")
    return _field(row)


async def many(tx: Connection, access: Access, noun: str | None = None) -> list[CustomField]:
    """The definitions of a noun, or all, in order of noun and name, retired ones too."""
    return [_field(row) for row in await tx.fetch(q.custom_fields_of, access.org, noun)]


async def one(tx: Connection, access: Access, field_id: UUID) -> CustomField:
    """One definition, locked until the transaction ends. Raises NotFoundError."""
    row = await tx.fetchrow(q.lock_custom_field, access.org, field_id)
    if row is None:
        raise NotFoundError("no custom field has this id", code="unknown_id")
    return _field(row)


async def amend(tx: Connection, access: Access, standing: CustomField, wanted: CustomField) -> CustomField:
    """Change a definition that `one` gave. Raises FaultsError, ConflictError (`custom_field_in_use`) for another type
    while values exist."""
    check_definition(wanted)
    resource_type = FHIR_TYPES[standing.noun]
    if wanted.type != standing.type and await tx.fetchval(
        q.custom_field_is_used, access.org, resource_type, standing.name
    ):
        raise ConflictError("its type stays while values exist; retire it and make another", code="custom_field_in_use")
    row = await tx.fetchrow(
        q.update_custom_field, access.org, standing.id, wanted.type, wanted.label, wanted.required,
        wanted.searchable, wanted.max_length, list(wanted.allowed), wanted.retired,
    )  # fmt: skip
    assert row is not None, "the definition is locked"
    return _field(row)


async def checked(
    tx: Connection, access: Access, noun: Noun, custom: Mapping[str, Any], standing: Mapping[str, Any] | None = None
) -> list[Json]:
    """A whole `custom` map as the extensions that hold it, by the definitions as they are in this transaction.

    `standing` are the values before the write (`custom_values.values_of`). Raises FaultsError; see
    `custom_values.check`.
    """
    definitions = await many(tx, access, noun)
    return extensions(definitions, check(definitions, custom, standing))


def _field(row: Row) -> CustomField:
    return CustomField(
        row["noun"],
        row["name"],
        row["type"],
        row["label"],
        row["required"],
        row["searchable"],
        row["max_length"],
        tuple(row["allowed"]),
        row["retired_at"] is not None,
        row["id"],
        row["created_at"],
        row["updated_at"],
    )
