"""Settings from the environment, a TOML file and the defaults of app/knobs.py.

A value comes from the environment (`CHARTWIRE_HTTP_PORT=8090`), else from the TOML file (`http_port = 8090`; named by
`--config` or CHARTWIRE_CONFIG), else it is the default below. A secret may stand in a file of its own, named by the
knob with `_FILE` or `_file` behind it. An unknown name is refused, with the nearest known one.
`python -m chartwire.app.settings` prints docs/reference/settings.md.
"""

import difflib
import math
import os
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any, get_type_hints

from chartwire.app.knobs import KNOBS, LOG_LEVELS, ListenerSettings, Settings
from chartwire.core.errors import ValidationError
from chartwire.core.terms import read_terms

PREFIX = "CHARTWIRE_"
# Read by others than this table, or by tests; never a setting in a file.
RESERVED = frozenset(
    PREFIX + name for name in ("CONFIG", "CRASHPOINT", "PG_BIN", "PG_USER", "TEST_DATABASE_URL", "CHAOS", "CHAOS_SEED")
)


class SettingsError(ValidationError):
    """Settings that cannot be used; `problems` holds one sentence each, without the value of a secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems), code="settings")
        self.problems = problems


_TYPES = get_type_hints(Settings)
_TOGETHER = (
    ("http_tls_cert", "http_tls_key"),
    ("mllp_tls_cert", "mllp_tls_key"),
    ("database_app_url", "database_engine_url"),
)
_PUBLIC_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?|https?://\[[0-9A-Fa-f:]+\](:\d{1,5})?")
_TLS_FILES = ("_tls_cert", "_tls_key", "_tls_client_ca")
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


def load(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in force. Raises SettingsError that lists every problem found, not only the first."""
    env = dict(os.environ if environ is None else environ)
    named = config or (Path(env[PREFIX + "CONFIG"]) if env.get(PREFIX + "CONFIG") else None)
    problems: list[str] = []
    values: dict[str, Any] = {}
    if named is not None:
        for key, raw in _read_toml(named).items():
            _take(values, problems, f"{named}: {key}", key, raw)
    for key, raw in sorted(env.items()):
        if key.startswith(PREFIX) and key not in RESERVED:
            _take(values, problems, f"environment: {key}", key.removeprefix(PREFIX).lower(), raw)
    settings = replace(Settings(), **values)
    problems += _contradictions(settings)
    if problems:
        raise SettingsError(problems)
    return settings


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read ({error.strerror}); name another file by --config"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path}: not TOML: {error}"]) from None


def _take(values: dict[str, Any], problems: list[str], place: str, name: str, raw: Any) -> None:
    """Check one value and keep it, or say what is wrong with it."""
    from_file = name.removesuffix("_file")
    row = KNOBS.get(name)
    try:
        if row is None and name != from_file and from_file in KNOBS and KNOBS[from_file].secret:
            name, row = from_file, KNOBS[from_file]
            raw = Path(str(raw)).read_text(encoding="utf-8").strip()
        if row is None:
            problems.append(f"{place}: {_unknown(name, 'setting', KNOBS)}")
            return
        values[name] = _converted(_TYPES[name], raw, row.least)
    except OSError as error:
        problems.append(f"{place}: the file cannot be read ({error.strerror})")
    except (ValueError, TypeError) as error:
        problems.append(f"{place}: {error}")


def _unknown(name: str, noun: str, known: typing.Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"there is no {noun} {name}" + (f"; did you mean {near[0]}?" if near else "")


def _converted(kind: Any, raw: Any, least: float | None) -> Any:
    if isinstance(kind, types.GenericAlias):
        return _converted_list(typing.get_args(kind)[0], raw)
    if kind is bool:
        return _truth(raw)
    if kind in (int, float):
        return _number(kind, raw, least)
    if not isinstance(raw, str):
        raise TypeError("must be text in quotes")
    return Path(raw) if kind is Path else raw


def _converted_list(member: Any, raw: Any) -> tuple[Any, ...]:
    if member is ListenerSettings:
        if not isinstance(raw, list):
            raise TypeError("is a list of tables and can stand only in the file, as [[listeners]]")
        return tuple(_listener(table) for table in raw)
    if isinstance(raw, str):
        return tuple(part.strip() for part in raw.split(",") if part.strip())
    if isinstance(raw, list) and all(isinstance(part, str) for part in raw):
        return tuple(raw)
    raise TypeError("must be a list of texts (in the environment: separated by commas)")


def _listener(table: Any) -> ListenerSettings:
    if not isinstance(table, dict):
        raise TypeError("each [[listeners]] entry is a table")
    known = {row.name: row.type for row in fields(ListenerSettings)}
    for key in table:
        if key not in known:
            raise ValueError(_unknown(key, "listener setting", known))
    if not isinstance(table.get("name"), str) or not table["name"]:
        raise ValueError("each [[listeners]] entry needs a name")
    return ListenerSettings(
        name=table["name"],
        port=_number(int, table.get("port"), 0),
        **{key: str(value) for key, value in table.items() if key not in ("name", "port")},
    )


def _truth(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.lower() in _TRUE | _FALSE:
        return raw.lower() in _TRUE
    raise ValueError("must be true or false")


def _number(kind: type[int] | type[float], raw: Any, least: float | None) -> Any:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise TypeError("must be a number")
    try:
        value = kind(raw)
    except ValueError:
        raise ValueError("must be a whole number" if kind is int else "must be a number") from None
    if math.isnan(value) or (least is not None and value < least):
        raise ValueError(f"must be at least {least}")
    return value


def _contradictions(settings: Settings) -> list[str]:
    found = []
    if settings.log_level not in LOG_LEVELS:
        found.append(f"log_level: must be one of {', '.join(LOG_LEVELS)}")
    for one, other in _TOGETHER:
        if bool(getattr(settings, one)) != bool(getattr(settings, other)):
            found.append(f"{one} and {other}: set both, or neither")
    found += _wrong_addresses(settings)
    if settings.backup_synchronous and not settings.backup_dir:
        found.append("backup_synchronous: needs backup_dir")
    try:
        read_terms(settings.retention)
    except ValidationError as error:
        found.append(error.message)
    names = ["plain", "tls", *(listener.name for listener in settings.listeners)]
    found += [f"listeners: the name {name} is used twice" for name in sorted(set(names)) if names.count(name) > 1]
    if settings.master_key and not _is_key(settings.master_key):
        found.append("master_key: must be 64 hex digits")
    for port_name in ("http_port", "mllp_port", "mllp_tls_port"):
        if getattr(settings, port_name) > 65535:
            found.append(f"{port_name}: must be at most 65535")
    return found


def _wrong_addresses(settings: Settings) -> list[str]:
    found = []
    if settings.public_url and not _PUBLIC_URL.fullmatch(settings.public_url):
        found.append("public_url: must be as https://hub.example.org, with a port if need be and nothing behind it")
    for one in settings.trusted_proxies:
        try:
            ip_network(one)
        except ValueError:
            found.append(f"trusted_proxies: {one} is neither an address nor a network such as 10.0.0.0/8")
    return found


def unreadable(settings: Settings) -> list[str]:
    """TLS files that settings name and that cannot be read now: one sentence each."""
    return [
        f"{name}: {path} is no file that this user can read"
        for name, path in tls_files(settings).items()
        if not (Path(path).is_file() and os.access(path, os.R_OK))
    ]


def tls_files(settings: Settings) -> dict[str, str]:
    """Paths of certificates, keys and authorities by the place in the settings that names them."""
    named = {name: str(getattr(settings, name)) for name in KNOBS if name.endswith(_TLS_FILES)}
    for listener in settings.listeners:
        for part in ("tls_cert", "tls_key", "tls_client_ca"):
            named[f"listeners {listener.name}: {part}"] = getattr(listener, part)
    return {name: path for name, path in named.items() if path}


def _is_key(text: str) -> bool:
    try:
        return len(bytes.fromhex(text)) == 32
    except ValueError:
        return False


def to_values(settings: Settings) -> dict[str, Any]:
    """The settings as plain JSON values, secrets included: for a child process, over a pipe."""
    values: dict[str, Any] = {}
    for name in KNOBS:
        value = getattr(settings, name)
        if isinstance(value, tuple):
            value = [asdict(part) if isinstance(part, ListenerSettings) else part for part in value]
        values[name] = str(value) if isinstance(value, Path) else value
    return values


def from_values(values: Mapping[str, Any]) -> Settings:
    """What `to_values` gave. Raises SettingsError for anything else."""
    taken: dict[str, Any] = {}
    problems: list[str] = []
    for name, raw in values.items():
        _take(taken, problems, name, name, raw)
    if problems:
        raise SettingsError(problems)
    return replace(Settings(), **taken)


def checked(values: Mapping[str, Any]) -> Settings:
    """The settings that a file with these values gives. Raises SettingsError; reads no environment."""
    settings = from_values(values)
    if problems := _contradictions(settings):
        raise SettingsError(problems)
    return settings


def described(settings: Settings) -> dict[str, Any]:
    """Every setting with its value in force, secrets shown only as `set` or `not set`; for `config check`."""
    shown: dict[str, Any] = {}
    for name, row in KNOBS.items():
        value = getattr(settings, name)
        if row.secret:
            shown[name] = "set" if value else "not set"
        elif isinstance(value, tuple):
            shown[name] = [getattr(part, "name", part) for part in value]
        else:
            shown[name] = str(value) if isinstance(value, Path) else value
    return shown


def reference_page() -> str:
    """docs/reference/settings.md, made from the table."""
    lines = [
        "# Settings",
        "",
        "Made from `src/chartwire/app/knobs.py` by `python -m chartwire.app.settings`; do not edit.",
        "",
        "Each setting is a key of the TOML file (`--config FILE` or `CHARTWIRE_CONFIG`) or an environment variable",
        "(`CHARTWIRE_` and the name in capitals), which wins. A secret may stand in a file of its own: add `_file` to",
        "the name. `chartwire config check` shows what is in force and refuses unknown names.",
        "",
        "| setting | default | meaning | danger |",
        "|---|---|---|---|",
    ]
    for name, row in KNOBS.items():
        default = getattr(Settings(), name)
        shown = "empty" if default in ("", ()) else f"`{default}`"
        secret = " (secret)" if row.secret else ""
        lines.append(f"| `{name}`{secret} | {shown} | {row.meaning} | {row.danger} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(reference_page(), end="")
