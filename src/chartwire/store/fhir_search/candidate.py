"""A resource that a search looks at, as SQL expressions."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A resource as expressions: its id and type, and the time of its change where its row is at hand."""

    id: str
    type: str
    updated: str | None = None
