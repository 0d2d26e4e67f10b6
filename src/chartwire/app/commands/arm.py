"""`chartwire arm`: a restored or copied installation may speak again, once its open deliveries are decided about."""

import argparse
import asyncio
from datetime import datetime
from typing import Any

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.installation import fingerprint, machine_part
from chartwire.app.services import Services, operator_access, services
from chartwire.app.settings import load
from chartwire.channels.sources import list_organisations
from chartwire.core.clock import instant
from chartwire.core.ids import to_prefixed
from chartwire.delivery.reconcile import InQuestion, give_up, in_question
from chartwire.store import installation
from chartwire.trust.audit import AuditTrail, audit_row


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire arm`."""
    common_arguments(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--resend", action="store_true", help="send what was open (default: it becomes dead, `restored`)")
    what.add_argument("--dry-run", action="store_true", help="only show what is open")
    what.add_argument("--off", action="store_true", help="disarm: nothing leaves from now on")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The command. Running processes follow within two seconds."""
    told = asyncio.run(_work(args))
    console.say(args, told, _text(told))
    return console.OK


async def _work(args: argparse.Namespace) -> dict[str, Any]:
    settings = load(args.config)
    async with services(settings, size=2) as shared:
        ours = fingerprint(await installation.identity(shared.pool), machine_part(settings))
        found = await installation.settle(shared.pool, ours)
        if args.off:
            await installation.disarm(shared.pool)
            await _note(shared, "disarm", args)
            return {"armed": False, "reason": "by_operator", "open": []}
        rows = [] if found.armed else await _decide(shared, found.disarmed_at or found.changed_at, args)
        if not found.armed and not args.dry_run:
            await installation.arm(shared.pool, ours)
            await _note(shared, "arm", args, len(rows))
    armed = found.armed or not args.dry_run
    return {"armed": armed, "was": "armed" if found.armed else found.reason, "resent": args.resend, "open": rows}


async def _decide(shared: Services, before: datetime, args: argparse.Namespace) -> list[dict[str, Any]]:
    rows = []
    for organisation in await list_organisations(shared.pool, shared.engine_pool):
        access = operator_access(organisation.id, "arm")
        found = await in_question(shared.pool, access, before)
        rows += [_row(one) for one in found]
        if found and not args.resend and not args.dry_run:
            ended = await give_up(shared.pool, access, before)
            trail = AuditTrail(shared.pool)
            await trail.write(audit_row(access, "reconcile", "delivery", "chartwire arm", count=ended))
            await trail.close()
    return rows


async def _note(shared: Services, action: str, args: argparse.Namespace, count: int = 0) -> None:
    shape = "chartwire arm" + " --resend" * args.resend + " --off" * args.off
    trail = AuditTrail(shared.pool)
    access = operator_access(installation.INSTALLATION, "arm")
    await trail.write(audit_row(access, action, "installation", shape, count=count))
    await trail.close()


def _row(one: InQuestion) -> dict[str, Any]:
    return {
        "org_id": str(one.org),
        "endpoint": to_prefixed("whe", one.endpoint),
        "name": one.name,
        "open": one.open,
        "oldest": instant(one.oldest),
        "newest": instant(one.newest),
    }


def _text(told: dict[str, Any]) -> str:
    if told.get("was") == "armed":
        return "armed already"
    lines = [console.table(told["open"], ("org_id", "endpoint", "name", "open", "oldest", "newest"))] * bool(
        told["open"]
    )
    if not told["armed"]:
        return "\n".join([*lines, "disarmed: nothing leaves"])
    fate = "go out now" if told["resent"] else "are dead, with the reason `restored`"
    return "\n".join([*lines, *([f"these deliveries {fate}"] if lines else []), "armed"])
