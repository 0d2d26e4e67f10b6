"""Lenses: how one member of a practice object is read from a FHIR body and written into it. Pure.

Writing what was read changes nothing, and what was written is read again; what the member does not show stays as it
was. `members` names the FHIR members that a lens may change. `write` changes the body that it is given; None clears.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Json = dict[str, Any]


class Lens(Protocol):
    """One member of a practice object, both ways."""

    @property
    def members(self) -> tuple[str, ...]: ...

    def read(self, body: Json) -> Any: ...

    def write(self, body: Json, value: Any) -> None: ...


def put(body: Json, member: str, value: Any) -> None:
    """Set a member; what is empty is left out, since FHIR has no empty values."""
    if value is None or value in ([], {}):
        body.pop(member, None)
    else:
        body[member] = value


@dataclass(frozen=True, slots=True)
class Member:
    """A member that FHIR has as it is; clearing it gives it its default."""

    name: str
    default: Any = None

    @property
    def members(self) -> tuple[str, ...]:
        return (self.name,)

    def read(self, body: Json) -> Any:
        return body.get(self.name, self.default)

    def write(self, body: Json, value: Any) -> None:
        value = self.default if value is None else value
        if value != self.read(body):
            body.pop(f"_{self.name}", None)
            put(body, self.name, value)


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a FHIR list that are `mine`, each shown by `show` and made by `make`; others stay behind them."""

    name: str
    mine: Callable[[Json], bool]
    show: Callable[[Json], Any]
    make: Callable[[Any], Json]

    @property
    def members(self) -> tuple[str, ...]:
        return (self.name,)

    def read(self, body: Json) -> list[Any]:
        return [self.show(one) for one in body.get(self.name, ()) if self.mine(one)]

    def write(self, body: Json, value: Sequence[Any] | None) -> None:
        wanted = list(value or ())
        if wanted == self.read(body):
            return
        spare = [one for one in body.get(self.name, ()) if self.mine(one)]
        others = [one for one in body.get(self.name, ()) if not self.mine(one)]
        put(body, self.name, [*(self._taken(spare, one) or self.make(one) for one in wanted), *others])

    def _taken(self, spare: list[Json], wanted: Any) -> Json | None:
        """The standing item that is shown so, with all that is not shown of it."""
        for number, one in enumerate(spare):
            if self.show(one) == wanted:
                return spare.pop(number)
        return None


@dataclass(frozen=True, slots=True)
class Only:
    """The first of `items`, or None: a number of one kind. Others of the kind go only when it is cleared."""

    items: Items
    ranked: Callable[[Iterable[Any]], Sequence[Any]]
    value_of: Callable[[Any], Any]
    with_value: Callable[[Any, Any], Any]

    @property
    def members(self) -> tuple[str, ...]:
        return self.items.members

    def read(self, body: Json) -> Any:
        found = self.ranked(self.items.read(body))
        return self.value_of(found[0]) if found else None

    def write(self, body: Json, value: Any) -> None:
        if value == self.read(body):
            return
        shown = self.items.read(body)
        found = self.ranked(shown)
        if value is None:
            self.items.write(body, [one for one in shown if one not in found])
        elif found:
            new = self.with_value(found[0], value)
            self.items.write(body, [new if one is found[0] else one for one in shown])
        else:
            self.items.write(body, [self.with_value(None, value), *shown])


@dataclass(frozen=True, slots=True)
class One:
    """A FHIR object, or the first of a list of them (`many`), shown and made by a pair of functions."""

    name: str
    show: Callable[[Json], Any]
    make: Callable[[Any], Json]
    many: bool = False

    @property
    def members(self) -> tuple[str, ...]:
        return (self.name,)

    def read(self, body: Json) -> Any:
        held = body.get(self.name)
        return self.show(held[0] if self.many else held) if held else None

    def write(self, body: Json, value: Any) -> None:
        if value == self.read(body):
            return
        if not self.many:
            put(body, self.name, None if value is None else self.make(value))
            return
        put(body, self.name, [] if value is None else [self.make(value), *body.get(self.name, ())[1:]])


@dataclass(frozen=True, slots=True)
class Concept:
    """Words of the first CodeableConcept of a list (`many`), inside `wrap` where it is wrapped, else of `also`."""

    name: str
    many: bool = True
    wrap: str = ""
    also: str = ""

    @property
    def members(self) -> tuple[str, ...]:
        return (self.name, self.also) if self.also else (self.name,)

    def read(self, body: Json) -> str | None:
        held = body.get(self.name, ()) if self.many else [body.get(self.name)]
        concepts = [one.get(self.wrap) if self.wrap and one else one for one in held]
        also = body.get(self.also)
        return next((words for words in map(concept_text, concepts) if words), None) or (
            concept_text(also) if isinstance(also, dict) else also
        )

    def write(self, body: Json, value: str | None) -> None:
        if value == self.read(body):
            return
        if self.also:
            body.pop(self.also, None)
        made: Any = {"text": value}
        if self.wrap:
            made = {self.wrap: made}
        if self.many:
            made = [made, *body.get(self.name, ())[1:]]
        put(body, self.name, None if value is None else made)


def concept_text(concept: Json | None) -> str | None:
    """A CodeableConcept for people: its text, else the first display, else the first code."""
    if not concept:
        return None
    codings = concept.get("coding", ())
    shown = [coding[key] for key in ("display", "code") for coding in codings if coding.get(key)]
    told: str | None = concept.get("text") or (shown[0] if shown else None)
    return told
