"""What a kind of configured object offers, so that files can hold it. One class a kind, one entry in kinds.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from chartwire.core.access import Access
from chartwire.store.pool import Connection

Values = dict[str, Any]
Resolve = Callable[[str], str | None]
"""The secret that a reference (`env:NAME`, `file:PATH`) stands for; None where it is not set here. Raises
ValidationError for what is no reference."""


@dataclass(frozen=True, slots=True)
class Held:
    """One object as it stands. `values` are whole, secrets included: they are compared and never shown."""

    name: str
    values: Values
    ref: Any


class Entry(NamedTuple):
    """One object of a file: its values as they are written, what stands under its name, and where secrets are."""

    values: Values
    held: Held | None
    access: Access
    resolve: Resolve


class Kind(Protocol):
    """All writing is within the caller's transaction, which is bound to the access's organisation."""

    section: str
    """Its name in files."""

    secrets: frozenset[str]
    """Members that are never shown and stand in files as references."""

    single: bool
    """Whether an organisation has exactly one, so that the section is a mapping and no list."""

    def name_of(self, values: Mapping[str, Any], /) -> str:
        """What identifies an object in every organisation; '' where the values name none."""

    async def held(self, tx: Connection, access: Access) -> list[Held]:
        """What the organisation has."""

    def exported(self, held: Held) -> Values:
        """The object for a file: no defaults, no ids, references in place of secrets."""

    async def read(self, entry: Entry) -> Values:
        """Whole values as `Held` has them, checked in every way that needs no write. Raises FaultsError."""

    async def create(self, tx: Connection, access: Access, values: Values) -> dict[str, str]:
        """Make it; answers what is told only now (a new secret)."""

    async def change(self, tx: Connection, access: Access, held: Held, values: Values) -> None:
        """Give it these values."""

    async def retire(self, tx: Connection, access: Access, held: Held) -> None:
        """Take it out of use."""

    async def finish(self, tx: Connection, access: Access) -> None:
        """After the last write of this kind: what can only be judged of all objects together."""
