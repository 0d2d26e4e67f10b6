"""What a client sends, before the record sees it: read strictly, and judged by R4 and the profiles that it names."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from collections.abc import Set as AbstractSet
from typing import Final, TypeVar

from chartwire.api.fhir.negotiation import body_media
from chartwire.api.fhir.outcome import InvalidResourceError
from chartwire.api.http import Answer, Request
from chartwire.api.problem import ApiError
from chartwire.core.errors import TransientError
from chartwire.formats.fhir.definitions.codes import Coding
from chartwire.formats.fhir.links import find_links
from chartwire.formats.fhir.reading import read_resource
from chartwire.formats.fhir.terminology import TERMINOLOGY, Terminology
from chartwire.formats.fhir.validate import Issue, check
from chartwire.mapping.conversion import Json
from chartwire.record.terminology import Terminologies, codings_of

_TRIES: Final = 5
_MERGES_NOTHING: Final = (
    "is kept as it is and merges nothing: what belongs to this patient stays there. An HL7 ADT^A40 merges two records"
)
T = TypeVar("T")
_LARGE_BYTES: Final = 128 * 1024


async def sent_resource(
    request: Request, kind: str, base: str, terminologies: Terminologies
) -> tuple[Json, list[Issue]]:
    """The body as a resource of this type, and what is worth knowing about it, codes of loaded systems too. Absolute
    references to this server (below `base`) are relative from then on.

    Raises ParseError (400), ApiError (415, and 400 for another type), InvalidResourceError.
    """
    body_media(request)
    content = await request.content()
    body = await beside(content, lambda: read_resource(content, bytes_max=request.body_bytes_max))
    if body["resourceType"] != kind:
        raise ApiError(f"this address takes {kind}; the body is another type", code="type_mismatch")
    if base and base.encode() in content:
        make_relative(body, base)
    terminology = await terminologies.for_resource(body)
    return body, await beside(content, lambda: judged(body, terminology))


async def beside(content: bytes, work: Callable[[], T]) -> T:
    """What work on `content` gives: large ones are worked on in a thread, so that other requests go on meanwhile."""
    return await asyncio.to_thread(work) if len(content) > _LARGE_BYTES else work()


def judged(body: Json, terminology: Terminology = TERMINOLOGY) -> list[Issue]:
    """What is worth knowing about a resource. Raises InvalidResourceError with every issue where one is an error."""
    issues = check(body, (), terminology)
    if any(issue.severity == "error" for issue in issues):
        raise InvalidResourceError(issues)
    return [*issues, *_links_that_merge_nothing(body)]


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

    def judge(self, made: Json) -> None:
        """Raises InvalidResourceError; within `knowing` only."""
        wanted = {coding for coding in codings_of(made) if coding[0] in self._loaded}
        if not wanted <= self._known:
            raise _CodesWantedError(wanted)
        self.issues[:] = judged(made, self._terminology)

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


def make_relative(body: Json, base: str) -> None:
    """Let references to this server be relative, as its own are."""
    for link in find_links(body, ()):
        if link.key == "reference":
            link.lead(lambda value: value.removeprefix(f"{base}/") if value.startswith(f"{base}/") else None)
