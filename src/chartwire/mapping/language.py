"""The mapping language: YAML text to a checked tree with positions. docs/reference/mapping.md has every construct.

A tree holds no functions and reads no message; compile.py turns it into closures. Every fault of a map is a MapError
with file, line and, where one is near, the name that was probably meant.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

import yaml

from chartwire.core.errors import ValidationError

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FIELD: Final = re.compile(r"([A-Z][A-Z0-9]{2})-([1-9]\d{0,2})(?:\.([1-9]\d?)(?:\.([1-9]\d?))?)?")
_COMPONENT: Final = re.compile(r"\.(?:([1-9]\d?)(?:\.([1-9]\d?))?)?")
_TARGET: Final = re.compile(r"_?[a-zA-Z]\w*(?:\._?[a-zA-Z]\w*)*(?:\[\])?")

HEADS: Final = (
    "from", "each", "value", "first", "join", "product", "object", "cases", "reference", "references", "key_of",
    "lines", "call",
)  # fmt: skip
MODIFIERS: Final = (
    "as", "table", "otherwise", "make", "fill", "when", "default", "by", "require", "let", "finding", "within", "order",
)  # fmt: skip
CONDITIONS: Final = (
    "valued", "empty", "not", "all", "any", "event", "is", "made", "known", "set", "inside", "repeats",
    "segment",
)  # fmt: skip


class MapError(ValidationError):
    """A map that cannot be compiled. `file` and `line` (from 1) say where; the message may suggest a name."""

    def __init__(self, message: str, mark: "Mark", *, code: str = "map_invalid") -> None:
        super().__init__(f"{mark.file}:{mark.line}: {message}", code=code)
        self.file, self.line = mark.file, mark.line


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a map file; lines count from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Path:
    """A source path: a field of a segment (`PID-5.1.2`), or a part of the composite at hand (`.1.2`); 0 = the whole."""

    segment: str
    field: int
    component: int
    sub: int

    @property
    def label(self) -> str:
        """The field as lineage names it: `PID-5`."""
        return f"{self.segment}-{self.field}"

    def __str__(self) -> str:
        parts = "".join(f".{number}" for number in (self.component, self.sub) if number)
        return (self.label if self.segment else "") + parts


@dataclass(frozen=True, slots=True)
class Target:
    """Where a value goes: `period.start`, or `telecom[]` for the items of a list."""

    names: tuple[str, ...]
    many: bool

    @property
    def path(self) -> str:
        """The element path as lineage names it."""
        return ".".join(self.names)


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of `when:`; several keys in one mapping are joined by `all`."""

    mark: Mark
    kind: str
    path: Path | None = None
    values: tuple[str, ...] = ()
    parts: tuple["Condition", ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One source expression with its modifiers."""

    mark: Mark
    head: str
    path: Path | None = None
    name: str = ""
    literal: Any = None
    parts: tuple["Rule", ...] = ()
    body: tuple[tuple[Target, tuple["Rule", ...]], ...] = ()
    let: tuple[tuple[str, "Rule"], ...] = ()
    transform: str = ""
    table: str = ""
    otherwise: str = ""
    make: str = ""
    within: str = ""
    order: str = ""
    fill: tuple[tuple[str, "Rule"], ...] = ()
    when: Condition | None = None
    default: "Rule | None" = None
    by: str = ""
    require: tuple[str, ...] = ()
    finding: str = ""
    inner: "Rule | None" = field(default=None)


def suggest(word: str, known: Iterable[str]) -> str:
    """` (did you mean ...?)` for the nearest known word, else nothing."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


class Reader:
    """Walks the YAML nodes of one file."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        try:
            root = yaml.compose(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise MapError(f"not YAML: {error.problem}", Mark(file, line)) from None
        if root is None:
            raise MapError("the file is empty", Mark(file, 1))
        self.root: yaml.Node = root

    def mark(self, node: yaml.Node) -> Mark:
        """Where a node stands."""
        return Mark(self.file, node.start_mark.line + 1)

    def items(self, node: yaml.Node, known: Iterable[str] | None = None) -> Iterator[tuple[str, yaml.Node]]:
        """Keys and nodes of a mapping; MapError for anything else, a repeated key, or a key that is not `known`."""
        if not isinstance(node, yaml.MappingNode):
            raise MapError("a mapping is expected here", self.mark(node))
        seen: set[str] = set()
        for key_node, value in node.value:
            key = self.text(key_node)
            if key in seen:
                raise MapError(f"{key} stands here twice", self.mark(key_node))
            seen.add(key)
            if known is not None and key not in known:
                raise MapError(f"unknown key {key}{suggest(key, known)}", self.mark(key_node))
            yield key, value

    def text(self, node: yaml.Node) -> str:
        """A scalar as text."""
        if not isinstance(node, yaml.ScalarNode):
            raise MapError("a single word is expected here", self.mark(node))
        return str(node.value)

    def choice(self, node: yaml.Node, words: Sequence[str]) -> str:
        """One of these words. Raises MapError with the nearest."""
        word = self.text(node)
        if word not in words:
            raise MapError(f"{word} is none of {', '.join(words)}{suggest(word, words)}", self.mark(node))
        return word

    def sequence(self, node: yaml.Node) -> list[yaml.Node]:
        """A list as it is, anything else as a list of one."""
        return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]

    def texts(self, node: yaml.Node) -> tuple[str, ...]:
        """A scalar or a list of scalars."""
        return tuple(self.text(item) for item in self.sequence(node))

    def plain(self, node: yaml.Node) -> Any:
        """The node as plain data."""
        constructor = yaml.SafeLoader("")
        try:
            return constructor.construct_document(node)
        except yaml.MarkedYAMLError as error:
            raise MapError(f"not plain data: {error.problem}", self.mark(node)) from None
        finally:
            constructor.dispose()

    def path(self, node: yaml.Node) -> Path:
        """A source path."""
        text = self.text(node)
        found = parse_path(text)
        if found is None:
            raise MapError(f"{text!r} is no source path (PID-5, PID-5.1.2, .1)", self.mark(node))
        return found

    def rule(self, node: yaml.Node) -> Rule:
        """One expression: a word, or a mapping with one head and modifiers."""
        if isinstance(node, yaml.ScalarNode):
            return self._word(node)
        if not isinstance(node, yaml.MappingNode):
            raise MapError("an expression is expected here", self.mark(node))
        entries = dict(self.items(node, (*HEADS, *MODIFIERS)))
        heads = [head for head in HEADS if head in entries]
        if not heads and "make" in entries:
            heads = ["from"]
            entries["from"] = yaml.ScalarNode("tag:yaml.org,2002:str", ".", node.start_mark, node.end_mark)
        if heads == ["each", "object"]:
            heads = ["each"]
        if len(heads) != 1:
            raise MapError(f"one of {', '.join(HEADS)} is expected, not {len(heads)}", self.mark(node))
        return self._headed(node, heads[0], entries)

    def body(self, node: yaml.Node) -> tuple[tuple[Target, tuple[Rule, ...]], ...]:
        """Targets with their rules; a list of rules only for a list target."""
        found = []
        for key, value in self.items(node):
            target = self.target(key, value)
            nodes = self.sequence(value)
            if len(nodes) > 1 and not target.many:
                raise MapError(f"{key} takes one expression; write {key}[] for a list", self.mark(value))
            found.append((target, tuple(self.rule(item) for item in nodes)))
        return tuple(found)

    def target(self, text: str, node: yaml.Node) -> Target:
        """A target path."""
        if not _TARGET.fullmatch(text):
            raise MapError(f"{text!r} is no target path (name, period.start, telecom[])", self.mark(node))
        return Target(tuple(text.removesuffix("[]").split(".")), text.endswith("[]"))

    def let(self, node: yaml.Node) -> tuple[tuple[str, Rule], ...]:
        """Names with their expressions, in order."""
        return tuple((key, self.rule(value)) for key, value in self.items(node))

    def condition(self, node: yaml.Node) -> Condition:
        """What stands under `when:`."""
        mark = self.mark(node)
        parts = tuple(self._test(key, value) for key, value in self.items(node))
        if not parts:
            raise MapError("a condition is expected here", mark)
        return parts[0] if len(parts) == 1 else Condition(mark, "all", parts=parts)

    def _test(self, key: str, node: yaml.Node) -> Condition:
        mark = self.mark(node)
        if key in {"valued", "empty", "repeats"}:
            return Condition(mark, key, path=self.path(node))
        if key == "not":
            return Condition(mark, key, parts=(self.condition(node),))
        if key in {"all", "any"}:
            parts = tuple(self.condition(item) for item in self.sequence(node))
            if not parts:
                raise MapError(f"{key} needs at least one condition", mark)
            return Condition(mark, key, parts=parts)
        if key in {"event", "made", "set", "inside", "segment"}:
            return Condition(mark, key, values=self.texts(node))
        if key in {"is", "known"}:
            pairs = list(self.items(node))
            if len(pairs) != 1:
                raise MapError(f"{key} takes one name and one path", mark)
            return Condition(mark, key, path=self.path(pairs[0][1]), values=(pairs[0][0],))
        path = parse_path(key)
        if path is None:
            raise MapError(f"unknown condition {key}{suggest(key, CONDITIONS)}", mark)
        return Condition(mark, "in", path=path, values=self.texts(node))

    def _word(self, node: yaml.ScalarNode) -> Rule:
        text, mark = self.text(node), self.mark(node)
        if text.startswith("="):
            return Rule(mark, "value", literal=text[1:])
        if text.startswith("$"):
            return Rule(mark, "var", name=text[1:])
        return Rule(mark, "from", path=self.path(node))

    def _headed(self, node: yaml.Node, head: str, entries: dict[str, yaml.Node]) -> Rule:
        subject = entries[head]
        values: dict[str, Any] = self._modifiers(entries)
        if head in {"from", "each", "lines"}:
            word = self.text(subject)
            if word.startswith("$"):
                values["inner"] = Rule(self.mark(subject), "var", name=word[1:])
            elif head == "each" and parse_path(word) is None:
                values["name"] = word
            else:
                values["path"] = self.path(subject)
        elif head == "value":
            values["literal"] = self.plain(subject)
        elif head in {"first", "join", "product", "cases"}:
            values["parts"] = tuple(self.rule(item) for item in self.sequence(subject))
        elif head == "object":
            values["body"] = self.body(subject)
        else:
            values["name"] = self.text(subject)
        if head == "each" and "object" in entries:
            values["body"] = self.body(entries["object"])
        return Rule(self.mark(node), head, **values)

    def _filling(self, node: yaml.Node) -> Rule:
        """An expression, or plain data."""
        if isinstance(node, yaml.MappingNode) and any(self.text(key) in HEADS for key, _ in node.value):
            return self.rule(node)
        return Rule(self.mark(node), "value", literal=self.plain(node))

    def _modifiers(self, entries: dict[str, yaml.Node]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if "as" in entries:
            found["transform"] = self.text(entries["as"])
        for name in ("table", "otherwise", "make", "finding", "by", "within", "order"):
            if name in entries:
                found[name] = self.text(entries[name])
        if "fill" in entries:
            found["fill"] = tuple((name, self._filling(value)) for name, value in self.items(entries["fill"]))
        if "when" in entries:
            found["when"] = self.condition(entries["when"])
        if "default" in entries:
            found["default"] = self.rule(entries["default"])
        if "require" in entries:
            found["require"] = self.texts(entries["require"])
        if "let" in entries:
            found["let"] = self.let(entries["let"])
        return found


def parse_path(text: str) -> Path | None:
    """`PID-5.1.2` or `.1.2` as a Path; None for anything else."""
    match = _FIELD.fullmatch(text)
    if match:
        segment, number, component, sub = match.groups()
        return Path(segment, int(number), int(component or 0), int(sub or 0))
    match = _COMPONENT.fullmatch(text)
    if match:
        component, sub = match.groups()
        return Path("", 0, int(component or 0), int(sub or 0))
    return None
