"""Whether the database server keeps what it is given, apart and to itself."""

from collections.abc import Iterable
from typing import Final

from chartwire.app.doctor.findings import Found, found
from chartwire.app.doctor.surroundings import Reached
from chartwire.store import condition, lint
from chartwire.store.migrate import read_migrations
from chartwire.store.standby import applied_migrations

_DURABLE: Final = ("fsync", "full_page_writes", "synchronous_commit")
# What the server may write into its log: the values that keep rows and statements out of it.
_QUIET: Final = {
    "log_statement": ("none", "ddl"),
    "log_min_duration_statement": ("-1",),
    "log_min_error_statement": ("panic", "fatal"),
    "log_error_verbosity": ("terse",),
    "log_parameter_max_length_on_error": ("0",),
}
_OLDEST = 150_000
_CATALOG_PROBLEMS_MAX = 10


async def durable(reached: Reached) -> Iterable[Found]:
    """What is acknowledged outlives a power cut."""
    values = await condition.settings(reached.shared.pool, (*_DURABLE, "data_checksums", "server_version_num"))
    saw = [
        found("server_not_durable", setting=name, value=values[name]) for name in _DURABLE if values.get(name) == "off"
    ]
    if values.get("data_checksums") == "off":
        saw.append(found("server_without_checksums"))
    number = int(values["server_version_num"])
    if number < _OLDEST:
        saw.append(found("server_old", version=number // 10_000))
    return saw


async def quiet(reached: Reached) -> Iterable[Found]:
    """The server's own log says nothing of rows."""
    values = await condition.settings(reached.shared.pool, tuple(_QUIET))
    return (
        found("server_logs_data", setting=name, value=values[name], wanted=allowed[0])
        for name, allowed in _QUIET.items()
        if values.get(name, allowed[0]) not in allowed
    )


async def catalog(reached: Reached) -> Iterable[Found]:
    """Organisations are kept apart by the database."""
    problems = await lint.problems_of(reached.address.app)
    return (found("catalog_unsound", problem=one) for one in problems[:_CATALOG_PROBLEMS_MAX])


async def schema(reached: Reached) -> Iterable[Found]:
    """The schema is that of this release; nothing is said where this process may not migrate, nor see the list."""
    if not reached.address.admin:
        return ()
    applied = await applied_migrations(reached.address.admin)
    waiting = [one for one in read_migrations() if one.name not in applied]
    behind = [one for one in waiting if one.phase == "pre"]
    saw = [found("schema_behind", count=len(behind), name=behind[0].name)] if behind else []
    if len(waiting) > len(behind):
        saw.append(found("schema_waits", count=len(waiting) - len(behind)))
    ours = {one.name for one in read_migrations()}
    return saw + [found("schema_of_another_release", name=name) for name in sorted(applied.keys() - ours)]
