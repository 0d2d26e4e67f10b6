"""Writes of what meets a condition: which resources that comes to (R4 3.1.0.4.3, 3.1.0.5.1, 3.1.0.6.1, 3.1.0.7.1)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from chartwire.core.errors import ConflictError, FaultsError, NotFoundError
from chartwire.record.fhir_matching import Condition, matches
from chartwire.record.fhir_writing import FhirWriter, Method, Write
from chartwire.store.queries import q


async def settled(writer: FhirWriter, asked: Write, query: str) -> list[Write]:
    """The writes that `asked` comes to: of a create whose condition is met, that of the resource as it stands.

    Waits until no other write of the same condition is under way, so that of two conditional creates the second finds
    what the first made. Raises ConflictError (`multiple_matches`) where more meet it than may be written, NotFoundError
    for a patch of nothing, FaultsError for a body that names another resource and for a condition that cannot be.
    """
    condition = Condition(asked.type, query).plain
    await writer.tx.execute(q.condition_turn, writer.access.org, asked.type, condition.query)
    most = writer.policy.deletes_max if asked.method == "delete" else 1
    found = (await matches(writer.tx, writer.access, [condition], most + 1))[condition]
    if len(found) > most:
        raise ConflictError("more resources meet the condition than may be written", code="multiple_matches")
    return _SETTLED[asked.method](asked, found)


def _create(asked: Write, found: Sequence[str]) -> list[Write]:
    return [replace(asked, id=found[0]) if found else asked]


def _update(asked: Write, found: Sequence[str]) -> list[Write]:
    body = asked.body or {}
    told = body.get("id")
    if not found:
        return [replace(asked, method="create") if told is None else replace(asked, id=told, absent=True)]
    if told not in {None, found[0]}:
        fault = ("/id", "id_mismatch", "is that of the resource that meets the condition")
        raise FaultsError("the body names another resource than the condition", code="id_mismatch", faults=[fault])
    return [replace(asked, id=found[0], body={**body, "id": found[0]})]


def _patch(asked: Write, found: Sequence[str]) -> list[Write]:
    if not found:
        raise NotFoundError("nothing that this key may see meets the condition", code="unknown_id")
    return [replace(asked, id=found[0])]


def _delete(asked: Write, found: Sequence[str]) -> list[Write]:
    return [replace(asked, id=one) for one in found]


_SETTLED: Mapping[Method, Callable[[Write, Sequence[str]], list[Write]]] = {
    "create": _create,
    "update": _update,
    "patch": _patch,
    "delete": _delete,
}
