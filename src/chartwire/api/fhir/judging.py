"""What a client sends, before the record sees it: read strictly, and judged by R4 and the profiles that it names."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, Final, TypeVar

from chartwire.api.fhir.negotiation import body_media
from chartwire.api.fhir.outcome import InvalidResourceError
from chartwire.api.http import Answer, Request
from chartwire.api.problem import ApiError
from chartwire.core.access import Access
from chartwire.core.errors import TransientError
from chartwire.core.fhir_ids import is_fhir_id, store_id
from chartwire.formats.fhir.definitions.codes import Coding
from chartwire.formats.fhir.links import find_links
from chartwire.formats.fhir.reading import read_resource
from chartwire.formats.fhir.terminology import TERMINOLOGY, Terminology
from chartwire.formats.fhir.validate import Issue, check
from chartwire.mapping.conversion import Json
from chartwire.record.bodies import read_json
from chartwire.record.read import read_one
from chartwire.record.references import reference_texts
from chartwire.record.terminology import Terminologies, codings_of
from chartwire.store.pool import Pool

_TRIES: Final = 5
_MERGES_NOTHING: Final = (
    "is kept as it is and merges nothing: what belongs to this patient stays there. An HL7 ADT^A40 merges two records"
)
T = TypeVar("T")
_LARGE_BYTES: Final = 128 * 1024
_CONDITIONAL: Final = re.compile(r"[A-Z][A-Za-z]+\?")
_IN_TRANSACTIONS: Final = (
    "refers by a condition, which transactions only look up: send a transaction Bundle, or name the id"
)
_STEP: Final = re.compile(r"\.(\w+)|\[(\d+)\]")
Stands = Callable[[], Awaitable[Json | None]]
"""Reads what stands where a body is to go; None where nothing does."""


async def nothing_stands() -> None:
    """What stands where a new resource is to go."""


async def sent_resource(
    request: Request, kind: str, base: str, terminologies: Terminologies, stands: Stands = nothing_stands
) -> tuple[Json, list[Issue]]:
    """The body as a resource of this type, and what is worth knowing about it, codes of loaded systems too. Absolute
    references to this server (below `base`) are relative from then on. Of what stands, faults may stay as they are.

    Raises ParseError (400), ApiError (415, and 400 for another type), InvalidResourceError.
    """
    body_media(request)
    content = await request.content()
    body = await beside(content, lambda: read_resource(content, bytes_max=request.body_bytes_max))
    if body["resourceType"] != kind:
        raise ApiError(f"this address takes {kind}; the body is another type", code="type_mismatch")
    if base and base.encode() in content:
        make_relative(body, base)
    if b"?" in content:
        refuse_conditions(body)
    terminology = await terminologies.for_resource(body)
    return body, await judged_over(body, terminology, stands, content)


async def judged_over(body: Json, terminology: Terminology, stands: Stands, content: bytes = b"") -> list[Issue]:
    """As `judged`, over what stands; a body of large `content` in a thread."""
    try:
        return await beside(content, lambda: judged(body, terminology))
    except InvalidResourceError:
        standing = await stands()
        if standing is None:
            raise
    return await beside(content, lambda: judged(body, terminology, standing))


async def standing_body(pool: Pool, access: Access, kind: str, logical_id: str | None) -> Json | None:
    """The body of the resource that stands under an id; None for none."""
    if logical_id is None or not is_fhir_id(logical_id):
        return None
    stored = await read_one(pool, access, kind, store_id(logical_id))
    return None if stored is None or stored.deleted else read_json(stored.body)


async def beside(content: bytes, work: Callable[[], T]) -> T:
    """What work on `content` gives: large ones are worked on in a thread, so that other requests go on meanwhile."""
    return await asyncio.to_thread(work) if len(content) > _LARGE_BYTES else work()


def judged(body: Json, terminology: Terminology = TERMINOLOGY, standing: Json | None = None) -> list[Issue]:
    """What is worth knowing about a resource. Raises InvalidResourceError with every issue where one is an error.

    What a feed said wrong stands, flagged: who changes something else is not to blame, and is only warned.
    """
    issues = check(body, (), terminology)
    if standing is not None and any(issue.severity == "error" for issue in issues):
        issues = _excused(issues, body, standing)
    if any(issue.severity == "error" for issue in issues):
        raise InvalidResourceError(issues)
    return [*issues, *_links_that_merge_nothing(body)]


def _excused(issues: list[Issue], body: Json, standing: Json) -> list[Issue]:
    """The issues, errors as warnings where what stands breaks the same rule at the same place by the same value."""
    before = {(issue.rule, issue.location) for issue in check(standing) if issue.severity == "error"}

    def is_old(issue: Issue) -> bool:
        told = (issue.rule, issue.location) in before
        return told and _value_at(body, issue.location) == _value_at(standing, issue.location)

    return [replace(issue, severity="warning") if is_old(issue) else issue for issue in issues]


def _value_at(body: Json, location: str) -> Any:
    """The value at a location (`Patient.name[0].family`), None for nothing."""
    held: Any = body
    for name, index in _STEP.findall(location):
        if name:
            held = held.get(name) if isinstance(held, dict) else None
        else:
            held = held[int(index)] if isinstance(held, list) and int(index) < len(held) else None
    return held


def _links_that_merge_nothing(body: Json) -> Iterator[Issue]:
    """A client that says that one patient replaced another may take that for a merge."""
    links = body.get("link", ()) if body["resourceType"] == "Patient" else ()
    for number, link in enumerate(links):
        if link.get("type") == "replaced-by":
            place = f"Patient.link[{number}].type"
            yield Issue("warning", "business-rule", place, "link_merges_nothing", _MERGES_NOTHING)


class Judge:
    """Judges what patches make, by the codes of `loaded` systems too.

    That is known only within the transaction of a write, where no codes are fetched: it would wait for a second
    connection while it holds one. So a code that is not known yet ends the try, and `knowing` tries again with it.
    """

    def __init__(self, terminologies: Terminologies, loaded: Collection[str]) -> None:
        self._terminologies, self._loaded = terminologies, loaded
        self._terminology: Terminology = TERMINOLOGY
        self._known: frozenset[Coding] = frozenset()
        self.issues: list[Issue] = []
        """What is worth knowing about what was judged last."""

    @classmethod
    async def of(cls, terminologies: Terminologies) -> "Judge":
        """A judge who knows which systems are loaded."""
        return cls(terminologies, await terminologies.systems())

    def judge(self, made: Json, standing: Json) -> None:
        """Raises InvalidResourceError; within `knowing` only."""
        wanted = {coding for coding in codings_of(made) if coding[0] in self._loaded}
        if not wanted <= self._known:
            raise _CodesWantedError(wanted)
        self.issues[:] = judged(made, self._terminology, standing)

    async def knowing(self, write: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer of a write that patches, which is tried until no code is missing. Raises TransientError where the
        resource changes each time."""
        for _ in range(_TRIES):
            try:
                return await write()
            except _CodesWantedError as error:
                self._known |= error.codings
                self._terminology = await self._terminologies.for_codings(self._known)
        raise TransientError("the resource changes all the time", code="changed_meanwhile")


class _CodesWantedError(Exception):
    def __init__(self, codings: AbstractSet[Coding]) -> None:
        super().__init__()
        self.codings = codings


def refuse_conditions(body: Json) -> None:
    """Raises InvalidResourceError for references by a condition (`Patient?identifier=...`)."""
    places = [place for place, told in reference_texts(body, body["resourceType"]) if _CONDITIONAL.match(told)]
    if places:
        raise InvalidResourceError(
            [Issue("error", "not-supported", place, "reference-by-condition", _IN_TRANSACTIONS) for place in places]
        )


def make_relative(body: Json, base: str) -> None:
    """Let references to this server be relative, as its own are."""
    for link in find_links(body, ()):
        if link.key == "reference":
            link.lead(lambda value: value.removeprefix(f"{base}/") if value.startswith(f"{base}/") else None)
