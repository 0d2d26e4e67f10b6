"""Codes as this installation knows them: what comes with it, and what its operator has loaded.

Validation and search ask a `Terminology` without waiting; what is loaded is fetched before, for the codes of a request:

    terminology = await Terminologies(pool).for_resource(body)
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from chartwire.core.clock import monotonic
from chartwire.core.errors import ValidationError
from chartwire.core.limits import EXPANSION_CODES_MAX
from chartwire.formats.fhir.definitions.codes import Coding, Part, ValueSet, value_set_definition
from chartwire.formats.fhir.definitions.listing import Listed, Lister, packaged_codes
from chartwire.formats.fhir.definitions.membership import DEPTH_MAX, Evaluator, PackagedContent
from chartwire.formats.fhir.terminology import TERMINOLOGY, Terminology
from chartwire.store import terminology as store
from chartwire.store.pool import Pool

_REMEMBERED_S = 30.0
_HIERARCHIES = {"is-a": True, "descendent-of": False}
_COMPARISONS = frozenset({"=", "in"})


@dataclass(frozen=True, slots=True)
class LoadedContent(PackagedContent):
    """What is loaded about the codes of one request, over what the packages say."""

    systems: Collection[str]
    facts: Mapping[Coding, store.Fact]
    asked: AbstractSet[Coding]

    def has(self, system: str, code: str) -> bool | None:
        """See Content; None for codes that were not asked about."""
        if system not in self.systems:
            return PackagedContent.has(self, system, code)
        return (system, code) in self.facts if (system, code) in self.asked else None

    def within(self, system: str, code: str, ancestor: str) -> bool | None:
        """See Content."""
        if system not in self.systems:
            return PackagedContent.within(self, system, code, ancestor)
        fact = self.facts.get((system, code))
        return None if (system, code) not in self.asked else fact is not None and ancestor in fact.ancestors

    def property(self, system: str, code: str, name: str) -> tuple[str, ...] | None:
        """See Content."""
        fact = self.facts.get((system, code))
        if fact is None:
            return PackagedContent.property(self, system, code, name)
        return (code,) if name == "code" else tuple(filter(None, (fact.properties.get(name),)))


@dataclass(frozen=True, slots=True)
class PreparedTerminology:
    """A Terminology for the codes, concepts and value sets of one request."""

    evaluator: Evaluator
    below: Mapping[Coding, AbstractSet[str]] = field(default_factory=dict)
    above: Mapping[Coding, AbstractSet[str]] = field(default_factory=dict)
    sets: Mapping[str, AbstractSet[Coding]] = field(default_factory=dict)

    def contains(self, value_set_url: str, system: str | None, code: str) -> bool | None:
        """See Terminology."""
        return self.evaluator.contains(value_set_url, system or "", code)

    def descendants(self, system: str, code: str) -> AbstractSet[str] | None:
        """See Terminology."""
        return self.below.get((system, code)) or TERMINOLOGY.descendants(system, code)

    def ancestors(self, system: str, code: str) -> AbstractSet[str] | None:
        """See Terminology."""
        return self.above.get((system, code)) or TERMINOLOGY.ancestors(system, code)

    def codes_of(self, value_set_url: str) -> AbstractSet[Coding] | None:
        """See Terminology."""
        return self.sets.get(value_set_url) or TERMINOLOGY.codes_of(value_set_url)


_remembered: WeakKeyDictionary[Pool, tuple[float, Mapping[str, store.LoadedSystem]]] = WeakKeyDictionary()


class Terminologies:
    """The systems of an installation, through a pool. A process looks every half a minute which are loaded."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def systems(self) -> Mapping[str, store.LoadedSystem]:
        """The systems that are loaded."""
        until, known = _remembered.get(self._pool, (0.0, {}))
        if monotonic() >= until:
            known = await store.systems(self._pool)
            _remembered[self._pool] = monotonic() + _REMEMBERED_S, known
        return known

    async def for_resource(self, resource: Any) -> Terminology:
        """What validation of a resource needs."""
        loaded = await self.systems()
        if not loaded:
            return TERMINOLOGY
        return await self.for_codings({coding for coding in codings_of(resource) if coding[0] in loaded})

    async def for_codings(self, codings: Collection[Coding]) -> Terminology:
        """A Terminology that can decide those codes as far as their systems are loaded."""
        asked = frozenset(codings)
        if not asked:
            return TERMINOLOGY
        return PreparedTerminology(Evaluator(await self.content(asked)))

    async def content(self, asked: AbstractSet[Coding]) -> LoadedContent:
        """What is known about some codes."""
        loaded = await self.systems()
        facts = await store.facts(self._pool, {coding for coding in asked if coding[0] in loaded})
        return LoadedContent(loaded, facts, asked)

    async def for_search(self, pairs: Iterable[tuple[str, str]]) -> Terminology:
        """What the parameters of a search need: codes of `:in` and `:not-in`, concepts of `:below` and `:above`."""
        asked = [(name.rpartition(":")[2], one) for name, told in pairs if ":" in name for one in told.split(",")]
        named = {value for how, value in asked if how in {"in", "not-in"}}
        codings = {_coding(value) for how, value in asked if how in {"below", "above"}}
        loaded = await self.systems() if named or codings else {}
        if not loaded:
            return TERMINOLOGY
        known = {coding for coding in codings if coding[0] in loaded}
        facts = await store.facts(self._pool, known)
        return PreparedTerminology(
            Evaluator(PackagedContent()),
            {coding: await self.descendants(*coding) for coding in known},
            {(system, code): fact.ancestors | {code} for (system, code), fact in facts.items()},
            {url: codes for url in named if (codes := await self._codes_of(url)) is not None},
        )

    async def _codes_of(self, url: str) -> AbstractSet[Coding] | None:
        told = value_set_definition(url)
        listed, complete = ({}, False) if told is None else await self.listed(told)
        return listed.keys() if complete else None

    async def descendants(self, system: str, code: str) -> AbstractSet[str]:
        """The codes of a loaded system that a concept subsumes, itself among them.

        Raises ValidationError (`too_costly`) for more than EXPANSION_CODES_MAX.
        """
        return _bounded(await store.below(self._pool, system, code, EXPANSION_CODES_MAX + 1))

    async def neighbours(self, system: str, code: str, most: int) -> list[tuple[str, str, str]]:
        """(`parent` or `child`, code, display) of up to `most` concepts of a loaded system, one step away."""
        return await store.neighbours(self._pool, system, code, most)

    async def listed(self, told: ValueSet, words: Sequence[str] = ()) -> Listed:
        """The codes of a value set with their displays, and whether these are all; with `words`, those of them whose
        code or display has every word.

        Raises ValidationError (`too_costly`) for more than EXPANSION_CODES_MAX of one loaded system.
        """
        loaded = await self.systems()
        parts = [part for part in _parts(told) if part.system in loaded]
        fetched = {part: await self._fetched(part, words) for part in {part for part in parts if _plain(part)}}
        named = {(part.system, code) for part in parts for code in part.concepts or ()}
        facts = await store.facts(self._pool, named)
        listed, complete = Lister(lambda part: fetched.get(part) or packaged_codes(part)).codes(told)
        displays = {
            coding: text or (facts[coding].display if coding in facts else "") for coding, text in listed.items()
        }
        return {coding: text for coding, text in displays.items() if _has(words, coding[1], text)}, complete

    async def _fetched(self, part: Part, words: Sequence[str]) -> Listed:
        tops = [(value, _HIERARCHIES[how]) for _, how, value in part.filters if how in _HIERARCHIES]
        found = await store.listed(
            self._pool,
            part.system,
            EXPANSION_CODES_MAX + 1,
            top=tops[0][0] if tops else None,
            with_top=tops[0][1] if tops else True,
            properties={name: value for name, how, value in part.filters if how in _COMPARISONS},
            words=words,
        )
        _bounded(found)
        return {(part.system, code): text for code, text in found}, True


def codings_of(body: Any) -> Iterator[Coding]:
    """Every (system, code) in a resource: of codings and of quantities."""
    waiting = [body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            system, code = node.get("system"), node.get("code")
            if isinstance(system, str) and isinstance(code, str):
                yield system, code
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _coding(token: str) -> Coding:
    """The system and code of `system|code`."""
    system, _, code = token.rpartition("|")
    return system, code


def _parts(told: ValueSet, depth: int = 0) -> Iterator[Part]:
    """Every include and exclude, those of the value sets that they name too."""
    for part in (*told.include, *told.exclude):
        if part.system:
            yield part
        for url in part.sets:
            named = value_set_definition(url) if depth < DEPTH_MAX else None
            if named is not None:
                yield from _parts(named, depth + 1)


def _plain(part: Part) -> bool:
    """Whether the store can list the part: all of a system, or by one step of hierarchy and by properties."""
    told = [how for _, how, _ in part.filters]
    return (
        part.concepts is None
        and {*told} <= {*_HIERARCHIES, *_COMPARISONS}
        and sum(how in _HIERARCHIES for how in told) <= 1
    )


def _bounded(codes: Collection[Any]) -> AbstractSet[Any]:
    if len(codes) > EXPANSION_CODES_MAX:
        raise ValidationError(
            f"more than {EXPANSION_CODES_MAX} codes: narrow them with `filter`, or name a smaller set",
            code="too_costly",
        )
    return frozenset(codes)


def _has(words: Sequence[str], code: str, text: str) -> bool:
    folded = f"{code}\n{text}".casefold()
    return all(word.casefold() in folded for word in words)
