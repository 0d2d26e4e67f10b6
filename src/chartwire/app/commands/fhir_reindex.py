"""`chartwire fhir reindex`: what the FHIR search index lacks is made now, not when the workers find time."""

import argparse
import asyncio
from uuid import UUID

from chartwire.app import console
from chartwire.app.identifiers import read_id
from chartwire.app.services import Services, services
from chartwire.app.settings import load
from chartwire.channels.sources import list_organisations
from chartwire.record.reindexing import index_batch, to_index

_WAITS_MAX = 60
_WAIT_S = 0.5


def run(args: argparse.Namespace) -> int:
    """The command. Exit code 1 where resources are left: writers held them all the time, or `--check` only counts."""
    done, left = asyncio.run(_run(args))
    text = f"{left} resources are to be indexed" if args.check else f"{done} resources indexed, {left} left"
    console.say(args, {"indexed": done, "left": left}, text)
    return console.PROBLEMS if left else console.OK


async def _run(args: argparse.Namespace) -> tuple[int, int]:
    async with services(load(args.config), size=2) as shared:
        orgs = await _organisations(shared, args.org)
        done = 0 if args.check else sum([await _index(shared, org) for org in orgs])
        return done, sum([await to_index(shared.pool, org) for org in orgs])


async def _organisations(shared: Services, told: str | None) -> list[UUID]:
    if told:
        return [read_id(told, "organisation")]
    return [one.id for one in await list_organisations(shared.pool, shared.engine_pool)]


async def _index(shared: Services, org: UUID) -> int:
    """Batch by batch; waits a while for what writers hold."""
    done = waits = 0
    while waits < _WAITS_MAX:
        found = await index_batch(shared.pool, org)
        done += found
        if not found:
            if not await to_index(shared.pool, org):
                break
            waits += 1
            await asyncio.sleep(_WAIT_S)
    return done
