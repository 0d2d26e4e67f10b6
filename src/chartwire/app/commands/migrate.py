"""`chartwire migrate`: roles, schema and partitions, for a database of CHARTWIRE_DATABASE_URL or the embedded one."""

import argparse
import asyncio

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.services import database_address, services
from chartwire.app.settings import load
from chartwire.channels.reindexing import unindexed
from chartwire.core.clock import now
from chartwire.core.errors import ConflictError
from chartwire.store.migrate import migrate
from chartwire.store.partitions import ensure_partitions


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire migrate`."""
    common_arguments(parser)
    parser.add_argument("--pre", action="store_true", help="leave out what would bar the way back to the last release")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The command. Run it at each release, and monthly (cron) where no `up` runs: it also makes coming partitions."""
    settings = load(args.config)
    address = database_address(settings)
    if not address.admin:
        raise ConflictError(
            "database_url is not set: migrations need a user that may create roles and tables", code="no_admin"
        )

    async def work() -> tuple[list[str], list[str], int]:
        applied = await migrate(
            address.admin,
            app_password=address.app_password,
            engine_password=address.engine_password,
            phases=("pre",) if args.pre else ("pre", "post"),
        )
        partitions = await ensure_partitions(address.admin, now())
        async with services(settings, size=2) as shared:
            return applied, partitions, await unindexed(shared.pool, shared.engine_pool)

    applied, partitions, left = asyncio.run(work())
    text = f"{len(applied)} migrations applied, {len(partitions)} partitions made"
    if left:
        text += f"\n{left} resources are to be indexed: the workers do it, `chartwire fhir reindex` does it at once"
    console.say(args, {"migrations": applied, "partitions": partitions, "to_index": left}, text)
    return console.OK
