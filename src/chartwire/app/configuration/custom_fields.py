"""Custom fields in configuration files, named `noun.name`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from chartwire.api.rest.custom_fields import CustomFieldOrder
from chartwire.app.configuration.kind import Entry, Held, Values
from chartwire.core.access import Access
from chartwire.core.errors import FaultsError
from chartwire.record import custom_fields
from chartwire.record.custom_values import CustomField, check_definition
from chartwire.store.pool import Connection


class CustomFieldKind:
    """See kind.Kind."""

    section = "custom_fields"
    secrets: frozenset[str] = frozenset()
    single = False

    def name_of(self, values: Mapping[str, Any]) -> str:
        return f"{values['noun']}.{values['name']}" if {"noun", "name"} <= values.keys() else ""

    async def held(self, tx: Connection, access: Access) -> list[Held]:
        found = await custom_fields.many(tx, access)
        return [Held(f"{one.noun}.{one.name}", _values(one), one) for one in found if not one.retired]

    def exported(self, held: Held) -> Values:
        least: Values = msgspec.to_builtins(
            CustomFieldOrder(held.ref.noun, held.ref.name, held.ref.type, held.ref.label)
        )
        needed = ("noun", "name", "type", "label")
        return {name: value for name, value in held.values.items() if name in needed or value != least[name]}

    async def read(self, entry: Entry) -> Values:
        try:
            form = msgspec.convert(entry.values, CustomFieldOrder)
        except msgspec.ValidationError as error:
            raise FaultsError("not a custom field", code="config_file",
                              faults=[("", "invalid_value", str(error))]) from None  # fmt: skip
        check_definition(_definition(form))
        read: Values = msgspec.to_builtins(form)
        return read

    async def create(self, tx: Connection, access: Access, values: Values) -> dict[str, str]:
        wanted = _definition(msgspec.convert(values, CustomFieldOrder))
        for standing in await custom_fields.many(tx, access, wanted.noun):
            if standing.name == wanted.name:
                await custom_fields.amend(tx, access, await custom_fields.one(tx, access, standing.id), wanted)
                return {}
        await custom_fields.create(tx, access, wanted)
        return {}

    async def change(self, tx: Connection, access: Access, held: Held, values: Values) -> None:
        standing = await custom_fields.one(tx, access, held.ref.id)
        await custom_fields.amend(tx, access, standing, _definition(msgspec.convert(values, CustomFieldOrder)))

    async def retire(self, tx: Connection, access: Access, held: Held) -> None:
        standing = await custom_fields.one(tx, access, held.ref.id)
        await custom_fields.amend(tx, access, standing, replace(standing, retired=True))

    async def finish(self, tx: Connection, access: Access) -> None:
        """Each field stands for itself."""


def _definition(form: CustomFieldOrder) -> CustomField:
    return CustomField(form.noun, form.name, form.type, form.label, form.required, form.searchable, form.max_length,
                       tuple(form.values))  # fmt: skip


def _values(field: CustomField) -> Values:
    form = CustomFieldOrder(field.noun, field.name, field.type, field.label, field.required, field.searchable,
                     field.max_length, list(field.allowed))  # fmt: skip
    values: Values = msgspec.to_builtins(form)
    return values
