"""One connection as Chartwire uses it: its types, its caches, its errors."""

import os
from typing import TYPE_CHECKING, Any
from uuid import UUID, SafeUUID

import asyncpg

from chartwire.core.errors import AuthError
from chartwire.store.errors import DRIVER_ERRORS, translated

if TYPE_CHECKING:
    RawConnection = asyncpg.Connection[asyncpg.Record]
else:
    RawConnection = asyncpg.Connection  # generic in its stubs only

_CONNECT_TIMEOUT_S = 10.0
_STATEMENTS_CACHED_MAX = 1000
_new, _set = object.__new__, object.__setattr__


async def connect(dsn: str) -> RawConnection:
    """A direct connection, the caller's to close. Raises TransientError (not reachable, starting) or AuthError."""
    try:
        raw: RawConnection = await asyncpg.connect(
            dsn,
            timeout=_CONNECT_TIMEOUT_S,
            statement_cache_size=_STATEMENTS_CACHED_MAX,
            server_settings={"application_name": f"chartwire {os.getpid()}"},
            max_cached_statement_lifetime=0,
        )
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        raise AuthError(f"the database refused the login ({error.sqlstate})", code="database_login") from None
    except DRIVER_ERRORS as error:
        raise translated(error) from None
    await raw.set_type_codec("uuid", schema="pg_catalog", encoder=_uuid_bytes, decoder=_uuid, format="binary")
    return raw


def _uuid_bytes(value: Any) -> bytes:
    return value.bytes if isinstance(value, UUID) else UUID(value).bytes


def _uuid(data: bytes) -> UUID:
    """A plain UUID: the driver's own subclass is refused by orjson. Skips the checks of UUID(bytes=...)."""
    value = _new(UUID)
    _set(value, "int", int.from_bytes(data, "big"))
    _set(value, "is_safe", SafeUUID.unknown)
    return value
