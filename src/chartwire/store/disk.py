"""What takes space, by class and organisation, and how fast it grows: from table sizes and one cheap sample a day."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from chartwire.core.ids import uuid7_floor
from chartwire.store.pool import Pool
from chartwire.store.queries import q

INSTALLATION = UUID(int=0)
WINDOW_DAYS = 14
_DATABASE = "database"
# Which class a table counts for; every other one belongs to the record.
_CLASS_OF = {
    "message": "messages", "message_body": "messages", "message_key": "messages", "intake_key": "messages",
    "event": "events", "delivery": "deliveries", "delivery_attempt": "deliveries", "audit": "audit",
    "search_value": "index",
    "fhir_token": "index", "fhir_string": "index", "fhir_date": "index", "fhir_number": "index",
    "terminology_system": "terminology", "terminology_concept": "terminology", "terminology_parent": "terminology",
}  # fmt: skip
# Classes that grow with the rows of another: a version of a resource has an event, whoever wrote it. Terminology grows
# with nobody's, since it is the installation's.
_GROWS_WITH = {"record": "events", "index": "events"}
CLASSES = ("messages", "record", "index", "events", "deliveries", "audit", "terminology")


@dataclass(frozen=True, slots=True)
class Forecast:
    """Bytes of the database by class and by (organisation, class), and when it is full.

    `growth` is in bytes a day, None before two days were sampled; `days_left` None where it does not grow or `free` is
    not known. What an organisation holds is its share of the rows that came in during the last WINDOW_DAYS days.
    """

    total: int
    by_class: dict[str, int]
    by_organisation: dict[UUID, dict[str, int]]
    growth: float | None
    free: int | None
    days_left: float | None


async def sample(pool: Pool, organisations: list[UUID], day: date) -> None:
    """Keep what came in on one day (UTC). Doing it again replaces it."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    low, high = (uuid7_floor(int((start + timedelta(days=more)).timestamp() * 1000)) for more in (0, 1))
    for org in organisations:
        async with pool.transaction(org) as tx:
            row = await tx.fetchrow(q.sample_rows, org, low, high)
            assert row is not None
            for name in ("messages", "events", "deliveries", "audit"):
                size = row["message_bytes"] if name == "messages" else 0
                if row[name]:
                    await tx.execute(q.keep_sample, org, day, name, row[name], size)


async def sample_size(pool: Pool, today: date) -> None:
    """Keep the size of the database now as that of today."""
    async with pool.transaction(INSTALLATION) as tx:
        size = await tx.fetchval(q.database_size)
        await tx.execute(q.keep_sample, INSTALLATION, today, _DATABASE, 0, size)


async def was_sampled(pool: Pool, day: date) -> bool:
    """Whether the size of a day, or of a later one, was kept."""
    async with pool.transaction(INSTALLATION) as tx:
        return bool(await tx.fetch(q.samples_since, INSTALLATION, day))


async def last_sampled(pool: Pool, today: date) -> tuple[date | None, bool]:
    """The newest day of which the size was kept, and whether that of `today` was."""
    async with pool.transaction(INSTALLATION) as tx:
        row = await tx.fetchrow(q.last_sampled, INSTALLATION, _DATABASE, today)
    assert row is not None
    return row["last"], row["done"]


async def forecast(pool: Pool, organisations: list[UUID], today: date, free: int | None) -> Forecast:
    """Sizes now and how long `free` bytes last at the growth of the last days."""
    async with pool.transaction(INSTALLATION) as tx:
        total = await tx.fetchval(q.database_size)
        tables = await tx.fetch(q.table_sizes)
        sizes = await tx.fetch(q.samples_since, INSTALLATION, today - timedelta(days=WINDOW_DAYS))
    by_class = dict.fromkeys(CLASSES, 0)
    for row in tables:
        by_class[_CLASS_OF.get(row["name"], "record")] += row["bytes"]
    rows = {org: await _rows(pool, org, today) for org in organisations}
    growth = _growth([(row["day"], row["bytes"]) for row in sizes if row["class"] == _DATABASE])
    left = free / growth if free is not None and growth is not None and growth > 0 else None
    return Forecast(total, by_class, _shares(by_class, rows), growth, free, left)


async def _rows(pool: Pool, org: UUID, today: date) -> dict[str, int]:
    async with pool.transaction(org) as tx:
        found = await tx.fetch(q.samples_since, org, today - timedelta(days=WINDOW_DAYS))
    rows = dict.fromkeys(CLASSES, 0)
    for row in found:
        if row["class"] in rows:
            rows[row["class"]] += row["rows"]
    return rows | {name: rows[other] for name, other in _GROWS_WITH.items()}


def _shares(by_class: dict[str, int], rows: dict[UUID, dict[str, int]]) -> dict[UUID, dict[str, int]]:
    totals = {name: sum(own[name] for own in rows.values()) for name in CLASSES}
    return {
        org: {name: by_class[name] * own[name] // totals[name] if totals[name] else 0 for name in CLASSES}
        for org, own in rows.items()
    }


def _growth(sizes: list[tuple[date, int]]) -> float | None:
    if len(sizes) < 2:
        return None
    (first, smallest), (last, largest) = sizes[0], sizes[-1]
    return (largest - smallest) / (last - first).days
