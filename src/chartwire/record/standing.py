"""One resource as it stands in a unit of work, with the versions that the unit adds to it."""

from dataclasses import dataclass, field, replace
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
    actor: str


@dataclass(slots=True)
class Standing:
    """`version` 0 is not stored yet. `stored_body` and `stored_at` are what the store's index rows were made of."""

    type: str
    id: UUID
    version: int = 0
    body: Json = field(default_factory=dict)
    lineage: Lineage = field(default_factory=Lineage)
    provisional: bool = False
    patient_id: UUID | None = None
    original_subject: UUID | None = None
    stored_body: Json | None = None
    stored_at: datetime | None = None
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
            stored_body=body,
            stored_at=row["updated_at"],
        )

    @property
    def reference(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"

    @property
    def replaced(self) -> bool:
        """Whether this is a patient that was merged into another."""
        return any(link.get("type") == "replaced-by" for link in self.body.get("link", ()))

    def refresh(self, lineage: Lineage) -> None:
        """Move the times in the lineage without a version, or in the version that is still to be written."""
        self.lineage = lineage
        if self.versions:
            self.versions[-1] = replace(self.versions[-1], lineage=lineage)
        else:
            self.refreshed = True

    def advance(self, body: Json, lineage: Lineage, message_id: UUID | None, actor: str) -> None:
        """Add a version that `actor` made. `body` is without meta."""
        self.version += 1
        self.body = body
        self.lineage = lineage
        version = Version(self.version, body, lineage, self.provisional, self.patient_id, message_id, actor)
        self.versions.append(version)

    def index_changes(self, updated: datetime) -> tuple[set[Value], set[Value]]:
        """(values to add, values to remove) to bring the index from what is stored to what stands."""
        values = index_values(self.type, self.body, updated)
        if self.stored_body is None or self.stored_at is None:
            return values, set()
        stored = index_values(self.type, self.stored_body, self.stored_at)
        return values - stored, stored - values
