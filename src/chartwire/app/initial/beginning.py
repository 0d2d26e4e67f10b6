"""The first rows of an installation: its organisation, the owner's key, and its first feed."""

from dataclasses import dataclass
from uuid import UUID

from chartwire.app.initial.plan import Plan
from chartwire.app.services import Services, operator_access
from chartwire.channels.source_store import stored_sources, write_source
from chartwire.channels.sources import create_organisation, ensure_installation, list_organisations
from chartwire.core.access import Access
from chartwire.core.ids import PREFIXES, to_prefixed
from chartwire.trust.credentials import Credentials

OWNER = "owner"


@dataclass(frozen=True, slots=True)
class Begun:
    """Prefixed ids. `key` is the owner's secret where it was made now; it cannot be shown again."""

    org_id: str
    organisation_made: bool
    key: str
    source_id: str
    source_made: bool


async def begin(shared: Services, plan: Plan) -> Begun:
    """Make what is not there yet; a second call with the same plan changes nothing."""
    await ensure_installation(shared.pool)
    org, made = await _organisation(shared, plan.organisation)
    access = operator_access(org, "init")
    key = await _owner_key(shared, access)
    source_id, source_made = await _source(shared, access, plan)
    return Begun(to_prefixed(PREFIXES["organisation"], org), made, key, source_id, source_made)


async def _organisation(shared: Services, name: str) -> tuple[UUID, bool]:
    known = await list_organisations(shared.pool, shared.engine_pool)
    for one in known:
        if one.kind == "live" and one.name == name:
            return one.id, False
    return await create_organisation(shared.pool, name, "live"), True


async def _owner_key(shared: Services, access: Access) -> str:
    credentials = Credentials(shared.pool)
    if any(one.name == OWNER for one in await credentials.list(access)):
        return ""
    return (await credentials.create(access, name=OWNER, scopes=["*"])).token


async def _source(shared: Services, access: Access, plan: Plan) -> tuple[str, bool]:
    if plan.source is None:
        return "", False
    async with shared.pool.transaction(access.org) as tx:
        for stored in await stored_sources(tx, access.org):
            if stored.source.name == plan.source.name:
                return to_prefixed(PREFIXES["source"], stored.source.id), False
        made = await write_source(tx, access, plan.source, judge="own")
    return to_prefixed(PREFIXES["source"], made.source.id), True
