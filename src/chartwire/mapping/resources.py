"""Resource maps: one file says how one FHIR resource is drawn from a group of segments, or from a composite field."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from chartwire.mapping.compile import (
    DYNAMIC,
    Body,
    Named,
    compile_let,
    compile_object,
    compile_rule,
    filled_components,
    pattern_of,
    put,
)
from chartwire.mapping.conditions import Test, compile_condition
from chartwire.mapping.context import Context
from chartwire.mapping.conversion import Json, Mapped
from chartwire.mapping.gates import Needs, Selection, needs_of
from chartwire.mapping.groups import Frame, Structure
from chartwire.mapping.labels import Labels, fields_of, labels_of
from chartwire.mapping.language import Condition, MapError, Mark, Path, Reader, Rule, suggest
from chartwire.mapping.modifiers import set_variables
from chartwire.mapping.reading import raw_reader, says_clear
from chartwire.mapping.scope import Fn, Library, Scope

_KEYS: Final = (
    "resource", "name", "group", "composite", "when", "let", "key", "missing", "keys", "duplicates", "directory",
    "display", "facts", "snapshot", "gather", "findings", "body", "variants", "absent",
)  # fmt: skip
_DUPLICATES: Final = ("first", "ordinal", "share")
OTHERWISE: Final = "otherwise"
"""The variant for every value that no other names, and for none."""
CONSTANT: Final = "constant"
"""The source field of an element that the map itself sets."""


@dataclass(slots=True)
class ResourceMap:
    """The checked tree of one resource map."""

    mark: Mark
    resource: str
    name: str
    group: str = ""
    when: Condition | None = None
    let: tuple[tuple[str, Rule], ...] = ()
    key: Rule | None = None
    keys: tuple[Rule, ...] = ()
    findings: tuple[tuple[Condition, str, str], ...] = ()
    missing: str = ""
    duplicates: str = "first"
    directory: bool = False
    display: Rule | None = None
    facts: Body = ()
    snapshot_scope: tuple[str, ...] = ()
    snapshot_action: Path | None = None
    gather_when: Condition | None = None
    gather_same: tuple[Path, ...] = ()
    body: Body = ()
    variant_on: Path | None = None
    variants: tuple[tuple[tuple[str, ...], Body], ...] = ()
    absent: Body = ()


def read_resource_map(text: str, file: str) -> ResourceMap:
    """The tree of a file. Raises MapError."""
    reader = Reader(text, file)
    entries = dict(reader.items(reader.root, _KEYS))
    mark = reader.mark(reader.root)
    for needed in ("resource", "key", "body"):
        if needed not in entries:
            raise MapError(f"{needed} is missing", mark)
    resource = reader.text(entries["resource"])
    found = ResourceMap(mark, resource, resource)
    for name, node in entries.items():
        _READERS.get(name, _read_word)(reader, found, name, node)
    if found.duplicates not in _DUPLICATES:
        raise MapError(f"duplicates is one of {', '.join(_DUPLICATES)}", reader.mark(entries["duplicates"]))
    return found


def _read_word(reader: Reader, found: ResourceMap, name: str, node: yaml.Node) -> None:
    setattr(found, name, reader.text(node))


def _read_flag(reader: Reader, found: ResourceMap, name: str, node: yaml.Node) -> None:
    if name == "directory":
        found.directory = bool(reader.plain(node))


def _read_rule(reader: Reader, found: ResourceMap, name: str, node: yaml.Node) -> None:
    setattr(found, name, reader.rule(node))


def _read_keys(reader: Reader, found: ResourceMap, _name: str, node: yaml.Node) -> None:
    found.keys = tuple(reader.rule(item) for item in reader.sequence(node))


def _read_findings(reader: Reader, found: ResourceMap, _name: str, node: yaml.Node) -> None:
    told = []
    for item in reader.sequence(node):
        entries = dict(reader.items(item, ("say", "at", "when")))
        if len(entries) < 3:
            raise MapError("a finding has say, at and when", reader.mark(item))
        told.append((reader.condition(entries["when"]), reader.text(entries["at"]), reader.text(entries["say"])))
    found.findings = tuple(told)


def _read_body(reader: Reader, found: ResourceMap, name: str, node: yaml.Node) -> None:
    setattr(found, name, reader.body(node))


def _read_when(reader: Reader, found: ResourceMap, _name: str, node: yaml.Node) -> None:
    found.when = reader.condition(node)


def _read_let(reader: Reader, found: ResourceMap, _name: str, node: yaml.Node) -> None:
    found.let = reader.let(node)


def _read_snapshot(reader: Reader, found: ResourceMap, _name: str, node: yaml.Node) -> None:
    for key, value in reader.items(node, ("scope", "action")):
        if key == "scope":
            found.snapshot_scope = reader.texts(value)
        else:
            found.snapshot_action = reader.path(value)


def _read_variants(reader: Reader, found: ResourceMap, _name: str, node: yaml.Node) -> None:
    told = []
    for key, value in reader.items(node):
        if key == "on":
            found.variant_on = reader.path(value)
        else:
            told.append((tuple(key.split()), reader.body(value)))
    if found.variant_on is None:
        raise MapError("variants need `on`, the path whose value chooses", reader.mark(node))
    found.variants = tuple(told)


def _read_gather(reader: Reader, found: ResourceMap, _name: str, node: yaml.Node) -> None:
    for key, value in reader.items(node, ("when", "same")):
        if key == "when":
            found.gather_when = reader.condition(value)
        else:
            found.gather_same = tuple(reader.path(item) for item in reader.sequence(value))


_READERS: Final[dict[str, Callable[[Reader, ResourceMap, str, yaml.Node], None]]] = {
    "directory": _read_flag, "composite": _read_flag, "key": _read_rule, "keys": _read_keys, "display": _read_rule,
    "findings": _read_findings, "body": _read_body, "absent": _read_body, "facts": _read_body, "when": _read_when,
    "let": _read_let, "snapshot": _read_snapshot, "gather": _read_gather, "variants": _read_variants,
}  # fmt: skip


@dataclass(slots=True)
class Statement:
    """One compiled target of a body. `labels` None = lineage is known only when the closure has run."""

    path: str
    names: tuple[str, ...]
    many: bool
    fn: Fn
    labels: Labels | None
    nulls: list[tuple[int, str, int, str]]
    group: str = ""

    def run(self, context: Context, place: Any, mapped: Mapped) -> None:
        """Evaluate; set the element with its lineage, or note that the sender cleared it."""
        value = self.fn(context, place)
        if value is None:
            if context.has_nulls and (self.nulls or self.group):
                self._note_clear(context, place, mapped)
            return
        labels = context.trace if self.labels is None else self.labels
        count = put(mapped.body, self.names, self.many, value)
        if self.many:
            source = labels[0][0] if labels else CONSTANT
            earlier = mapped.lineage.get(self.path, ())
            mapped.lineage[self.path] = (*earlier, (source, count))
        else:
            mapped.lineage[self.path] = labels or ((CONSTANT, 1),)

    def _note_clear(self, context: Context, frame: Frame, mapped: Mapped) -> None:
        for up, name, number, label in self.nulls:
            place = frame
            for _ in range(up):
                place = place.parent or place
            segment = place.segments.get(name)
            if segment is not None and context.cleared(segment.raw(number)):
                self._clear(mapped, label)
                return
        for inner in frame.inside(self.group) if self.group else ():
            if says_clear(context, inner):
                self._clear(mapped, inner.group.opens[0])

    def _clear(self, mapped: Mapped, label: str) -> None:
        told = mapped.clears.get(self.path, "").split()
        if label not in told:
            mapped.clears[self.path] = " ".join([*told, label])


def compile_statements(body: Body, scope: Scope) -> list[tuple[Needs, Statement]]:
    """The statements of a body in order, with their needs. Raises MapError."""
    found: list[tuple[Needs, Statement]] = []
    for target, rules in body:
        for rule in rules:
            dynamic = rule.head in DYNAMIC or rule.inner is not None
            labels = None if dynamic else labels_of(rule, scope)
            nulls = []
            if scope.group is not None:
                cleared_by = fields_of(rule, own=True)
                nulls = [(scope.climb(path, rule.mark), path.segment, path.field, path.label) for path in cleared_by]
            fn, group = compile_rule(rule, scope), rule.name if rule.head == "each" else ""
            if group and scope.structure is not None:
                labels = ((scope.structure.groups[group].opens[0], 1),)
            statement = Statement(target.path, target.names, target.many, fn, labels, nulls, group)
            found.append((needs_of(rule), statement))
    return found


@dataclass(slots=True)
class Plan:
    """A resource map compiled for one message structure."""

    map: ResourceMap
    key: Fn
    keys: list[Fn]
    findings: list[tuple[Test, str, str, str]]
    when: Test | None
    let: list[Named]
    facts: Fn | None
    statements: Selection[Statement]
    absent: list[tuple[frozenset[str], Statement]]
    variant_on: Fn | None = None
    variants: dict[str, Selection[Statement]] = field(default_factory=dict)
    gather_when: Test | None = None
    gather_same: list[Fn] = field(default_factory=list)
    action: Fn | None = None

    def draft(self, context: Context, frame: Frame) -> Mapped | None:
        """The resource with its key alone, so that others can refer to it; None where it is not to be made."""
        if self.let:
            set_variables(context, frame, self.let)
        if self.when is not None and not self.when(context, frame):
            return None
        key = self.key(context, frame)
        if key is None:
            if self.map.missing:
                code, _, message = self.map.missing.partition(": ")
                context.find(code, self.map.mark.file.removesuffix(".yaml"), message)
            return None
        return self._unique(context, frame, str(key))

    def _unique(self, context: Context, frame: Frame, key: str) -> Mapped | None:
        kind, name = self.map.resource, key
        if (kind, name) in context.keys:
            if self.map.duplicates != "ordinal":
                if self.map.duplicates == "first" and not self.map.directory:
                    context.find("repeated_entry", kind, "an entry stands twice; the first is taken", "information")
                frame.note(self.map.name, context.keys[kind, name])
                return None
            ordinal = context.ordinals.get((kind, key), 1)
            while (kind, name) in context.keys:
                ordinal += 1
                name = f"{key}|{ordinal}"
            context.ordinals[kind, key] = ordinal
        mapped = context.draft(kind, name, directory=self.map.directory)
        frame.note(self.map.name, mapped)
        return mapped

    def _further_keys(self, context: Context, frame: Frame, first: str) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for fn in self.keys:
            value = fn(context, frame)
            found.update(dict.fromkeys(value if isinstance(value, tuple) else [value] if value else []))
        found.pop(first, None)
        return tuple(found)

    def complete(self, context: Context, frame: Frame, mapped: Mapped) -> None:
        """Fill the drafted resource and take it into the conversion."""
        if self.keys:
            mapped.keys = self._further_keys(context, frame, mapped.key)
        for test, code, location, message in self.findings:
            if test(context, frame):
                context.find(code, location, message)
        for statement in self.statements.by(frame.pattern(), frame.filled):
            statement.run(context, frame, mapped)
        if self.variant_on is not None:
            variant = self.variants.get(self.variant_on(context, frame) or "", self.variants.get(OTHERWISE))
            for statement in variant.by(frame.pattern(), frame.filled) if variant is not None else ():
                statement.run(context, frame, mapped)
        for names, statement in self.absent:
            if names.isdisjoint(mapped.body):
                statement.run(context, frame, mapped)
        if self.facts is not None:
            mapped.facts = self.facts(context, frame) or {}
        context.add(mapped)


def compile_plan(
    source: ResourceMap, library: Library, structure: Structure, reads: dict[str, set[int]], variables: set[str]
) -> Plan:
    """A resource map for one structure; `reads` gathers every field that it looks at. Raises MapError.

    `variables` are names that the message map gives before.
    """
    group = structure.groups.get(source.group)
    if group is None:
        raise MapError(
            f"no group {source.group} in {structure.name}{suggest(source.group, structure.groups)}", source.mark
        )
    scope = Scope(library, structure, group, variables=set(variables), reads=reads)
    let = compile_let(source.let, scope)
    if source.key is not None:
        library.key_labels[source.name] = labels_of(source.key, scope)
    gather = compile_condition(source.gather_when, scope) if source.gather_when else None
    return Plan(
        map=source,
        key=_rule(source.key, scope) or _nothing,
        keys=[compile_rule(rule, scope) for rule in source.keys],
        findings=[_finding(test, place, words, scope) for test, place, words in source.findings],
        when=compile_condition(source.when, scope) if source.when else None,
        let=let,
        facts=compile_object(source.facts, scope) if source.facts else None,
        statements=Selection(compile_statements(source.body, scope)),
        absent=[
            (frozenset({statement.names[0], f"_{statement.names[0]}"}), statement)
            for _, statement in compile_statements(source.absent, scope)
        ],
        gather_when=gather,
        gather_same=[_raw(path, scope, source.mark) for path in source.gather_same],
        variant_on=_rule(Rule(source.mark, "from", path=source.variant_on), scope) if source.variant_on else None,
        variants=_variants(source, scope),
        action=_rule(Rule(source.mark, "from", path=source.snapshot_action), scope) if source.snapshot_action else None,
    )


def _variants(source: ResourceMap, scope: Scope) -> dict[str, Selection[Statement]]:
    found: dict[str, Selection[Statement]] = {}
    for values, body in source.variants:
        statements = Selection(compile_statements(body, scope))
        found |= dict.fromkeys(values, statements)
    return found


def _finding(test: Condition, place: str, words: str, scope: Scope) -> tuple[Test, str, str, str]:
    code, _, message = words.partition(": ")
    return compile_condition(test, scope), code, place, message


def _nothing(_context: Context, _place: Any) -> Any:
    return None


def _rule(rule: Rule | None, scope: Scope) -> Fn | None:
    return compile_rule(rule, scope) if rule is not None else None


def _raw(path: Path, scope: Scope, mark: Mark) -> Fn:
    return raw_reader(path, scope, mark)


def compile_maker(source: ResourceMap, library: Library, label: str) -> Fn:
    """A resource map of a composite, for one source field: (context, parts) -> Reference. Raises MapError."""
    scope = Scope(library, label=label)
    key = compile_rule(source.key, scope) if source.key else _nothing
    display = _rule(source.display, scope)
    when = compile_condition(source.when, scope) if source.when else None
    statements = Selection(compile_statements(source.body, scope))
    kind, directory, name = source.resource, source.directory, source.name

    def draw(context: Context, parts: list[str]) -> Json | None:
        if when is not None and not when(context, parts):
            return None
        reference: Json = {}
        identity = key(context, parts)
        if identity is not None:
            mapped = context.keys.get((kind, identity))
            if mapped is None:
                mapped = context.draft(kind, identity, directory=directory)
                for statement in statements.by(pattern_of(parts), lambda: filled_components(parts)):
                    statement.run(context, parts, mapped)
                context.add(mapped)
            reference["reference"] = f"{kind}/{mapped.body['id']}"
        text = display(context, parts) if display is not None else None
        if text is not None:
            reference["display"] = text
        return reference or None

    def make(context: Context, parts: list[str]) -> Any:
        return context.remember((name, label, "\x1f".join(parts)), draw, parts)

    return make
