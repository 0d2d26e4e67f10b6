"""What the parts of a bundle are made from."""

from dataclasses import dataclass
from uuid import UUID

from chartwire.app.knobs import Settings
from chartwire.app.services import DatabaseAddress, Services


@dataclass(frozen=True, slots=True)
class Database:
    """A database that answers, and the organisations in it, the installation's own included."""

    shared: Services
    address: DatabaseAddress
    organisations: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """`database` is None while it does not answer."""

    settings: Settings
    database: Database | None
