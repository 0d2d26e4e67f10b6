"""`chartwire retention hold | release | holds`: bytes that are kept beyond their term until they are let go."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

from chartwire.app import console, retention
from chartwire.app.cli import common_arguments
from chartwire.app.identifiers import read_id
from chartwire.app.services import operator_access, services
from chartwire.app.settings import load
from chartwire.core.clock import instant
from chartwire.core.ids import to_prefixed
from chartwire.store import legal_holds
from chartwire.store.legal_holds import Kind, LegalHold
from chartwire.store.pool import Pool

_SHOWN_MAX = 1000
_VERBS = {
    "hold": "keep the bytes of a message, or of all about a patient, until they are released",
    "release": "end a hold: the terms count again",
}
_SAID = {"hold": "on hold:", "release": "released: the terms count again for"}
_COLUMNS = ("on", "reason", "placed_at", "placed_by", "released_at", "released_by", "release_reason")
_PREFIXES: dict[Kind, str] = {"patient": "pat", "message": "msg"}
T = TypeVar("T")


def register(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The further actions of `chartwire retention`."""
    for verb, meaning in _VERBS.items():
        parser = actions.add_parser(verb, help=meaning)
        subject = parser.add_mutually_exclusive_group(required=True)
        subject.add_argument("--patient", metavar="ID", help="pat_... or a UUID; with everyone ever merged with them")
        subject.add_argument("--message", metavar="ID", help="msg_... or a UUID")
        parser.add_argument("--reason", required=True, help="why; kept with who did it")
        parser.set_defaults(run=_decide, verb=verb)
        _common(parser)
    listing = actions.add_parser("holds", help="show the legal holds")
    listing.add_argument("--all", action="store_true", help="those that were released too")
    listing.set_defaults(run=_list)
    _common(listing)


def _common(parser: argparse.ArgumentParser) -> None:
    common_arguments(parser)
    parser.add_argument("--org", metavar="ORG_ID", required=True)


def _decide(args: argparse.Namespace) -> int:
    kind: Kind = "patient" if args.patient else "message"
    subject = read_id(args.patient or args.message, kind)
    decide = legal_holds.place if args.verb == "hold" else legal_holds.release

    async def work(pool: Pool, org: UUID) -> int:
        moved = await decide(pool, org, kind, subject, args.reason, operator_access(org, "retention").actor)
        patients = [subject] if kind == "patient" else []
        await retention.note(pool, org, args.verb, f"chartwire retention {args.verb} {kind}", moved, patients=patients)
        return moved

    moved = _with_pool(args, work)
    shown = to_prefixed(_PREFIXES[kind], subject)
    console.say(args, {"on": shown, "bodies": moved}, f"{_SAID[args.verb]} {moved} bodies")
    return console.OK


def _list(args: argparse.Namespace) -> int:
    found = _with_pool(args, lambda pool, org: legal_holds.listed(pool, org, standing=not args.all, most=_SHOWN_MAX))
    rows = [_row(hold) for hold in found]
    console.say(args, rows, console.table(rows, _COLUMNS if args.all else _COLUMNS[:4]))
    return console.OK


def _row(hold: LegalHold) -> dict[str, Any]:
    released_at = hold["released_at"]
    return {
        "on": to_prefixed(_PREFIXES[hold["kind"]], hold["subject_id"]),
        "reason": hold["reason"],
        "placed_at": instant(hold["placed_at"]),
        "placed_by": hold["placed_by"],
        "released_at": instant(released_at) if released_at else None,
        "released_by": hold["released_by"],
        "release_reason": hold["release_reason"],
    }


def _with_pool(args: argparse.Namespace, work: Callable[[Pool, UUID], Awaitable[T]]) -> T:
    async def run() -> T:
        async with services(load(args.config), size=2) as shared:
            return await work(shared.pool, read_id(args.org, "organisation"))

    return asyncio.run(run())
