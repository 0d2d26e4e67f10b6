"""What an installation is to be, judged as a whole before anything is made."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chartwire.app.initial.questions import SETTINGS
from chartwire.app.installation import is_embedded
from chartwire.app.knobs import KNOBS, Settings
from chartwire.app.listening import http_tls, listener_settings
from chartwire.app.sandbox_file import NAME as SANDBOX_NAME
from chartwire.app.settings import SettingsError, checked, from_values, unreadable
from chartwire.channels.source_form import SourceForm, read_form
from chartwire.core.errors import ConflictError
from chartwire.trust.certificates import examine

CONFIG_NAME = "chartwire.toml"
_PATHS = tuple(question.key for question in SETTINGS if question.metavar in ("FILE", "DIR"))


@dataclass(frozen=True, slots=True)
class Plan:
    """`values` are what the settings file says, `settings` what follows from it. `warnings` bar nothing."""

    config: Path
    values: dict[str, Any]
    settings: Settings
    organisation: str
    source: SourceForm | None
    warnings: tuple[str, ...]


def make_plan(said: Mapping[str, Any], data_dir: Path, config: Path | None, at: datetime) -> Plan:
    """What follows from the answers. Where there is a settings file already it counts, and may not be contradicted.

    Raises SettingsError with every reason why the installation could not be used, ConflictError for a data directory
    or settings file that is taken.
    """
    home = data_dir.absolute()
    place = (config or home / CONFIG_NAME).absolute()
    if (home / SANDBOX_NAME).exists():
        raise ConflictError(f"{home} holds a sandbox: choose another --data-dir", code="data_dir_in_use")
    wanted = {"data_dir": str(home)} | {
        question.key: _value(question.key, said[question.name])
        for question in SETTINGS
        if said.get(question.name) not in (None, "", [])
    }
    values = _agreed(place, wanted) if place.exists() else wanted
    settings = checked(values)
    problems, warnings = _judged(settings, at)
    if problems:
        raise SettingsError(problems)
    values = {name: getattr(settings, name) if name in KNOBS else raw for name, raw in values.items()}
    organisation = said.get("organisation") or ""
    return Plan(place, values, settings, organisation, _source(said, settings), tuple(warnings))


def _value(key: str, said: Any) -> Any:
    return str(Path(said).absolute()) if key in _PATHS else said


def _agreed(place: Path, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the file that is there. Raises ConflictError where they are not what is wanted."""
    try:
        there = tomllib.loads(place.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConflictError(f"{place}: not TOML: {error}", code="config_there") from None
    plain = {name: value for name, value in wanted.items() if name in KNOBS}
    found, meant = from_values(there), from_values(plain)
    differs = [name for name in plain if getattr(found, name) != getattr(meant, name)]
    differs += [name for name, value in wanted.items() if name not in KNOBS and there.get(name) != value]
    if differs:
        raise ConflictError(
            f"{place} is there and says otherwise about {', '.join(sorted(differs))}: change it there, or name another "
            "file by --config; it is never overwritten",
            code="config_there",
        )
    return there


def _judged(settings: Settings, at: datetime) -> tuple[list[str], list[str]]:
    """(problems, warnings), one sentence each."""
    problems = unreadable(settings)
    warnings: list[str] = []
    doors = [(one.tls, "") for one in listener_settings(settings, shared=False) if one.tls]
    if tls := http_tls(settings):
        doors.append((tls, urlsplit(settings.public_url).hostname or ""))
    for door, host in doors if not problems else ():
        for fault in examine(door, host, at):
            (problems if fault.severity == "error" else warnings).append(fault.told)
    if not settings.http_tls_cert and not _is_loopback(settings.http_host) and not settings.trusted_proxies:
        problems.append(
            f"http_host {settings.http_host}: keys and patients' data would cross the network in the clear; "
            "name --http-tls-cert, or the proxies that end TLS by --trusted-proxy"
        )
    if not settings.public_url.startswith("https:"):
        warnings.append("public_url is not https: name where clients reach the API by --public-url")
    if not _is_loopback(settings.mllp_host):
        warnings.append(
            f"mllp_host {settings.mllp_host}: port {settings.mllp_port} takes HL7 v2 in the clear; close it to all but "
            "a VPN, and let feeds use the TLS port"
        )
    if not settings.backup_dir and is_embedded(settings):
        warnings.append("nothing is backed up: name another disk by --backup-dir (how-to/backup)")
    return problems, warnings


def _source(said: Mapping[str, Any], settings: Settings) -> SourceForm | None:
    """The first feed. Raises SettingsError and FaultsError for one that cannot be."""
    if not said.get("source"):
        return None
    if not said.get("organisation") or not said.get("authority"):
        raise SettingsError(["--source: needs --organisation and --authority"])
    form = {name: said[name] for name in ("authority", "timezone") if said.get(name)}
    listeners = [one.name for one in listener_settings(settings, shared=False)]
    listener = "tls" if "tls" in listeners else "plain"
    return read_form({"name": said["source"], "listener": listener} | form, listeners)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
