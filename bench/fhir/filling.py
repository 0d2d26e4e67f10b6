"""A server is filled: any one by transactions over HTTP, ours much faster by its own writer in several processes."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID

from bench.fhir.phases import World, bundle_of
from bench.fhir.population import PER_PATIENT, key_of, resources
from bench.fhir.wire import Ask, Server, ask_once
from chartwire.api.fhir.write import finished
from chartwire.core.access import Access
from chartwire.record.fhir_writing import FhirWriter, Write
from chartwire.store.pool import Pool

_PATIENTS_AT_ONCE = 20


async def fill_by_http(server: Server, resources_wanted: int) -> World:
    """Fill any server; answers what ids it gave."""
    world = World([], [])
    numbers = range(-(-resources_wanted // PER_PATIENT))
    for part in _parts(numbers, _PATIENTS_AT_ONCE):
        bundle = bundle_of(list(part))
        [body] = await ask_once(server, [Ask("POST", "", json.dumps(bundle).encode())])
        places = [entry["response"]["location"].partition("/_history")[0] for entry in json.loads(body)["entry"]]
        for start in range(0, len(places), PER_PATIENT):
            told = [place.split("/")[-2:] for place in places[start : start + PER_PATIENT]]
            world.patients.append(told[0][1])
            world.observations.append(next(one for kind, one in told if kind == "Observation"))
    return world


def fill_directly(dsn: str, org: UUID, resources_wanted: int, processes: int = 2) -> World:
    """Fill a Chartwire database through the product's own writer."""
    count = -(-resources_wanted // PER_PATIENT)
    parts = [(dsn, org, share) for share in _parts(range(count), -(-count // processes))]
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(_fill_part, parts))
    patients = [str(key_of(number, "Patient")) for number in range(count)]
    return World(patients, [str(key_of(number, "Observation", 0)) for number in range(count)])


def _fill_part(part: tuple[str, UUID, range]) -> None:
    asyncio.run(_write_part(*part))


async def _write_part(dsn: str, org: UUID, numbers: range) -> None:
    pool, access = Pool(dsn, size=1), Access(org, "cli:bench", "HOPERAT", frozenset("*"))
    for part in _parts(numbers, _PATIENTS_AT_ONCE):
        async with pool.transaction(org) as tx:
            writer = FhirWriter(access, tx)
            writes = [_write(key, made) for number in part for key, made in resources(number, lambda k, t: f"{t}/{k}")]
            await writer.read(writes)
            for write in writes:
                await writer.apply(write)
            await finished(writer)
    await pool.close()


def _write(key: UUID, made: dict[str, Any]) -> Write:
    body = json.loads(json.dumps(made), parse_float=Decimal)
    return Write("create", made["resourceType"], str(key), body)


def _parts(numbers: range, size: int) -> Iterator[range]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))
