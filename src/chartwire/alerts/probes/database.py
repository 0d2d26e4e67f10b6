"""The database: its answers, its clock, its partitions."""

from chartwire.alerts.observations import Look, Observation, Seen
from chartwire.alerts.words import counted
from chartwire.core import clock
from chartwire.store import condition
from chartwire.store.queries import q


async def slow(look: Look) -> Seen:
    """How long the server takes to answer the shortest question that reads a table."""
    began = clock.monotonic()
    await look.tx.fetchval(q.organisation_kind, look.org)
    took_ms = (clock.monotonic() - began) * 1000
    return Seen([Observation("database", took_ms, f"the database took {took_ms:.0f} ms for the shortest question")])


async def clock_skew(look: Look) -> Seen:
    """How far the server's clock is from this machine's, whichever is ahead; half of the way there is taken off."""
    apart_s = abs(await condition.clock_skew_s(look.tx))
    return Seen([Observation("database", apart_s, f"the clocks of database and machine are {apart_s:.1f} s apart")])


async def partitions(look: Look) -> Seen:
    """Partitioned tables that lack the partition of next month, or have rows in their default one."""
    wanting = await condition.partitions(look.tx, look.at)
    doubtful = sorted({*wanting.without_next, *wanting.spilled})
    text = f"{counted(len(doubtful), 'table')} without room of its own: {', '.join(doubtful)}"
    return Seen([Observation("partitions", len(doubtful), text)])
