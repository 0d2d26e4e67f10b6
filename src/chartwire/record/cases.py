"""Cases for a person: what a unit of work could not decide."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from chartwire.core.ids import uuid7
from chartwire.record.bodies import plain_json
from chartwire.store.pool import Connection
from chartwire.store.queries import q


@dataclass(frozen=True, slots=True)
class Review:
    """A case for a person. `detail` names places and rules, never values; `proposal` is the word that lost a tie."""

    kind: str
    message_id: UUID | None
    lane_id: UUID | None
    resource_type: str | None
    resource_id: UUID | None
    detail: dict[str, Any]
    source_id: UUID | None = None
    patient_id: UUID | None = None
    proposal: dict[str, Any] | None = None
    id: UUID = field(default_factory=uuid7)


async def write_reviews(tx: Connection, org: UUID, reviews: Sequence[Review]) -> None:
    """Write cases; the same tie again is the same open case, with the latest word."""
    if not reviews:
        return
    await tx.execute(
        q.insert_reviews,
        org,
        [review.id for review in reviews],
        [review.kind for review in reviews],
        [review.message_id for review in reviews],
        [review.lane_id for review in reviews],
        [review.resource_type for review in reviews],
        [review.resource_id for review in reviews],
        [plain_json(review.detail) for review in reviews],
        [review.source_id for review in reviews],
        [review.patient_id for review in reviews],
        [plain_json(review.proposal) if review.proposal else None for review in reviews],
    )
