"""The archive: every part that could be made, and a manifest that says what is in it and what could not be made."""

import asyncio
import hashlib
import io
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from chartwire.app.knobs import Settings
from chartwire.app.services import database_address, operator_access, services
from chartwire.app.support.machine import as_json
from chartwire.app.support.parts import PARTS, Part, log_parts
from chartwire.app.support.scene import Database, Scene
from chartwire.channels.sources import list_organisations
from chartwire.core.clock import instant, now
from chartwire.core.errors import ChartwireError
from chartwire.store.installation import INSTALLATION
from chartwire.trust.audit import AuditTrail, audit_row

MANIFEST = "manifest.json"
_PART_TIMEOUT_S = 120.0
_PROMISE = (
    "No patient data: no messages, no resources, no names, numbers or addresses of people; no keys, secrets or "
    "passwords. Ids are Chartwire's own. Look it through before you pass it on."
)


@dataclass(frozen=True, slots=True)
class Made:
    """One part: its bytes, or the code of what went wrong."""

    part: Part
    data: bytes
    error: str | None = None


def listed(settings: Settings) -> list[Part]:
    """What a bundle of this installation would hold."""
    return [*PARTS, *log_parts(settings.data_dir)]


async def write_bundle(settings: Settings, out: Path) -> dict[str, Any]:
    """Make every part and write the archive (mode 0600); answers its manifest. Works without a database too.

    Raises OSError, for a file that is there already too; a part that cannot be made is told of in the manifest.
    """
    made = await _contents(settings)
    manifest = _manifest(made)
    _write(out, [(MANIFEST, as_json(manifest)), *((one.part.name, one.data) for one in made if one.error is None)])
    return manifest


async def _contents(settings: Settings) -> list[Made]:
    try:
        async with services(settings, size=2) as shared:
            organisations = await list_organisations(shared.pool, shared.engine_pool)
            trail = AuditTrail(shared.pool)
            access = operator_access(INSTALLATION, "support")
            await trail.write(audit_row(access, "export", "support", "chartwire support bundle"))
            await trail.close()
            ids = tuple(one.id for one in organisations)
            return await _all(Scene(settings, Database(shared, database_address(settings), ids)))
    except ChartwireError:
        return await _all(Scene(settings, None))


async def _all(scene: Scene) -> list[Made]:
    return [await _made(part, scene) for part in listed(scene.settings)]


async def _made(part: Part, scene: Scene) -> Made:
    try:
        async with asyncio.timeout(_PART_TIMEOUT_S):
            if part.make is not None:
                return Made(part, await part.make(scene))
            if part.query is not None and scene.database is not None:
                return Made(part, await part.query(scene.database))
        return Made(part, b"", "no_database")
    except (ChartwireError, OSError, TimeoutError) as error:
        return Made(part, b"", error.code if isinstance(error, ChartwireError) else type(error).__name__)


def _manifest(made: Sequence[Made]) -> dict[str, Any]:
    contents = [
        {"file": one.part.name, "tells": one.part.tells, "error": one.error}
        if one.error
        else {
            "file": one.part.name,
            "tells": one.part.tells,
            "bytes": len(one.data),
            "sha256": hashlib.sha256(one.data).hexdigest(),
        }
        for one in made
    ]
    return {"made_at": instant(now()), "chartwire": version("chartwire"), "promise": _PROMISE, "contents": contents}


def _write(out: Path, files: Sequence[tuple[str, bytes]]) -> None:
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    at = int(now().timestamp())
    with os.fdopen(handle, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in files:
            entry = tarfile.TarInfo(f"{out.name.partition('.')[0]}/{name}")
            entry.size, entry.mtime, entry.mode = len(data), at, 0o600
            archive.addfile(entry, io.BytesIO(data))
