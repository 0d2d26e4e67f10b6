"""How an organisation is written to through FHIR, in configuration files: one object, whose section is a mapping."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import msgspec

from chartwire.app.configuration.kind import Entry, Held, Values
from chartwire.core.access import Access
from chartwire.core.errors import FaultsError, ValidationError
from chartwire.record.fhir_policy import Policy, policy_of, set_policy
from chartwire.store.pool import Connection

_NAME = "policy"


class FhirKind:
    """See kind.Kind."""

    section = "fhir"
    secrets: frozenset[str] = frozenset()
    single = True

    def name_of(self, _values: Mapping[str, Any], /) -> str:
        return _NAME

    async def held(self, tx: Connection, access: Access) -> list[Held]:
        return [Held(_NAME, asdict(await policy_of(tx, access)), None)]

    def exported(self, held: Held) -> Values:
        least = asdict(Policy())
        return {name: value for name, value in held.values.items() if value != least[name]}

    async def read(self, entry: Entry) -> Values:
        known = [field.name for field in fields(Policy)]
        if strange := sorted(entry.values.keys() - {*known}):
            raise _refused(f"/{strange[0]}", f"is not known: members are {', '.join(known)}")
        try:
            return asdict(msgspec.convert(entry.values, Policy))
        except (msgspec.ValidationError, ValidationError) as error:
            raise _refused("", str(error)) from None

    async def create(self, tx: Connection, access: Access, values: Values) -> dict[str, str]:
        await set_policy(tx, access, Policy(**values))
        return {}

    async def change(self, tx: Connection, access: Access, held: Held, values: Values) -> None:
        await set_policy(tx, access, Policy(**held.values | values))

    async def retire(self, tx: Connection, access: Access, held: Held) -> None:
        await self.change(tx, access, held, asdict(Policy()))

    async def finish(self, tx: Connection, access: Access) -> None:
        """There is nothing besides."""


def _refused(pointer: str, rule: str) -> FaultsError:
    return FaultsError("not how an organisation is written to", code="config_file",
                       faults=[(pointer, "invalid_value", rule)])  # fmt: skip
