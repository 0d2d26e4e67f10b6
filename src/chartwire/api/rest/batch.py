"""Up to 100 writes in one request: `POST /api/v1/{collection}/batch`, all in one transaction.

`partial` (the default) keeps what went well: a bad item fails alone. `atomic` keeps all or nothing. The answer is 200
when the items were judged, and tells of each. A retry under the same Idempotency-Key does only what failed again: items
that went well are kept under (key, index).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

import msgspec
import structlog

from chartwire.api.http import Answer, Request
from chartwire.api.idempotency import Turn, replayed, turn
from chartwire.api.limits import BATCH_ITEMS_PER_UNIT
from chartwire.api.problem import ApiError, Fault, ProblemBody, not_found, problem_body, status_of
from chartwire.api.rest.applying import Desk, is_answer
from chartwire.api.rest.collections import COLLECTIONS, Collection
from chartwire.api.rest.fields import NOUNS, Noun
from chartwire.api.rest.ids import in_path, shown
from chartwire.api.rest.ordering import Op, Order
from chartwire.api.rest.referring import NotThereYetError
from chartwire.api.rest.writes import wants_parking
from chartwire.api.routes import Route
from chartwire.api.services import Services
from chartwire.core.errors import ChartwireError
from chartwire.core.ids import uuid7
from chartwire.core.limits import WRITE_BATCH_BYTES_MAX, WRITE_BATCH_ITEMS_MAX
from chartwire.record.parking import PARKED
from chartwire.record.writing import TRY_AGAIN
from chartwire.store.pool import Connection
from chartwire.store.queries import q

_TRIES = 4
_log = structlog.get_logger(__name__)
_OPS: dict[str, Op] = {"create": "create", "update": "patch", "upsert": "upsert"}


class BatchItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One write. `update` needs the `id`, or `#ref` of an item before it; `version` is what If-Match would say."""

    op: Literal["create", "update", "upsert"]
    data: dict[str, Any]
    ref: str = ""
    id: str | None = None
    version: int | None = None


class BatchOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most 100 items."""

    items: list[BatchItem]
    mode: Literal["partial", "atomic"] = "partial"


class BatchResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one item: `skipped` in an atomic batch where another failed, with `http_status` 202 parked."""

    index: int
    ref: str
    status: Literal["ok", "error", "skipped"]
    http_status: int = 0
    id: str = ""
    version: int = 0
    error: ProblemBody | None = None


class BatchSummary(msgspec.Struct, frozen=True):
    """How many items came to what."""

    total: int
    ok: int
    failed: int
    skipped: int


class Batch(msgspec.Struct, frozen=True):
    """The answer to a batch, its results in the order of the items."""

    id: str
    summary: BatchSummary
    results: list[BatchResult]
    object: Literal["batch"] = "batch"


class _RolledBackError(Exception):
    """An atomic batch in which something failed."""


@dataclass(slots=True)
class Carrier:
    """One batch of one noun on its way."""

    request: Request
    noun: Noun
    order: BatchOrder
    parked_kept_s: float
    results: dict[int, BatchResult] = field(default_factory=dict)
    patients: list[UUID] = field(default_factory=list)

    async def carry(self, own: Turn, *, alone: bool) -> None:
        """Judge and make every item that was not made before; `alone` each behind a savepoint of its own."""
        self.results, self.patients = {}, []
        desk = Desk(self.request.access, own.tx)
        self._recall(own, desk)
        left = [number for number in range(len(self.order.items)) if number not in self.results]
        orders = {number: order for number in left if (order := self._order(number)) is not None}
        if alone:
            for number, order in orders.items():
                await self._alone(own.tx, number, order)
        else:
            await desk.read(list(orders.values()))
            for number, order in orders.items():
                await self._apply(desk, number, order)
            await desk.finish()
        if self.order.mode == "atomic" and any(one.status == "error" for one in self.results.values()):
            raise _RolledBackError
        await self._keep(own, left)

    def answer(self) -> Answer:
        """The whole answer."""
        results = [self.results[number] for number in range(len(self.order.items))]
        counts = [sum(one.status == word for one in results) for word in ("ok", "error", "skipped")]
        told = Batch(shown("batch", uuid7()), BatchSummary(len(results), *counts), results)
        return Answer(msgspec.json.encode(told), count=counts[0], patients=self.patients)

    def rolled_back(self) -> None:
        """Nothing of an atomic batch stands."""
        self.patients = []
        for number, one in self.results.items():
            if one.status == "ok":
                self.results[number] = BatchResult(number, one.ref, "skipped")

    def _recall(self, own: Turn, desk: Desk) -> None:
        for number in range(len(self.order.items)):
            before = own.kept(number)
            if before is not None:
                result = msgspec.json.decode(before.body, type=BatchResult)
                self.results[number] = result
                self.patients += before.patients
                self._expect(desk, result)

    def _expect(self, desk: Desk, earlier: BatchResult) -> None:
        if earlier.ref and earlier.status == "ok" and earlier.http_status != 202:
            desk.references.expect(earlier.ref, self.noun, in_path(self.noun.kind, earlier.id))

    async def _keep(self, own: Turn, left: Sequence[int]) -> None:
        """Where all went well the answer is kept whole; else each item that did."""
        results = [self.results[number] for number in left]
        if all(one.status == "ok" for one in self.results.values()):
            return
        for one in results:
            if one.status == "ok":
                await own.keep(Answer(msgspec.json.encode(one)), one.index)

    def _order(self, number: int) -> Order | None:
        item = self.order.items[number]
        try:
            return Order(self.noun, _OPS[item.op], item.data, self._id(item), item.version, item.ref)
        except ChartwireError as error:
            self._fail(number, error)
            return None

    def _id(self, item: BatchItem) -> UUID | str | None:
        if item.op != "update":
            if item.op == "upsert" and not isinstance(item.data.get("external_id"), str):
                raise ApiError("an upsert names its `external_id`", code="invalid_body")
            return None
        if item.id is None:
            raise not_found()
        return item.id if item.id.startswith("#") else in_path(self.noun.kind, item.id)

    async def _apply(self, desk: Desk, number: int, order: Order) -> None:
        try:
            await self._make(desk, number, order)
        except ChartwireError as error:
            if not is_answer(error):
                raise
            self._fail(number, error)

    async def _alone(self, tx: Connection, number: int, order: Order) -> None:
        desk = Desk(self.request.access, tx)
        for earlier in self.results.values():
            self._expect(desk, earlier)
        await tx.execute(q.begin_item)
        try:
            await desk.read([order])
            await self._make(desk, number, order)
            await desk.finish()
        except ChartwireError as error:
            if error.error_class == "transient":
                raise
            await tx.execute(q.undo_item)
            self._fail(number, error)
        else:
            await tx.execute(q.keep_item)

    async def _make(self, desk: Desk, number: int, order: Order) -> None:
        """Make an item, or let it wait for the record that it names where the request prefers that."""
        try:
            written = await desk.apply(order)
        except NotThereYetError as missing:
            if not wants_parking(self.request):
                raise
            row = await desk.park(order, missing, self.parked_kept_s)
            self.results[number] = BatchResult(number, order.ref, "ok", 202, shown(PARKED, row["id"]))
            return
        held = written.held
        self.patients += written.patients
        self.results[number] = BatchResult(
            number, order.ref, "ok", written.status, shown(held.type, held.id), held.version
        )

    def _fail(self, number: int, error: ChartwireError) -> None:
        if error.code.startswith("sql_"):
            _log.warning("batch_item_failed", request_id=self.request.request_id, code=error.code)
            error = ApiError("the log has the place under this request id", code="internal", error_class="upstream")
        problem = problem_body(error, self.request.request_id)
        ref = self.order.items[number].ref
        self.results[number] = BatchResult(number, ref, "error", status_of(error), error=problem)


async def carry(noun: Noun, request: Request, services: Services) -> Answer:
    """Carry a batch. Raises ApiError for a request that is none."""
    if b"idempotency-key" not in request.headers:
        raise ApiError("a batch is sent with an `Idempotency-Key`", code="idempotency_key_needed")
    order = await request.body(BatchOrder)
    if not 1 <= len(order.items) <= WRITE_BATCH_ITEMS_MAX:
        fault = Fault("/items", "out_of_range", f"has 1 to {WRITE_BATCH_ITEMS_MAX} items")
        raise ApiError("a batch has items, and not too many", code="invalid_body", faults=[fault])
    request.told += services.limits.charge(request.access, "batch", len(order.items) / BATCH_ITEMS_PER_UNIT)
    carrier, alone = Carrier(request, noun, order, services.parked_kept_s), False
    for _ in range(_TRIES - 1):
        try:
            return await _carried(carrier, services, alone=alone)
        except ChartwireError as error:
            alone = alone or error.error_class != "transient"
            if not (error.code in TRY_AGAIN or error.code.startswith("sql_")):
                raise
    return await _carried(carrier, services, alone=alone)


async def _carried(carrier: Carrier, services: Services, *, alone: bool) -> Answer:
    try:
        async with turn(carrier.request, services) as own:
            before = own.kept()
            if before is not None:
                return replayed(before)
            await carrier.carry(own, alone=alone)
            answer = carrier.answer()
            if all(one.status == "ok" for one in carrier.results.values()):
                await own.keep(answer)
    except _RolledBackError:
        carrier.rolled_back()
        return carrier.answer()
    services.wake()
    return answer


def _route_of(collection: Collection) -> Route:
    noun = NOUNS[collection.fhir_type]

    async def handle(request: Request, services: Services) -> Answer:
        return await carry(noun, request, services)

    return Route(
        "POST",
        f"/api/v1/{collection.name}/batch",
        handle,
        f"Write up to {WRITE_BATCH_ITEMS_MAX} {collection.name}",
        f"{collection.name}.write",
        collection.fhir_type,
        "update",
        checked=True,
        answer=Batch,
        body=BatchOrder,
        tag=collection.name,
        body_bytes_max=WRITE_BATCH_BYTES_MAX,
        batch=True,
    )


ROUTES = tuple(map(_route_of, COLLECTIONS))
