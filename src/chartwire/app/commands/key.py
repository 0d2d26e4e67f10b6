"""`chartwire key`: API keys of an organisation."""

import argparse
import asyncio
from datetime import UTC, datetime
from typing import Any

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.identifiers import read_id, shown
from chartwire.app.services import operator_access, services
from chartwire.app.settings import load
from chartwire.trust.credentials import Credential, Credentials

_COLUMNS = ("id", "name", "last_four", "state", "created_at", "expires_at", "scopes")


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire key`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a key; it is shown once")
    create.add_argument("--name", required=True, help="what the key is for")
    create.add_argument("--scope", action="append", required=True, metavar="SCOPE", help="such as patients.read; or *")
    create.add_argument("--expires", type=datetime.fromisoformat, metavar="TIME", help="ISO 8601; UTC without offset")
    create.set_defaults(run=_create)
    listing = actions.add_parser("list", help="show the keys, without their secrets")
    listing.set_defaults(run=_list)
    revoke = actions.add_parser("revoke", help="end a key at once")
    revoke.add_argument("key_id", help="as `key list` shows it")
    revoke.set_defaults(run=_revoke)
    for action in (create, listing, revoke):
        common_arguments(action)
        action.add_argument("--org", required=True, metavar="ORG_ID", help="as `org list` shows it")


def _create(args: argparse.Namespace) -> int:
    access = operator_access(read_id(args.org, "organisation"), "key create")
    expires = args.expires.replace(tzinfo=args.expires.tzinfo or UTC) if args.expires else None

    async def work() -> dict[str, Any]:
        async with services(load(args.config), size=2) as shared:
            credentials = Credentials(shared.pool)
            issued = await credentials.create(access, name=args.name, scopes=args.scope, expires_at=expires)
        return {"id": shown("credential", issued.credential_id), "key": issued.token, "scopes": args.scope}

    made = asyncio.run(work())
    console.say(args, made, f"{made['key']}\nid {made['id']}; this is the only time that the key is shown")
    return console.OK


def _list(args: argparse.Namespace) -> int:
    access = operator_access(read_id(args.org, "organisation"), "key list")

    async def work() -> list[dict[str, Any]]:
        async with services(load(args.config), size=2) as shared:
            return [_row(one) for one in await Credentials(shared.pool).list(access)]

    rows = asyncio.run(work())
    console.say(args, rows, console.table(rows, _COLUMNS))
    return console.OK


def _revoke(args: argparse.Namespace) -> int:
    access = operator_access(read_id(args.org, "organisation"), "key revoke")
    key_id = read_id(args.key_id, "key")

    async def work() -> None:
        async with services(load(args.config), size=2) as shared:
            await Credentials(shared.pool).revoke(access, key_id)

    asyncio.run(work())
    name = shown("credential", key_id)
    console.say(args, {"id": name, "state": "revoked"}, f"{name} is revoked")
    return console.OK


def _row(one: Credential) -> dict[str, Any]:
    state = "revoked" if one.revoked_at else "expired" if _past(one.expires_at) else "valid"
    return {
        "id": shown("credential", one.id),
        "name": one.name,
        "last_four": one.last_four,
        "state": state,
        "created_at": one.created_at.isoformat(timespec="seconds"),
        "expires_at": one.expires_at.isoformat(timespec="seconds") if one.expires_at else None,
        "scopes": ",".join(one.scopes),
    }


def _past(moment: datetime | None) -> bool:
    return moment is not None and moment <= datetime.now(UTC)
