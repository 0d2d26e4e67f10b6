"""What `up` does once a day (UTC): figures of the disk, then the retention job.

A clock that jumped ahead must not remove what it calls old: after a gap of more than GAP retention waits for the next
day, by when a wrong clock has been seen (`clock_skew` of doctor and alerts).
"""

from datetime import timedelta

import structlog

from chartwire.app import retention
from chartwire.app.knobs import Settings
from chartwire.app.services import DatabaseAddress
from chartwire.channels.sources import list_organisations
from chartwire.core.clock import now
from chartwire.core.telemetry import Counter
from chartwire.core.terms import read_terms
from chartwire.store import disk
from chartwire.store.pool import Pool

GAP = timedelta(days=7)
_log = structlog.get_logger(__name__)
_rows = Counter("chartwire_retention_rows_total", "Rows that retention removed, by class.", ("class",))
_bytes = Counter("chartwire_retention_bytes_total", "Bytes that retention removed, by class.", ("class",))


async def once_a_day(settings: Settings, address: DatabaseAddress) -> None:
    """Do the day's work where nobody did it yet. Raises ChartwireError; the next call tries again."""
    pool, engine = Pool(address.app, size=2), Pool(address.engine, size=1)
    try:
        today = now().date()
        last, done = await disk.last_sampled(pool, today)
        if done:
            return
        organisations = await list_organisations(pool, engine)
        report = retention.Report(False, [], [])
        if last is not None and today - last > GAP:
            _log.warning("retention_waits_a_day", reason="the clock is far from that of the last run")
        else:
            terms = read_terms(settings.retention)
            report = await retention.run(pool, address.admin, organisations, terms, now())
        await disk.sample(pool, [one.id for one in organisations], today - timedelta(days=1))
        await disk.sample_size(pool, today)
    finally:
        await pool.close()
        await engine.close()
    for one in report.removed:
        _rows.add(one.rows, one.data_class)
        _bytes.add(one.bytes, one.data_class)
    _log.info("retention_ran", count=len(report.removed))
    for kept in report.kept:
        _log.warning("retention_kept_a_month", partition=kept.month, reason=kept.why)
