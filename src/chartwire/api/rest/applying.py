"""Orders meet the record: what stands is read, each order is judged whole, then made, in one unit of work.

An order that fails has changed nothing, so the others of its batch go on. Everything that can refuse an order is asked
before the record is touched.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from chartwire.api.problem import ApiError, Fault, not_found
from chartwire.api.rest import checks
from chartwire.api.rest.checks import Faults, plain
from chartwire.api.rest.etags import check_version
from chartwire.api.rest.fields import NOUNS, Noun
from chartwire.api.rest.ids import shown
from chartwire.api.rest.judging import aliased, check_needed, refuse, values_of, without_aliases, written_body
from chartwire.api.rest.lenses import Json
from chartwire.api.rest.models import Identifier
from chartwire.api.rest.ordering import ORDER_OPS, Order, gather
from chartwire.api.rest.practice import SHOWN, Sight
from chartwire.api.rest.referring import NotThereYetError, References
from chartwire.api.rest.settling import Times, Values, settle_status
from chartwire.channels import route
from chartwire.core.access import Access
from chartwire.core.errors import ChartwireError, FaultsError
from chartwire.record import custom_fields, custom_values, parking
from chartwire.record.identity import overlays
from chartwire.record.localtime import zone_name
from chartwire.record.parking import PARKED, Parked, Waiting
from chartwire.record.standing import Standing
from chartwire.record.writing import AUTHORITY, Asked, Writer, external_key, keys_of
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q
from chartwire.trust import audit

_NEW: dict[str, Json] = {
    "Patient": {"active": True},
    "Appointment": {},
    "Practitioner": {"active": True},
    "Location": {"status": "active", "mode": "instance"},
}
"""What a new resource of each type says where the order does not."""
_NUMBERED = ("external_id", "mrn", "npi", "identifiers")


def is_answer(error: ChartwireError) -> bool:
    """Whether an error is about what was ordered, and not about the database."""
    return error.error_class in {"validation", "conflict", "not_found"} and not error.code.startswith("sql_")


class Written(NamedTuple):
    """What became of an order."""

    held: Standing
    created: bool
    changed: bool

    @property
    def status(self) -> int:
        """201 for what is new, else 200."""
        return 201 if self.created else 200

    @property
    def patients(self) -> list[UUID]:
        """Whose data it is, for the audit."""
        return [self.held.patient_id] if self.held.patient_id else []


@dataclass(slots=True)
class Desk:
    """The orders of one transaction, by one actor."""

    access: Access
    tx: Connection
    writer: Writer = field(init=False)
    references: References = field(init=False)
    _definitions: dict[str, list[custom_values.CustomField]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.writer = Writer(self.access, self.tx)
        self.references = References(self.writer)

    async def read(self, orders: Sequence[Order]) -> None:
        """Read what these orders need, in a few statements for all."""
        asked = Asked(targets=self.references.expected)
        for order in orders:
            gather(asked, order)
        await self.writer.read(asked)
        self.references.meet_expected()

    async def apply(self, order: Order) -> Written:
        """Make one order. Raises ChartwireError with nothing changed."""
        self.references.remember(order.ref, None)
        written = await self._apply(order)
        self.references.remember(order.ref, written.held)
        return written

    async def finish(self) -> datetime:
        """Make what waited for records that are there now, then write everything, its events and their deliveries."""
        while led := self.writer.take_led():
            for waiting in await parking.waiting_for(self.tx, self.access, led):
                await self._unpark(waiting)
        at = await self.writer.finish()
        if self.writer.heard:
            await route.deliver(self.tx, self.access.org, at, self.writer.work.events)
        return at

    async def park(self, order: Order, missing: NotThereYetError, kept_s: float) -> Row:
        """Keep an order until the record that it names by an external id is there. Raises ChartwireError."""
        if missing.waits_for is None or isinstance(order.id, str):
            raise missing
        parked = Parked(
            order.noun.kind, order.op, order.data, order.id, order.version, missing.waits_for, missing.faults[0].pointer
        )
        return await parking.park(self.tx, self.access, parked, kept_s)

    async def _unpark(self, waiting: Waiting) -> None:
        """Make a parked order in the name of who asked for it. What it can no longer be is told by an event."""
        if not waiting.permitted:
            await self._give_up(waiting, "credential_invalid")
            return
        order = Order(NOUNS[waiting.noun], ORDER_OPS[waiting.op], waiting.data, waiting.target_id, waiting.version)
        speaking, self.writer.access = self.writer.access, waiting.access
        try:
            await self.read([order])
            written = await self._apply(order)
        except NotThereYetError as missing:
            if missing.waits_for is None:
                await self._give_up(waiting, missing.code)
            else:
                await parking.wait_on(self.tx, self.access, waiting.id, missing.waits_for, missing.faults[0].pointer)
        except ChartwireError as error:
            if not is_answer(error):
                raise
            await self._give_up(waiting, error.code)
        else:
            await self._made(waiting, written)
        finally:
            self.writer.access = speaking

    async def _made(self, waiting: Waiting, written: Written) -> None:
        """The request that asked was audited when nothing was written yet: this is the row of what it did."""
        action = "create" if written.created else "update"
        shape = f"parked write {shown(PARKED, waiting.id)}"
        told = audit.audit_row(
            waiting.access, action, written.held.type, shape, count=1, patients=written.patients, status=written.status
        )
        await audit.record(self.tx, told)
        await parking.end(self.tx, self.access, waiting.id)

    async def _give_up(self, waiting: Waiting, code: str) -> None:
        self.writer.work.events.append(parking.told(waiting.id, "parked_write.failed", [code]))
        await parking.end(self.tx, self.access, waiting.id)

    async def _apply(self, order: Order) -> Written:
        held = await self._target(order)
        body = held.body if held else {}
        values = await self._judged(order, held)
        wanted, pointers = written_body(order.noun, body, values)
        await self._guard(order, held, wanted)
        if held is None:
            wanted = _NEW[order.noun.kind] | wanted
            named = values.get("patient_id")
            created = self.writer.create(order.noun.kind, wanted, pointers, named[0].id if named else None)
            return Written(created, created=True, changed=True)
        return Written(held, created=False, changed=self.writer.amend(held, wanted, pointers))

    # Which record it is ----------------------------------------------------------------------------------------------

    async def _target(self, order: Order) -> Standing | None:
        held = self._named_target(order)
        if held is None:
            return None
        if held.replaced:
            raise await self.references.merged(held)
        check_version(order.version, held.version)
        return held

    def _named_target(self, order: Order) -> Standing | None:
        kind = order.noun.kind
        if isinstance(order.id, str):
            return self.references.referred(order.id, "/id")
        if order.id is not None:
            held = self.writer.work.known(kind, order.id)
            if held is None:
                raise not_found()
            return held
        external_id = order.data.get("external_id")
        ids = self.writer.work.resolve(kind, (external_key(external_id),)) if isinstance(external_id, str) else set()
        if ids and order.op == "create":
            raise self._duplicate("/external_id", kind, ids.pop())
        return self.writer.work.standing(kind, ids.pop()) if ids else None

    def _duplicate(self, pointer: str, kind: str, resource_id: UUID) -> ApiError:
        owner = shown(kind, resource_id)
        fault = Fault(pointer, "duplicate", f"{owner} has it")
        return ApiError(
            f"{owner} has the number at `{pointer}`", code="duplicate", error_class="conflict", faults=[fault]
        )

    # What its members may be -----------------------------------------------------------------------------------------

    async def _judged(self, order: Order, held: Standing | None) -> Values:
        """The members that the order sets, cleaned and with whom they refer to; None clears.

        Raises ApiError with every fault, or for a record that is not there.
        """
        noun, body, faults = order.noun, held.body if held else {}, Faults()
        checks.unknown(order.data, noun.known, "", faults)
        self._check_told(order, held, faults)
        data = without_aliases(noun, order.data, faults)
        values = values_of(order, body, data, faults)
        whole = held is None or order.op == "replace"
        check_needed(noun, {**values, **aliased(noun, order.data)}, noun.needed if whole else data, faults)
        if "custom" in values or (held is None):
            await self._judge_custom(noun, body, values, faults)
        if noun.kind == "Appointment":
            settle_status(body, values, faults)
        refuse(faults)
        await self.references.settle(order, held, values, faults)
        if noun.kind == "Appointment":
            self._judge_booking(held, values, faults)
        if values.get("mrn") is not None:
            await self._place_mrn(body, values)
        refuse(faults)
        return values

    def _check_told(self, order: Order, held: Standing | None, faults: Faults) -> None:
        """What is told and not set may come back as it was told: an object that was read can be sent whole."""
        told = order.noun.told & order.data.keys()
        if not told:
            return
        standing: Json = {}
        if held is not None:
            at = held.stored_at
            sight = Sight(held.id, held.version, at, None, "", held.body) if at else None
            standing = plain(SHOWN[held.type](sight)) if sight else {}
        for name in sorted(told - {"source", "updated_at", "insurance"} if held else told):
            if held is None or order.data[name] != standing.get(name):
                faults.add(f"/{name}", "read_only", "cannot be set; read the object again, or leave it out")

    async def _judge_custom(self, noun: Noun, body: Json, values: Values, faults: Faults) -> None:
        definitions = self._definitions.get(noun.name)
        if definitions is None:
            definitions = await custom_fields.many(self.tx, self.access, noun.name)
            self._definitions[noun.name] = definitions
        custom = values.get("custom") or {}
        if not isinstance(custom, dict):
            return
        try:
            checked = custom_values.check(definitions, custom, custom_values.values_of(body))
        except FaultsError as error:
            faults.extend(Fault(*fault) for fault in error.faults)
            return
        if "custom" in values:
            values["custom"] = custom_values.extensions(definitions, checked)

    def _judge_booking(self, held: Standing | None, values: Values, faults: Faults) -> None:
        body = held.body if held else {}
        patient = values.get("patient_id")
        fixed = held.patient_id if held and "patient_id" in values else None
        if fixed and (not patient or patient[0].id != fixed):
            faults.add("/patient_id", "fixed", "stays: cancel the appointment and book another")
        place = values.get("location_id")
        zone = None
        if place and (found := self.writer.work.known("Location", place[0].id)):
            zone = zone_name(found.body)
        Times(body, zone, faults).settle(values)

    async def _place_mrn(self, body: Json, values: Values) -> None:
        """A new record number without a system is one of the organisation's only feed's authority, where it has one."""
        numbers = NOUNS["Patient"].by_name["identifiers"].lens
        standing = values["identifiers"] if values.get("identifiers") is not None else numbers.read(body)
        if any(one.type in {"MR", "PI"} for one in standing):
            return
        rows = await self.tx.fetch(q.authorities_of_feeds, self.access.org)
        system = f"{AUTHORITY}{rows[0]['authority']}" if len(rows) == 1 else None
        values["identifiers"] = [Identifier(values["mrn"], system, "MR"), *standing]

    # Whom else it could be -------------------------------------------------------------------------------------------

    async def _guard(self, order: Order, held: Standing | None, wanted: Json) -> None:
        """Refuse numbers of another record, and an upsert whose external id names another person."""
        kind, before = order.noun.kind, set(keys_of(order.noun.kind, held.body)) if held else set()
        now = keys_of(kind, wanted)
        fresh = [key for key in now if key not in before]
        await self.writer.ask(kind, before.symmetric_difference(now))
        for key in fresh:
            for resource_id in self.writer.work.resolve(kind, (key,)) - ({held.id} if held else set()):
                raise self._duplicate(_pointer_of(key, order), kind, resource_id)
        if order.op == "upsert" and held is not None and kind == "Patient" and overlays(held.body, wanted):
            raise ApiError(
                "name, birth date and sex disagree with the record of this external id",
                code="another_person",
                error_class="conflict",
            )


def _pointer_of(key: str, order: Order) -> str:
    if key == external_key(str(order.data.get("external_id"))):
        return "/external_id"
    return "/" + next((name for name in _NUMBERED[1:] if name in order.data), "identifiers")
