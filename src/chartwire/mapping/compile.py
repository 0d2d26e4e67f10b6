"""The checked tree to closures `(context, place) -> value`. A place is a Frame (segment paths) or a composite's parts.

None means that the message does not speak of it. No closure loops over anything but the message itself.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chartwire.core.source import Source
from chartwire.formats.hl7v2 import NULL
from chartwire.mapping import modifiers, naming
from chartwire.mapping.conditions import compile_condition
from chartwire.mapping.context import Context
from chartwire.mapping.gates import Selection, needs_of
from chartwire.mapping.groups import Frame
from chartwire.mapping.labels import Labels, label_of, labels_of
from chartwire.mapping.language import MapError, Path, Rule, Target, suggest
from chartwire.mapping.reading import PartsReader, leaf_reader, parts_reader, raw_reader
from chartwire.mapping.scope import Fn, Scope
from chartwire.mapping.transforms import LEAF, PURE, Alternate, Leaf

Body = tuple[tuple[Target, tuple[Rule, ...]], ...]
Named = tuple[str, Fn, Labels | None]
DYNAMIC = frozenset({"first", "cases", "var"})
"""Heads whose source fields are known only when they have run: Context.trace."""
Step = tuple[str, Fn, tuple[str, ...], bool]
_COMPONENTS_MAX = 99


def compile_rule(rule: Rule, scope: Scope) -> Fn:
    """The closure of one expression with its modifiers. Raises MapError."""
    if rule.within:
        inner, wrap = modifiers.within(rule.within, rule, scope)
        return wrap(compile_rule(replace(rule, within=""), inner))
    lets = compile_let(rule.let, scope)
    label = label_of(rule, scope)
    fn = _HEADS[rule.head](rule, scope)
    if rule.transform and rule.head not in {"from", "each"}:
        fn = _leaf_applied(fn, rule, label)
    if rule.table:
        fn = modifiers.translated(fn, rule, scope, label)
    if rule.require and rule.head not in {"each", "object"}:
        fn = modifiers.required(fn, rule.require)
    if rule.fill:
        fn = modifiers.filled(fn, [(name, compile_rule(part, scope)) for name, part in rule.fill])
    if rule.default is not None:
        fn = modifiers.defaulted(fn, compile_rule(rule.default, scope))
    if rule.finding:
        fn = modifiers.reported(fn, rule, label)
    if rule.when is not None and not (rule.head == "each" and rule.name):
        fn = modifiers.guarded(fn, compile_condition(rule.when, scope))
    return modifiers.with_let(fn, lets) if lets else fn


def compile_let(lets: tuple[tuple[str, Rule], ...], scope: Scope) -> list[Named]:
    """Named expressions in order; each may use those before it."""
    found = []
    for name, rule in lets:
        if scope.group is None:
            raise MapError("let stands only where segments are read, not inside a composite", rule.mark)
        labels = None if rule.head in DYNAMIC else labels_of(rule, scope)
        found.append((name, compile_rule(rule, scope), labels))
        scope.variables.add(name)
    return found


def compile_object(body: Body, scope: Scope, require: tuple[str, ...] = ()) -> Fn:
    """A closure that builds a dict from targets; None where nothing came, or an element of `require` did not."""
    steps = [(needs_of(rule), _step(target, rule, scope)) for target, rules in body for rule in rules]
    select = _every([step for _, step in steps]) if scope.group is not None else _by_components(Selection(steps))

    def build(context: Context, place: Any) -> Any:
        out: dict[str, Any] = {}
        for simple, fn, names, many in select(place):
            value = fn(context, place)
            if value is None:
                continue
            if simple and type(value) is not Alternate:
                out[simple] = value
            else:
                put(out, names, many, value)
        for name in require:
            if name not in out:
                return None
        return out or None

    return build


def _step(target: Target, rule: Rule, scope: Scope) -> Step:
    simple = target.names[0] if len(target.names) == 1 and not target.many else ""
    return simple, compile_rule(rule, scope), target.names, target.many


def _every(steps: list[Step]) -> Callable[[Any], tuple[Step, ...]]:
    chosen = tuple(steps)
    return lambda _place: chosen


def _by_components(selection: Selection[Step]) -> Callable[[Any], tuple[Step, ...]]:
    return lambda parts: selection.by(pattern_of(parts), lambda: filled_components(parts))


def pattern_of(parts: list[str]) -> tuple[bool, ...]:
    """Which components are filled, as far as a path can name them."""
    return tuple(map(bool, parts[:_COMPONENTS_MAX]))


def filled_components(parts: list[str]) -> frozenset[str]:
    """The components that hold anything, as needs name them: .1, .3 ..."""
    return frozenset(f".{number}" for number, part in enumerate(parts[:_COMPONENTS_MAX], 1) if part)


def put(out: dict[str, Any], names: tuple[str, ...], many: bool, value: Any) -> int:
    """Set a value at a target; the number of array items it gave (1 for a single element)."""
    name = names[-1]
    if len(names) > 1:
        for outer in names[:-1]:
            out = out.setdefault(outer, {})
    if many:
        items = out.setdefault(name, [])
        if type(value) is list:
            items.extend(value)
            return len(value)
        items.append(value)
    elif type(value) is Alternate:
        value.put(out, name)
    else:
        out[name] = value
    return 1


def _from(rule: Rule, scope: Scope) -> Fn:
    if rule.inner is not None:
        inner = compile_rule(rule.inner, scope)
        return _leaf_applied(inner, rule, scope.label) if rule.transform else inner
    path = rule.path or Path("", 0, 0, 0)
    label = path.label if path.segment else scope.label
    if rule.make:
        return _making(parts_reader(path, scope, rule.mark), rule, scope, label)
    if not rule.transform:
        return leaf_reader(path, scope, rule.mark)
    if rule.transform in LEAF:
        return _leaf_applied(leaf_reader(path, scope, rule.mark), rule, label)
    fragment = _fragment(rule, scope.composite(label))
    return _parts_applied(parts_reader(path, scope, rule.mark), fragment)


def _leaf_applied(read: Fn, rule: Rule, label: str) -> Fn:
    leaf: Leaf | None = LEAF.get(rule.transform)
    if leaf is None:
        raise MapError(f"no transform {rule.transform}{suggest(rule.transform, LEAF)}", rule.mark)
    apply = leaf
    change = PURE.get(rule.transform)
    if change is not None:
        return _changed(read, change)

    def transform(context: Context, place: Any) -> Any:
        value = read(context, place)
        return None if value is None else apply(context, value if type(value) is str else str(value), label)

    return transform


def _changed(read: Fn, change: Callable[[str], Any]) -> Fn:
    def transform(context: Context, place: Any) -> Any:
        value = read(context, place)
        return None if value is None else change(value if type(value) is str else str(value))

    return transform


def _parts_applied(read: PartsReader, fragment: Fn) -> Fn:
    def transform(context: Context, place: Any) -> Any:
        parts = read(context, place)
        return None if parts is None else fragment(context, parts)

    return transform


def _fragment(rule: Rule, scope: Scope) -> Fn:
    """A fragment compiled for one source field, so that its findings name that field."""
    library = scope.library
    found = library.fragments.get(rule.transform)
    if found is None:
        known = (*LEAF, *library.fragments)
        raise MapError(f"no transform {rule.transform}{suggest(rule.transform, known)}", rule.mark)
    return library.once(f"{rule.transform} of {scope.label}", rule.mark, lambda: compile_rule(found, scope))


def _making(read: PartsReader, rule: Rule, scope: Scope, label: str) -> Fn:
    name, makers = rule.make, scope.library.makers
    if name not in makers:
        raise MapError(f"nothing makes {name}{suggest(name, makers)}", rule.mark)

    return _parts_applied(read, makers[name](label))


def _each(rule: Rule, scope: Scope) -> Fn:
    if rule.name:
        return _each_group(rule, scope)
    path = rule.path or Path("", 0, 0, 0)
    read = raw_reader(path, scope, rule.mark)
    inner = _item(rule, scope.composite(path.label))
    joint, label = rule.by, path.label

    def items(context: Context, place: Any) -> Any:
        raw = read(context, place)
        if not raw:
            return None
        found = []
        for part in context.repetitions(raw, label) if context.repetition in raw else (raw,):
            if part and part != NULL:
                value = inner(context, part.split(context.component))
                if value is not None:
                    found.append(value)
        return (joint.join(found) if joint else found) if found else None

    return items


def _item(rule: Rule, scope: Scope) -> Fn:
    if rule.make:
        return _making(lambda _, parts: parts, rule, scope, scope.label)
    if rule.body:
        return compile_object(rule.body, scope, rule.require)
    whole = leaf_reader(Path("", 0, 1, 0), scope, rule.mark)
    if not rule.transform:
        return whole
    return _leaf_applied(whole, rule, scope.label) if rule.transform in LEAF else _fragment(rule, scope)


def _each_group(rule: Rule, scope: Scope) -> Fn:
    group = (scope.structure.groups if scope.structure else {}).get(rule.name)
    if group is None:
        known = scope.structure.groups if scope.structure else {}
        raise MapError(f"no group {rule.name} here{suggest(rule.name, known)}", rule.mark)
    place = scope.inside(group)
    inner = compile_object(rule.body, place, rule.require)
    if rule.when is not None:
        inner = modifiers.guarded(inner, compile_condition(rule.when, place))
    name = rule.name

    def items(context: Context, frame: Frame) -> Any:
        found = [value for inside in frame.inside(name) if (value := inner(context, inside)) is not None]
        return found or None

    return items


def _lines(rule: Rule, scope: Scope) -> Fn:
    path = rule.path or Path("", 0, 0, 0)
    up = scope.climb(path, rule.mark)
    name, number, joint = path.segment, path.field, rule.by or "\n"

    def text(context: Context, frame: Frame) -> Any:
        for _ in range(up):
            frame = frame.parent or frame
        found = []
        for segment in frame.all(name):
            raw = segment.raw(number)
            found += [context.paragraph(part) or "" for part in raw.split(context.repetition)] if raw != NULL else []
        return joint.join(found).strip("\n") or None

    return text


def _value(rule: Rule, _scope: Scope) -> Fn:
    literal = rule.literal
    return lambda _context, _place: literal


def _first(rule: Rule, scope: Scope) -> Fn:
    options = [(compile_rule(part, scope), labels_of(part, scope)) for part in rule.parts]
    if rule.order:
        return _ordered(rule, options)

    def choose(context: Context, place: Any) -> Any:
        for fn, labels in options:
            value = fn(context, place)
            if value is not None:
                context.trace = labels
                return value
        return None

    return choose


def _ordered(rule: Rule, options: list[tuple[Fn, Labels]]) -> Fn:
    """As `first`, in the order that a setting of the source gives to the paths of the parts."""
    by_path = {str(part.path): option for part, option in zip(rule.parts, options, strict=True)}
    setting = rule.order
    if setting not in Source.__dataclass_fields__:
        raise MapError(f"a source has no setting {setting}{suggest(setting, Source.__dataclass_fields__)}", rule.mark)

    def choose(context: Context, place: Any) -> Any:
        for name in getattr(context.source, setting):
            fn, labels = by_path.get(name, (None, ()))
            value = fn(context, place) if fn else None
            if value is not None:
                context.trace = labels
                return value
        return None

    return choose


def _cases(rule: Rule, scope: Scope) -> Fn:
    """The first part whose `when` holds (a part without one always does); its None is the answer too."""
    options = []
    for part in rule.parts:
        test = compile_condition(part.when, scope) if part.when is not None else None
        options.append((test, compile_rule(replace(part, when=None), scope), labels_of(part, scope)))

    def choose(context: Context, place: Any) -> Any:
        for test, fn, labels in options:
            if test is None or test(context, place):
                value = fn(context, place)
                context.trace = labels
                return value
        return None

    return choose


def _join(rule: Rule, scope: Scope) -> Fn:
    parts = [compile_rule(part, scope) for part in rule.parts]
    joint = rule.by

    def join(context: Context, place: Any) -> Any:
        found = [str(value) for fn in parts if (value := fn(context, place)) is not None]
        return joint.join(found) if found else None

    return join


def _product(rule: Rule, scope: Scope) -> Fn:
    parts = [compile_rule(part, scope) for part in rule.parts]

    def multiply(context: Context, place: Any) -> Any:
        product = 1
        for fn in parts:
            value = fn(context, place)
            if value is None:
                return None
            product *= value
        return product

    return multiply


def _object(rule: Rule, scope: Scope) -> Fn:
    return compile_object(rule.body, scope, rule.require)


_HEADS: dict[str, Callable[[Rule, Scope], Fn]] = {
    "from": _from, "each": _each, "lines": _lines, "value": _value, "var": naming.variable, "first": _first,
    "cases": _cases, "join": _join, "product": _product, "object": _object, "reference": naming.reference,
    "references": naming.references, "key_of": naming.key_of, "call": naming.call,
}  # fmt: skip
