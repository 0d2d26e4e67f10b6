"""What roles and commands share: where the database is, the master key, and pools that close at the end."""

import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import UUID

from chartwire.app.knobs import Settings
from chartwire.app.sandbox_file import write_private
from chartwire.core.access import Access
from chartwire.core.errors import TransientError
from chartwire.store.pool import Pool

_DATABASE_FILE = "database.json"
_ROLES_FILE = "database-roles.json"
_IDEMPOTENCY_HOURS_MAX = 168
APP, ENGINE = "chartwire_app", "chartwire_engine"


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """DSNs of one database, passwords included. `admin` is empty where this process may not migrate."""

    app: str
    engine: str
    admin: str = ""
    app_password: str | None = None
    engine_password: str | None = None


@dataclass(frozen=True, slots=True)
class Services:
    """The two pools of a process: as chartwire_app and as chartwire_engine."""

    pool: Pool
    engine_pool: Pool


def database_address(settings: Settings) -> DatabaseAddress:
    """Where the database is: by the settings, else the embedded one that a running `up` has told of.

    Raises TransientError (`no_database`) when there is none.
    """
    if settings.database_app_url:
        return DatabaseAddress(settings.database_app_url, settings.database_engine_url, settings.database_url)
    if settings.database_url:
        return external_address(settings.database_url, settings.data_dir)
    path = settings.run_dir / _DATABASE_FILE
    try:
        return DatabaseAddress(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise TransientError(
            f"no database runs in {settings.data_dir}: start `chartwire up` there, or name one by "
            "CHARTWIRE_DATABASE_URL",
            code="no_database",
        ) from None


def external_address(admin_url: str, data_dir: Path) -> DatabaseAddress:
    """A server of the operator's: the roles' passwords are made once and kept in the data directory (0600)."""
    path = data_dir / _ROLES_FILE
    if not path.exists():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, json.dumps({role: secrets.token_urlsafe(32) for role in (APP, ENGINE)}))
    passwords: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    app, engine = (_as_role(admin_url, role, passwords[role]) for role in (APP, ENGINE))
    return DatabaseAddress(app, engine, admin_url, passwords[APP], passwords[ENGINE])


def tell_address(run_dir: Path, address: DatabaseAddress) -> None:
    """Let commands of the same user find the embedded database while it runs (0600)."""
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(run_dir / _DATABASE_FILE, json.dumps(asdict(address)))


def forget_address(run_dir: Path) -> None:
    """The embedded database stops."""
    (run_dir / _DATABASE_FILE).unlink(missing_ok=True)


def master_key(settings: Settings) -> bytes:
    """The 32 bytes that seal page tokens and webhook secrets; made on first use where the settings name none."""
    if settings.master_key:
        return bytes.fromhex(settings.master_key)
    from chartwire.trust.seal import load_or_create_key

    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return load_or_create_key(settings.data_dir / "master.key")


def idempotency_kept_s(settings: Settings) -> float:
    """How long the answer to a request with an Idempotency-Key is kept: a week at most."""
    return min(settings.idempotency_hours, _IDEMPOTENCY_HOURS_MAX) * 3600


@contextlib.asynccontextmanager
async def services(settings: Settings, *, size: int | None = None) -> AsyncIterator[Services]:
    """Open pools (`size` connections, default the setting), closed at the end. Raises TransientError, AuthError."""
    address = database_address(settings)
    wanted = size or settings.database_pool_size
    pool, engine = Pool(address.app, size=wanted), Pool(address.engine, size=max(6, wanted // 2))
    try:
        await pool.open()
        yield Services(pool, engine)
    finally:
        await pool.close()
        await engine.close()


def operator_access(org: UUID, what: str) -> Access:
    """The Access of whoever runs the command line on this machine: everything, named `cli:<what>` in the audit."""
    return Access(org, f"cli:{what}", "HOPERAT", frozenset({"*"}))


def base_url_of(settings: Settings) -> str:
    """Where clients reach the HTTP API, without a slash at the end: as set, else where it listens."""
    return settings.public_url or local_url_of(settings)


def local_url_of(settings: Settings) -> str:
    """Where the HTTP API listens on this machine, without a slash at the end."""
    host = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
    return f"{'https' if settings.http_tls_cert else 'http'}://{host}:{settings.http_port}"


def reachable(host: str) -> str:
    """Where a socket that is bound to `host` answers on this machine; an unspecified address answers on loopback."""
    try:
        unspecified = not host or ip_address(host).is_unspecified
    except ValueError:
        return host
    return ("::1" if ":" in host else "127.0.0.1") if unspecified else host


def _as_role(url: str, role: str, password: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password, safe='')}@{host}"))
