"""The writes of a transaction: what each entry is to do, and which resource it is about (R4 3.1.0.11)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from chartwire.api.fhir.inner import Inner
from chartwire.api.fhir.types import known
from chartwire.api.fhir.write import wanted_version, wants_absent
from chartwire.api.problem import ApiError, Fault, not_found
from chartwire.core.errors import ChartwireError, ConflictError, FaultsError
from chartwire.core.fhir_ids import is_fhir_id, store_id
from chartwire.core.ids import uuid7
from chartwire.formats.fhir.bundles import Entry, Json, refused
from chartwire.formats.fhir.links import Link
from chartwire.record.fhir_matching import Condition, Matches
from chartwire.record.fhir_writing import Method, PreconditionError, Write
from chartwire.record.work import Ref

_METHODS: Mapping[str, Method] = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
ORDER: Mapping[Method, int] = {"delete": 0, "create": 1, "update": 2, "patch": 2}
"""In which order the writes of a transaction are made (R4 3.1.0.11.2)."""
_TYPE = re.compile(r"[A-Z][A-Za-z]+")


@dataclass(slots=True)
class Step:
    """One write. `id` is the logical id that it is about, told by the entry or settled by its `condition`.

    It is `idle` where there is nothing to do: a create whose resource is there, a delete of nothing.
    """

    entry: Entry
    method: Method
    type: str
    id: str
    condition: Condition | None
    version: int | None
    absent: bool
    links: Sequence[Link] = ()
    idle: bool = False

    @property
    def reference(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"

    @property
    def ref(self) -> Ref:
        """Type and key of the store."""
        return self.type, store_id(self.id)

    @property
    def body(self) -> Json:
        """The resource that it came with; empty for a delete."""
        return self.entry.resource or {}

    def write(self) -> Write:
        """The write as the record takes it."""
        body = self.entry.resource
        if self.method == "update" and self.condition is not None:
            body = {**self.body, "id": self.id}
        return Write(self.method, self.type, self.id, body, version=self.version, absent=self.absent)


def step_of(inner: Inner, entry: Entry) -> Step | None:
    """What an entry writes; None for one that asks. Raises ChartwireError."""
    method = _METHODS.get(entry.method)
    if method is None or (method == "create" and not _TYPE.fullmatch(entry.path)):
        return None
    kind, _, logical_id = entry.path.partition("/")
    known(kind)
    query = entry.conditions.get("ifNoneExist", "").lstrip("?") if method == "create" else entry.query
    if method == "create":
        logical_id = str(uuid7())
    elif bool(query) == bool(logical_id) or (logical_id and not is_fhir_id(logical_id)):
        raise refused(f"{entry.place}.request.url", "is `Type/id`, or `Type?` with a condition")
    if entry.resource is not None and method != "patch" and entry.resource.get("resourceType") != kind:
        raise refused(f"{entry.place}.resource.resourceType", "is the type that the url names")
    request, condition = inner.request(entry), Condition(kind, query) if query else None
    return Step(entry, method, kind, logical_id, condition, wanted_version(request), wants_absent(request))


def settle(steps: Sequence[Step], found: Matches) -> None:
    """Settle which resource each step is about, by what meets its condition (R4 3.1.0.4.3, 3.1.0.7.1).

    Creates of one condition make one resource. Raises ApiError where a condition is met by several resources, or two
    steps are about one.
    """
    made: dict[Condition, str] = {}
    for step in steps:
        if step.condition is not None:
            try:
                _settle(step, found[step.condition], made.get(step.condition))
            except ChartwireError as error:
                at_entry(step.entry, error)
            if step.method == "create":
                made[step.condition] = step.id
    about: dict[Ref, Step] = {}
    for step in steps:
        if not step.idle and (other := about.setdefault(step.ref, step)) is not step:
            fault = refused(f"{step.entry.place}.request.url", f"names the resource of {other.entry.place}, too")
            at_entry(step.entry, fault)


def _settle(step: Step, found: Sequence[str], made: str | None) -> None:
    if len(found) > 1:
        raise PreconditionError("several resources meet the condition", 0)
    step.idle = step.method == "delete" and not found
    if step.method == "create":
        step.idle = bool(found or made)
        step.id = found[0] if found else made or step.id
    elif step.method == "update":
        told = step.body.get("id")
        if found and told not in {None, found[0]}:
            raise ConflictError("the condition is met by a resource of another id", code="id_mismatch")
        step.id = found[0] if found else told or step.id or str(uuid7())
    elif found:
        step.id = found[0]
    elif step.method == "patch":
        raise not_found()


def at_entry(entry: Entry, error: ChartwireError) -> NoReturn:
    """Raise an error again, with the place of the entry that it is about."""
    faults = [Fault(_within(entry, pointer), code, detail) for pointer, code, detail in _faults(error)]
    raise ApiError(
        f"{entry.place}: {error.message}",
        code=error.code,
        error_class=error.error_class,
        faults=faults or [Fault(entry.place, error.code, error.message)],
        headers=error.headers if isinstance(error, ApiError) else (),
    ) from None


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
