"""How the server would run the named queries, whatever their parameters: for the support bundle."""

import contextlib
import re

import asyncpg

from chartwire.store.connect import RawConnection, connect
from chartwire.store.errors import DRIVER_ERRORS, translated
from chartwire.store.queries import q

_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)
_PARAMETER = re.compile(r"\$(\d+)")
_PLANNED = ("select", "with", "insert", "update", "delete")


async def generic_plans(dsn: str) -> dict[str, list[str]]:
    """The plan of nearly every named query as lines, by name. Nothing is run, no value is in them.

    Raises TransientError, AuthError.
    """
    connection = await connect(dsn)
    plans: dict[str, list[str]] = {}
    try:
        await connection.execute("set plan_cache_mode = force_generic_plan")
        for name in sorted(q):
            # Parameters of some have their type from the call alone.
            with contextlib.suppress(asyncpg.SyntaxOrAccessError):
                plans[name] = await _plan(connection, name)
    except DRIVER_ERRORS as error:
        raise translated(error) from None
    finally:
        await connection.close()  # and with it what was prepared
    return {name: lines for name, lines in plans.items() if lines}


async def _plan(connection: RawConnection, name: str) -> list[str]:
    """The plan as lines; none for a query of another kind, or of several statements."""
    text = _COMMENT.sub("", q[name]).strip().rstrip(";")
    if not text.lower().startswith(_PLANNED) or ";" in text:
        return []
    count = max(map(int, _PARAMETER.findall(text)), default=0)
    arguments = f"({', '.join(['null'] * count)})" if count else ""
    await connection.execute(f"prepare plan_of_{name} as {text}")
    return [row[0] for row in await connection.fetch(f"explain execute plan_of_{name}{arguments}")]
