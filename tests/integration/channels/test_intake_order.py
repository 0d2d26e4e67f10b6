"""A group that cannot be stored takes nothing of its connections past it."""

import asyncio
from uuid import UUID

from tests.integration.feed import Feed, hl7, pid

from chartwire.channels.intake import Answer, Intake
from chartwire.core.errors import ChartwireError
from chartwire.store.pool import Pool
from chartwire.store.wakeup import Notifier


class _Line:
    """One connection, which logs what each of its messages was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.door = self

    def settled(self, answer: Answer) -> None:
        self.told.append(answer.outcome)

    def unable(self, error: ChartwireError) -> None:
        self.told.append("unable")

    def release(self) -> None:
        """A line that only listens."""


async def test_what_a_connection_sent_behind_a_message_that_was_not_stored_is_not_stored_before_it(
    database, pool: Pool, engine_pool: Pool, org_id: UUID
) -> None:
    feed = await Feed(pool, engine_pool, org_id).open()
    await feed.send(hl7("ADT^A04", pid()))
    impatient = Pool(f"{database.app_dsn}&lock_timeout=300", size=2)
    intake = Intake(impatient, Notifier("postgresql://nobody@127.0.0.1:1/none"), retry_s=0.0)
    line, neighbour = _Line(), _Line()
    messages = [feed._arrival(hl7("ADT^A31", pid(f13=f"555-010{number}")), feed.source, "live") for number in range(3)]
    async with engine_pool.transaction(None) as tx:
        await tx.execute("select 1 from lane for update")  # as a worker does that stands still before its commit
        intake.start()
        intake.submit(messages[0], line)
        await _taken(intake)
        intake.submit(messages[1], line)
        intake.submit(messages[2], neighbour)
        async with asyncio.timeout(10):
            while not line.told:
                await asyncio.sleep(0.01)
    await intake.close()
    await impatient.close()
    assert line.told == ["unable", "unable"]
    assert neighbour.told in (["fresh"], ["unable"])
    stored = {row["id"] for row in await feed.rows("select id from message")}
    assert not stored & {arrival.id for arrival in messages[:2]}


async def _taken(intake: Intake) -> None:
    async with asyncio.timeout(10):
        while intake.waiting:
            await asyncio.sleep(0.01)
