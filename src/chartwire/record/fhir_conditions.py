"""Writes of what meets a condition: which resources that comes to (R4 3.1.0.4.3, 3.1.0.5.1, 3.1.0.6.1, 3.1.0.7.1)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from chartwire.core.errors import NotFoundError
from chartwire.record.fhir_matching import Condition, matches
from chartwire.record.fhir_refusals import MismatchError, PreconditionError
from chartwire.record.fhir_writing import FhirWriter, Method, Write
from chartwire.store.queries import q


async def settled(writer: FhirWriter, asked: Write, query: str) -> list[Write]:
    """As `writes_of`, of what meets the condition now.

    Waits until no other write of the same condition is under way, so that of two conditional creates the second finds
    what the first made.
    """
    condition = Condition(asked.type, query).plain
    await turn_of(writer, [condition])
    most = matches_max(writer, asked)
    return writes_of(asked, (await matches(writer.tx, writer.access, [condition], most + 1))[condition], most)


async def turn_of(writer: FhirWriter, conditions: Collection[Condition]) -> None:
    """Wait until no other write of these conditions is under way, and let others wait until this transaction ends; the
    writer's policy is known from then on."""
    await writer.know_policy()
    types, queries = [condition.type for condition in conditions], [condition.query for condition in conditions]
    await writer.tx.execute(q.condition_turns, writer.access.org, types, queries)


def matches_max(writer: FhirWriter, asked: Write) -> int:
    """How many resources may meet the condition of a write."""
    return writer.policy.deletes_max if asked.method == "delete" else 1


def writes_of(asked: Write, found: Sequence[str], most: int) -> list[Write]:
    """The writes that `asked` comes to: of a create whose condition is met, that of the resource as it stands.

    Raises PreconditionError (`multiple_matches`) where more meet it than may be written, NotFoundError for a patch of
    nothing, MismatchError for a body that names another resource.
    """
    if len(found) > most:
        detail = f"more than {most} meet the condition, so nothing is written: make it narrower, or name the id"
        raise PreconditionError(detail, code="multiple_matches")
    return _SETTLED[asked.method](asked, found)


def _create(asked: Write, found: Sequence[str]) -> list[Write]:
    return [replace(asked, id=found[0]) if found else asked]


def _update(asked: Write, found: Sequence[str]) -> list[Write]:
    body = asked.body or {}
    told = body.get("id")
    if not found:
        return [replace(asked, method="create") if told is None else replace(asked, id=told, absent=True)]
    if told not in {None, found[0]}:
        raise MismatchError(("/id", "id_mismatch", "is that of the resource that meets the condition"))
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
