"""`chartwire org`: organisations, the tenants of an installation."""

import argparse
import asyncio
from dataclasses import asdict, replace

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.identifiers import read_id
from chartwire.app.services import operator_access, services
from chartwire.app.settings import load
from chartwire.channels.sources import create_organisation, ensure_installation, list_organisations
from chartwire.record.fhir_policy import Policy, policy_of, set_policy
from chartwire.trust import audit

_WORDS = ("yes", "no")


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire org`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make an organisation")
    common_arguments(create)
    create.add_argument("name", help="what people call it")
    create.add_argument("--kind", choices=("live", "sandbox"), default="live", help="a sandbox takes test messages too")
    create.set_defaults(run=_create)
    fhir = actions.add_parser("fhir", help="how an organisation is written to through FHIR; without options shows it")
    common_arguments(fhir)
    fhir.add_argument("--org", metavar="ORG_ID", required=True)
    fhir.add_argument("--update-creates", choices=_WORDS, help="whether clients may choose ids (default: yes)")
    fhir.add_argument("--strict-references", choices=_WORDS, help="whether dangling ones are refused (default: no)")
    fhir.add_argument("--deletes-max", type=int, metavar="N", help="how many one condition may delete (default: 1)")
    fhir.set_defaults(run=_fhir)
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


def _fhir(args: argparse.Namespace) -> int:
    org = read_id(args.org, "organisation")
    given = {
        "update_creates": args.update_creates and args.update_creates == "yes",
        "strict_references": args.strict_references and args.strict_references == "yes",
        "deletes_max": args.deletes_max,
    }
    changes = {name: value for name, value in given.items() if value is not None}

    async def work() -> Policy:
        async with services(load(args.config), size=2) as shared:
            access = operator_access(org, "org")
            async with shared.pool.transaction(org) as tx:
                policy = replace(await policy_of(tx, access), **changes)
                if changes:
                    await set_policy(tx, access, policy)
                    await audit.record(tx, audit.audit_row(access, "update", "organisation", "chartwire org fhir"))
            return policy

    told = asdict(asyncio.run(work()))
    console.say(args, told, "\n".join(f"{name:<20}{value}" for name, value in told.items()))
    return console.OK


def _list(args: argparse.Namespace) -> int:
    async def work() -> list[dict[str, object]]:
        async with services(load(args.config), size=2) as shared:
            found = await list_organisations(shared.pool, shared.engine_pool)
        return [{"org_id": str(one.id), "name": one.name, "kind": one.kind} for one in found]

    rows = asyncio.run(work())
    console.say(args, rows, console.table(rows, ("org_id", "kind", "name")))
    return console.OK
