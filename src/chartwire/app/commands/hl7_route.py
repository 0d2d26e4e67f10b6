"""`chartwire hl7 route FILE`: which source, organisation and lane a message would get, rule by rule. Nothing is stored;
the operator sees the sources of every organisation."""

import argparse
import asyncio
from dataclasses import replace
from typing import Any

from chartwire.app import console
from chartwire.app.services import services
from chartwire.app.settings import load
from chartwire.channels.explaining import Route, explain
from chartwire.channels.routing import Peer, Refusal
from chartwire.channels.sources import SourceDirectory
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.formats.hl7v2 import read_envelope, split


def run(args: argparse.Namespace) -> int:
    """The command: exit 1 when a message of the file would be refused."""
    settings = load(args.config)
    if args.data_dir:
        settings = replace(settings, data_dir=args.data_dir)
    bodies = split(args.file.read_bytes())

    async def work() -> list[Route]:
        async with services(settings, size=2) as shared:
            directory = SourceDirectory(shared.pool, shared.engine_pool)
            await directory.refresh()
        return [_explained(args, directory, body) for body in bodies]

    routes = asyncio.run(work())
    rows = [_row(number, args.listener, route) for number, route in enumerate(routes, start=1)]
    text = "\n".join(f"message {row['message']}\n  " + "\n  ".join(row["steps"]) for row in rows)
    console.say(args, rows, text)
    return console.PROBLEMS if any(isinstance(route.outcome, Refusal) for route in routes) else console.OK


def _explained(args: argparse.Namespace, directory: SourceDirectory, body: bytes) -> Route:
    candidates = directory.of(args.listener)
    peer = Peer(args.peer, frozenset(args.client_cert))
    charset = candidates[0].charset if len(candidates) == 1 else None
    return explain(args.listener, candidates, directory.all, peer, read_envelope(body, charset=charset), body)


def _row(number: int, listener: str, route: Route) -> dict[str, Any]:
    outcome = route.outcome
    row: dict[str, Any] = {"message": number, "listener": listener, "steps": [str(step) for step in route.steps]}
    if isinstance(outcome, Refusal):
        return row | {"refused": outcome.code, "reason": outcome.reason}
    found = {
        "source": outcome.name,
        "source_id": to_prefixed(PREFIXES["source"], outcome.id),
        "org_id": to_prefixed(PREFIXES["organisation"], outcome.org),
    }
    if route.lanes:
        found |= {"lane": str(route.lanes.lane)}
    return row | found | {"merge_lanes": [str(one) for one in route.lanes.partners] if route.lanes else []}
