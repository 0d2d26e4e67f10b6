"""Random histories with merges, unmerges (A37) and late messages, carried by two workers, end where the slow reference
ends that never heard of the merges that were undone."""

import asyncio
import random
from uuid import UUID

import pytest
from tests.integration.feed import Feed, hl7, pid
from tests.integration.record.reference import Message, Reference
from tests.integration.record.test_histories import carry, everything, patient_of, things, told

from chartwire.channels.replay import replay
from chartwire.core.access import Access
from chartwire.core.source import IdentifierRule
from chartwire.store.pool import Pool

NUMBERS = ("11", "12", "13", "14")
HISTORIES = 12
MESSAGES = 50


class Unlink(Message):
    """A37 of two numbers that name one patient."""

    def raw(self) -> bytes:
        return hl7("ADT^A37", f"EVN|A37|{self.at}", pid(self.number), pid(self.other), at=self.at)


def history(seed: int) -> tuple[list[Message], list[Message]]:
    """(what is sent, what the reference hears): patients are merged while each is told apart by a number of its own,
    and parted again; the reference hears no merge that was undone, and no A37."""
    chance, merges = random.Random(seed), dict[str, Message]()
    sent = [Message("ADT^A04", "one", number, _at(place)) for place, number in enumerate(NUMBERS)]
    undone: list[Message] = []
    for place in range(MESSAGES):
        now, heads = 3_000 + 50 * place, [number for number in NUMBERS if number not in merges]
        kind = chance.random()
        if kind < 0.12 and len(heads) > 1:
            survivor, loser = chance.sample(heads, 2)
            merges[loser] = Message("ADT^A40", "one", survivor, _at(now), other=loser)
            sent.append(merges[loser])
        elif kind < 0.2 and merges:
            loser = chance.choice(sorted(merges))
            undone.append(merges.pop(loser))
            sent.append(Unlink("ADT^A37", "one", undone[-1].number, _at(now), other=loser))
        else:
            number = chance.choice(NUMBERS)
            late = now - 49 * chance.randrange(1, 40) if chance.random() < 0.33 else now
            # The lane of a number is no partner of a later merge in its chain: only a word from before is certain.
            at = _at(place + 10 if merges.get(number) and merges[number].number in merges else late)
            sent.append(_plain(chance, place, at, number))
    return sent, [message for message in sent if message not in undone and message.event != "ADT^A37"]


def _plain(chance: random.Random, place: int, at: str, number: str) -> Message:
    kind = chance.choice(("ADT^A08", "ADT^A08", "ADT^A31", "ADT^A01", "SIU^S12", "ORU^R01"))
    match kind[:3]:
        case "SIU":
            return Message(kind, "one", number, at, other=f"F{place}-{number}", value="20260412090000")
        case "ORU":
            return Message(kind, "one", number, at, other=f"L{place}-{number}", value=str(chance.randrange(50, 90)))
    return Message(
        kind,
        chance.choice(("one", "two")),
        number,
        at,
        sex=chance.choice("FM"),
        phone=chance.choice(("", f"555-{place:04}", '""')),
        work=chance.choice(("", f"556-{place:04}")),
        marital=chance.choice(("", "M", "S", '""')),
        other=f"V{place}" if kind == "ADT^A01" else "",
    )


def _at(second: int) -> str:
    return f"20260301{second // 3600:02}{second // 60 % 60:02}{second % 60:02}"


async def carry_all(feed: Feed) -> None:
    """Carry, and once more what a deadlock held: a batch that waits for two patients may meet the A37 that parts them."""
    for _ in range(20):
        second = Feed(feed.pool, feed.engine_pool, feed.org)
        second.sources.update(feed.sources)
        await asyncio.gather(feed.work(), second.work())
        if not await feed.rows("select from job limit 1"):
            break
        await asyncio.sleep(0.3)
    await carry(feed)


@pytest.fixture
async def feed(pool: Pool, engine_pool: Pool, org_id: UUID) -> Feed:
    return await Feed(pool, engine_pool, org_id).open()


@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_a_history_ends_as_if_the_merges_that_were_undone_had_never_been(feed: Feed, seed: int) -> None:
    other = await feed.other_source(rank=10 + 10 * (seed % 2), identifiers=(IdentifierRule("", "MR"),))
    sources = {"one": feed.source, "two": other}
    sent, heard = history(seed)
    reference = Reference({name: source.rank for name, source in sources.items()})
    for message in heard:
        reference.hear(message)

    ids = [await feed.store(message.raw(), source=sources[message.source]) for message in sent]
    await carry_all(feed)
    for number in NUMBERS:
        assert await told(feed, number) == reference.told(number), number
    reached = {number: f"Patient/{(await patient_of(feed, number))['id']}" for number in NUMBERS}
    expected = {
        thing: (reached[reference.told_of(thing)[0]], reference.told_of(thing)[1][:8]) for thing in reference.things
    }
    assert await things(feed) == expected
    assert len(set(reached.values())) == len({id(person) for person in reference.by_number.values()})
    assert await feed.reviews() == []

    before = await everything(feed)
    access = Access(feed.org, "key:test", "HOPERAT", frozenset({"*"}))
    for [message_id] in ids:
        await replay(feed.pool, access, message_id)
    await carry_all(feed)
    assert await everything(feed) == before
