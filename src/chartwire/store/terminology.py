"""Code systems that an operator has loaded, for the whole installation: replaced as a whole, read by code.

A load writes a new edition beside the one in force and switches when all of it is there; readers never see half of one.
"""

import json
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

from chartwire.core.errors import ConflictError
from chartwire.core.ids import uuid7
from chartwire.formats.codes import Concept
from chartwire.store.installation import INSTALLATION
from chartwire.store.pool import Connection, Pool
from chartwire.store.queries import q

_BATCH_CONCEPTS = 5_000
_SWEEP_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class LoadedSystem:
    """A system in force. `version` is what its publisher calls it, "" where nobody said."""

    system: str
    edition: UUID
    version: str
    concepts: int
    loaded_at: datetime


@dataclass(frozen=True, slots=True)
class Fact:
    """What is loaded about one code. `ancestors` are all concepts that subsume it."""

    display: str
    inactive: bool
    properties: Mapping[str, str]
    ancestors: frozenset[str]


async def systems(pool: Pool) -> dict[str, LoadedSystem]:
    """What is loaded, by system."""
    async with pool.transaction(INSTALLATION) as tx:
        rows = await tx.fetch(q.terminology_systems, INSTALLATION)
    return {row["system"]: LoadedSystem(**row) for row in rows}


async def replace(pool: Pool, system: str, version: str, concepts: Iterable[Concept]) -> int:
    """Load a system in place of what was loaded of it before; how many concepts it has now.

    Raises ConflictError (`load_running`) while another load runs. After an error the old edition stays in force.
    """
    async with _alone(pool):
        await _sweep(pool)
        count = await _load(pool, system, version, concepts)
        await _sweep(pool)
    return count


async def forget(pool: Pool, system: str) -> bool:
    """Load a system no more; whether there was one. Raises ConflictError as `replace` does."""
    async with _alone(pool):
        async with pool.transaction(INSTALLATION) as tx:
            known = await tx.fetchval(q.terminology_forget, INSTALLATION, system)
        await _sweep(pool)
    return known is not None


@asynccontextmanager
async def _alone(pool: Pool) -> AsyncIterator[None]:
    """Only one process at a time changes what is loaded: a sweep would take what another is loading."""
    async with pool.connection() as holder:
        if not await holder.fetchval(q.terminology_lock):
            raise ConflictError("another load of a code system runs", code="load_running")
        try:
            yield
        finally:
            await holder.execute(q.terminology_unlock)


async def facts(pool: Pool, codings: Collection[tuple[str, str]]) -> dict[tuple[str, str], Fact]:
    """What is loaded about each (system, code); codings that are not there are left out."""
    if not codings:
        return {}
    named, codes = zip(*codings, strict=True)
    async with pool.transaction(INSTALLATION) as tx:
        rows = await tx.fetch(q.terminology_facts, INSTALLATION, [*named], [*codes])
    return {
        (row["system"], row["code"]): Fact(
            row["display"], row["inactive"], json.loads(row["properties"]), frozenset(row["ancestors"])
        )
        for row in rows
    }


async def below(pool: Pool, system: str, code: str, most: int) -> list[str]:
    """Up to `most` codes that a concept subsumes, itself among them; none where the system lacks it."""
    async with pool.transaction(INSTALLATION) as tx:
        return [row["code"] for row in await tx.fetch(q.terminology_below, INSTALLATION, system, code, most)]


async def neighbours(pool: Pool, system: str, code: str, most: int) -> list[tuple[str, str, str]]:
    """(`parent` or `child`, code, display) of up to `most` concepts one step away."""
    async with pool.transaction(INSTALLATION) as tx:
        rows = await tx.fetch(q.terminology_neighbours, INSTALLATION, system, code, most)
    return [(row["kind"], row["code"], row["display"]) for row in rows]


async def listed(
    pool: Pool,
    system: str,
    most: int,
    *,
    top: str | None = None,
    with_top: bool = True,
    properties: Mapping[str, str] | None = None,
    words: Sequence[str] = (),
) -> list[tuple[str, str]]:
    """Up to `most` (code, display) of a system by code: those below `top`, whose properties have one of the values
    (joined by commas) that are given, and whose code or display contains each of the words."""
    wanted = properties or {}
    patterns = [f"%{_plain(word)}%" for word in words]
    async with pool.transaction(INSTALLATION) as tx:
        rows = await tx.fetch(
            q.terminology_listed,
            INSTALLATION,
            system,
            top,
            with_top,
            [*wanted],
            [*wanted.values()],
            most,
            patterns,
        )
    return [(row["code"], row["display"]) for row in rows]


def _plain(word: str) -> str:
    """Text as a part of a `like` pattern, in small letters."""
    return word.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def _load(pool: Pool, system: str, version: str, concepts: Iterable[Concept]) -> int:
    edition, told = uuid7(), iter(concepts)
    while batch := [*islice(told, _BATCH_CONCEPTS)]:
        async with pool.transaction(INSTALLATION) as tx:
            await _write(tx, edition, batch)
    async with pool.transaction(INSTALLATION) as tx:
        return int(await tx.fetchval(q.terminology_switch, INSTALLATION, edition, system, version))


async def _write(tx: Connection, edition: UUID, batch: list[Concept]) -> None:
    await tx.execute(
        q.terminology_add_concepts,
        INSTALLATION,
        edition,
        [concept.code for concept in batch],
        [concept.display for concept in batch],
        [concept.inactive for concept in batch],
        [json.dumps(dict(concept.properties)) for concept in batch],
    )
    steps = [(concept.code, parent) for concept in batch for parent in concept.parents]
    if steps:
        codes, parents = zip(*steps, strict=True)
        await tx.execute(q.terminology_add_parents, INSTALLATION, edition, [*codes], [*parents])


async def _sweep(pool: Pool) -> None:
    """Remove editions that answer for nothing: those that were replaced, and those of loads that broke off."""
    for statement in (q.terminology_sweep_concepts, q.terminology_sweep_parents):
        while True:
            async with pool.transaction(INSTALLATION) as tx:
                if await tx.execute(statement, INSTALLATION, _SWEEP_ROWS) == "DELETE 0":
                    break
