"""`chartwire disk`: what takes space, by organisation and class, and when the volume will be full."""

import argparse
import asyncio
from typing import Any

from chartwire.app import console
from chartwire.app.cli import common_arguments
from chartwire.app.disk import forecast, shown
from chartwire.app.services import services
from chartwire.app.settings import load
from chartwire.store.disk import CLASSES, Forecast


def register(parser: argparse.ArgumentParser) -> None:
    """Arguments of `chartwire disk`."""
    common_arguments(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The command. Sizes in bytes in JSON; an organisation's are its share by what came in during two weeks."""

    async def work() -> Forecast:
        settings = load(args.config)
        async with services(settings, size=2) as shared:
            return await forecast(settings, shared.pool, shared.engine_pool)

    found = asyncio.run(work())
    console.say(args, _data(found), _text(found))
    return console.OK


def _data(found: Forecast) -> dict[str, Any]:
    return {
        "total_bytes": found.total,
        "by_class": found.by_class,
        "by_organisation": {str(org): sizes for org, sizes in found.by_organisation.items()},
        "growth_bytes_per_day": found.growth,
        "free_bytes": found.free,
        "days_left": found.days_left,
    }


def _text(found: Forecast) -> str:
    rows: list[dict[str, Any]] = [
        {"org_id": org, **{name: shown(size) for name, size in sizes.items()}}
        for org, sizes in found.by_organisation.items()
    ]
    rows.append({"org_id": "all", **{name: shown(size) for name, size in found.by_class.items()}})
    lines = [console.table(rows, ("org_id", *CLASSES)), f"database {shown(found.total)}"]
    if found.free is not None:
        lines.append(f"free {shown(found.free)}")
    if found.growth is None:
        lines.append("growth: known from the second day on")
    else:
        left = f", full in {found.days_left:.0f} days" if found.days_left is not None else ""
        lines.append(f"growth {shown(found.growth)} a day{left}")
    return "\n".join(lines)
