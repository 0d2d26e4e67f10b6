"""Whether this process lives, whether it is ready for work, and what it counted. Nothing here is about a patient."""

import asyncio

from chartwire.api.http import Answer, Request, json_answer
from chartwire.api.problem import ApiError
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.core.errors import ChartwireError
from chartwire.store.installation import read
from chartwire.store.queries import q

_READY_TIMEOUT_S = 5.0
LAG_S_MAX = 300.0
"""An intake lane that has waited longer than this while nothing held it back makes the installation not ready."""


async def live(_: Request, __: Services) -> Answer:
    """The process answers."""
    return json_answer({"status": "ok"})


async def ready(_: Request, services: Services) -> Answer:
    """200 when every check passes, else 503 with the names of those that do not.

    A process that is about to end says so here first (`leaving`), while it still answers everything.
    """
    try:
        async with asyncio.timeout(_READY_TIMEOUT_S):
            checks = await _checks(services)
    except (ChartwireError, TimeoutError):
        checks = {"database": {"ok": False}}
    if services.leaving():
        checks["leaving"] = {"ok": False}
    passed = all(check["ok"] for check in checks.values())
    return json_answer({"status": "ok" if passed else "unavailable", "checks": checks}, status=200 if passed else 503)


async def _checks(services: Services) -> dict[str, dict[str, object]]:
    async with services.pool.connection() as connection:
        months = await connection.fetchrow(q.partitions_of_this_month)
        lag_s = float(await connection.fetchval(q.intake_lag))
    installation = await read(services.pool)
    assert months is not None
    return {
        "database": {"ok": True},
        "partitions": {"ok": months["barred"] == 0, "without_this_month": months["missing"]},
        "lag": {"ok": lag_s <= LAG_S_MAX, "oldest_waiting_s": round(lag_s, 3)},
        "outbound": {"ok": True, "armed": installation is None or installation.armed},
    }


async def metrics(_: Request, services: Services) -> Answer:
    """The Prometheus text of this installation."""
    if services.export_metrics is None:
        raise ApiError("no exporter runs in this process", code="not_available", error_class="transient")
    return Answer(services.export_metrics(), 200, b"text/plain; version=0.0.4; charset=utf-8")


ROUTES = (
    Route("GET", "/health/live", live, "Whether the process answers", None, tag="health"),
    Route("GET", "/health/ready", ready, "Whether it is ready for work", None, tag="health"),
    Route("GET", "/metrics", metrics, "Prometheus metrics", None, media="text/plain", tag="health"),
)
