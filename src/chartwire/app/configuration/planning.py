"""What a file would change: objects to create, change, retire, member by member. Secrets are compared, never shown."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from chartwire.app.configuration.files import Sections
from chartwire.app.configuration.kind import Entry, Held, Kind, Resolve, Values
from chartwire.core.access import Access
from chartwire.core.errors import FaultsError

Action = Literal["create", "change", "retire"]
_HIDDEN = "(secret)"
Standing = dict[str, list[Held]]
Flaw = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One member that changes: its path, and both values as they may be shown."""

    member: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Change:
    """One object that a file changes. `held` is None for one to create, `values` for one to retire."""

    kind: Kind
    action: Action
    name: str
    differences: tuple[Difference, ...] = ()
    held: Held | None = None
    values: Values | None = None


async def plan(
    kinds: Sequence[Kind], access: Access, wanted: Sections, standing: Standing, resolve: Resolve
) -> list[Change]:
    """The changes that make `standing` as `wanted`, in the order in which they are applied: per kind what is retired,
    changed, created. Sections that the file lacks are left alone. Raises FaultsError with everything that is wrong."""
    changes: list[Change] = []
    flaws: list[Flaw] = []
    for kind in kinds:
        if kind.section in wanted:
            changes += await _of_kind(kind, access, wanted[kind.section], standing[kind.section], resolve, flaws)
    if flaws:
        told = "; ".join(f"{pointer} {rule}" for pointer, _, rule in flaws)
        raise FaultsError(f"the file has values that cannot be: {told}", code="config_file", faults=flaws)
    return changes


def digest(kinds: Sequence[Kind], standing: Standing) -> str:
    """Names the state that a plan was made of: 32 hex digits over all that a file can hold but secrets."""
    told = {
        kind.section: sorted(([held.name, _without(held.values, kind.secrets)] for held in standing[kind.section]),
                             key=lambda pair: str(pair[0]))
        for kind in kinds
    }  # fmt: skip
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


async def _of_kind(
    kind: Kind, access: Access, entries: list[Values], standing: list[Held], resolve: Resolve, flaws: list[Flaw]
) -> list[Change]:
    present = _by_name(kind, standing)
    changed: list[Change] = []
    created: list[Change] = []
    names: set[str] = set()
    for number, entry in enumerate(entries):
        pointer, name = f"/{kind.section}/{number}", kind.name_of(entry)
        if name and name in names:
            flaws.append((pointer, "named_twice", f"is named {name}, as another entry before it"))
            continue
        names.add(name)
        held = present.get(name)
        try:
            values = await kind.read(Entry(entry, held, access, resolve))
        except FaultsError as error:
            flaws += [(pointer + place, code, rule) for place, code, rule in error.faults]
            continue
        if held is None:
            created.append(Change(kind, "create", name, values=values))
        elif differences := tuple(_differences(kind, held.values, values)):
            changed.append(Change(kind, "change", name, differences, held, values))
    retired = [Change(kind, "retire", name, held=held) for name, held in present.items() if name not in names]
    return [*retired, *changed, *created]


def _by_name(kind: Kind, standing: list[Held]) -> dict[str, Held]:
    present: dict[str, Held] = {}
    for held in standing:
        if held.name in present:
            rule = f"has two objects named {held.name}: rename one first, names identify them here"
            raise FaultsError(f"{kind.section} {rule}", code="config_names", faults=[("", "config_names", rule)])
        present[held.name] = held
    return present


def _differences(kind: Kind, old: Values, new: Values) -> Iterator[Difference]:
    for member in dict.fromkeys((*old, *new)):
        for found in _compared(member, old.get(member), new.get(member)):
            yield Difference(found.member, _HIDDEN, _HIDDEN) if member in kind.secrets else found


def _compared(member: str, old: Any, new: Any) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            yield from _compared(f"{member}.{key}", old.get(key), new.get(key))
    elif old != new:
        yield Difference(member, old, new)


def _without(values: Mapping[str, Any], members: frozenset[str]) -> Values:
    return {name: value for name, value in values.items() if name not in members}
