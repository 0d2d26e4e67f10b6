"""Whether settings and files are safe for patients' data."""

import ipaddress
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from chartwire.app.backup.keys import SERVER_KEY_NAME
from chartwire.app.doctor.findings import Found, found
from chartwire.app.doctor.surroundings import Reached, Surroundings
from chartwire.app.embedded import ROLES_NAME
from chartwire.app.listening import listener_settings
from chartwire.app.sandbox_file import NAME as SANDBOX_FILE
from chartwire.channels.sources import SourceDirectory
from chartwire.store import installation

_READABLE_BY_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH
_PROXIES_MAX = 2**16
_SECRETS = (
    "master.key", "database-roles.json", "run/database.json", f"postgres/{ROLES_NAME}", SERVER_KEY_NAME, SANDBOX_FILE,
)  # fmt: skip


async def http_in_the_clear(around: Surroundings) -> Iterable[Found]:
    """The API listens beyond this machine without TLS, or tells others to come without; proxies that may be anybody."""
    settings = around.settings
    saw = []
    if not settings.http_tls_cert and not is_loopback(settings.http_host):
        code = "http_in_the_clear_to_proxies" if settings.trusted_proxies else "http_in_the_clear"
        saw.append(found(code, host=settings.http_host))
    if settings.public_url.startswith("http:"):
        saw.append(found("public_url_in_the_clear", url=settings.public_url))
    networks = map(ipaddress.ip_network, settings.trusted_proxies)
    wide = [found("proxies_wide", network=str(one)) for one in networks if one.num_addresses > _PROXIES_MAX]
    return saw + wide


async def mllp_in_the_clear(around: Surroundings) -> Iterable[Found]:
    """A listener does so."""
    return (
        found("mllp_in_the_clear", listener=one.name, host=one.host)
        for one in listener_settings(around.settings, shared=False)
        if one.tls is None and not is_loopback(one.host)
    )


async def open_files(around: Surroundings) -> Iterable[Found]:
    """Other users of this machine can read the data directory or a secret in it."""
    directory = around.settings.data_dir
    return (*_directories(directory), *_secrets(directory))


async def disarmed(reached: Reached) -> Iterable[Found]:
    """Nothing leaves."""
    row = await installation.read(reached.shared.pool)
    return [found("disarmed", reason=row.reason)] if row and not row.armed else []


async def sandboxes(reached: Reached) -> Iterable[Found]:
    """Organisations for trying out."""
    count = sum(one.kind == "sandbox" for one in reached.organisations)
    return [found("sandbox_in_use", count=count)] if count else []


async def sources_open_to_all(reached: Reached) -> Iterable[Found]:
    """Sources whose sender is known by no address and no certificate, on listeners that others reach."""
    directory = SourceDirectory(reached.shared.pool, reached.shared.engine_pool)
    await directory.refresh()
    return (
        found("source_takes_from_anybody", source=source.name, listener=listener.name)
        for listener in listener_settings(reached.around.settings, shared=False)
        if not is_loopback(listener.host) and not (listener.tls and listener.tls.client_ca)
        for source in directory.of(listener.name)
        if not source.peers
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address; a name other than localhost counts as reachable."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _directories(data_dir: Path) -> Iterator[Found]:
    for path in (data_dir, data_dir / "run", data_dir / "logs"):
        if mode := _open_mode(path):
            yield found("open_directory", path=path.name, mode=mode)


def _secrets(data_dir: Path) -> Iterator[Found]:
    for name in _SECRETS:
        if mode := _open_mode(data_dir / name):
            yield found("open_secret", path=name, mode=mode)


def _open_mode(path: Path) -> str | None:
    """The mode of what others may read or write, None for what they may not or what is not there."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
    return f"{mode:04o}" if mode & _READABLE_BY_OTHERS else None
