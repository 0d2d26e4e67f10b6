"""Random histories, carried by two workers in lanes, end where the slow reference ends; said again they change nothing."""

import asyncio
import random
from typing import Any
from uuid import UUID

import orjson
import pytest
from tests.integration.feed import Feed
from tests.integration.record.reference import Message, Reference

from chartwire.channels.replay import replay
from chartwire.core.access import Access
from chartwire.core.ids import source_key_id
from chartwire.core.source import IdentifierRule

MERGED, UNMERGED = ("11", "12", "13"), ("21", "22")
GENDERS = {"male": "M", "female": "F"}
HISTORIES = 14
MESSAGES = 40


def history(seed: int) -> list[Message]:
    """Numbers 11-13 are merged with each other and have one lane each. 21 and 22 have a second number, by which the
    other source knows them: two lanes for one patient. A third of the messages come late, some come twice."""
    chance = random.Random(seed)
    clock = iter(range(3_000, 80_000, 50))
    hops: dict[str, int] = {}
    told: list[Message] = []
    for place in range(MESSAGES):
        now = next(clock)
        if told and chance.random() < 0.08:
            told.append(chance.choice(told))
        elif chance.random() < 0.07:
            survivor, loser = chance.sample(MERGED, 2)
            hops = {number: hops.get(number, 0) + 1 for number in MERGED}
            told.append(Message("ADT^A40", "one", survivor, _at(now), other=loser))
        else:
            told.append(_plain(chance, place, now, hops))
    return told


def _plain(chance: random.Random, place: int, now: int, hops: dict[str, int]) -> Message:
    source, number = chance.choice(("one", "two")), chance.choice(MERGED + UNMERGED)
    at = _at(now - 49 * chance.randrange(1, 40) if chance.random() < 0.33 else now)
    if hops.get(number, 0) > 1:
        at = _at(place + 1)  # its lane is no partner of a later merge in the chain: only a word from before is certain
    alias = f"P{number}" if number in UNMERGED else ""
    kind = chance.choice(("A04", "A08", "A08", "A31", "A01", "S12", "S13", "S15", "S26", "R01"))
    if kind[0] == "S":
        booking, start = f"F{chance.randrange(3)}-{number}", f"2026041{chance.randrange(9)}090000"
        return Message(f"SIU^{kind}", "one", number, at, alias, other=booking, value=start)
    if kind == "R01":
        return Message("ORU^R01", "one", number, at, alias, other=f"L{chance.randrange(2)}-{number}",
                       value=str(chance.randrange(50, 90)))  # fmt: skip
    return Message(
        f"ADT^{kind}",
        source,
        "" if alias and source == "two" else number,
        at,
        alias,
        sex=chance.choice("FM"),
        phone=chance.choice(("", f"555-{place:04}", '""')),
        work=chance.choice(("", f"556-{place:04}")),
        marital=chance.choice(("", "M", "S", '""')),
        other=f"V{place}" if kind == "A01" else "",
    )


def _at(second: int) -> str:
    return f"20260301{second // 3600:02}{second // 60 % 60:02}{second % 60:02}"


async def carry(feed: Feed) -> None:
    """Two workers carry what stands in the lanes."""
    second = Feed(feed.pool, feed.engine_pool, feed.org)
    second.sources.update(feed.sources)
    await asyncio.gather(feed.work(), second.work())
    assert await feed.rows("select distinct state, error_code from message") == [
        {"state": "processed", "error_code": None}
    ]


async def patient_of(feed: Feed, number: str) -> dict[str, Any]:
    keys = [source_key_id("Patient", f"{kind}|HOSP|{number}") for kind in ("MR", "PI")]
    [row] = await feed.rows(
        "select body from resource r join source_key k on r.id = k.resource_id and r.type = 'Patient'"
        " where k.type = 'Patient' and k.key = any($1)", keys)  # fmt: skip
    body: dict[str, Any] = orjson.loads(row["body"])
    return body


async def told(feed: Feed, number: str) -> dict[str, object]:
    body = await patient_of(feed, number)
    assert body["active"] is True
    marital = body.get("maritalStatus", {}).get("coding", [{}])[0].get("code")
    phones = sorted(item["value"] for item in body.get("telecom", ()))
    return {"gender": GENDERS[body["gender"]], "marital": marital, "phones": phones}


async def things(feed: Feed) -> dict[str, tuple[str, str]]:
    """Visit, booking or result -> (its patient, its value)."""
    found = {}
    for body in await feed.bodies("Encounter"):
        found[body["identifier"][0]["value"]] = body["subject"]["reference"], ""
    for body in await feed.bodies("Appointment"):
        [filler] = [item["value"] for item in body["identifier"] if item["type"]["coding"][0]["code"] == "FILL"]
        status = "" if body["status"] == "booked" else body["status"]
        found[filler] = body["participant"][0]["actor"]["reference"], status or body["start"][:10].replace("-", "")
    for report in await feed.bodies("DiagnosticReport"):
        [filler] = [item["value"] for item in report["identifier"] if item["type"]["coding"][0]["code"] == "FILL"]
        [result] = report["result"]
        [value] = [
            body for body in await feed.bodies("Observation") if f"Observation/{body['id']}" == result["reference"]
        ]
        assert value["subject"] == report["subject"]
        found[filler] = report["subject"]["reference"], str(value["valueQuantity"]["value"])
    return found


async def everything(feed: Feed) -> list[Any]:
    tables = (
        "select type, id, version, patient_id, body from resource order by type, id",
        "select loser_id, survivor_id from merge order by id",
        "select kind, resource_id from review order by id",
    )
    return [await feed.rows(sql) for sql in tables]


@pytest.fixture
async def feed(pool: Any, engine_pool: Any, org_id: UUID) -> Feed:
    return await Feed(pool, engine_pool, org_id).open()


@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_a_history_ends_where_the_slow_reference_ends_and_again_changes_nothing(feed: Feed, seed: int) -> None:
    other = await feed.other_source(
        rank=10 + 10 * (seed % 2), identifiers=(IdentifierRule("", "PI"), IdentifierRule("", "MR"))
    )
    sources = {"one": feed.source, "two": other}
    messages = history(seed)
    reference = Reference({name: source.rank for name, source in sources.items()})
    for message in messages:
        reference.hear(message)

    ids = [await feed.store(message.raw(), source=sources[message.source]) for message in messages]
    await carry(feed)
    for number in reference.by_number:
        assert await told(feed, number) == reference.told(number), number
    reached = {number: f"Patient/{(await patient_of(feed, number))['id']}" for number in reference.by_number}
    expected = {}
    for thing in reference.things:
        number, value = reference.told_of(thing)
        expected[thing] = reached[number], value[:8] if value.isdigit() else value
    assert await things(feed) == expected
    persons = {id(person) for person in reference.by_number.values()}
    assert len(set(reached.values())) == len(persons)

    before = await everything(feed)
    access = Access(feed.org, "key:test", "HOPERAT", frozenset({"*"}))
    for [message_id] in ids:
        await replay(feed.pool, access, message_id)
    await carry(feed)
    assert await everything(feed) == before
    assert await feed.rows("select 1 from event where mode = 'live' and message_id in"
                           " (select id from message where mode = 'record-only')") == []  # fmt: skip
