"""What does not move, and why: the message at the head, what keeps it, who works on it; endpoints and their answers."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from chartwire.app.doctor.findings import Found, found
from chartwire.app.doctor.surroundings import Reached, Surroundings
from chartwire.app.services import operator_access
from chartwire.channels.sources import list_sources
from chartwire.channels.stuck import WaitingLane, queue_of
from chartwire.core.clock import instant
from chartwire.core.ids import to_prefixed
from chartwire.delivery.standing import EndpointStanding, endpoints
from chartwire.store import condition
from chartwire.store.condition import Lease
from chartwire.store.queries import q

_PATIENCE = timedelta(minutes=1)
# What a lane waits for -> what is found, where it has waited longer than _PATIENCE or is never a passing state.
_CODES = {
    "source_on_hold": "lane_on_hold",
    "waits_for_review": "lane_waits_for_review",
    "retrying": "lane_retries",
    "waits_for_merge": "lane_waits_for_merge",
    "in_work": "lane_worked_long",
    "due": "lane_untaken",
}
_AT_ONCE = frozenset({"source_on_hold", "waits_for_review", "retrying"})
_OFF_FOR = ("failing", "gone")


async def lanes(reached: Reached) -> Iterable[Found]:
    """Lanes that stand, those that wait for the same thing as one finding, told by the one that waits longest."""
    saw: list[Found] = []
    for organisation in reached.organisations:
        queue = await queue_of(reached.shared.pool, operator_access(organisation.id, "doctor"))
        heads = [head for head in queue.heads if head.reason in _AT_ONCE or _is_old(head, reached.at)]
        if not heads:
            continue
        names = {source.id: source.name for source in await list_sources(reached.shared.pool, organisation.id)}
        leases = await condition.leases(reached.shared.engine_pool, [head.lane_id for head in heads])
        saw += [
            _found(reached.around, organisation.id, alike, names, leases.get(alike[0].lane_id))
            for alike in _by_cause(heads, leases)
        ]
    return saw


async def cases(reached: Reached) -> Iterable[Found]:
    """Cases for people to decide, by kind."""
    saw: list[Found] = []
    for organisation in reached.organisations:
        async with reached.shared.pool.transaction(organisation.id) as tx:
            rows = await tx.fetch(q.open_reviews_by_kind, organisation.id)
        saw += [
            found("cases_wait", count=row["cases"], kind=row["kind"], age=reached.around.age(row["oldest"]))
            for row in rows
        ]
    return saw


async def receivers(reached: Reached) -> Iterable[Found]:
    """Endpoints that fail, and those that were switched off for it."""
    saw: list[Found] = []
    for organisation in reached.organisations:
        standing = await endpoints(reached.shared.pool, operator_access(organisation.id, "doctor"))
        saw += [one for each in standing if (one := _receiver(each)) is not None]
    return saw


def _is_old(head: WaitingLane, at: datetime) -> bool:
    return head.oldest_at is None or at - head.oldest_at > _PATIENCE


def _by_cause(heads: Iterable[WaitingLane], leases: Mapping[UUID, Lease]) -> Iterable[list[WaitingLane]]:
    """Heads by what keeps them, in each the one that waits longest first. A lane that fails or is in work is a cause of
    its own for each source and owner."""
    causes: dict[object, list[WaitingLane]] = {}
    for head in heads:
        owner = leases[head.lane_id].owner if head.lane_id in leases else None
        cause = head.reason, head.held_by_source or head.head_source_id, head.held_by_review, owner
        causes.setdefault(cause, []).append(head)
    return causes.values()


def _found(
    around: Surroundings, org: UUID, alike: list[WaitingLane], names: Mapping[UUID, str], lease: Lease | None
) -> Found:
    head = alike[0]
    code = _CODES[head.reason]
    if head.reason == "in_work" and (lease is None or lease.program is None):
        code = "lane_of_the_dead"
    if head.reason == "due" and lease is not None and lease.program is not None:
        code = "lane_left"
    source = head.held_by_source or head.head_source_id
    return found(
        code,
        org=str(org),
        lanes=len(alike),
        message=to_prefixed("msg", head.head_message_id),
        source=names.get(source, "unknown") if source else "unknown",
        since=_moment(head.oldest_at),
        until=_moment(lease.until if lease else head.until),
        attempts=head.attempts,
        review=to_prefixed("rev", head.held_by_review) if head.held_by_review else "",
        worker=_worker(around, lease),
        sign=_moment(lease.last_sign if lease else None),
    )


def _worker(around: Surroundings, lease: Lease | None) -> str:
    """The process of a lease: by its name where it runs on this machine, else by address and process id."""
    if lease is None or lease.program is None:
        return "nobody"
    for name, (pid, _) in around.processes.items():
        if lease.program == f"chartwire {pid}":
            return f"{name} (process {pid})"
    return f"{lease.program} at {lease.address or 'this machine'}"


def _receiver(one: EndpointStanding) -> Found | None:
    endpoint = to_prefixed("whe", one.id)
    if one.state == "disabled" and one.state_reason in _OFF_FOR:
        return found("endpoint_off", endpoint=endpoint, name=one.name, reason=one.state_reason or "", count=one.waiting)
    if one.state != "enabled" or one.failing_since is None:
        return None
    answer = f"HTTP {one.status}" if one.status else one.error or "no answer"
    event = to_prefixed("evt", one.oldest_event) if one.oldest_event else "none"
    since = instant(one.failing_since)
    return found(
        "endpoint_fails", endpoint=endpoint, name=one.name, since=since, answer=answer, count=one.waiting, event=event
    )


def _moment(at: datetime | None) -> str:
    return instant(at) if at else "an unknown time"
