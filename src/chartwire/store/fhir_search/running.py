"""Sending the statements of a search."""

from uuid import UUID

from chartwire.store.fhir_search.pages import Asked
from chartwire.store.pool import Connection, Row

_OPEN = "select access_open({credential}, '{org}'), set_config('plan_cache_mode', 'force_custom_plan', true)"
_CLOSE = "select set_config('plan_cache_mode', 'auto', true)"


async def fetch(connection: Connection, credential: UUID | None, org: UUID, asked: Asked) -> list[Row]:
    """The rows of a search. A planned one runs in a transaction, whose further statements are planned as before."""
    if not asked.planned:
        return await connection.fetch(asked.sql, *asked.args)
    # `hex` and not the values themselves: only a UUID has it, so no text can become SQL here.
    opening = _OPEN.format(credential="null" if credential is None else f"'{credential.hex}'", org=org.hex)
    inside = connection.in_transaction
    await connection.execute(opening if inside else f"begin; {opening}")
    rows = await connection.fetch(asked.sql, *asked.args)
    await connection.execute(_CLOSE if inside else "commit")
    return rows
