"""Sources in configuration files: the members of the API's source."""

from collections.abc import Mapping, Sequence
from typing import Any

from chartwire.app.configuration.kind import Entry, Held, Values
from chartwire.channels.source_form import plain, read_form
from chartwire.channels.source_store import (
    check_neighbours,
    retire_source,
    rewrite_source,
    stored_sources,
    write_source,
)
from chartwire.core.access import Access
from chartwire.store.pool import Connection

_DEFAULTS = plain(read_form({"name": "-", "authority": "-"}))
_ALWAYS = frozenset({"name", "authority", "listener"})


class SourceKind:
    """See kind.Kind."""

    section = "sources"
    secrets: frozenset[str] = frozenset()
    single = False

    def __init__(self, listeners: Sequence[str]) -> None:
        self._listeners = listeners

    def name_of(self, values: Mapping[str, Any]) -> str:
        return str(values.get("name", ""))

    async def held(self, tx: Connection, access: Access) -> list[Held]:
        return [Held(one.source.name, plain(one.form), one) for one in await stored_sources(tx, access.org)]

    def exported(self, held: Held) -> Values:
        return {name: value for name, value in held.values.items() if name in _ALWAYS or value != _DEFAULTS[name]}

    async def read(self, entry: Entry) -> Values:
        return plain(read_form(entry.values, self._listeners))

    async def create(self, tx: Connection, access: Access, values: Values) -> dict[str, str]:
        await write_source(tx, access, read_form(values), judge="later")
        return {}

    async def change(self, tx: Connection, access: Access, held: Held, values: Values) -> None:
        await rewrite_source(tx, access, held.ref.source.id, read_form(values), version=held.ref.version, judge="later")

    async def retire(self, tx: Connection, access: Access, held: Held) -> None:
        await retire_source(tx, access, held.ref.source.id, version=held.ref.version)

    async def finish(self, tx: Connection, access: Access) -> None:
        """Two sources may have changed places: whether they can be told apart shows when both are written."""
        for stored in await stored_sources(tx, access.org):
            await check_neighbours(tx, stored.source, stored.listener, own_only=True)
