"""All checks, one after the other; one that fails takes no other along, and a database that is away is a finding."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any, Final, TypeVar

from chartwire.app.doctor import backups, capacity, expiry, feeds, lags, safety, server, stuck
from chartwire.app.doctor.findings import Finding, Found, Severity, found, in_order, told
from chartwire.app.doctor.surroundings import Reached, Surroundings
from chartwire.app.knobs import Settings
from chartwire.app.services import database_address, services
from chartwire.app.snapshots import living
from chartwire.channels.sources import list_organisations
from chartwire.core.clock import instant, now
from chartwire.core.errors import ChartwireError

_CHECK_TIMEOUT_S = 20.0
_Thing = TypeVar("_Thing")
Check = Callable[[_Thing], Awaitable[Iterable[Found]]]

OF_THE_MACHINE: Final[tuple[Check[Surroundings], ...]] = (
    safety.http_in_the_clear,
    safety.mllp_in_the_clear,
    safety.open_files,
    backups.backups,
    capacity.disk_space,
    capacity.memory,
    capacity.open_files,
    capacity.restarts,
    expiry.certificates,
)
OF_THE_DATABASE: Final[tuple[Check[Reached], ...]] = (
    safety.disarmed,
    safety.sandboxes,
    safety.sources_open_to_all,
    server.durable,
    server.quiet,
    server.catalog,
    server.schema,
    lags.intake,
    lags.deliveries,
    lags.partitions,
    lags.cleaning,
    lags.clocks,
    lags.daily_work,
    lags.ledger,
    lags.fhir_index,
    lags.alert_rounds,
    stuck.lanes,
    stuck.cases,
    stuck.receivers,
    capacity.disk_growth,
    capacity.sessions,
    feeds.halted,
    feeds.alerts,
    expiry.keys,
)


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found, when, and with which processes running on this machine."""

    at: datetime
    processes: tuple[str, ...]
    findings: list[Finding]

    def count(self, severity: Severity) -> int:
        """How many findings of a severity."""
        return sum(one.severity == severity for one in self.findings)


async def examine(settings: Settings, *, production: bool = False) -> Examination:
    """Every check that can be made. Raises nothing: what fails is a finding. Reads only."""
    processes = {name: (pid, metrics) for name, pid, metrics in living(settings.run_dir)}
    around = Surroundings(settings, processes, now())
    saw = [one for check in OF_THE_MACHINE for one in await _made(check, around)]
    try:
        async with services(settings, size=2) as shared:
            everyone = await list_organisations(shared.pool, shared.engine_pool)
            tenants = tuple(one for one in everyone if one.kind != "installation")
            reached = Reached(around, shared, database_address(settings), tenants)
            saw += [one for check in OF_THE_DATABASE for one in await _made(check, reached)]
    except ChartwireError as error:
        saw.append(found("database_away", reason=error.message))
    return Examination(around.at, tuple(processes), in_order([told(one, production=production) for one in saw]))


def as_data(made: Examination, base_url: str) -> dict[str, Any]:
    """The examination for JSON."""
    return {
        "ok": made.count("error") == 0,
        "chartwire": version("chartwire"),
        "examined_at": instant(made.at),
        "processes": made.processes,
        "errors": made.count("error"),
        "warnings": made.count("warning"),
        "findings": [asdict(one) | {"page": base_url + one.page} for one in made.findings],
    }


async def _made(check: Check[_Thing], thing: _Thing) -> list[Found]:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            return list(await check(thing))
    except (ChartwireError, OSError, TimeoutError) as error:
        reason = error.code if isinstance(error, ChartwireError) else type(error).__name__
        return [found("check_failed", check=getattr(check, "__name__", "unnamed"), reason=reason)]
