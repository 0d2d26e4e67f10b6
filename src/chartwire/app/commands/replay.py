"""`chartwire replay MESSAGE_ID`: the same bytes once more, record-only unless `--live`."""

import argparse
import asyncio
from uuid import UUID

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.identifiers import read_id
from chartwire.app.services import operator_access, services
from chartwire.app.settings import load
from chartwire.channels.replay import replay
from chartwire.channels.sources import list_organisations
from chartwire.core.errors import NotFoundError
from chartwire.core.ids import to_prefixed
from chartwire.core.source import EffectMode


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire replay`."""
    common_arguments(parser)
    parser.add_argument("message_id", help="as the API shows it (msg_...), or a UUID")
    parser.add_argument("--org", metavar="ORG_ID", help="its organisation (default: all are searched)")
    parser.add_argument("--live", action="store_true", help="let webhooks and write-backs leave (default: record only)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The command: prints the id of the child."""
    message_id = read_id(args.message_id, "message")
    mode: EffectMode = "live" if args.live else "record-only"
    org = read_id(args.org, "organisation") if args.org else None
    child = to_prefixed("msg", asyncio.run(_replay(args, message_id, mode, org)))
    console.say(args, {"message_id": child, "parent_id": args.message_id, "mode": mode}, f"{child} ({mode})")
    return console.OK


async def _replay(args: argparse.Namespace, message_id: UUID, mode: EffectMode, org: UUID | None) -> UUID:
    async with services(load(args.config), size=2) as shared:
        orgs = [org] if org else [one.id for one in await list_organisations(shared.pool, shared.engine_pool)]
        for candidate in orgs:
            try:
                return await replay(shared.pool, operator_access(candidate, "replay"), message_id, mode=mode)
            except NotFoundError:
                continue
    raise NotFoundError("no message has this id, or its body has expired", code="unknown_message")
