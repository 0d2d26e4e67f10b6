"""`chartwire source hold | release | pause | resume | queue`: how a feed stands, and what waits of it."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

from chartwire.alerts.words import counted
from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.identifiers import read_id
from chartwire.app.services import Services, operator_access, services
from chartwire.app.settings import load
from chartwire.channels import halts, stuck
from chartwire.channels.source_store import stored_sources
from chartwire.channels.windows import HaltMode
from chartwire.core.access import Access
from chartwire.core.clock import instant
from chartwire.core.errors import NotFoundError
from chartwire.core.ids import to_prefixed
from chartwire.store.pool import Connection
from chartwire.trust.audit import AuditTrail, audit_row

_VERBS: dict[str, tuple[HaltMode, str]] = {
    "hold": ("hold", "accept and keep, process later"),
    "release": ("hold", "end a hold: what was kept is processed, in order"),
    "pause": ("pause", "accept nothing: the sender keeps its queue"),
    "resume": ("pause", "end a pause"),
}
T = TypeVar("T")
_COLUMNS = ("message", "event", "since", "waiting", "reason", "until", "attempts", "for")


def register(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The further actions of `chartwire source`."""
    for verb, (_, meaning) in _VERBS.items():
        parser = actions.add_parser(verb, help=meaning)
        parser.add_argument("name", help="the name of the feed")
        if verb in ("hold", "pause"):
            parser.add_argument("--reason", required=True, help="why; kept with who did it")
        parser.set_defaults(run=_stand, verb=verb)
        _common(parser)
    waiting = actions.add_parser("queue", help="what waits in the lanes, and why")
    waiting.add_argument("name", nargs="?", help="the name of a feed (default: all of the organisation)")
    waiting.set_defaults(run=_queue)
    _common(waiting)


def _common(parser: argparse.ArgumentParser) -> None:
    common_arguments(parser)
    parser.add_argument("--org", required=True, metavar="ORG_ID", help="as `org list` shows it")


def _stand(args: argparse.Namespace) -> int:
    mode = _VERBS[args.verb][0]

    async def work(shared: Services, access: Access) -> halts.Standing:
        async with shared.pool.transaction(access.org) as tx:
            source_id = await _named(tx, access.org, args.name)
            if args.verb in ("hold", "pause"):
                return await halts.begin(tx, access, source_id, mode, args.reason)
            return await halts.end(tx, access, source_id, mode)

    standing = _audited(args, f"source {args.verb}", "update", work)
    state = "on hold" if standing.on_hold else "paused" if standing.paused else "active"
    told = {"id": to_prefixed("src", standing.source_id), "name": standing.name, "on_hold": standing.on_hold,
            "paused": standing.paused}  # fmt: skip
    reasons = [f"  {one.mode} since {instant(one.since)} by {one.actor}: {one.reason}" for one in standing.halts]
    console.say(args, told, "\n".join([f"{standing.name}: {state}", *reasons]))
    return console.OK


def _queue(args: argparse.Namespace) -> int:
    async def work(shared: Services, access: Access) -> stuck.Queue:
        async with shared.pool.transaction(access.org) as tx:
            source_id = await _named(tx, access.org, args.name) if args.name else None
        return await stuck.queue_of(shared.pool, access, source_id)

    queue = _audited(args, "source queue", "search", work)
    rows = [_row(lane) for lane in queue.heads]
    told = {"messages": queue.messages, "lanes": queue.lanes, "heads": rows}
    waiting = f"{counted(queue.messages, 'message')} in {counted(queue.lanes, 'lane')}\n{console.table(rows, _COLUMNS)}"
    console.say(args, told, waiting if queue.messages else "nothing waits")
    return console.OK


def _audited(args: argparse.Namespace, what: str, action: str, work: Callable[[Services, Access], Awaitable[T]]) -> T:
    """Do it as the operator of this machine, and leave the audit row that a request would."""

    async def run() -> T:
        access = operator_access(read_id(args.org, "organisation"), what)
        async with services(load(args.config), size=2) as shared:
            done = await work(shared, access)
            await AuditTrail(shared.pool).write(audit_row(access, action, "Source", f"chartwire {what}", count=1))
            return done

    return asyncio.run(run())


async def _named(tx: Connection, org: UUID, name: str) -> UUID:
    for stored in await stored_sources(tx, org):
        if stored.source.name == name:
            return stored.source.id
    raise NotFoundError(
        "this organisation has no source of this name: see `chartwire source list`", code="unknown_source"
    )


def _row(lane: stuck.WaitingLane) -> dict[str, Any]:
    waits_for = ("src", lane.held_by_source) if lane.held_by_source else ("rev", lane.held_by_review)
    return {
        "message": to_prefixed("msg", lane.head_message_id),
        "event": lane.head_event,
        "since": instant(lane.oldest_at) if lane.oldest_at else None,
        "waiting": lane.waiting,
        "reason": lane.reason,
        "until": instant(lane.until) if lane.until else None,
        "attempts": lane.attempts,
        "for": to_prefixed(waits_for[0], waits_for[1]) if waits_for[1] else None,
    }
