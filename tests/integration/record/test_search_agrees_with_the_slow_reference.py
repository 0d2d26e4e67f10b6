"""Searches find what the slow reference finds, in the order in which it sorts, in pages of any size."""

from functools import cmp_to_key
from random import Random
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.record.random_searches import SORTS, resources, search, search_of_several
from tests.integration.record.slow_search import World, sort_value
from tests.integration.record.stored import Shelf

from chartwire.core.fhir_ids import store_id
from chartwire.core.ids import uuid7
from chartwire.store.pool import Pool

SEARCHES_OF_A_WORLD = 50
WORLDS = settings.default.max_examples * 2 // 5


@settings(max_examples=WORLDS, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**64))
async def test_searches_find_what_the_slow_reference_finds(pool: Pool, seed: int) -> None:
    random = Random(seed)
    world, shelf = await _world(random, pool)
    for _ in range(SEARCHES_OF_A_WORLD):
        kind, terms = search(random)
        sorts = random.choice((_no_sort(), _no_sort(), *(_sorts(random, kind) for _ in range(2))))
        wanted = [one["id"] for one in _sorted(world.find(kind, terms), sorts)]
        asked = "&".join(f"{name}={value}" for name, value in [*terms, *_sort_term(sorts)])
        found = await _walked(shelf, kind, asked, random.randint(1, 6))
        assert found == wanted, f"{kind}?{asked}"


@settings(max_examples=WORLDS // 4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**64))
async def test_a_search_of_several_types_finds_what_a_search_of_each_finds(pool: Pool, seed: int) -> None:
    random = Random(seed)
    _, shelf = await _world(random, pool)
    for _ in range(SEARCHES_OF_A_WORLD):
        types, terms = search_of_several(random)
        asked = "&".join(f"{name}={value}" for name, value in terms)
        wanted = [fhir_id for kind in types for fhir_id in await _walked(shelf, kind, asked, 50)]
        found = await _walked(shelf, None, f"_type={','.join(types)}&{asked}", random.randint(1, 6))
        assert found == sorted(wanted, key=lambda one: store_id(one).int), asked


async def _world(random: Random, pool: Pool) -> tuple[World, Shelf]:
    """Resources that were stored, some of them again with other values, and some deleted."""
    org: UUID = uuid7()
    async with pool.transaction(org) as tx:
        await tx.execute("insert into organisation (org_id, name, kind) values ($1, 'World', 'live')", org)
    shelf, stored = Shelf(pool, org), resources(random)
    await shelf.put(*stored)
    others = {one["id"]: one for one in resources(random) if one["resourceType"] != "Patient"}
    again = [others[one["id"]] for one in stored if one["id"] in others and random.random() < 0.2]
    await shelf.put(*again)
    gone = [one["id"] for one in stored if one["resourceType"] in ("Observation", "ValueSet") and random.random() < 0.1]
    for fhir_id in gone:
        await shelf.delete("Observation" if fhir_id[0] == "o" else "ValueSet", fhir_id)
    standing = {one["id"]: one for one in [*stored, *again]}
    return World([one for fhir_id, one in standing.items() if fhir_id not in gone]), shelf


async def _walked(shelf: Shelf, kind: str | None, asked: str, count: int) -> list[str]:
    ids: list[str] = []
    after = None
    while True:
        page = await shelf.page(kind, f"{asked}&_count={count}", after)
        ids += [one.stored.body.partition('"id":"')[2].partition('"')[0] for one in page.found]
        after = page.after
        if after is None:
            return ids


def _no_sort() -> list[tuple[str, bool]]:
    return []


def _sorts(random: Random, kind: str) -> list[tuple[str, bool]]:
    codes = random.sample(SORTS[kind], random.randint(1, min(2, len(SORTS[kind]))))
    return [(code, random.random() < 0.5) for code in codes]


def _sort_term(sorts: list[tuple[str, bool]]) -> list[tuple[str, str]]:
    return [("_sort", ",".join(f"{'-' if descending else ''}{code}" for code, descending in sorts))] if sorts else []


def _sorted(found: list[dict[str, Any]], sorts: list[tuple[str, bool]]) -> list[dict[str, Any]]:
    return sorted(found, key=cmp_to_key(lambda one, other: _compared(one, other, [*sorts, ("_id", False)])))


def _compared(one: dict[str, Any], other: dict[str, Any], sorts: list[tuple[str, bool]]) -> int:
    for code, descending in sorts:
        mine, theirs = (
            store_id(body["id"]).int if code == "_id" else sort_value(body, code, descending) for body in (one, other)
        )
        if mine == theirs:
            continue
        if mine is None or theirs is None:
            return 1 if mine is None else -1
        return (1 if mine > theirs else -1) * (-1 if descending else 1)
    return 0
