"""Orders meet the record: what stands is read, each order is judged whole, then made, in one unit of work.

An order that fails has changed nothing, so the others of its batch go on. Everything that can refuse an order is asked
before the record is touched.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from chartwire.api.problem import ApiError, Fault, not_found
from chartwire.api.rest import checks
from chartwire.api.rest.bookings import Named
from chartwire.api.rest.checks import Faults, plain
from chartwire.api.rest.etags import check_version
from chartwire.api.rest.fields import NOUNS, Alias, Noun
from chartwire.api.rest.ids import shown
from chartwire.api.rest.judging import aliased, check_needed, refuse, values_of, without_aliases, written_body
from chartwire.api.rest.lenses import Json
from chartwire.api.rest.models import Identifier
from chartwire.api.rest.ordering import ORDER_OPS, Order, gather
from chartwire.api.rest.people import Name
from chartwire.api.rest.practice import SHOWN, Sight
from chartwire.api.rest.settling import Times, Values, settle_status
from chartwire.channels import route
from chartwire.core.access import Access
from chartwire.core.errors import ChartwireError, FaultsError
from chartwire.core.ids import to_prefixed
from chartwire.record import custom_fields, custom_values, parking
from chartwire.record.identity import overlays
from chartwire.record.localtime import zone_name
from chartwire.record.parking import PARKED, Parked, Waiting
from chartwire.record.standing import Standing
from chartwire.record.writing import AUTHORITY, Asked, Key, Writer, external_key, keys_of
from chartwire.store.pool import Connection, Row
from chartwire.store.queries import q
from chartwire.trust import audit
from chartwire.trust.audit import audit_row

_NAME = Name()
_NEW: dict[str, Json] = {
    "Patient": {"active": True},
    "Appointment": {},
    "Practitioner": {"active": True},
    "Location": {"status": "active", "mode": "instance"},
}
"""What a new resource of each type says where the order does not."""
_NUMBERED = ("external_id", "mrn", "npi", "identifiers")


class NotThereYetError(ApiError):
    """A record that a write names does not exist, perhaps not yet. `waits_for`: the external id that would name it."""

    def __init__(self, pointer: str, waits_for: Key | None = None) -> None:
        parked = ", or with `Prefer: handling=park`" if waits_for else ""
        super().__init__(
            f"`{pointer}` names no record that is there now: send this again later{parked}",
            code="reference_not_there_yet",
            error_class="conflict",
            faults=[Fault(pointer, "reference_not_there_yet", "names no record that is there now")],
        )
        self.waits_for = waits_for


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
    _refs: dict[str, Standing | None] = field(default_factory=dict)
    _expected: dict[str, tuple[str, UUID]] = field(default_factory=dict)
    _definitions: dict[str, list[custom_values.CustomField]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.writer = Writer(self.access, self.tx)

    def expect(self, ref: str, noun: Noun, resource_id: UUID) -> None:
        """A `ref` that orders may name, of an item that was made in another transaction. Call before `read`."""
        self._expected[ref] = (noun.kind, resource_id)

    async def read(self, orders: Sequence[Order]) -> None:
        """Read what these orders need, in a few statements for all."""
        asked = Asked(targets=set(self._expected.values()))
        for order in orders:
            gather(asked, order)
        await self.writer.read(asked)
        self._refs |= {ref: self.writer.work.known(*place) for ref, place in self._expected.items()}

    async def apply(self, order: Order) -> Written:
        """Make one order. Raises ChartwireError with nothing changed."""
        self._refs.setdefault(order.ref, None)
        written = await self._apply(order)
        self._refs[order.ref] = written.held
        return written

    async def finish(self) -> datetime:
        """Make what waited for records that are there now, then write everything, its events and their deliveries."""
        while led := self.writer.take_led():
            for waiting in await parking.waiting_for(self.tx, self.access, led):
                await self._unpark(waiting)
        at = await self.writer.finish()
        await route.announce(self.tx, self.access.org, at, self.writer.work.events)
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
        told = audit_row(
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
            raise await self._merged(held)
        check_version(order.version, held.version)
        return held

    def _named_target(self, order: Order) -> Standing | None:
        kind = order.noun.kind
        if isinstance(order.id, str):
            return self._referred(order.id, "/id")
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

    def _referred(self, ref: str, pointer: str) -> Standing:
        name = ref.removeprefix("#")
        if name not in self._refs:
            fault = Fault(pointer, "unknown_reference", "names no item before this one")
            raise ApiError("a `#ref` names an item before its own", code="invalid_body", faults=[fault])
        held = self._refs[name]
        if held is None:
            raise ApiError("the item that this one refers to failed", code="reference_failed", error_class="conflict")
        return held

    async def _merged(self, held: Standing) -> ApiError:
        survivor = to_prefixed("pat", await self.writer.survivor_of(held.id))
        return ApiError(f"the patient was merged into {survivor}", code="merged", error_class="conflict")

    def _duplicate(self, pointer: str, kind: str, resource_id: UUID) -> ApiError:
        shown = to_prefixed(NOUNS[kind].prefix, resource_id)
        fault = Fault(pointer, "duplicate", f"{shown} has it")
        return ApiError(
            f"{shown} has the number at `{pointer}`", code="duplicate", error_class="conflict", faults=[fault]
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
        await self._refer(order, values, faults)
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
        shown: Json = {}
        if held is not None:
            at = held.stored_at
            sight = Sight(held.id, held.version, at, None, "", held.body) if at else None
            shown = plain(SHOWN[held.type](sight)) if sight else {}
        for name in sorted(told - {"source", "updated_at", "insurance"} if held else told):
            if held is None or order.data[name] != shown.get(name):
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

    # Whom it names ---------------------------------------------------------------------------------------------------

    async def _refer(self, order: Order, values: Values, faults: Faults) -> None:
        """Turn what refers to other records into Named. Raises ApiError (409) for one that is not there."""
        noun = order.noun
        for alias in noun.aliases:
            if (text := order.data.get(alias.name)) is not None:
                values[alias.field] = self._aliased_value(alias, noun.target[alias.field], text, faults)
        refuse(faults)
        for name, target in noun.refers:
            value = values.get(name)
            if value is None:
                continue
            named = [
                await self._named(one, target, f"/{name}") for one in (value if isinstance(value, list) else [value])
            ]
            values[name] = named[0] if name == "part_of_id" else named

    def _aliased_value(self, alias: Alias, target: str, text: Any, faults: Faults) -> Any:
        pointer = f"/{alias.name}"
        if not alias.external:
            value = checks.Reference(target).check(text, pointer, faults)
        elif not isinstance(text, str):
            faults.add(pointer, "invalid_type", "is a text")
            value = None
        else:
            ids = self.writer.work.resolve(target, (external_key(text),))
            if not ids:
                raise NotThereYetError(pointer, (target, external_key(text)))
            value = ids.pop()
        return [value] if alias.field == "provider_ids" else value

    async def _named(self, value: UUID | str, target: str, pointer: str) -> Named:
        held = self._referred(value, pointer) if isinstance(value, str) else self.writer.work.known(target, value)
        if held is None or held.type != target:
            raise NotThereYetError(pointer)
        if held.replaced:
            raise await self._merged(held)
        if target == "Patient":
            return Named(held.id, None)
        if target == "Location":
            return Named(held.id, held.body.get("name"))
        name = _NAME.read(held.body)
        return Named(held.id, name.text if name else None)

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
