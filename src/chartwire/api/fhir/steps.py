"""The writes of a transaction: what each entry is to do, and which resource it is about (R4 3.1.0.11)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from chartwire.api.fhir.assembling import base_of
from chartwire.api.fhir.inner import Inner
from chartwire.api.fhir.judging import Judge
from chartwire.api.fhir.outcome import InvalidResourceError
from chartwire.api.fhir.patch import sent_patch
from chartwire.api.fhir.types import BINARY, writable
from chartwire.api.fhir.write import wanted_version, wants_absent
from chartwire.api.problem import ApiError, Fault
from chartwire.core.errors import ChartwireError, FaultsError
from chartwire.core.fhir_ids import is_fhir_id
from chartwire.core.ids import uuid7
from chartwire.formats.fhir.bundles import Entry, Json, refused
from chartwire.formats.fhir.links import Link
from chartwire.formats.fhir.validate import Issue
from chartwire.record.fhir_conditions import matches_max, writes_of
from chartwire.record.fhir_matching import Condition, Matches
from chartwire.record.fhir_writing import FhirWriter, Integrity, Method, Write
from chartwire.record.work import Ref

_METHODS: Mapping[str, Method] = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
ORDER: Mapping[Method, int] = {"delete": 0, "create": 1, "update": 2, "patch": 2}
"""In which order the writes of a transaction are made (R4 3.1.0.11.2)."""
_TYPE = re.compile(r"[A-Z][A-Za-z]+")


@dataclass(slots=True)
class Step:
    """One entry that writes. `asked` is its write; under a `condition`, `writes` is what that comes to.

    `issues` are what is worth knowing about its resource.
    """

    entry: Entry
    asked: Write
    condition: Condition | None
    writes: Sequence[Write] = ()
    links: Sequence[Link] = ()
    issues: Sequence[Issue] = ()

    @property
    def reference(self) -> str:
        """`Type/id` of what it is about, once that is settled."""
        return f"{self.asked.type}/{self.writes[0].id}" if self.writes else ""

    @property
    def body(self) -> Json:
        """The resource that it brings; empty where it brings none."""
        return self.asked.body or {}


async def step_of(inner: Inner, entry: Entry, integrity: Integrity, judge: Judge) -> Step | None:
    """What an entry writes; None for one that asks. Raises ApiError that names the entry."""
    try:
        return await _step_of(inner, entry, integrity, judge)
    except ChartwireError as error:
        at_entry(entry, error)


async def _step_of(inner: Inner, entry: Entry, integrity: Integrity, judge: Judge) -> Step | None:
    method = _METHODS.get(entry.method)
    if method is None or (method == "create" and not _TYPE.fullmatch(entry.path)):
        return None
    kind, _, logical_id = entry.path.partition("/")
    writable(kind, method)
    query = entry.conditions.get("ifNoneExist", "").rpartition("?")[2] if method == "create" else entry.query
    if method != "create" and (bool(query) == bool(logical_id) or (logical_id and not is_fhir_id(logical_id))):
        raise refused(f"{entry.place}.request.url", "is `Type/id`, or `Type?` with a condition")
    if method in {"create", "update"} and entry.resource and entry.resource.get("resourceType") != kind:
        raise refused(f"{entry.place}.resource.resourceType", "is the type that the url names")
    if query and kind == BINARY:
        raise refused(f"{entry.place}.request", "has no condition: a Binary cannot be searched for")
    told = (entry.resource or {}).get("id", "1")
    if method == "update" and not (isinstance(told, str) and is_fhir_id(told)):
        raise refused(f"{entry.place}.resource.id", "is 1 to 64 letters, digits, `-` and `.`")
    request, base = inner.request(entry), base_of(inner.outer, inner.services)
    write = Write(
        method,
        kind,
        logical_id or str(uuid7()),
        entry.resource if method in {"create", "update"} else None,
        await sent_patch(inner.filled(entry), base, judge) if method == "patch" else None,
        wanted_version(request),
        wants_absent(request),
        integrity,
        f"{entry.place}.resource",
    )
    return Step(entry, write, Condition(kind, query).plain if query else None)


def settle(writer: FhirWriter, steps: Sequence[Step], found: Matches) -> None:
    """Settle which resources each step is about, by what meets its condition.

    Creates of one condition make one resource. Raises ApiError that names the entry whose condition is met by too many
    or by nothing that could be patched, and of two that are about one resource the latter.
    """
    made: dict[Condition, list[str]] = {}
    about: dict[Ref, Step] = {}
    for step in steps:
        step.writes = [step.asked]
        if step.condition is not None:
            already = found[step.condition] or made.get(step.condition, [])
            try:
                step.writes = writes_of(step.asked, already, matches_max(writer, step.asked))
            except ChartwireError as error:
                at_entry(step.entry, error)
            if step.asked.method == "create":
                made[step.condition] = [str(step.writes[0].id)]
                if already:
                    continue  # it stands: this is no write
        for write in step.writes:
            if write.target is not None and (other := about.setdefault(write.target, step)) is not step:
                place = f"{step.entry.place}.request.url"
                at_entry(step.entry, refused(place, f"names the resource of {other.entry.place}, too"))


def at_entry(entry: Entry, error: ChartwireError) -> NoReturn:
    """Raise an error again, with the place of the entry that it is about."""
    if isinstance(error, InvalidResourceError):
        raise InvalidResourceError([_moved(entry, issue) for issue in error.issues]) from None
    faults = [Fault(_within(entry, pointer), code, detail) for pointer, code, detail in _faults(error)]
    raise ApiError(
        error.message if error.message.startswith(entry.place) else f"{entry.place}: {error.message}",
        code=error.code,
        error_class=error.error_class,
        faults=faults or [Fault(entry.place, error.code, error.message)],
        headers=error.headers if isinstance(error, ApiError) else (),
    ) from None


def _moved(entry: Entry, issue: Issue) -> Issue:
    _, dot, inside = issue.location.partition(".")
    return replace(issue, location=f"{entry.place}.resource{dot}{inside}")


def _faults(error: ChartwireError) -> Iterable[tuple[str, str, str]]:
    if isinstance(error, FaultsError):
        return error.faults
    if isinstance(error, ApiError):
        return [(fault.pointer, fault.code, fault.detail) for fault in error.faults]
    return ()


def _within(entry: Entry, pointer: str) -> str:
    if pointer.startswith("Bundle."):
        return pointer
    inside = pointer.strip("/").replace("/", ".")
    return f"{entry.place}.resource.{inside}" if inside else entry.place
