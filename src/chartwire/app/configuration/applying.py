"""Reading what stands, and bringing it to what a file says in one transaction of the organisation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chartwire.app.configuration.files import Sections
from chartwire.app.configuration.kind import Kind, Resolve
from chartwire.app.configuration.planning import Change, Standing, digest, plan
from chartwire.core.access import Access
from chartwire.core.errors import ConflictError, NotFoundError
from chartwire.store.pool import Connection, Pool
from chartwire.store.queries import q
from chartwire.trust.audit import audit_row, record


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done, the state after it by its digest, and secrets that are told only now, by object."""

    changes: Sequence[Change]
    digest: str
    told: Mapping[str, Mapping[str, str]]


async def standing_of(tx: Connection, access: Access, kinds: Sequence[Kind]) -> Standing:
    """All that the organisation has set."""
    return {kind.section: await kind.held(tx, access) for kind in kinds}


async def planned(
    pool: Pool, access: Access, kinds: Sequence[Kind], wanted: Sections, resolve: Resolve
) -> tuple[list[Change], str]:
    """What a file would change, and the digest of the state that it was compared with. Raises FaultsError."""
    async with pool.transaction(access.org) as tx:
        await _lock(tx, access)
        standing = await standing_of(tx, access, kinds)
        return await plan(kinds, access, wanted, standing, resolve), digest(kinds, standing)


async def apply(
    pool: Pool, access: Access, kinds: Sequence[Kind], wanted: Sections, resolve: Resolve, *, expect: str | None = None
) -> Applied:
    """Make the organisation as the file says, whole or not at all; with nothing to do nothing is written.

    `expect` is the digest of a plan. Raises ConflictError (`config_changed`) where the state is another one by now,
    FaultsError before the first write for what is wrong in the file, and what a kind refuses, with nothing changed.
    """
    async with pool.transaction(access.org) as tx:
        await _lock(tx, access)
        standing = await standing_of(tx, access, kinds)
        if expect is not None and expect != digest(kinds, standing):
            raise ConflictError("the configuration was changed since the plan: plan again", code="config_changed")
        changes = await plan(kinds, access, wanted, standing, resolve)
        told = {f"{change.kind.section}/{change.name}": await _perform(tx, access, change) for change in changes}
        for kind in dict.fromkeys(change.kind for change in changes):
            await kind.finish(tx, access)
        if changes:
            await record(tx, audit_row(access, "update", "Configuration", _shape(changes), count=len(changes)))
        after = digest(kinds, await standing_of(tx, access, kinds))
    return Applied(changes, after, {name: secrets for name, secrets in told.items() if secrets})


async def _lock(tx: Connection, access: Access) -> None:
    """One plan or application of an organisation's configuration at a time."""
    if await tx.fetchrow(q.lock_organisation, access.org) is None:
        raise NotFoundError("no organisation has this id", code="unknown_id")


async def _perform(tx: Connection, access: Access, change: Change) -> dict[str, str]:
    if change.held is None:
        return await change.kind.create(tx, access, change.values or {})
    if change.values is None:
        await change.kind.retire(tx, access, change.held)
    else:
        await change.kind.change(tx, access, change.held, change.values)
    return {}


def _shape(changes: Sequence[Change]) -> str:
    """`config apply sources create=1 retire=2`: what was done, in numbers."""
    counts: dict[tuple[str, str], int] = {}
    for change in changes:
        key = change.kind.section, change.action
        counts[key] = counts.get(key, 0) + 1
    return "config apply " + " ".join(f"{section}.{action}={count}" for (section, action), count in counts.items())
