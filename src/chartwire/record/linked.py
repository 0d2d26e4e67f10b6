"""Resources that are linked to others: what `_include` and `_revinclude` add to a page (R4 3.1.1.5.3).

A `Rule` is followed by way of the index, from the page's resources to their references or to the references at them: no
body is decoded. Rules of a wildcard follow every reference parameter of the type.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from chartwire.core.access import Access
from chartwire.formats.fhir.definitions import SearchParameter, choices, search_parameters, served_types
from chartwire.record.fhir_index import place_of
from chartwire.record.fhir_index.expressions import Chain, alternatives, chain_of
from chartwire.record.history import Version
from chartwire.record.read import stored_of
from chartwire.store.pool import Connection
from chartwire.store.queries import q
from chartwire.trust.credentials import explaining

ANY = "*"
_DEPTH_MAX = 10
Named = tuple[str, UUID]
"""A resource by type and key."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One `_include` (`reverse`: `_revinclude`): the parameter `code` of `source`, as far as it leads to `target`.

    `source` and `code` may be `*`. Rules that `iterate` are followed from what was added, too.
    """

    source: str
    code: str
    target: str = ""
    reverse: bool = False
    iterate: bool = False


@cache
def reference_parameters(resource_type: str) -> Mapping[str, SearchParameter]:
    """The parameters of a type that lead to resources, by code. A canonical URL names a resource, but leads nowhere."""
    return {
        code: told
        for code, told in search_parameters(resource_type).items()
        if told.kind == "reference" and place_of(resource_type, code) is not None and _refers(resource_type, told)
    }


def _refers(resource_type: str, told: SearchParameter) -> bool:
    """Whether an expression may end at a Reference."""
    return any(
        chain is None or "Reference" in _ends(resource_type, chain)
        for chain in map(chain_of, alternatives(told.expression))
    )


def _ends(resource_type: str, chain: Chain) -> set[str]:
    """The FHIR types at the end of a chain that begins with the name of a resource type."""
    types = {resource_type}
    for step in chain[1:]:
        if step.kind == "member":
            types = {child.type for one in types for child in choices(one, step.word)}
        elif step.kind == "extension":
            types = {child.type for child in choices("Extension", "value")}
    return types


async def linked(
    connection: Connection, access: Access, page: Sequence[Named], rules: Sequence[Rule], limit: int
) -> tuple[list[Version], bool]:
    """What the rules add to a page, at most `limit` resources; and whether that is all of it.

    `connection` may be in a transaction or in none: the statement checks the credential itself. Raises AuthError
    (`credential_invalid`), TransientError.
    """
    known, added = set(page), list[Version]()
    fresh, following = list(page), rules
    for _ in range(_DEPTH_MAX):
        steps = _Steps(fresh, following)
        if not steps:
            return added, True
        found = await _followed(connection, access, steps, limit + len(known))
        new = [one for one in found if (one.type, one.stored.id) not in known]
        if len(added) + len(new) > limit:
            return added + new[: limit - len(added)], False
        added += new
        fresh = [(one.type, one.stored.id) for one in new]
        known.update(fresh)
        following = [rule for rule in rules if rule.iterate]
    return added, not fresh or not following


class _Steps:
    """The ways from some resources by some rules, as the columns of the statement that follows them."""

    def __init__(self, named: Iterable[Named], rules: Sequence[Rule]) -> None:
        ways = [(resource_type, key) for resource_type, key in named]
        outward = {(key, *way) for kind, key in ways for rule in rules for way in _outward(rule, kind)}
        inward = {(f"{kind}/{key}", *way) for kind, key in ways for rule in rules for way in _inward(rule, kind)}
        self.outward = list(outward)
        self.inward = list(inward)

    def __bool__(self) -> bool:
        return bool(self.outward or self.inward)

    def columns(self) -> list[list[object]]:
        return [[step[n] for step in steps] for steps in (self.outward, self.inward) for n in range(3)]


@cache
def _outward(rule: Rule, resource_type: str) -> tuple[tuple[int, str], ...]:
    """(key, type that is wanted or '') of the references that a forward rule follows from a type."""
    if rule.reverse or rule.source not in (ANY, resource_type):
        return ()
    return tuple({way for code in _codes(rule.code, resource_type) for way in _ways(resource_type, code, rule.target)})


@cache
def _inward(rule: Rule, resource_type: str) -> tuple[tuple[int, str], ...]:
    """(key, type that refers) of the references by which a reverse rule comes to a type."""
    if not rule.reverse or rule.target not in ("", resource_type):
        return ()
    sources = served_types() if rule.source == ANY else (rule.source,)
    return tuple({(key, source) for source in sources for key in _leading(source, rule.code, resource_type)})


def _leading(source: str, wanted: str, resource_type: str) -> Iterator[int]:
    """Keys of the parameters of `source` that may lead to a type."""
    for code in _codes(wanted, source):
        if resource_type in reference_parameters(source)[code].targets:
            yield from (key for key, _ in _ways(source, code, resource_type))


def _codes(wanted: str, resource_type: str) -> tuple[str, ...]:
    known = reference_parameters(resource_type)
    return tuple(known) if wanted == ANY else tuple(code for code in (wanted,) if code in known)


def _ways(resource_type: str, code: str, target: str) -> Iterator[tuple[int, str]]:
    place = place_of(resource_type, code)
    if place is None:
        return
    only, keys = place.prefix.removesuffix("/"), place.keys()
    if not only or not target or only == target:
        yield from ((key, target or only) for key in keys)


async def _followed(connection: Connection, access: Access, steps: _Steps, limit: int) -> list[Version]:
    with explaining():
        rows = await connection.fetch(q.fhir_linked, access.credential_id, access.org, *steps.columns(), limit)
    return [Version(row["type"], stored_of(row, row["id"])) for row in rows]
