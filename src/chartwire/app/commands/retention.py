"""`chartwire retention`: what is kept for how long, and the job that removes the rest. `up` runs it once a day."""

import argparse
import asyncio
from typing import Any
from uuid import UUID

from chartwire.app import console, retention
from chartwire.app.cli import common_arguments
from chartwire.app.commands import legal_hold
from chartwire.app.identifiers import read_id
from chartwire.app.services import database_address, services
from chartwire.app.settings import load
from chartwire.channels.sources import list_organisations
from chartwire.core.clock import instant, now
from chartwire.core.errors import ConflictError
from chartwire.core.terms import in_force, read_terms
from chartwire.store.queries import q

_LOG_ROWS_MAX = 100


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire retention`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    run = actions.add_parser("run", help="remove what is due now; prints what went")
    run.add_argument("--dry-run", action="store_true", help="only say what would go")
    run.add_argument("--org", metavar="ORG_ID", help="rows of this organisation only")
    run.set_defaults(run=_run)
    show = actions.add_parser("show", help="terms in force, in days")
    show.add_argument("--org", metavar="ORG_ID", help="of this organisation (default: the installation's)")
    show.set_defaults(run=_show)
    change = actions.add_parser("set", help="replace an organisation's own terms")
    change.add_argument("--org", metavar="ORG_ID", required=True)
    change.add_argument("rest", nargs="*", metavar="CLASS=DAYS", help="such as raw=30; none: the installation's")
    change.set_defaults(run=_set)
    log = actions.add_parser("log", help="what was removed of an organisation, newest first")
    log.add_argument("--org", metavar="ORG_ID", required=True)
    log.set_defaults(run=_log)
    for action in (run, show, change, log):
        common_arguments(action)
    legal_hold.register(actions)


def _run(args: argparse.Namespace) -> int:
    settings = load(args.config)
    address = database_address(settings)
    if not address.admin:
        raise ConflictError("database_url is not set: months go by a user that may alter tables", code="no_admin")

    async def work() -> retention.Report:
        async with services(settings, size=2) as shared:
            return await retention.run(
                shared.pool,
                address.admin,
                await list_organisations(shared.pool, shared.engine_pool),
                read_terms(settings.retention),
                now(),
                only=_org(args),
                dry_run=args.dry_run,
            )

    report = asyncio.run(work())
    rows = [
        {"org_id": one.org, "class": one.data_class, "how": one.how, "before": instant(one.before), "rows": one.rows,
         "bytes": one.bytes}
        for one in report.removed
    ]  # fmt: skip
    kept = [{"month": one.month, "why": one.why} for one in report.kept]
    head = "would go" if args.dry_run else "gone"
    lines = [f"{head}:", console.table(rows, ("org_id", "class", "how", "before", "rows", "bytes"))]
    lines += [f"kept {one.month}: {one.why}" for one in report.kept]
    console.say(args, {"dry_run": args.dry_run, "removed": rows, "kept": kept}, "\n".join(lines))
    return console.OK


def _show(args: argparse.Namespace) -> int:
    settings = load(args.config)
    org = _org(args)
    own = _with_pool(args, lambda shared: retention.own_terms(shared.pool, org)) if org else {}
    terms = in_force(read_terms(settings.retention), own)
    console.say(args, terms, "\n".join(f"{name:<14}{days:>6} days" for name, days in terms.items()))
    return console.OK


def _set(args: argparse.Namespace) -> int:
    org, terms = _org(args), read_terms(args.rest)
    assert org is not None
    _with_pool(args, lambda shared: retention.set_own_terms(shared.pool, org, terms))
    console.say(args, terms, ", ".join(f"{name}={days}" for name, days in terms.items()) or "the installation's terms")
    return console.OK


def _log(args: argparse.Namespace) -> int:
    org = _org(args)

    async def read(shared: Any) -> list[dict[str, Any]]:
        async with shared.pool.transaction(org) as tx:
            return [dict(row) for row in await tx.fetch(q.removals, org, _LOG_ROWS_MAX)]

    rows = _with_pool(args, read)
    console.say(args, rows, console.table(rows, ("at", "class", "how", "before", "rows", "bytes")))
    return console.OK


def _org(args: argparse.Namespace) -> UUID | None:
    return read_id(args.org, "organisation") if args.org else None


def _with_pool(args: argparse.Namespace, work: Any) -> Any:
    async def run() -> Any:
        async with services(load(args.config), size=2) as shared:
            return await work(shared)

    return asyncio.run(run())
