"""JSON Patch (RFC 6902): add, remove, replace, move, copy and test, one after the other, all or none."""

import re
from collections.abc import Callable, Sequence
from copy import deepcopy
from decimal import Decimal
from typing import Any

from chartwire.core.errors import FaultsError
from chartwire.formats.fhir.patching.faults import OPERATIONS_MAX, failed, invalid, measured
from chartwire.formats.fhirpath.nodes import Json

COPIED_VALUES_MAX = 100_000
_INDEX = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)
_BAD_TILDE = re.compile(r"~(?![01])")


def json_patch(body: Json, operations: Sequence[Any]) -> Json:
    """The body after all operations. Raises FaultsError at the first that cannot be done, by its index."""
    if not isinstance(operations, list):
        raise invalid("", "must be a JSON array of operations (RFC 6902)")
    if len(operations) > OPERATIONS_MAX:
        raise invalid("", f"has more than {OPERATIONS_MAX} operations")
    held = _Held({"": deepcopy(body)})
    for at, operation in enumerate(operations):
        _apply(held, operation, f"/{at}")
    last = f"/{len(operations) - 1}"
    measured(held, last)
    if not isinstance(held[""], dict):
        raise failed(last, "must leave a JSON object")
    return dict(held[""])


class _Held(dict[str, Any]):
    """The body under the empty name, so that the root has a parent too. `copied` counts the values that copies made."""

    copied = 0


def _apply(held: _Held, operation: Any, place: str) -> None:
    if not isinstance(operation, dict):
        raise invalid(place, "must be an object")
    run = _OPERATIONS.get(str(operation.get("op")))
    if run is None:
        raise invalid(f"{place}/op", f"must be one of {', '.join(_OPERATIONS)}")
    run(held, operation, place)


def _add(held: _Held, operation: Json, place: str) -> None:
    _put(held, _tokens(operation, "path", place), deepcopy(_value(operation, place)), place)


def _remove(held: _Held, operation: Json, place: str) -> None:
    _take(held, _tokens(operation, "path", place), place)


def _replace(held: _Held, operation: Json, place: str) -> None:
    tokens, value = _tokens(operation, "path", place), deepcopy(_value(operation, place))
    parent, key = _found(held, tokens, place)
    parent[key] = value


def _move(held: _Held, operation: Json, place: str) -> None:
    source, target = _tokens(operation, "from", place), _tokens(operation, "path", place)
    if target[: len(source)] == source and len(target) > len(source):
        raise failed(place, "cannot move a value into itself")
    _put(held, target, _take(held, source, place), place)


def _copy(held: _Held, operation: Json, place: str) -> None:
    parent, key = _found(held, _tokens(operation, "from", place), place)
    held.copied += measured(parent[key], place)
    if held.copied > COPIED_VALUES_MAX:
        raise failed(place, f"is one copy too many: all together copy more than {COPIED_VALUES_MAX} values")
    _put(held, _tokens(operation, "path", place), deepcopy(parent[key]), place)


def _test(held: _Held, operation: Json, place: str) -> None:
    wanted = _value(operation, place)
    parent, key = _found(held, _tokens(operation, "path", place), place)
    if not same(parent[key], wanted):
        raise failed(place, "found another value than the one tested for", code="patch_test_failed")


_OPERATIONS: dict[str, Callable[[_Held, Json, str], None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal (RFC 6902, 4.6): numbers by value, objects without order."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(one, other) for one, other in zip(left, right, strict=True))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | Decimal) and isinstance(right, int | Decimal):
        return left == right
    return type(left) is type(right) and bool(left == right)


def _value(operation: Json, place: str) -> Any:
    if "value" not in operation:
        raise invalid(place, f"needs a `value` for `{operation['op']}`")
    return operation["value"]


def _tokens(operation: Json, name: str, place: str) -> list[str]:
    """The reference tokens of a pointer (RFC 6901) below the holder of the root."""
    pointer = operation.get(name)
    if not isinstance(pointer, str):
        raise invalid(place, f"needs a `{name}`")
    if (pointer and not pointer.startswith("/")) or _BAD_TILDE.search(pointer):
        raise invalid(f"{place}/{name}", "must be a JSON Pointer (RFC 6901)")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")]


def _put(held: _Held, tokens: list[str], value: Any, place: str) -> None:
    parent = _parent(held, tokens, place)
    if isinstance(parent, dict):
        parent[tokens[-1]] = value
        return
    parent.insert(len(parent) if tokens[-1] == "-" else _index(tokens[-1], len(parent), place), value)


def _take(held: _Held, tokens: list[str], place: str) -> Any:
    parent, key = _found(held, tokens, place)
    if tokens == [""]:
        raise failed(place, "cannot remove the resource itself")
    return parent.pop(key)


def _found(held: _Held, tokens: list[str], place: str) -> tuple[Any, Any]:
    """Parent and key of a value that is there."""
    parent = _parent(held, tokens, place)
    if isinstance(parent, list):
        return parent, _index(tokens[-1], len(parent) - 1, place)
    if tokens[-1] not in parent:
        raise _missing(place)
    return parent, tokens[-1]


def _parent(held: _Held, tokens: list[str], place: str) -> Any:
    value: Any = held
    for token in tokens[:-1]:
        if isinstance(value, list):
            value = value[_index(token, len(value) - 1, place)]
        elif isinstance(value, dict) and token in value:
            value = value[token]
        else:
            raise _missing(place)
    if not isinstance(value, dict | list):
        raise _missing(place)
    return value


def _index(token: str, last: int, place: str) -> int:
    if not _INDEX.fullmatch(token):
        raise failed(place, "names an array item by something that is no index")
    if int(token) > last:
        raise _missing(place)
    return int(token)


def _missing(place: str) -> FaultsError:
    return failed(place, "points to something that is not there")
