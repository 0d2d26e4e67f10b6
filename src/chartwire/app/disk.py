"""How full the volume of the data is, and when it will be: for `chartwire disk`, doctor and alerts."""

import os

from chartwire.app.installation import is_embedded
from chartwire.app.knobs import Settings
from chartwire.channels.sources import list_organisations
from chartwire.core.clock import now
from chartwire.store import disk
from chartwire.store.disk import Forecast
from chartwire.store.pool import Pool

_UNITS = ("B", "kB", "MB", "GB", "TB")


def free_bytes(settings: Settings) -> int | None:
    """What is free for the embedded database; None for a server of the operator's, whose disk is not ours to see."""
    found = volume(settings)
    return found[0] if found else None


def volume(settings: Settings) -> tuple[int, int] | None:
    """Bytes that are free and bytes in all on the volume of the embedded database; None as for `free_bytes`."""
    if not is_embedded(settings):
        return None
    marker = settings.data_dir / "postgres" / "cluster-elsewhere"
    place = marker.read_text(encoding="utf-8").strip() if marker.exists() else settings.data_dir
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


async def forecast(settings: Settings, pool: Pool, engine: Pool) -> Forecast:
    """Sizes and days left, with what came in today counted too. Raises TransientError, OSError."""
    organisations = [one.id for one in await list_organisations(pool, engine)]
    today = now().date()
    await disk.sample(pool, organisations, today)
    await disk.sample_size(pool, today)
    return await disk.forecast(pool, organisations, today, free_bytes(settings))


def shown(size: float) -> str:
    """Bytes for people: `1.5 GB`."""
    for unit in _UNITS[:-1]:
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} {_UNITS[-1]}"
