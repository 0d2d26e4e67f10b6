"""What the commands of configuration work with, opened and closed."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from chartwire.app.configuration.files import Resolver, Sections, read_file
from chartwire.app.configuration.kind import Kind
from chartwire.app.configuration.kinds import kinds_of
from chartwire.app.knobs import Settings
from chartwire.app.listening import listener_names
from chartwire.app.services import master_key, services
from chartwire.store.pool import Pool
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer

_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Desk:
    """The store, the kinds, and where secrets are looked up."""

    pool: Pool
    kinds: tuple[Kind, ...]
    resolve: Resolver

    def read(self, path: Path, overrides: Mapping[str, str]) -> Sections:
        """A file's sections; see files.read_file."""
        return read_file(path, overrides, self.kinds)


@contextlib.asynccontextmanager
async def desk_of(settings: Settings, directory: Path) -> AsyncIterator[Desk]:
    """The desk of an installation; `directory` is where `file:` references begin."""
    door = Outbound()
    try:
        async with services(settings, size=_CONNECTIONS) as shared:
            kinds = kinds_of(shared.pool, door, Sealer(master_key(settings)), listener_names(settings))
            yield Desk(shared.pool, kinds, Resolver(directory))
    finally:
        await door.close()
