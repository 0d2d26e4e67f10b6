"""Elements' names checked before anything is evaluated, as far as the types of an expression are known."""

from chartwire.formats.fhirpath import nodes, syntax
from chartwire.formats.fhirpath.syntax import Expression, FhirPathError

Types = frozenset[str] | None
"""The FHIR types that a part may have; None where that is not known before it is evaluated."""

_SAME_TYPE = frozenset(
    {"where", "first", "last", "tail", "skip", "take", "single", "exclude", "distinct", "trace", "sort"}
)
_CRITERIA = frozenset({"where", "select", "exists", "all", "repeat", "aggregate", "sort", "trace", "iif"})
"""Functions whose arguments are evaluated on each item."""
_TYPE_ARGUMENTS = frozenset({"is", "as", "ofType"})


def check_members(expression: Expression, type_name: str) -> None:
    """Raise FhirPathError at the first name that no element has of the types that stand before it."""
    _types(expression, frozenset({type_name}))


def _types(expression: Expression, this: Types) -> Types:
    """The types that a part yields, after a look at everything in it."""
    match expression:
        case syntax.Member():
            return _member(expression, this, first=True)
        case syntax.Call():
            return _call(expression, this, this)
        case syntax.Invoke(left=left, right=right):
            return _invoked(right, _types(left, this), this)
        case syntax.Indexer(left=left, index=index):
            _types(index, this)
            return _types(left, this)
        case syntax.TypeTest(operand=operand, type=name, operator=operator):
            _types(operand, this)
            return frozenset({nodes.named_type(name)}) if operator == "as" else None
        case syntax.Binary(left=left, right=right, operator=operator):
            ours, theirs = _types(left, this), _types(right, this)
            return ours | theirs if operator == "|" and ours is not None and theirs is not None else None
        case syntax.Special(name="$this"):
            return this
        case syntax.Sign(operand=operand):
            _types(operand, this)
    return None


def _invoked(right: Expression, items: Types, this: Types) -> Types:
    if isinstance(right, syntax.Member):
        return _member(right, items, first=False)
    return _call(right, items, this) if isinstance(right, syntax.Call) else _types(right, this)


def _call(call: syntax.Call, items: Types, this: Types) -> Types:
    if call.name in _TYPE_ARGUMENTS:
        return None
    found = [_types(argument, items if call.name in _CRITERIA else this) for argument in call.arguments]
    if call.name == "select" and found:
        return found[0]
    if call.name == "extension":
        return frozenset({"Extension"})
    return items if call.name in _SAME_TYPE else None


def _member(member: syntax.Member, items: Types, *, first: bool) -> Types:
    if first and member.name[0].isupper() and nodes.is_known(member.name):
        if items and not any(nodes.is_kind_of(one, member.name) for one in items):
            raise FhirPathError(f"what stands here is no {member.name}", position=member.at)
        return items
    if items is None or not all(nodes.slots(one) for one in items) or "Resource" in items:
        return None
    found = {slot.type for one in items for slot in nodes.slots(one).get(member.name, ())}
    if not found:
        raise FhirPathError(f"{' or '.join(sorted(items))} has no element `{member.name}`", position=member.at)
    return frozenset(found)
