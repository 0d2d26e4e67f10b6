"""One resource as it stands in a unit of work, with the versions that the unit adds to it."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from chartwire.mapping.conversion import Json
from chartwire.record.bodies import read_body, with_provisional_tag
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
    deleted: bool = False


@dataclass(slots=True)
class Standing:
    """`version` 0 is not stored yet. `stored_body`, `stored_at` and `stored_provisional` are what the store's
    index rows were made of, `stored_rules` which rules made those of the FHIR index.

    `logical_id` is the id in the body, which may be a FHIR client's own (core/fhir_ids.py), `text` the last version as
    it is stored. A `deleted` resource has no body; a version that is made of it is no deletion any more.
    """

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
    stored_provisional: bool = False
    stored_rules: int | None = None
    versions: list[Version] = field(default_factory=list)
    refreshed: bool = False
    deleted: bool = False
    logical_id: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        self.logical_id = self.logical_id or str(self.id)

    @classmethod
    def read(cls, row: Any) -> "Standing":
        """From a row of `resource` as record.sql reads it."""
        body, provisional = read_body(row["body"])
        deleted = row["deleted"]
        return cls(
            type=row["type"],
            id=row["id"],
            version=row["version"],
            body={} if deleted else body,
            lineage=Lineage.read(row["lineage"]),
            provisional=provisional,
            patient_id=row["patient_id"],
            original_subject=row["original_subject"],
            stored_body=None if deleted else body,
            stored_at=row["updated_at"],
            stored_provisional=provisional,
            stored_rules=row["indexed"],
            deleted=deleted,
            logical_id=body.get("id", ""),
            text=row["body"],
        )

    @property
    def reference(self) -> str:
        """`Type/id`, by the id that FHIR clients know."""
        return f"{self.type}/{self.logical_id}"

    @property
    def references(self) -> tuple[str, ...]:
        """Every relative reference that leads here."""
        plain = f"{self.type}/{self.id}"
        return (plain,) if self.reference == plain else (self.reference, plain)

    @property
    def replaced(self) -> bool:
        """Whether this is a patient that was merged into another. A link that an actor wrote merges nothing."""
        links = self.body.get("link", ())
        if not any(link.get("type") == "replaced-by" for link in links):
            return False
        words = self.lineage.parts.get("link", ())
        written = {place for word in words if word.source_field.startswith("/") for place in word.positions or ()}
        return any(link.get("type") == "replaced-by" for place, link in enumerate(links) if place not in written)

    def refresh(self, lineage: Lineage) -> None:
        """Move the times in the lineage without a version, or in the version that is still to be written."""
        self.lineage = lineage
        if self.versions:
            self.versions[-1] = replace(self.versions[-1], lineage=lineage)
        else:
            self.refreshed = True

    def advance(self, body: Json, lineage: Lineage, message_id: UUID | None, actor: str) -> None:
        """Add a version that `actor` made. `body` is without meta."""
        self._add(body, lineage, message_id, actor, deleted=False)

    def delete(self, actor: str) -> None:
        """Add the version that says that `actor` deleted it; whose it was is kept."""
        self.provisional = False
        self._add({}, Lineage(), None, actor, deleted=True)

    def _add(self, body: Json, lineage: Lineage, message_id: UUID | None, actor: str, *, deleted: bool) -> None:
        self.version += 1
        self.body, self.lineage, self.deleted = body, lineage, deleted
        version = Version(self.version, body, lineage, self.provisional, self.patient_id, message_id, actor, deleted)
        self.versions.append(version)

    def index_changes(self, updated: datetime) -> tuple[set[Value], set[Value]]:
        """(values to add, values to remove) to bring the index from what is stored to what stands."""
        values = set() if self.deleted else index_values(self.type, self.body, updated)
        if self.stored_body is None or self.stored_at is None:
            return values, set()
        stored = index_values(self.type, self.stored_body, self.stored_at)
        return values - stored, stored - values

    @property
    def as_told(self) -> Json | None:
        """The body as FHIR clients see it, but for id, version and time; None for what is deleted."""
        return None if self.deleted else _as_told(self.body, provisional=self.provisional)

    @property
    def stored_as_told(self) -> Json | None:
        """`as_told` of what is stored; None where nothing is."""
        return None if self.stored_body is None else _as_told(self.stored_body, provisional=self.stored_provisional)


def _as_told(body: Json, *, provisional: bool) -> Json:
    return with_provisional_tag(body) if provisional else body
