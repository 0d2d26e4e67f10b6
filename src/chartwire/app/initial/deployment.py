"""The files by which an installation is run: systemd units and a container file, filled in for this one.

`python -m chartwire.app.initial.deployment DIR` writes those of the usual places: `deploy/` of the source.
"""

import os
import pwd
import shlex
import sys
from importlib.resources import files
from pathlib import Path
from string import Template

from chartwire.app.knobs import Settings

UNITS = ("chartwire.service", "chartwire@.service")
NAMES = (*UNITS, "Containerfile")
_PRIVILEGED_PORTS_BELOW = 1024
_GROUPS_IN_TURN = 5
_DATABASE_STOP_S = 150
_ROLE_MARGIN_S = 10


def render(settings: Settings, config: Path, *, user: str = "", executable: str = "") -> dict[str, str]:
    """Each file's text by its name, for the present user and installation unless others are named."""
    directories = [settings.data_dir, *([Path(settings.backup_dir)] if settings.backup_dir else [])]
    leaving_s = round(settings.drain_delay_s + settings.stop_timeout_s)
    stop_s = round(settings.drain_delay_s + _GROUPS_IN_TURN * settings.stop_timeout_s + _DATABASE_STOP_S)
    words = {
        "user": user or _this_user(),
        "executable": executable or _this_program(),
        "config": _quoted(config),
        "data_dir": _specifiers_kept(str(settings.data_dir)),
        "directories": " ".join(_quoted(one) for one in directories),
        "stop_s": str(stop_s),
        "role_stop_s": str(leaving_s + _ROLE_MARGIN_S),
        "container_stop_s": str(stop_s),
        "capabilities": _capabilities(settings),
    }
    folder = files(__package__).joinpath("templates")
    return {name: Template(folder.joinpath(name).read_text(encoding="utf-8")).substitute(words) for name in NAMES}


def usual() -> dict[str, str]:
    """The files of an installation that lies where a system administrator would look for it."""
    home = Path("/var/lib/chartwire")
    return render(
        Settings(data_dir=home), home / "chartwire.toml", user="chartwire", executable="/opt/chartwire/bin/chartwire"
    )


def _capabilities(settings: Settings) -> str:
    """None at all, but for the right to ports that only root may open otherwise."""
    ports = [settings.http_port, settings.mllp_port, settings.mllp_tls_port, *(one.port for one in settings.listeners)]
    if not any(0 < port < _PRIVILEGED_PORTS_BELOW for port in ports):
        return "CapabilityBoundingSet="
    return "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\nAmbientCapabilities=CAP_NET_BIND_SERVICE"


def _this_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user needs no name
        return str(os.getuid())


def _this_program() -> str:
    """The `chartwire` of this environment."""
    program = Path(sys.executable).with_name("chartwire")
    return _quoted(program) if program.exists() else f"{_quoted(Path(sys.executable))} -m chartwire.app.cli"


def _quoted(path: Path) -> str:
    """A path as one word of a unit file (systemd.syntax(7))."""
    text = _specifiers_kept(str(path))
    return f'"{text}"' if shlex.quote(text) != text else text


def _specifiers_kept(text: str) -> str:
    return text.replace("%", "%%")


if __name__ == "__main__":
    for file, content in usual().items():
        Path(sys.argv[1], file).write_text(content, encoding="utf-8")
