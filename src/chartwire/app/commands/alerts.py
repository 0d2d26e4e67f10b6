"""`chartwire alerts`: what burns, saying that one knows, and whether a channel works."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from chartwire.alerts import channel_store, standing
from chartwire.alerts.rules import effective_rules
from chartwire.alerts.standing import Alert, Wanted
from chartwire.alerts.trial import Trial, try_out
from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.identifiers import read_id
from chartwire.app.installation import Gate, machine_part
from chartwire.app.knobs import Settings
from chartwire.app.services import Services, master_key, operator_access, services
from chartwire.app.settings import load
from chartwire.core.access import Access
from chartwire.core.clock import instant, now
from chartwire.core.errors import NotFoundError
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.trust.audit import AuditTrail, audit_row
from chartwire.trust.outbound import Outbound
from chartwire.trust.seal import Sealer

T = TypeVar("T")
_ALERTS = ("id", "state", "severity", "since", "rule", "key", "summary")
_RULES = ("name", "enabled", "severity", "threshold", "measures", "channels")
_CHANNELS = ("name", "kind", "enabled", "id")
_SHOWN_MAX = 100


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire alerts`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="show what burns; exit 1 when something critical does")
    listing.add_argument("--all", action="store_true", help="what is over too, the last 100")
    listing.set_defaults(run=_list)
    ack = actions.add_parser("ack", help="say that somebody knows: nobody is reminded any more")
    ack.add_argument("alert", metavar="ALERT_ID", help="as `alerts list` shows it")
    ack.add_argument("--note", help="for those who were told; nothing about a patient")
    ack.set_defaults(run=_ack)
    snooze = actions.add_parser("snooze", help="remind and escalate nothing for a while")
    snooze.add_argument("alert", metavar="ALERT_ID", help="as `alerts list` shows it")
    snooze.add_argument("--minutes", type=float, default=60.0, help="how long; 60 by default")
    snooze.set_defaults(run=_snooze)
    test = actions.add_parser("test", help="send a test notice now, and say what to mend where it does not arrive")
    test.add_argument("channel", metavar="CHANNEL", help="its name")
    test.set_defaults(run=_test)
    rules = actions.add_parser("rules", help="show what is watched, by which bound, and whom it tells")
    rules.set_defaults(run=_rules)
    channels = actions.add_parser("channels", help="show where notices go")
    channels.set_defaults(run=_channels)
    for action in (listing, ack, snooze, test, rules, channels):
        common_arguments(action)
        action.add_argument("--org", required=True, metavar="ORG_ID", help="as `org list` shows it")


def _list(args: argparse.Namespace) -> int:
    async def work(shared: Services, access: Access) -> list[Alert]:
        wanted = Wanted(standing.VISIBLE) if args.all else Wanted()
        async with shared.pool.transaction(access.org) as tx:
            return await standing.list_alerts(tx, access, wanted, _SHOWN_MAX)

    found = _audited(args, "list", "search", work)
    rows = [_row(one) for one in found]
    console.say(args, rows, console.table(rows, _ALERTS))
    burns = any(one.state != "recovered" and one.severity == "critical" for one in found)
    return console.PROBLEMS if burns else console.OK


def _ack(args: argparse.Namespace) -> int:
    async def work(shared: Services, access: Access) -> Alert:
        async with shared.pool.transaction(access.org) as tx:
            return await standing.acknowledge(tx, access, read_id(args.alert, "alert"), args.note)

    return _told(args, _audited(args, "ack", "resolve", work), "acknowledged")


def _snooze(args: argparse.Namespace) -> int:
    until = now() + timedelta(minutes=args.minutes)

    async def work(shared: Services, access: Access) -> Alert:
        async with shared.pool.transaction(access.org) as tx:
            return await standing.snooze(tx, access, read_id(args.alert, "alert"), until)

    return _told(args, _audited(args, "snooze", "update", work), f"silent until {instant(until)}")


def _test(args: argparse.Namespace) -> int:
    settings = load(args.config)

    async def work(shared: Services, access: Access) -> Trial:
        gate = Gate(shared.pool, machine_part(settings))
        door = Outbound(armed=gate)
        await gate.start()
        try:
            return await _tried(shared, access, door, settings, args.channel)
        finally:
            await door.close()
            await gate.close()

    trial = _audited(args, "test", "read", work)
    advice = trial.advice
    told = {"delivered": trial.sent.ok, "code": trial.sent.error, "problem": advice.problem if advice else None,
            "mend": advice.mend if advice else None}  # fmt: skip
    outcome = "the other side took it" if trial.sent.ok else f"it did not go out ({trial.sent.error})"
    lines = [f"{args.channel}: {outcome}", *([advice.problem, advice.mend] if advice else [])]
    console.say(args, told, "\n".join(lines))
    return console.OK if trial.sent.ok else console.PROBLEMS


def _rules(args: argparse.Namespace) -> int:
    async def work(shared: Services, access: Access) -> list[dict[str, Any]]:
        async with shared.pool.transaction(access.org) as tx:
            return [
                {
                    "name": rule.name,
                    "enabled": rule.enabled,
                    "severity": rule.severity,
                    "threshold": rule.threshold,
                    "measures": rule.kind.measures,
                    "channels": ", ".join(rule.form.channels) or "every one",
                }
                for rule in await effective_rules(tx, access.org)
            ]

    rows = _audited(args, "rules", "search", work)
    console.say(args, rows, console.table(rows, _RULES))
    return console.OK


def _channels(args: argparse.Namespace) -> int:
    async def work(shared: Services, access: Access) -> list[dict[str, Any]]:
        async with shared.pool.transaction(access.org) as tx:
            return [
                {"name": one.name, "kind": one.kind, "enabled": one.enabled,
                 "id": to_prefixed(PREFIXES["alert_channel"], one.id)}
                for one in await channel_store.list_channels(tx, access)
            ]  # fmt: skip

    rows = _audited(args, "channels", "search", work)
    console.say(args, rows, console.table(rows, _CHANNELS))
    return console.OK


async def _tried(shared: Services, access: Access, door: Outbound, settings: Settings, name: str) -> Trial:
    async with shared.pool.transaction(access.org) as tx:
        named = [one.id for one in await channel_store.list_channels(tx, access) if one.name == name]
    if not named:
        raise NotFoundError("there is no alert channel of this name: see `alerts channels`", code="unknown_channel")
    return await try_out(shared.pool, access, door, Sealer(master_key(settings)), named[0])


def _audited(args: argparse.Namespace, what: str, action: str, work: Callable[[Services, Access], Awaitable[T]]) -> T:
    """Do it as the operator of this machine, and leave the audit row that a request would."""

    async def run() -> T:
        access = operator_access(read_id(args.org, "organisation"), f"alerts {what}")
        async with services(load(args.config), size=2) as shared:
            done = await work(shared, access)
            row = audit_row(access, action, "Alert", f"chartwire alerts {what}", count=1)
            await AuditTrail(shared.pool).write(row)
            return done

    return asyncio.run(run())


def _told(args: argparse.Namespace, alert: Alert, what: str) -> int:
    row = _row(alert)
    console.say(args, row, f"{row['id']} is {what}")
    return console.OK


def _row(alert: Alert) -> dict[str, Any]:
    return {
        "id": to_prefixed(PREFIXES["alert"], alert.id),
        "state": alert.state,
        "severity": alert.severity,
        "since": instant(alert.since),
        "rule": alert.rule,
        "key": alert.key,
        "summary": alert.summary,
    }
