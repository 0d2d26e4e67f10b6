"""After an unmerge a visit stands as if the words under the other patient's number had never been, in whatever order they
came: it is compared with the same visit of an organisation that never heard them."""

import random
import re
from uuid import UUID

import pytest
from tests.integration.feed import Feed, hl7, pid
from tests.integration.record.test_merges import a40, by_mrn
from tests.integration.record.test_unmerge import named, part, subjects
from tests.integration.record.test_visits import course, pv1

from chartwire.store.pool import Pool

ANNA, TWIN = "1001", "2002"
EVENTS = ("ADT^A02", "ADT^A08", "ADT^A03", "ADT^A12", "ADT^A13", "ADT^A11", "ADT^A01")
MOVES = 14


def words(seed: int, owner: str) -> list[tuple[str, bytes]]:
    """What is said of one visit since the merge, each with the number that it is said under: a third of it comes late."""
    chance, said = random.Random(seed), list[tuple[str, bytes]]()
    for place in range(MOVES):
        mrn = owner if chance.random() < 0.6 else (ANNA if owner == TWIN else TWIN)
        hour = max(1, place - chance.randrange(1, 6)) if chance.random() < 0.33 else place
        at = f"202603{5 + hour // 4:02}{hour % 4 * 6:02}{place:02}00"
        event = chance.choice(EVENTS)
        told = pv1(at if event == "ADT^A03" else "", place=f"W{chance.randrange(4)}^101^1^HOSP")
        said.append((mrn, hl7(event, pid(mrn), told, at=at)))
    return said


async def hear(feed: Feed, messages: list[bytes]) -> None:
    for message in messages:
        await feed.store(message)
    await feed.work()


async def stands(feed: Feed) -> str:
    """The course of the visit, places by name."""
    return re.sub(r"Location/[-0-9a-f]{36}", "", str(course(await feed.body("Encounter"))))


@pytest.mark.parametrize("seed", range(6))
async def test_a_visit_ends_as_if_the_other_patient_s_moves_had_never_been(
    feed: Feed, pool: Pool, engine_pool: Pool, other_org_id: UUID, seed: int
) -> None:
    owner = (ANNA, TWIN)[seed % 2]
    alone = await Feed(pool, engine_pool, other_org_id).open()
    before = [hl7("ADT^A04", pid(ANNA)), hl7("ADT^A04", pid(TWIN)), hl7("ADT^A01", pid(owner), pv1())]
    since = words(seed, owner)
    await hear(feed, [*before, a40(pid(ANNA), TWIN), *(message for _, message in since)])
    await hear(alone, [*before, *(message for mrn, message in since if mrn == owner)])
    unmerged = await part(feed, TWIN)
    assert await stands(feed) == await stands(alone)
    assert await subjects(feed) == {"V77": named(await by_mrn(feed, owner))}
    assert unmerged.reviews == sum(mrn != owner for mrn, _ in since)
