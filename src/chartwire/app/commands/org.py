"""`chartwire org`: organisations, the tenants of an installation."""

import argparse
import asyncio

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.services import services
from chartwire.app.settings import load
from chartwire.channels.sources import create_organisation, ensure_installation, list_organisations


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire org`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make an organisation")
    common_arguments(create)
    create.add_argument("name", help="what people call it")
    create.add_argument("--kind", choices=("live", "sandbox"), default="live", help="a sandbox takes test messages too")
    create.set_defaults(run=_create)
    listing = actions.add_parser("list", help="show all organisations")
    common_arguments(listing)
    listing.set_defaults(run=_list)


def _create(args: argparse.Namespace) -> int:
    async def work() -> str:
        async with services(load(args.config), size=2) as shared:
            await ensure_installation(shared.pool)
            return str(await create_organisation(shared.pool, args.name, args.kind))

    org = asyncio.run(work())
    console.say(args, {"org_id": org, "name": args.name, "kind": args.kind}, org)
    return console.OK


def _list(args: argparse.Namespace) -> int:
    async def work() -> list[dict[str, object]]:
        async with services(load(args.config), size=2) as shared:
            found = await list_organisations(shared.pool, shared.engine_pool)
        return [{"org_id": str(one.id), "name": one.name, "kind": one.kind} for one in found]

    rows = asyncio.run(work())
    console.say(args, rows, console.table(rows, ("org_id", "kind", "name")))
    return console.OK
