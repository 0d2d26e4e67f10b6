"""Which records an order names: by id, by external id, or as `#ref` of an item before it in its batch."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from chartwire.api.problem import ApiError, Fault
from chartwire.api.rest import checks
from chartwire.api.rest.bookings import Named
from chartwire.api.rest.checks import Faults
from chartwire.api.rest.fields import Alias, Noun
from chartwire.api.rest.ids import shown
from chartwire.api.rest.judging import refuse
from chartwire.api.rest.ordering import Order
from chartwire.api.rest.people import Name
from chartwire.api.rest.settling import Values
from chartwire.record.standing import Standing
from chartwire.record.work import Key, Ref
from chartwire.record.writing import Writer, external_key

_NAME = Name()


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


@dataclass(slots=True)
class References:
    """The records that the orders of one transaction name, as `writer` has read them."""

    writer: Writer
    _refs: dict[str, Standing | None] = field(default_factory=dict)
    _expected: dict[str, Ref] = field(default_factory=dict)

    def expect(self, ref: str, noun: Noun, resource_id: UUID) -> None:
        """A `ref` that orders may name, of an item that was made in another transaction."""
        self._expected[ref] = (noun.kind, resource_id)

    @property
    def expected(self) -> set[Ref]:
        """What has to be read for the refs of other transactions."""
        return set(self._expected.values())

    def meet_expected(self) -> None:
        """What was expected has been read."""
        self._refs |= {ref: self.writer.work.known(*place) for ref, place in self._expected.items()}

    def remember(self, ref: str, held: Standing | None) -> None:
        """What became of the item of this ref; None as long as it was not made. An item may have no ref."""
        if ref:
            self._refs[ref] = held

    def referred(self, ref: str, pointer: str) -> Standing:
        """The item that `#ref` names. Raises ApiError."""
        name = ref.removeprefix("#")
        if name not in self._refs:
            fault = Fault(pointer, "unknown_reference", "names no item before this one")
            raise ApiError("a `#ref` names an item before its own", code="invalid_body", faults=[fault])
        held = self._refs[name]
        if held is None:
            raise ApiError("the item that this one refers to failed", code="reference_failed", error_class="conflict")
        return held

    async def merged(self, held: Standing) -> ApiError:
        """The refusal of a patient that was merged into another, which it names."""
        survivor = shown("Patient", await self.writer.survivor_of(held.id))
        return ApiError(f"the patient was merged into {survivor}", code="merged", error_class="conflict")

    async def settle(self, order: Order, held: Standing | None, values: Values, faults: Faults) -> None:
        """Turn what refers to other records into Named. Raises ApiError (409) for one that is not there."""
        noun = order.noun
        for alias in noun.aliases:
            if (text := order.data.get(alias.name)) is not None:
                values[alias.field] = self._aliased(alias, noun.target[alias.field], text, faults)
        refuse(faults)
        for name, target in noun.refers:
            value = values.get(name)
            if value is None:
                continue
            named = [
                await self._named(one, target, f"/{name}") for one in (value if isinstance(value, list) else [value])
            ]
            if held is not None and any(one.id == held.id for one in named):
                faults.add(f"/{name}", "circular", "names another record than its own")
            values[name] = named[0] if name == "part_of_id" else named

    def _aliased(self, alias: Alias, target: str, text: Any, faults: Faults) -> Any:
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
        held = self.referred(value, pointer) if isinstance(value, str) else self.writer.work.known(target, value)
        if held is None or held.type != target:
            raise NotThereYetError(pointer)
        if held.replaced:
            raise await self.merged(held)
        if target == "Patient":
            return Named(held.id, None)
        if target == "Location":
            return Named(held.id, held.body.get("name"))
        name = _NAME.read(held.body)
        return Named(held.id, name.text if name else None)
