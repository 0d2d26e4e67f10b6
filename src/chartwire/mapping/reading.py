"""Closures that read: the leaf of a field, a field as parts of a composite, raw field text."""

from collections.abc import Callable
from typing import Any

from chartwire.formats.hl7v2 import NULL
from chartwire.mapping.context import Context
from chartwire.mapping.groups import Frame
from chartwire.mapping.language import MapError, Mark, Path
from chartwire.mapping.scope import Fn, Scope

RawReader = Callable[[Context, Any], str]
PartsReader = Callable[[Context, Any], list[str] | None]


def raw_reader(path: Path, scope: Scope, mark: Mark) -> RawReader:
    """Undecoded text of a whole field; '' where it is absent."""
    if not path.segment or path.component:
        raise MapError("a whole field is expected here (PID-5)", mark)
    climb, name, number = (None,) * scope.climb(path, mark), path.segment, path.field

    def read(_context: Context, frame: Frame) -> str:
        for _ in climb:
            frame = frame.parent or frame
        segment = frame.segments.get(name)
        return segment.raw(number) if segment is not None else ""

    return read


def leaf_reader(path: Path, scope: Scope, mark: Mark) -> Fn:
    """One leaf as text (Context.text); a path without component reads the first one of the first repetition."""
    if not path.segment:
        return _part_reader(path, scope, mark)
    climb, name, number = (None,) * scope.climb(path, mark), path.segment, path.field
    component, sub = max(path.component - 1, 0), max(path.sub - 1, 0)
    simple = component == 0 and sub == 0

    def leaf(context: Context, frame: Frame) -> Any:
        for _ in climb:
            frame = frame.parent or frame
        segment = frame.segments.get(name)
        if segment is None:
            return None
        raw = segment.raw(number)
        if not raw:
            return None
        if raw.isalnum():
            return raw if simple else None
        raw = raw.partition(context.repetition)[0]
        return _pick(context, raw.split(context.component), component, sub)

    return leaf


def _pick(context: Context, parts: list[str], component: int, sub: int) -> str | None:
    if component >= len(parts):
        return None
    raw = parts[component]
    if not raw:
        return None
    if context.sub in raw:
        pieces = raw.split(context.sub)
        raw = pieces[sub] if sub < len(pieces) else ""
    elif sub:
        return None
    return context.text(raw) if raw else None


def _part_reader(path: Path, scope: Scope, mark: Mark) -> Fn:
    if scope.group is not None:
        raise MapError("component paths (.1) stand only inside a composite", mark)
    component, sub = max(path.component - 1, 0), max(path.sub - 1, 0)

    def leaf(context: Context, parts: list[str]) -> Any:
        if component >= len(parts):
            return None
        raw = parts[component]
        if not raw:
            return None
        if raw.isalnum():
            return None if sub else raw
        return _pick(context, parts, component, sub)

    return leaf


def parts_reader(path: Path, scope: Scope, mark: Mark) -> PartsReader:
    """A composite's parts: components of a field's first filled repetition, or subcomponents of one component.

    `.` is the composite at hand itself. None where nothing stands there, or only `""`.
    """
    if not path.segment:
        if scope.group is not None:
            raise MapError("component paths (.1) stand only inside a composite", mark)
        component = path.component - 1
        if component < 0:
            return lambda _context, parts: parts

        def inner(context: Context, parts: list[str]) -> list[str] | None:
            raw = parts[component] if component < len(parts) else ""
            return raw.split(context.sub) if raw and raw != NULL else None

        return inner
    read = raw_reader(Path(path.segment, path.field, 0, 0), scope, mark)
    position = path.component - 1

    def outer(context: Context, frame: Frame) -> list[str] | None:
        raw = read(context, frame)
        if not raw:
            return None
        for part in raw.split(context.repetition):
            if part and part != NULL:
                parts = part.split(context.component)
                if position < 0:
                    return parts
                piece = parts[position] if position < len(parts) else ""
                return piece.split(context.sub) if piece else None
        return None

    return outer


def says_clear(context: Context, frame: Frame) -> bool:
    """Whether the frame's first segment holds nothing but `""`, its set id (field 1) aside: the list is cleared."""
    segment = frame.segments.get(frame.group.opens[0])
    if segment is None:
        return False
    filled = [segment.raw(number) for number in range(2, segment.field_count + 1) if segment.raw(number)]
    return bool(filled) and all(context.cleared(raw) for raw in filled)
