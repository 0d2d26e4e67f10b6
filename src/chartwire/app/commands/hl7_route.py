"""`chartwire hl7 route FILE`: which source would take a message, step by step. Nothing is stored."""

import argparse
import asyncio
from dataclasses import replace
from typing import Any

from chartwire.app import console
from chartwire.app.services import services
from chartwire.app.settings import load
from chartwire.channels.routing import Peer, Refusal, Route, explain
from chartwire.channels.sources import SourceDirectory
from chartwire.formats.hl7v2 import Envelope, read_envelope, split


def run(args: argparse.Namespace) -> int:
    """The command: exit 1 when a message of the file would be refused."""
    settings = load(args.config)
    if args.data_dir:
        settings = replace(settings, data_dir=args.data_dir)
    envelopes = [read_envelope(message) for message in split(args.file.read_bytes())]

    async def work() -> list[Route]:
        async with services(settings, size=2) as shared:
            directory = SourceDirectory(shared.pool, shared.engine_pool)
            await directory.refresh()
        return [_explained(args, directory, envelope) for envelope in envelopes]

    routes = asyncio.run(work())
    rows = [_row(number, route) for number, route in enumerate(routes, start=1)]
    text = "\n".join(f"message {row['message']}\n  " + "\n  ".join(row["steps"]) for row in rows)
    console.say(args, rows, text)
    return console.PROBLEMS if any(isinstance(route.outcome, Refusal) for route in routes) else console.OK


def _explained(args: argparse.Namespace, directory: SourceDirectory, envelope: Envelope) -> Route:
    peer = Peer(args.peer, frozenset(args.client_cert))
    return explain(args.listener, directory.of(args.listener), directory.all, peer, envelope)


def _row(number: int, route: Route) -> dict[str, Any]:
    outcome = route.outcome
    found: dict[str, Any] = {"message": number, "steps": list(route.steps)}
    if isinstance(outcome, Refusal):
        return found | {"refused": outcome.code, "reason": outcome.reason}
    return found | {"source": outcome.name, "source_id": str(outcome.id), "org_id": str(outcome.org)}
