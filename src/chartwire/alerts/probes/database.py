"""The database: its answers, its clock, its partitions."""

from datetime import timedelta

from chartwire.alerts.observations import Look, Observation, Seen
from chartwire.alerts.words import counted
from chartwire.core import clock
from chartwire.store.queries import q


async def slow(look: Look) -> Seen:
    """How long the server takes to answer the shortest question that reads a table."""
    began = clock.monotonic()
    await look.tx.fetchval(q.organisation_kind, look.org)
    took_ms = (clock.monotonic() - began) * 1000
    return Seen([Observation("database", took_ms, f"the database took {took_ms:.0f} ms for the shortest question")])


async def clock_skew(look: Look) -> Seen:
    """How far the server's clock is from this machine's, whichever is ahead; half of the way there is taken off."""
    asked = clock.now()
    theirs = await look.tx.fetchval(q.database_clock)
    answered = clock.now()
    apart_s = abs((theirs - (asked + (answered - asked) / 2)).total_seconds())
    return Seen([Observation("database", apart_s, f"the clocks of database and machine are {apart_s:.1f} s apart")])


async def partitions(look: Look) -> Seen:
    """Partitioned tables that lack the partition of next month, or have rows in their default one."""
    month = (look.at.replace(day=1) + timedelta(days=32)).strftime("%Y_%m")
    rows = await look.tx.fetch(q.partitions_in_doubt, month)
    names = ", ".join(row["name"] for row in rows)
    return Seen(
        [Observation("partitions", len(rows), f"{counted(len(rows), 'table')} without room of its own: {names}")]
    )
