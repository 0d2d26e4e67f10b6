"""`chartwire source`: HL7 v2 feeds of an organisation."""

import argparse
import asyncio
from typing import Any
from zoneinfo import ZoneInfo

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.identifiers import read_id
from chartwire.app.services import services
from chartwire.app.settings import load
from chartwire.channels.sources import create_source, list_sources
from chartwire.core.errors import ValidationError
from chartwire.core.ids import uuid7
from chartwire.core.source import IdentifierRule, Source

_COLUMNS = ("id", "name", "authority", "timezone", "identifiers", "ack_mode", "effect_mode")
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
    create.add_argument("--ack", choices=_ACK_MODES, default="commit", help="when and how to answer (default commit)")
    create.add_argument("--record-only", action="store_true", help="store, but send nothing out (first load)")
    create.set_defaults(run=_create)
    listing = actions.add_parser("list", help="show the feeds of an organisation")
    listing.set_defaults(run=_list)
    for action in (create, listing):
        common_arguments(action)
        action.add_argument("--org", required=True, metavar="ORG_ID", help="as `org list` shows it")


def _create(args: argparse.Namespace) -> int:
    source = _source(args)

    async def work() -> None:
        async with services(load(args.config), size=2) as shared:
            await create_source(shared.pool, source, args.listener)

    asyncio.run(work())
    console.say(args, _row(source) | {"listener": args.listener}, str(source.id))
    return console.OK


def _source(args: argparse.Namespace) -> Source:
    if args.timezone:
        try:
            ZoneInfo(args.timezone)
        except (KeyError, ValueError, OSError):
            raise ValidationError(f"--timezone {args.timezone}: not an IANA zone", code="zone") from None
    rules = tuple(IdentifierRule(*_pair(text, ":", "--identifier")) for text in args.identifier or (":MR", ":PI"))
    return Source(
        org=read_id(args.org, "organisation"),
        id=uuid7(),
        name=args.name,
        authority=args.authority,
        timezone=args.timezone,
        charset=args.charset,
        identifiers=rules,
        accepts=tuple(args.accept),
        peers=tuple(args.peer),
        sending=tuple(_pair(text, "=", "--sending") for text in args.sending),
        ack_mode=args.ack,
        effect_mode="record-only" if args.record_only else "live",
    )


def _pair(text: str, mark: str, option: str) -> tuple[str, str]:
    first, found, second = text.partition(mark)
    if not found or not second:
        raise ValidationError(f"{option} {text}: must be two parts with `{mark}` between them", code="bad_option")
    return first, second


def _list(args: argparse.Namespace) -> int:
    async def work() -> list[dict[str, Any]]:
        async with services(load(args.config), size=2) as shared:
            return [_row(one) for one in await list_sources(shared.pool, read_id(args.org, "organisation"))]

    rows = asyncio.run(work())
    console.say(args, rows, console.table(rows, _COLUMNS))
    return console.OK


def _row(source: Source) -> dict[str, Any]:
    return {
        "id": str(source.id),
        "name": source.name,
        "authority": source.authority,
        "timezone": source.timezone,
        "identifiers": ", ".join(f"{rule.authority}:{rule.type}" for rule in source.identifiers),
        "ack_mode": source.ack_mode,
        "effect_mode": source.effect_mode,
    }
