"""`chartwire migrate`: roles, schema and partitions, for a database of CHARTWIRE_DATABASE_URL or the embedded one."""

import argparse
import asyncio

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.services import database_address
from chartwire.app.settings import load
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
    address = database_address(load(args.config))
    if not address.admin:
        raise ConflictError(
            "database_url is not set: migrations need a user that may create roles and tables", code="no_admin"
        )

    async def work() -> tuple[list[str], list[str]]:
        applied = await migrate(
            address.admin,
            app_password=address.app_password,
            engine_password=address.engine_password,
            phases=("pre",) if args.pre else ("pre", "post"),
        )
        return applied, await ensure_partitions(address.admin, now())

    applied, partitions = asyncio.run(work())
    text = f"{len(applied)} migrations applied, {len(partitions)} partitions made"
    console.say(args, {"migrations": applied, "partitions": partitions}, text)
    return console.OK
