"""Cases for a person: what may be decided about them (`reviews.yaml`), and carrying a decision out.

A decision is made once, with its reason and by whom, in one transaction with its effect. A message that was held goes
back to the head of its lane, before whatever came later; lanes that waited for the case go on behind it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final
from uuid import UUID

import orjson
import yaml

from chartwire.channels import requeue, route
from chartwire.core.access import Access
from chartwire.core.clock import instant, now
from chartwire.core.errors import ConflictError, NotFoundError, ValidationError
from chartwire.events import lanes as lane_engine
from chartwire.record import ties
from chartwire.record.bodies import plain_json
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q

_UNMARKED_MAX: Final = 1_000
_CHOICES: Final[dict[str, dict[str, dict[str, dict[str, str]]]]] = yaml.safe_load(
    (resources.files("chartwire.channels") / "reviews.yaml").read_text("utf-8")
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about a case, and why."""

    choice: str
    reason: str


def choices(kind: str, code: str | None) -> Mapping[str, Mapping[str, str]]:
    """What may be decided about a case: choice -> `does` and `means`. `code` is that of its detail."""
    of_kind = _CHOICES.get(kind, _CHOICES["*"])
    return of_kind.get(code or "*", of_kind["*"])


async def resolve(tx: Connection, access: Access, review_id: UUID, decision: Decision) -> Row:
    """Carry out a decision; the case as it then is. The same decision again changes nothing.

    Raises NotFoundError; ValidationError (`unknown_choice`); ConflictError where it was decided otherwise
    (`already_resolved`), or where what it is about is no longer as it was (`superseded`, `not_held`, `bytes_gone`,
    `source_gone`, `outranked`).
    """
    case = await tx.fetchrow(q.lock_review, access.org, review_id)
    if case is None:
        raise NotFoundError("no case has this id", code="unknown_review")
    if case["state"] == "resolved":
        if case["resolution"] != decision.choice:
            raise ConflictError(f"this case was resolved: {case['resolution']}", code="already_resolved")
        return case
    open_to = choices(case["kind"], orjson.loads(case["detail"]).get("code"))
    if decision.choice not in open_to:
        raise ValidationError(f"this case can be resolved by {', '.join(open_to)}", code="unknown_choice")
    await _EFFECTS[open_to[decision.choice]["does"]](tx, access, case, decision)
    await tx.execute(q.resolve_review, access.org, review_id, now(), decision.choice, access.actor, decision.reason)
    await _let_go_on(tx, access.org, review_id)
    return await _read(tx, access.org, review_id)


async def _read(tx: Connection, org: UUID, review_id: UUID) -> Row:
    case = await tx.fetchrow(q.lock_review, org, review_id)
    assert case is not None
    return case


async def _let_go_on(tx: Connection, org: UUID, review_id: UUID) -> None:
    """The lanes that waited for the case."""
    lanes = [row["lane_id"] for row in await tx.fetch(q.lanes_of_review, org, review_id)]
    if lanes:
        await lane_engine.lock(tx, lanes)
        await tx.execute(q.forget_lane_holds, org, lanes)
        await tx.execute(q.unpark_lanes, org, lanes)
        await tx.execute(q.unmark_lane, org, lanes, _UNMARKED_MAX)


async def _nothing(_tx: Connection, _access: Access, _case: Row, _decision: Decision) -> None:
    """The record and the messages stay as they are."""


async def _take(tx: Connection, access: Access, case: Row, _decision: Decision) -> None:
    at, events = await ties.take(tx, access, (case["resource_type"], case["resource_id"]), case["proposal"])
    await route.deliver(tx, access.org, at, events)


async def _requeue(tx: Connection, access: Access, case: Row, decision: Decision) -> None:
    await _work_again(tx, access, case, decision.choice)


async def _retry(tx: Connection, access: Access, case: Row, _decision: Decision) -> None:
    await _work_again(tx, access, case, None)


async def _work_again(tx: Connection, access: Access, case: Row, decision: str | None) -> None:
    message = await _held(tx, access.org, case)
    source = await requeue.source_named(tx, access.org, message["source_id"])
    lane_id = case["lane_id"] or message["lane_id"]
    place = requeue.place_of(source, message["id"], message["event"], lane_id, message["raw"])
    await requeue.put_first(tx, access.org, place, decision)


async def _discard(tx: Connection, access: Access, case: Row, decision: Decision) -> None:
    message = await _held(tx, access.org, case, whole=False)
    told: dict[str, Any] = requeue.decided("discard", decision.reason, access.actor, instant(now()))
    await tx.execute(
        q.decide_message, access.org, message["id"], "filtered", "discarded", decision.reason, plain_json(told)
    )


async def _held(tx: Connection, org: UUID, case: Row, *, whole: bool = True) -> Row:
    message = await requeue.message_in_doubt(tx, org, case["message_id"], whole=whole)
    if message["state"] != "held":
        raise ConflictError("the message of this case is no longer held", code="not_held")
    return message


_Effect = Callable[[Connection, Access, Row, Decision], Awaitable[None]]
_EFFECTS: Final[Mapping[str, _Effect]] = {
    "nothing": _nothing,
    "take": _take,
    "requeue": _requeue,
    "retry": _retry,
    "discard": _discard,
}
