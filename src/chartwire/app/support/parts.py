"""What is in a bundle, by list: add a line here, and a word about it is in the manifest."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chartwire.app.support import database, machine
from chartwire.app.support.logs import own_log, server_log
from chartwire.app.support.scene import Database, Scene

_LOGS_MAX = 40


@dataclass(frozen=True, slots=True)
class Part:
    """One file. `make` needs the scene, `query` the database; one of the two is given."""

    name: str
    tells: str
    make: Callable[[Scene], Awaitable[bytes]] | None = None
    query: Callable[[Database], Awaitable[bytes]] | None = None


PARTS: Final = (
    Part("versions.json", "versions of Chartwire, Python, the operating system and every library", machine.versions),
    Part("settings.json", "the settings in force; of secrets only whether they are set", machine.settings),
    Part("doctor.json", "what `chartwire doctor --production` finds", machine.doctor),
    Part("processes.json", "processes, their memory, the volume of the data, the backup's state", machine.processes),
    Part("metrics.txt", "what every process counted, as /metrics tells it", machine.metrics),
    Part("migrations.json", "migrations of the release and of the database; rights that are not as they should be",
         query=database.migrations),
    Part("hours.json", "messages and deliveries of the last 24 hours by state and hour", query=database.hours),
    Part("counts.json", "dead messages by code, open cases by kind, lanes, what came in by day", query=database.counts),
    Part("statistics.json", "tables and indexes: sizes, scans, vacuum; the server's settings and load",
         query=database.statistics),
    Part("plans.txt", "how the server would run each query, without parameters", query=database.plans),
)  # fmt: skip


def log_parts(data_dir: Path) -> list[Part]:
    """The logs of this machine: the last 2 MB of each, line by line as logs.py lets them through."""
    own = [*sorted((data_dir / "logs").glob("*.log")), *sorted((data_dir / "logs").glob("*.log.1"))]
    servers = [path for name in ("server.log", "server.log.1") if (path := data_dir / "postgres" / name).exists()]
    told = "the end of a log: known keys only, no exception texts"
    return [
        *(_log(f"logs/{path.name}", told, path, own_log) for path in own[:_LOGS_MAX]),
        *(_log(f"logs/postgres-{path.name}", "the end of PostgreSQL's log, quoted parts blanked", path, server_log)
          for path in servers),
    ]  # fmt: skip


def _log(name: str, tells: str, path: Path, cleaned: Callable[[Path], bytes]) -> Part:
    async def make(_: Scene) -> bytes:
        return cleaned(path)

    return Part(name, tells, make)
