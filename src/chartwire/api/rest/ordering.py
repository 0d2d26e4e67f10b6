"""What a write asks for, and what has to be read before it can be judged. Pure."""

from dataclasses import dataclass
from typing import Any, Literal, get_args
from uuid import UUID

from chartwire.api.rest.checks import Faults
from chartwire.api.rest.fields import NOUNS, Noun
from chartwire.api.rest.lenses import Json
from chartwire.core.errors import NotFoundError
from chartwire.core.ids import from_prefixed
from chartwire.record.writing import Asked, external_key, keys_of

Op = Literal["create", "upsert", "patch", "replace"]
ORDER_OPS: dict[str, Op] = {op: op for op in get_args(Op)}
_NUMBERS = ("identifiers", "mrn", "npi")


@dataclass(frozen=True, slots=True)
class Order:
    """One write. `id` names what `patch` and `replace` change (`#ref` an item of the same batch), `version` is what
    If-Match wants; `ref` is the item's own name in its batch."""

    noun: Noun
    op: Op
    data: dict[str, Any]
    id: UUID | str | None = None
    version: int | None = None
    ref: str = ""


def gather(asked: Asked, order: Order) -> None:
    """Add what an order needs to know. Values that cannot be are left for the checks to refuse."""
    noun, data = order.noun, order.data
    if isinstance(order.id, UUID):
        asked.targets.add((noun.kind, order.id))
    if (key := _external(data.get("external_id"))) is not None:
        (asked.numbers if order.op in {"patch", "replace"} else asked.keys).add((noun.kind, key))
    for alias in noun.aliases:
        if alias.external and (key := _external(data.get(alias.name))) is not None:
            asked.named_keys.add((noun.target[alias.field], key))
    for text, target in _references(noun, data):
        try:
            asked.named.add((target, from_prefixed(NOUNS[target].prefix, text)))
        except NotFoundError:
            continue
    asked.numbers |= {(noun.kind, key) for key in _number_keys(noun, data)}


def _external(value: Any) -> str | None:
    return external_key(value) if isinstance(value, str) else None


def _references(noun: Noun, data: dict[str, Any]) -> list[tuple[str, str]]:
    """The ids that a body names, with the type of each."""
    plain_aliases = {alias.name: noun.target[alias.field] for alias in noun.aliases if not alias.external}
    found = []
    for name, target in {**noun.target, **plain_aliases}.items():
        value = data.get(name)
        found += [(one, target) for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]
    return found


def _number_keys(noun: Noun, data: dict[str, Any]) -> list[str]:
    """Source keys of the numbers that a body names as it stands; those that need the record are asked for later."""
    body: Json = {}
    for name in _NUMBERS:
        field = noun.by_name.get(name)
        if field is None or data.get(name) is None:
            continue
        faults = Faults()
        value = field.check.check(data[name], "", faults)
        if not faults:
            field.lens.write(body, value)
    return keys_of(noun.kind, body)
