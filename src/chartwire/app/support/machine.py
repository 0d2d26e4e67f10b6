"""Parts of the bundle that need no database."""

import os
import platform
import sys
from importlib.metadata import distributions, version
from typing import Any

import orjson

from chartwire.app.backup.state import read_state
from chartwire.app.disk import volume
from chartwire.app.doctor.capacity import resident_bytes
from chartwire.app.doctor.examination import as_data, examine
from chartwire.app.metrics import exposition
from chartwire.app.services import base_url_of
from chartwire.app.settings import described
from chartwire.app.snapshots import living
from chartwire.app.support.scene import Scene


async def versions(_: Scene) -> bytes:
    """Chartwire, Python, the machine, and every library."""
    libraries = {one.name: one.version for one in distributions()}
    return as_json(
        {
            "chartwire": version("chartwire"),
            "python": sys.version,
            "machine": {"system": platform.platform(), "cores": os.cpu_count()},
            "libraries": dict(sorted(libraries.items(), key=lambda one: one[0].lower())),
        }
    )


async def settings(scene: Scene) -> bytes:
    """The settings in force; secrets as `set` or `not set`."""
    return as_json(described(scene.settings))


async def doctor(scene: Scene) -> bytes:
    """What doctor finds, by the strict measure."""
    return as_json(as_data(await examine(scene.settings, production=True), base_url_of(scene.settings)))


async def processes(scene: Scene) -> bytes:
    """Processes of this machine with their memory, the volume of the data, the backup's own state."""
    running = [
        {"process": name, "pid": pid, "resident_bytes": resident_bytes(pid)}
        for name, pid, _ in living(scene.settings.run_dir)
    ]
    free, whole = volume(scene.settings) or (None, None)
    told = {"processes": running, "volume": {"free_bytes": free, "bytes": whole}}
    return as_json(told | {"backup": read_state(scene.settings)})


async def metrics(scene: Scene) -> bytes:
    """What the processes counted, as `/metrics` tells it."""
    return exposition([(name, values) for name, _, values in living(scene.settings.run_dir)], [])


def as_json(data: Any) -> bytes:
    """Indented, with times as text."""
    return orjson.dumps(data, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)
