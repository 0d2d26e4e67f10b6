"""`when:` to closures `(context, place) -> bool`."""

import re
from collections.abc import Callable
from functools import reduce
from typing import Any, Final

from chartwire.mapping.context import Context
from chartwire.mapping.groups import Frame
from chartwire.mapping.language import Condition, MapError, Path, suggest
from chartwire.mapping.reading import leaf_reader
from chartwire.mapping.scope import Scope
from chartwire.mapping.tables import OID

Test = Callable[[Context, Any], bool]

SHAPES: Final = {
    "number": re.compile(r"[+-]?(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})"),
    "numeric": re.compile(r"(?:<=|>=|<|>|=)?\s*[+-]?(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})"),
    "long_time": re.compile(r"\d{10,}.*"),
    "phone": re.compile(r"\+?[\d().\-\s/]{6,}\d(?:\s*(?:x|ext\.?)\s*\d+)?", re.IGNORECASE),
    "email": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    "oid": OID,
    "local_system": re.compile(r"(?:L|LOCAL|99[A-Z0-9_]*|HL7\d+|NPI|UPIN)", re.IGNORECASE),
    "uuid": re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "media_type": re.compile(r"[A-Za-z0-9][\w.+-]{0,60}/[\w.+-]{1,80}", re.ASCII),
    "uri": re.compile(r"(?:https?://|urn:)\S+"),
}


def compile_condition(condition: Condition, scope: Scope) -> Test:
    """The closure of one condition. Raises MapError."""
    return _KINDS[condition.kind](condition, scope)


def _subject(condition: Condition, scope: Scope) -> Callable[[Context, Any], Any]:
    path = condition.path or Path("", 0, 0, 0)
    return leaf_reader(path, scope, condition.mark)


def _whole(condition: Condition, scope: Scope) -> Callable[[Context, Any], Any]:
    """Any leaf of the field or component: `valued` must also see CWE.2 where CWE.1 is empty."""
    path = condition.path or Path("", 0, 0, 0)
    if path.component or not path.segment:
        return _subject(condition, scope)
    climb, name, number = (None,) * scope.climb(path, condition.mark), path.segment, path.field

    def read(context: Context, frame: Frame) -> Any:
        for _ in climb:
            frame = frame.parent or frame
        segment = frame.segments.get(name)
        raw = segment.raw(number) if segment is not None else ""
        return raw if raw and context.speaks(raw) else None

    return read


def _valued(condition: Condition, scope: Scope) -> Test:
    read = _whole(condition, scope)
    return lambda context, place: read(context, place) is not None


def _empty(condition: Condition, scope: Scope) -> Test:
    read = _whole(condition, scope)
    return lambda context, place: read(context, place) is None


def _in(condition: Condition, scope: Scope) -> Test:
    read, values = _subject(condition, scope), frozenset(condition.values)
    return lambda context, place: read(context, place) in values


def _is(condition: Condition, scope: Scope) -> Test:
    name = condition.values[0]
    if name not in SHAPES:
        raise MapError(f"unknown shape {name}{suggest(name, SHAPES)}", condition.mark)
    read, shape = _subject(condition, scope), SHAPES[name]

    def test(context: Context, place: Any) -> bool:
        value = read(context, place)
        return value is not None and shape.fullmatch(value) is not None

    return test


def _not(condition: Condition, scope: Scope) -> Test:
    inner = compile_condition(condition.parts[0], scope)
    return lambda context, place: not inner(context, place)


def _all(condition: Condition, scope: Scope) -> Test:
    return reduce(_both, [compile_condition(part, scope) for part in condition.parts])


def _any(condition: Condition, scope: Scope) -> Test:
    return reduce(_either, [compile_condition(part, scope) for part in condition.parts])


def _both(one: Test, other: Test) -> Test:
    return lambda context, place: one(context, place) and other(context, place)


def _either(one: Test, other: Test) -> Test:
    return lambda context, place: one(context, place) or other(context, place)


def _event(condition: Condition, _scope: Scope) -> Test:
    events = frozenset(condition.values)
    return lambda context, _place: context.trigger in events


def _made(condition: Condition, _scope: Scope) -> Test:
    (name,) = condition.values

    def test(_context: Context, frame: Frame | None) -> bool:
        while frame is not None:
            if name in frame.made:
                return True
            frame = frame.parent
        return False

    return test


def _known(condition: Condition, scope: Scope) -> Test:
    read = _subject(condition, scope)
    table = scope.library.tables.get(condition.values[0], condition.mark)

    def test(context: Context, place: Any) -> bool:
        value = read(context, place)
        return value is not None and table.find(value) is not None

    return test


def _set(condition: Condition, scope: Scope) -> Test:
    (name,) = condition.values
    if name not in scope.variables:
        raise MapError(f"nothing is called {name} here{suggest(name, scope.variables)}", condition.mark)
    return lambda _context, frame: frame.variables.get(name) is not None


def _inside(condition: Condition, scope: Scope) -> Test:
    (name,) = condition.values
    known = scope.structure.groups if scope.structure else {}
    if name not in known:
        raise MapError(f"no group {name} here{suggest(name, known)}", condition.mark)
    return lambda _context, frame: bool(frame.inside(name))


def _segment(condition: Condition, scope: Scope) -> Test:
    (name,) = condition.values
    if scope.group is None or not scope.group.takes(name):
        raise MapError(f"no segment {name} in this group", condition.mark)
    return lambda _context, frame: name in frame.segments


def _repeats(condition: Condition, scope: Scope) -> Test:
    read = _whole(condition, scope)

    def test(context: Context, place: Any) -> bool:
        raw = read(context, place)
        return raw is not None and context.repetition in raw

    return test


_KINDS: dict[str, Callable[[Condition, Scope], Test]] = {
    "valued": _valued, "empty": _empty, "in": _in, "is": _is, "not": _not, "all": _all, "any": _any,
    "event": _event, "made": _made, "known": _known, "set": _set, "inside": _inside, "repeats": _repeats,
    "segment": _segment,
}  # fmt: skip
