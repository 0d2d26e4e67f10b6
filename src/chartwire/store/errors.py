"""Turns the driver's errors into ours. A value never passes: PostgreSQL's DETAIL quotes whole rows."""

import asyncpg

from chartwire.core.errors import AuthError, ChartwireError, ConflictError, TransientError, ValidationError

# InternalClientError is what the driver raises for a call on a connection that is being lost at that moment.
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)

_BY_CLASS: dict[str, type[ChartwireError]] = {
    "08": TransientError,  # connection
    "22": ValidationError,  # data that a type cannot hold
    "23": ConflictError,  # integrity
    "40": TransientError,  # serialization failure, deadlock
    "53": TransientError,  # no disk, memory or connections left
    "55": TransientError,  # lock not available, object in use
    "57": TransientError,  # cancelled by timeout, shut down, starting up
    "58": TransientError,  # the server's disk
}
_BY_STATE: dict[str, type[ChartwireError]] = {"42501": AuthError}
# Classes whose primary message speaks of schema objects and of our own functions' words, never of data.
_SPEAKABLE = frozenset({"0A", "28", "3D", "42", "P0"})


class StoreError(ChartwireError):
    """The store was asked for something that it cannot do: a fault in Chartwire or in its installation."""

    error_class = "upstream"


def translated(error: Exception) -> ChartwireError:
    """Our error for a driver error: what to do by class, `sql_<state>` as code, schema names but no data as text."""
    if isinstance(error, asyncpg.PostgresError):
        return _of_state(error)
    if isinstance(error, asyncpg.InterfaceError) and "closed" not in str(error):
        return StoreError("the driver refused the call: wrong count of parameters or connection in use", code="sql_use")
    return TransientError(f"the database is not reachable ({type(error).__name__})", code="database_unreachable")


def _of_state(error: asyncpg.PostgresError) -> ChartwireError:
    state = error.sqlstate or "XX000"
    kind = _BY_STATE.get(state) or _BY_CLASS.get(state[:2], StoreError)
    fields = error.as_dict()
    names = [str(fields[key]) for key in ("table_name", "column_name", "constraint_name") if fields.get(key)]
    text = f"{type(error).__name__.removesuffix('Error')} ({state})"
    if names:
        text += " at " + ".".join(names)
    if state[:2] in _SPEAKABLE:
        text += f": {error.args[0]}"
    return kind(text, code=f"sql_{state.lower()}")
