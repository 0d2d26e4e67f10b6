"""Which source fields an expression reads: for lineage, for findings, and for `""`, which clears an element."""

from chartwire.mapping.calls import CALL_FIELDS
from chartwire.mapping.conversion import Contribution
from chartwire.mapping.language import Condition, Path, Rule
from chartwire.mapping.scope import Scope

Labels = tuple[Contribution, ...]


def label_of(rule: Rule, scope: Scope) -> str:
    """The source field that findings name: the first that the expression reads, else that of the composite."""
    named = fields_of(rule)
    return named[0].label if named else scope.label


def fields_of(rule: Rule, *, own: bool = False) -> list[Path]:
    """The segment fields that an expression names, in order, each once; `own`: not those of groups further in."""
    found: dict[str, Path] = {}
    for part in _walk(rule, own):
        if part.path is not None and part.path.segment:
            found.setdefault(part.path.label, part.path)
    return list(found.values())


def labels_of(rule: Rule, scope: Scope) -> Labels:
    """The contributions that lineage records for an expression that gives one element.

    The fields that it reads; else those that its condition reads, or those that key what it refers to; else the
    composite's field.
    """
    fields = [path.label for path in fields_of(rule)]
    if not fields and rule.head in {"reference", "references", "key_of"}:
        fields = [label for label, _ in scope.library.key_labels.get(rule.name, ())]
    if not fields and rule.head == "call":
        fields = [CALL_FIELDS[rule.name]] if rule.name in CALL_FIELDS else []
    if not fields and rule.when is not None:
        fields = [path.label for path in paths_of(rule.when)]
    if not fields and scope.label:
        fields = [scope.label]
    return tuple((label, 1) for label in dict.fromkeys(fields))


def paths_of(condition: Condition) -> list[Path]:
    """The segment fields that a condition reads."""
    found = [condition.path] if condition.path is not None and condition.path.segment else []
    for part in condition.parts:
        found += paths_of(part)
    return found


def _walk(rule: Rule, own: bool) -> list[Rule]:
    if own and (rule.within or (rule.head == "each" and rule.name)):
        return []
    found = [rule]
    inner = [*rule.parts, *(part for _, rules in rule.body for part in rules)]
    inner += [part for part in (rule.inner, rule.default) if part is not None]
    for part in inner:
        found += _walk(part, own)
    return found
