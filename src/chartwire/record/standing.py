"""One resource as it stands in a unit of work, with the versions that the unit adds to it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from chartwire.mapping.conversion import Json
from chartwire.record.bodies import read_body
from chartwire.record.index import Value, index_values
from chartwire.record.lineage import Lineage


@dataclass(frozen=True, slots=True)
class Version:
    """One version that the unit of work writes."""

    number: int
    body: Json
    lineage: Lineage
    provisional: bool
    patient_id: UUID | None
    message_id: UUID | None


@dataclass(slots=True)
class Standing:
    """`version` 0 is a resource that is not stored yet. `stored` are the index values that the store holds now."""

    type: str
    id: UUID
    version: int = 0
    body: Json = field(default_factory=dict)
    lineage: Lineage = field(default_factory=Lineage)
    provisional: bool = False
    patient_id: UUID | None = None
    original_subject: UUID | None = None
    stored: set[Value] = field(default_factory=set)
    versions: list[Version] = field(default_factory=list)
    refreshed: bool = False

    @classmethod
    def read(cls, row: Any) -> "Standing":
        """From a row of `resource` as record.sql reads it."""
        body, provisional = read_body(row["body"])
        return cls(
            type=row["type"],
            id=row["id"],
            version=row["version"],
            body=body,
            lineage=Lineage.read(row["lineage"]),
            provisional=provisional,
            patient_id=row["patient_id"],
            original_subject=row["original_subject"],
            stored=index_values(row["type"], body, row["updated_at"]),
        )

    @property
    def reference(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"

    def advance(self, body: Json, lineage: Lineage, message_id: UUID | None) -> None:
        """Add a version. `body` is without meta."""
        self.version += 1
        self.body = body
        self.lineage = lineage
        self.versions.append(Version(self.version, body, lineage, self.provisional, self.patient_id, message_id))

    def index_changes(self, updated: datetime) -> tuple[set[Value], set[Value]]:
        """(values to add, values to remove) to bring the index from what is stored to what stands."""
        values = index_values(self.type, self.body, updated)
        return values - self.stored, self.stored - values
