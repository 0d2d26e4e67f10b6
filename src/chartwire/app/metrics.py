"""Prometheus metrics over all processes of one machine.

Every process leaves what it counted in a file (snapshots.py). `/metrics` merges the files of processes that live, each
value labelled with its `process`, and adds gauges of the database. A restarted process begins at zero, as Prometheus
expects.
"""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from chartwire.app.snapshots import read_snapshots, snapshot
from chartwire.core.errors import ChartwireError
from chartwire.store.pool import Pool
from chartwire.store.queries import q

_DATABASE_EVERY_S = 5.0
_ORGANISATIONS_MAX = 200

Gauges = list[tuple[str, str, dict[str, str], float]]

DATABASE_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "chartwire_database_up": ("Whether the database answered", ()),
    "chartwire_lanes_ready": ("Lanes with work that is due", ("kind",)),
    "chartwire_lane_age_seconds": ("Age of the oldest due lane", ("kind",)),
    "chartwire_oldest_unprocessed_seconds": ("Age of the oldest message that waits for processing", ()),
    "chartwire_deliveries_open": ("Deliveries not yet delivered or given up", ()),
    "chartwire_alerts_firing": ("Alerts that are not over", ("severity",)),
    "chartwire_alert_rounds_late_seconds": (
        "How long the organisation that waits longest has been due for a round of alerts",
        (),
    ),
}
"""What only the database knows: meaning and labels by name. No process is named: it is the same for all."""


class Exporter:
    """The answer of `/metrics`: call it for the Prometheus text (UTF-8) of all processes of this machine."""

    def __init__(self, run_dir: Path, process: str, pool: Pool, engine_pool: Pool) -> None:
        self._run_dir, self._process = run_dir, process
        self._pool, self._engine_pool = pool, engine_pool
        self._gauges: Gauges = []

    def __call__(self) -> bytes:
        everything = [(self._process, snapshot()), *read_snapshots(self._run_dir, self._process)]
        return exposition(everything, self._gauges)

    async def keep_reading(self) -> None:
        """Read the database's gauges every five seconds until cancelled."""
        while True:
            try:
                found = await database_gauges(self._pool, self._engine_pool)
                self._gauges = [_gauge("chartwire_database_up", 1), *found]
            except ChartwireError:
                self._gauges = [_gauge("chartwire_database_up", 0)]
            await asyncio.sleep(_DATABASE_EVERY_S)


def exposition(processes: Iterable[tuple[str, list[dict[str, Any]]]], gauges: Gauges) -> bytes:
    """Prometheus text of several processes' snapshots and of gauges (name, help, labels, value)."""
    families: dict[str, Any] = {}
    for process, metrics in processes:
        for metric in metrics:
            family = families.get(metric["name"])
            if family is None:
                family = families[metric["name"]] = _family(metric)
            _add(family, process, metric)
    for name, help_text, labels, value in gauges:
        gauge = families.setdefault(name, GaugeMetricFamily(name, help_text, labels=list(labels)))
        gauge.add_metric(list(labels.values()), value)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Fixed(list(families.values())))
    return bytes(generate_latest(registry))


class _Fixed(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _family(metric: dict[str, Any]) -> Any:
    labels = ["process", *metric["labels"]]
    if metric["kind"] == "Histogram":
        return HistogramMetricFamily(metric["name"], metric["help"], labels=labels)
    if metric["kind"] == "Counter":
        return CounterMetricFamily(metric["name"], metric["help"], labels=labels)
    return GaugeMetricFamily(metric["name"], metric["help"], labels=labels)


def _add(family: Any, process: str, metric: dict[str, Any]) -> None:
    for labels, value in metric["values"]:
        names = [process, *labels]
        if metric["kind"] == "Histogram":
            family.add_metric(names, buckets=_cumulative(metric["bounds"], value), sum_value=value[-1])
        else:
            family.add_metric(names, value)


def _cumulative(bounds: list[float], row: list[float]) -> list[tuple[str, float]]:
    total, buckets = 0.0, []
    for bound, number in zip([*map(str, bounds), "+Inf"], row[:-1], strict=True):
        total += number
        buckets.append((bound, total))
    return buckets


async def database_gauges(pool: Pool, engine_pool: Pool) -> Gauges:
    """Ages and queues that only the database knows. Raises TransientError when it is away."""
    async with engine_pool.connection() as connection:
        lanes = await connection.fetch(q.observe_lanes)
        organisations = await connection.fetch(q.observe_organisations, _ORGANISATIONS_MAX)
        unwatched_s = await connection.fetchval(q.observe_alert_rounds)
    gauges: Gauges = []
    for row in lanes:
        gauges.append(_gauge("chartwire_lanes_ready", row["ready"], kind=row["kind"]))
        gauges.append(_gauge("chartwire_lane_age_seconds", row["age_s"], kind=row["kind"]))
        if row["kind"] == "intake":
            gauges.append(_gauge("chartwire_oldest_unprocessed_seconds", row["age_s"]))
    open_deliveries, burning = 0, dict.fromkeys(("info", "warning", "critical"), 0)
    for row in organisations:
        async with pool.transaction(row["org_id"]) as tx:
            open_deliveries += await tx.fetchval(q.observe_open_deliveries)
            for alerts in await tx.fetch(q.observe_alerts):
                burning[alerts["severity"]] += alerts["alerts"]
    gauges.append(_gauge("chartwire_deliveries_open", open_deliveries))
    gauges += [_gauge("chartwire_alerts_firing", count, severity=severity) for severity, count in burning.items()]
    gauges.append(_gauge("chartwire_alert_rounds_late_seconds", unwatched_s))
    return gauges


def _gauge(name: str, value: float, **labels: str) -> tuple[str, str, dict[str, str], float]:
    return name, DATABASE_GAUGES[name][0], labels, float(value)
