"""The inbox: stored once, answered once, whatever breaks in between."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from chartwire.channels.intake import Answer, Arrival, Intake, forget_resends
from chartwire.core.clock import monotonic, now
from chartwire.core.errors import ChartwireError, TransientError
from chartwire.core.ids import order_key_digest, uuid7
from chartwire.core.limits import INTAKE_FLUSH_MESSAGES_MAX
from chartwire.store.pool import Connection, Pool
from chartwire.store.wakeup import Listener, Notifier

SOURCE = UUID(int=5)


def arrival(org: UUID, control_id: str = "C1", body: bytes = b"one", **fields: Any) -> Arrival:
    """A message as a listener would submit it; the hash stands for the body without MSH-7."""
    plain = Arrival(
        org=org, source=SOURCE, id=uuid7(), received_at=now(), state="received", event="ADT^A01",
        control_id=control_id, body_hash=b"hash of " + body, mrn="4711", lane=order_key_digest(str(org), "4711"),
        partners=None, charset="ascii", mode="live", ack_code="AA", ack=b"AA for " + uuid7().bytes, reuse_ack=None,
        error_code=None, error_location=None, error_text=None, raw=body,
    )  # fmt: skip
    return plain._replace(**fields)


@pytest.fixture
async def intake(database: Any, pool: Pool) -> AsyncIterator[Intake]:
    notifier = Notifier(database.app_dsn)
    notifier.start()
    fresh = Intake(pool, notifier, retry_s=5.0)
    fresh.start()
    yield fresh
    await fresh.close()
    await notifier.close()


async def rows(pool: Pool, org: UUID, sql: str) -> list[dict[str, Any]]:
    async with pool.transaction(org) as tx:
        return [dict(row) for row in await tx.fetch(sql)]


async def count(pool: Pool, org: UUID, table: str) -> int:
    return (await rows(pool, org, f"select count(*)::int as n from {table}"))[0]["n"]


async def test_a_group_of_two_organisations_stores_each_in_its_own(
    intake: Intake, pool: Pool, org_id: UUID, other_org_id: UUID
) -> None:
    own, other = arrival(org_id), arrival(other_org_id)
    answers = await asyncio.gather(intake.accept(own), intake.accept(other), intake.accept(arrival(org_id, "C2")))
    assert [answer.outcome for answer in answers] == ["fresh"] * 3
    assert [row["id"] for row in await rows(pool, other_org_id, "select id from message")] == [other.id]
    assert await count(pool, org_id, "message") == 2


async def test_the_same_message_twice_in_one_group_is_stored_once(intake: Intake, pool: Pool, org_id: UUID) -> None:
    first, second = arrival(org_id), arrival(org_id)
    answers = await asyncio.gather(intake.accept(first), intake.accept(second))
    assert answers == [Answer("fresh", first.ack, first.id), Answer("resend", first.ack, first.id)]
    assert (await count(pool, org_id, "message"), await count(pool, org_id, "job")) == (1, 1)


async def test_two_processes_that_get_the_same_message_at_once_store_it_once(
    database: Any, intake: Intake, pool: Pool, org_id: UUID
) -> None:
    async with asyncio.timeout(60):
        notifier = Notifier(database.app_dsn)
        other = Intake(pool, notifier)
        other.start()
        for number in range(30):
            pairs = [(arrival(org_id, f"C{number}.{part}"), arrival(org_id, f"C{number}.{part}")) for part in range(4)]
            mine, theirs = [one for one, _ in pairs], [one for _, one in reversed(pairs)]
            answers = await asyncio.gather(*map(intake.accept, mine), *map(other.accept, theirs))
            by_ack = [answers[position].ack == answers[7 - position].ack for position in range(4)]
            assert all(by_ack)
            assert sorted(answer.outcome for answer in answers) == ["fresh"] * 4 + ["resend"] * 4
        await other.close()
    assert await count(pool, org_id, "message") == 120


async def test_a_reused_control_id_is_seen_within_one_group_too(intake: Intake, org_id: UUID) -> None:
    answers = await asyncio.gather(
        intake.accept(arrival(org_id, "C", b"a")),
        intake.accept(arrival(org_id, "C", b"b")),
        intake.accept(arrival(org_id, "C", b"c", reuse_ack=b"refused")),
        intake.accept(arrival(org_id, "", b"d")),
        intake.accept(arrival(org_id, "", b"e")),
    )
    assert [answer.outcome for answer in answers] == ["fresh", "reused", "reused", "fresh", "fresh"]
    assert answers[2].ack == b"refused"


async def test_one_source_s_control_ids_are_nothing_to_another(intake: Intake, pool: Pool, org_id: UUID) -> None:
    await intake.accept(arrival(org_id))
    assert (await intake.accept(arrival(org_id, source=UUID(int=6)))).outcome == "fresh"
    assert (await intake.accept(arrival(org_id, source=UUID(int=6), body_hash=b"x"))).outcome == "reused"


async def test_the_jobs_of_a_lane_stand_in_order_of_arrival(intake: Intake, pool: Pool, org_id: UUID) -> None:
    arrivals = [arrival(org_id, f"C{number}") for number in range(40)]
    await asyncio.gather(*map(intake.accept, arrivals))
    await intake.accept(last := arrival(org_id, "last"))
    jobs = await rows(pool, org_id, "select message_id from job order by seq")
    assert [job["message_id"] for job in jobs] == [one.id for one in [*arrivals, last]]


async def test_a_merge_holds_one_ticket_in_each_lane_and_names_them_all(
    intake: Intake, pool: Pool, org_id: UUID
) -> None:
    one, two, three = (order_key_digest(str(number)) for number in range(3))
    merge = arrival(org_id, lane=one, partners="{" + f"{two},{three},{two}" + "}")
    plain = arrival(org_id, "C2", lane=two)
    await asyncio.gather(intake.accept(merge), intake.accept(plain))
    jobs = await rows(pool, org_id, "select lane_id, message_id, ticket_lanes from job order by lane_id, seq")
    tickets = {job["lane_id"]: set(job["ticket_lanes"]) for job in jobs if job["message_id"] == merge.id}
    assert tickets == {lane: {one, two, three} for lane in (one, two, three)}
    assert [job["message_id"] for job in jobs if job["lane_id"] == two] == [merge.id, plain.id]


@pytest.mark.parametrize(("state", "class_"), [("filtered", "raw"), ("dead", "dead")])
async def test_what_is_not_to_be_processed_is_kept_without_work(
    intake: Intake, pool: Pool, org_id: UUID, state: str, class_: str
) -> None:
    await intake.accept(arrival(org_id, state=state))
    assert await rows(pool, org_id, "select class from message_body") == [{"class": class_}]
    assert (await count(pool, org_id, "job"), await count(pool, org_id, "lane")) == (0, 0)


async def test_the_ledger_forgets_a_resend_after_its_window_and_no_sooner(
    intake: Intake, pool: Pool, org_id: UUID
) -> None:
    await intake.accept(arrival(org_id, received_at=now() - timedelta(days=31)))
    await intake.accept(arrival(org_id, "young", received_at=now() - timedelta(days=29)))
    assert await forget_resends(pool, org_id, now()) == 1
    assert (await intake.accept(arrival(org_id))).outcome == "fresh"
    assert (await intake.accept(arrival(org_id, "young"))).outcome == "resend"


async def test_workers_are_woken_after_the_commit(database: Any, intake: Intake, pool: Pool, org_id: UUID) -> None:
    woken = asyncio.Event()
    listener = Listener(database.app_dsn, "chartwire_lanes", woken.set)
    listener.start()
    await asyncio.wait_for(woken.wait(), 10)
    woken.clear()
    await intake.accept(arrival(org_id))
    await asyncio.wait_for(woken.wait(), 10)
    await listener.close()


async def test_one_message_that_the_store_refuses_takes_no_other_along(
    intake: Intake, pool: Pool, org_id: UUID
) -> None:
    poison = arrival(org_id, "P", mrn="nul\x00")
    good = [arrival(org_id, f"C{number}") for number in range(3)]
    outcomes = await asyncio.gather(
        intake.accept(good[0]), intake.accept(poison), *map(intake.accept, good[1:]), return_exceptions=True
    )
    assert isinstance(outcomes[1], ChartwireError)
    assert not isinstance(outcomes[1], TransientError)
    assert [outcome.outcome for outcome in outcomes if isinstance(outcome, Answer)] == ["fresh"] * 3


async def kill_backends(database: Any) -> None:
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()",
            database.name,
        )
    finally:
        await connection.close()


async def test_a_crowd_is_told_in_order_of_arrival_even_where_its_second_group_fails(
    intake: Intake, org_id: UUID
) -> None:
    told: list[tuple[str, str]] = []

    class Waiter:
        def __init__(self, name: str) -> None:
            self.name, self.door = name, self

        def settled(self, answer: Answer) -> None:
            told.append((self.name, answer.outcome))

        def unable(self, error: ChartwireError) -> None:
            told.append((self.name, "unable"))

        def release(self) -> None:
            """Nothing is sent from here."""

    names = [f"{number:03}" for number in range(INTAKE_FLUSH_MESSAGES_MAX + 40)]
    poisoned = names[-1]
    for name in names:
        intake.submit(arrival(org_id, name, event="A\x00B" if name == poisoned else "ADT^A01"), Waiter(name))
    async with asyncio.timeout(60):
        while len(told) < len(names):
            await asyncio.sleep(0.01)
    assert told == [(name, "unable" if name == poisoned else "fresh") for name in names]


async def test_connections_killed_again_and_again_lose_and_double_nothing(
    database: Any, intake: Intake, pool: Pool, org_id: UUID
) -> None:
    stop = asyncio.Event()

    async def killer() -> None:
        while not stop.is_set():
            await kill_backends(database)
            await asyncio.sleep(0.03)

    task = asyncio.create_task(killer())
    answers: list[Answer] = []
    for number in range(25):
        group = [arrival(org_id, f"C{number}.{part}") for part in range(8)]
        answers += await asyncio.gather(*map(intake.accept, group))
    stop.set()
    await task
    assert {answer.outcome for answer in answers} == {"fresh"}
    stored = await rows(pool, org_id, "select id from message")
    assert {row["id"] for row in stored} == {answer.message_id for answer in answers}
    assert len(stored) == await count(pool, org_id, "job") == 200


class _CommitsThenBreaks(Pool):
    """A pool whose connection is cut after the statement committed and before its answer came, once."""

    cuts = 1

    def connection(self) -> Any:
        lease = super().connection()
        return _Cut(lease, self)


class _Cut:
    def __init__(self, lease: Any, pool: _CommitsThenBreaks) -> None:
        self.lease, self.pool = lease, pool

    async def __aenter__(self) -> Any:
        self.connection: Connection = await self.lease.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.lease.__aexit__(*error)

    async def fetch(self, query: str, *args: Any) -> Any:
        answer = await self.connection.fetch(query, *args)
        if self.pool.cuts:
            self.pool.cuts -= 1
            raise TransientError("the server vanished", code="database_unreachable")
        return answer


async def test_a_commit_of_unknown_outcome_is_found_in_the_ledger(database: Any, pool: Pool, org_id: UUID) -> None:
    cutting = _CommitsThenBreaks(database.app_dsn, size=1)
    intake = Intake(cutting, Notifier(database.app_dsn))
    intake.start()
    first = arrival(org_id)
    assert await intake.accept(first) == Answer("fresh", first.ack, first.id)
    assert cutting.cuts == 0
    assert (await count(pool, org_id, "message"), await count(pool, org_id, "job")) == (1, 1)
    await intake.close()
    await cutting.close()


async def test_while_the_store_is_away_callers_are_told_and_later_ones_quickly(database: Any, org_id: UUID) -> None:
    away = Pool("postgresql://nobody@127.0.0.1:1/none", size=1)
    intake = Intake(away, Notifier(database.app_dsn), retry_s=0.5)
    intake.start()
    spent = []
    for _ in range(3):
        begun = monotonic()
        with pytest.raises(TransientError):
            await intake.accept(arrival(org_id))
        spent.append(monotonic() - begun)
    await intake.close()
    await away.close()
    assert spent[0] > 0.3
    assert max(spent[1:]) < 0.2


async def test_what_waits_for_an_absent_store_is_bounded_in_bytes(database: Any, org_id: UUID) -> None:
    away = Pool("postgresql://nobody@127.0.0.1:1/none", size=1)
    intake = Intake(away, Notifier(database.app_dsn), retry_s=2.0)
    intake.start()
    big = b"x" * 16_000_000
    outcomes = await asyncio.gather(
        *(intake.accept(arrival(org_id, f"C{number}", big)) for number in range(40)), return_exceptions=True
    )
    codes = [outcome.code for outcome in outcomes if isinstance(outcome, TransientError)]
    await intake.close()
    await away.close()
    assert len(codes) == 40
    assert codes.count("intake_full") > 40 - 20
