"""`chartwire source`: HL7 v2 feeds of an organisation."""

import argparse
import asyncio
from typing import Any

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.commands import source_control
from chartwire.app.identifiers import read_id, shown
from chartwire.app.listening import listener_names
from chartwire.app.services import operator_access, services
from chartwire.app.settings import load
from chartwire.channels.source_form import read_form
from chartwire.channels.source_store import StoredSource, stored_sources, write_source
from chartwire.core.errors import ValidationError

_COLUMNS = ("id", "name", "listener", "authority", "timezone", "identifiers", "order_key", "ack_mode", "effect_mode")
_ACK_MODES = ("commit", "after-processing", "enhanced", "one-ack", "none")


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire source`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a feed and bind it to a listener")
    create.add_argument("name", help="what people call the feed; unique in its organisation")
    create.add_argument("--authority", required=True, help="assigning authority that an empty CX.4 takes")
    create.add_argument("--listener", default="plain", help="plain, tls, or one of the settings (default plain)")
    create.add_argument("--timezone", help="IANA zone of times without offset, such as America/Chicago")
    create.add_argument("--charset", help="table 0211 name that overrides MSH-18")
    create.add_argument("--identifier", action="append", metavar="AUTHORITY:TYPE",
                        help="what identifies a patient, in order; `:MR` is the own authority, `*:MR` any")  # fmt: skip
    create.add_argument("--accept", action="append", default=[], metavar="EVENT", help="such as ADT or ADT^A04")
    create.add_argument("--peer", action="append", default=[], metavar="NETWORK",
                        help="CIDR, or cn:, san:, sha256: of the client certificate")  # fmt: skip
    create.add_argument("--sending", action="append", default=[], metavar="FIELD=PATTERN",
                        help="such as MSH-4=HOSP*; chooses among sources of one listener")  # fmt: skip
    create.add_argument("--order", default="patient", metavar="KEY",
                        help="what stays in order: patient (default), visit, source, or a field as ORC-3")  # fmt: skip
    create.add_argument("--ack", choices=_ACK_MODES, default="commit", help="when and how to answer (default commit)")
    create.add_argument("--record-only", action="store_true", help="store, but send nothing out (first load)")
    create.set_defaults(run=_create)
    listing = actions.add_parser("list", help="show the feeds of an organisation")
    listing.set_defaults(run=_list)
    for action in (create, listing):
        common_arguments(action)
        action.add_argument("--org", required=True, metavar="ORG_ID", help="as `org list` shows it")
    source_control.register(actions)


def _create(args: argparse.Namespace) -> int:
    access = operator_access(read_id(args.org, "organisation"), "source create")

    async def work() -> StoredSource:
        settings = load(args.config)
        form = read_form(_values(args), listener_names(settings))
        async with services(settings, size=2) as shared, shared.pool.transaction(access.org) as tx:
            return await write_source(tx, access, form, judge="own")

    made = asyncio.run(work())
    console.say(args, _row(made), f"{made.source.name}: {shown('source', made.source.id)}")
    return console.OK


def _values(args: argparse.Namespace) -> dict[str, Any]:
    """What the options say, as a form has it."""
    identifiers = [_pair(text, ":", "--identifier") for text in args.identifier or (":MR", ":PI")]
    sending = [_pair(text, "=", "--sending") for text in args.sending]
    return {
        "name": args.name,
        "authority": args.authority,
        "listener": args.listener,
        "timezone": args.timezone,
        "charset": args.charset,
        "identifiers": [{"authority": authority, "type": kind} for authority, kind in identifiers],
        "order_key": args.order,
        "accepts": args.accept,
        "peers": args.peer,
        "sending": [{"field": name, "pattern": pattern} for name, pattern in sending],
        "ack_mode": args.ack,
        "effect_mode": "record-only" if args.record_only else "live",
    }


def _pair(text: str, mark: str, option: str) -> tuple[str, str]:
    first, found, second = text.partition(mark)
    if not found or not second:
        raise ValidationError(f"{option} {text}: must be two parts with `{mark}` between them", code="bad_option")
    return first, second


def _list(args: argparse.Namespace) -> int:
    org = read_id(args.org, "organisation")

    async def work() -> list[dict[str, Any]]:
        async with services(load(args.config), size=2) as shared, shared.pool.transaction(org) as tx:
            return [_row(one) for one in await stored_sources(tx, org)]

    rows = asyncio.run(work())
    console.say(args, rows, console.table(rows, _COLUMNS))
    return console.OK


def _row(stored: StoredSource) -> dict[str, Any]:
    source = stored.source
    return {
        "id": shown("source", source.id),
        "name": source.name,
        "listener": stored.listener,
        "authority": source.authority,
        "timezone": source.timezone,
        "identifiers": ", ".join(f"{rule.authority}:{rule.type}" for rule in source.identifiers),
        "order_key": source.order_key,
        "ack_mode": source.ack_mode,
        "effect_mode": source.effect_mode,
    }
