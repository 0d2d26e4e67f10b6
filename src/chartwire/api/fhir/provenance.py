"""Computed Provenances in searches: a version's Provenance is found by its target as if it were stored.

They come behind the stored ones, newest first: as matches of `Provenance?target=...` (or `patient`, or `_id`) where
nothing else is asked for, and where `_revinclude=Provenance:target` is followed.
"""

from collections.abc import Iterable, Sequence

from chartwire.api.services import Services
from chartwire.core.access import Access
from chartwire.core.errors import NotFoundError
from chartwire.core.fhir_ids import local_reference, store_id
from chartwire.record.history import Version
from chartwire.record.linked import ANY, Named, Rule
from chartwire.record.provenance import VERSIONS_MAX, provenances, read_provenance
from chartwire.record.search import Found, Page, Position, Query, run
from chartwire.record.search.values import split
from chartwire.store.pool import Connection
from chartwire.trust.credentials import explaining

TYPE = "Provenance"
_CODES = frozenset({"target", "patient", ANY})
_CONTROLS = frozenset({"_count", "_sort", "_total", "_type"})
_IDS_MAX = 50


_COMPUTED = "computed"
"""What stands first in the position of a page that ended among computed ones; the id of the last one follows."""


async def completed(
    connection: Connection, services: Services, access: Access, query: Query, after: Position | None, base: str
) -> Page:
    """The page of a search for Provenances behind `after`: stored ones first, then computed ones."""
    among_computed = after is not None and after[0] == _COMPUTED
    page = Page(()) if among_computed else await run(connection, access, query, after)
    if page.after is not None:
        return page
    computed = await _matching(services, access, query, base)
    if among_computed and after is not None:
        ids = [str(one.stored.id) for one in computed]
        computed = computed[ids.index(after[1]) + 1 :] if after[1] in ids else computed
    room = query.count - len(page.found)
    shown = tuple(Found(TYPE, one.stored, ()) for one in computed[:room])
    more = bool(query.count) and len(computed) > room
    position = (_COMPUTED, str(shown[-1].stored.id) if shown else "") if more else None
    total = None if page.total is None else page.total + len(computed)
    return Page((*page.found, *shown), position, total, page.exact)


async def _matching(services: Services, access: Access, query: Query, base: str) -> list[Version]:
    """The computed Provenances that a search for Provenances finds, at most VERSIONS_MAX."""
    asked = [(name, split(value, ",")) for name, value in query.pairs if name not in _CONTROLS]
    if len(asked) != 1:
        return []
    [(name, values)] = asked
    if name == "_id":
        read = [await read_provenance(services.pool, access, one) for one in values[:_IDS_MAX]]
        return [Version(TYPE, stored) for stored in read if stored is not None]
    return await _about(services, access, _targets(name, [one.removeprefix(base) for one in values]), VERSIONS_MAX)


async def leading_back(
    services: Services,
    access: Access,
    page: Sequence[Named],
    included: Sequence[Named],
    rules: Iterable[Rule],
    limit: int,
) -> tuple[list[Version], bool]:
    """The computed Provenances that `_revinclude` rules add to a page, at most `limit`; and whether these are all."""
    targets: dict[Named, None] = {}
    for rule in rules:
        if rule.reverse and rule.source == TYPE and rule.code in _CODES:
            named = [*page, *included] if rule.iterate else page
            wanted = "Patient" if rule.code == "patient" else rule.target
            targets |= dict.fromkeys(one for one in named if wanted in ("", one[0]) and one[0] != TYPE)
    found = await _about(services, access, list(targets), limit)
    return found, not targets or len(found) < min(limit, VERSIONS_MAX)


async def _about(services: Services, access: Access, targets: Sequence[Named], limit: int) -> list[Version]:
    if not targets or limit < 1:
        return []
    with explaining():
        async with services.pool.transaction(access.org, access.credential_id) as tx:
            return [Version(TYPE, stored) for stored in await provenances(tx, access, targets, limit=limit)]


def _targets(name: str, values: Sequence[str]) -> list[Named]:
    """The resources that values of `target` or `patient` name; a value without type is a Patient's where it can be."""
    code, _, kind = name.partition(":")
    if code not in _CODES:
        return []
    found: list[Named] = []
    for value in values:
        try:
            kind = kind or ("Patient" if code == "patient" else "")
            named = local_reference(value) or ((kind, store_id(value)) if kind else None)
        except NotFoundError:
            continue
        if named is not None:
            found.append(named)
    return found
