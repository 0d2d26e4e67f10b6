"""Expression tree -> closures. Each part becomes a `Step`; evaluating is calling the outermost one."""

from collections.abc import Callable
from typing import Any

from chartwire.formats.fhir.definitions.units import UCUM
from chartwire.formats.fhirpath import nodes, syntax
from chartwire.formats.fhirpath.comparing import as_quantity, distinct
from chartwire.formats.fhirpath.functions import FUNCTIONS
from chartwire.formats.fhirpath.functions.filtering import sort
from chartwire.formats.fhirpath.nodes import FALSE, TRUE, Node, boolean, only, truth
from chartwire.formats.fhirpath.operators import OPERATORS, conjunction, disjunction
from chartwire.formats.fhirpath.quantities import Quantity
from chartwire.formats.fhirpath.surroundings import Env, Step
from chartwire.formats.fhirpath.syntax import Expression, FhirPathError

_FIXED_VARIABLES = {
    "ucum": UCUM,
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
}
_PREFIXED_VARIABLES = {
    "vs-": "http://hl7.org/fhir/ValueSet/",
    "ext-": "http://hl7.org/fhir/StructureDefinition/",
}
_TYPE_FUNCTIONS = frozenset({"is", "as", "ofType"})


def compile_steps(expression: Expression, wrap: Callable[[Step], Step] | None = None) -> Step:
    """The closure of a whole expression; `wrap` goes round every part (user expressions count steps with it).

    Raises FhirPathError for unknown functions and types and for wrong numbers of arguments.
    """
    return _Compiler(wrap).step(expression)


class _Compiler:
    def __init__(self, wrap: Callable[[Step], Step] | None) -> None:
        self._wrap = wrap

    def step(self, expression: Expression) -> Step:
        made: Step = _MAKERS[type(expression)](self, expression)
        return made if self._wrap is None else self._wrap(made)

    def literal(self, expression: syntax.Literal) -> Step:
        if expression.value is None:
            return lambda _this, _env: []
        value = Quantity(*expression.value) if expression.type == "System.Quantity" else expression.value
        found = [Node(value, expression.type)]
        return lambda _this, _env: found

    def member(self, expression: syntax.Member) -> Step:
        """A member of `$this`, or `$this` itself where the name is its type."""
        name = expression.name
        if name[0].isupper() and nodes.is_known(name):
            return lambda this, _env: [this] if nodes.is_kind_of(this.type, name) else []
        return lambda this, _env: nodes.members(this, name)

    def variable(self, expression: syntax.Variable) -> Step:
        name = expression.name
        fixed = _fixed(name)
        if fixed is not None:
            found = [Node(fixed, "System.String")]
            return lambda _this, _env: found

        def step(_this: Node, env: Env) -> list[Node]:
            known = env.variables.get(name)
            if known is None:
                raise FhirPathError(f"`%{name}` is not known here", position=expression.at, code="fhirpath_variable")
            return known

        return step

    def special(self, expression: syntax.Special) -> Step:
        if expression.name == "$this":
            return lambda this, _env: [this]
        if expression.name == "$index":
            return lambda _this, env: [Node(env.index, "System.Integer")]
        return lambda _this, env: env.total

    def call(self, expression: syntax.Call) -> Step:
        return self._called(expression, lambda this, _env: [this])

    def invoke(self, expression: syntax.Invoke) -> Step:
        left, right = self.step(expression.left), expression.right
        if isinstance(right, syntax.Call):
            return self._called(right, left)
        if not isinstance(right, syntax.Member):
            return self.step(right)
        name = right.name

        def step(this: Node, env: Env) -> list[Node]:
            return [found for item in left(this, env) for found in nodes.members(item, name)]

        return step

    def indexer(self, expression: syntax.Indexer) -> Step:
        left, index = self.step(expression.left), self.step(expression.index)

        def step(this: Node, env: Env) -> list[Node]:
            items, at = left(this, env), only(index(this, env), "an index")
            if at is None or type(at.value) is not int or at.value < 0:
                return []
            return items[at.value : at.value + 1]

        return step

    def sign(self, expression: syntax.Sign) -> Step:
        operand, factor = self.step(expression.operand), -1 if expression.sign == "-" else 1

        def step(this: Node, env: Env) -> list[Node]:
            item = only(operand(this, env), "a sign")
            if item is None:
                return []
            if nodes.KINDS[item.type] == "number":
                return [Node(item.value * factor, item.type)]
            found = as_quantity(item)
            if found is None:
                raise FhirPathError("a sign needs a number", position=expression.at, code="fhirpath_types")
            return [Node(Quantity(found.value.value * factor, found.value.unit), "System.Quantity")]

        return step

    def binary(self, expression: syntax.Binary) -> Step:
        left, right = self.step(expression.left), self.step(expression.right)
        shortcut = _SHORTCUTS.get(expression.operator)
        if shortcut is not None:
            return shortcut(left, right)
        operate = OPERATORS[expression.operator]
        return lambda this, env: operate(left(this, env), right(this, env))

    def type_test(self, expression: syntax.TypeTest) -> Step:
        return _typed(expression.operator, self.step(expression.operand), expression.type)

    def _called(self, call: syntax.Call, source: Step) -> Step:
        if call.name in _TYPE_FUNCTIONS and len(call.arguments) == 1:
            return _typed(call.name, source, _type_argument(call.arguments[0]))
        if call.name == "sort":
            return self._sorted(call, source)
        function = FUNCTIONS.get(call.name)
        if function is None:
            raise FhirPathError(f"`{call.name}()` is no function of FHIRPath", position=call.at)
        if not function.least <= len(call.arguments) <= function.most:
            raise FhirPathError(f"`{call.name}()` takes another number of arguments", position=call.at)
        run, arguments = function.run, tuple(self.step(argument) for argument in call.arguments)
        return lambda this, env: run(env, this, source(this, env), *arguments)

    def _sorted(self, call: syntax.Call, source: Step) -> Step:
        """`sort(key, -key)`: a minus before a key turns its order round, of texts too."""
        keys = [self._key(argument) for argument in call.arguments]
        return lambda this, env: sort(env, source(this, env), keys)

    def _key(self, argument: Expression) -> tuple[Step, bool]:
        if isinstance(argument, syntax.Sign) and argument.sign == "-":
            return self.step(argument.operand), True
        return self.step(argument), False


def _fixed(name: str) -> str | None:
    for prefix, address in _PREFIXED_VARIABLES.items():
        if name.startswith(prefix):
            return address + name.removeprefix(prefix)
    return _FIXED_VARIABLES.get(name)


def _type_argument(expression: Expression) -> str:
    if isinstance(expression, syntax.Member):
        return expression.name
    if isinstance(expression, syntax.Invoke) and isinstance(expression.right, syntax.Member):
        return f"{_type_argument(expression.left)}.{expression.right.name}"
    raise FhirPathError("a type is expected here", position=expression.at)


def _typed(operator: str, source: Step, name: str) -> Step:
    """`is`, `as` and `ofType`. `as` filters collections as R4's search parameters expect; of primitives both keep the
    type itself only: `as(uri)` does not keep a canonical (FHIR R4, dom-3)."""
    wanted = nodes.named_type(name)
    if operator == "is":

        def test(this: Node, env: Env) -> list[Node]:
            item = only(source(this, env), "`is`")
            return [] if item is None else boolean(nodes.is_kind_of(item.type, wanted))

        return test
    if nodes.KINDS[wanted] in ("object", "quantity"):
        return lambda this, env: [item for item in source(this, env) if nodes.is_kind_of(item.type, wanted)]
    return lambda this, env: [item for item in source(this, env) if item.type == wanted]


def _and(left: Step, right: Step) -> Step:
    def step(this: Node, env: Env) -> list[Node]:
        first = truth(left(this, env), "`and`")
        return FALSE if first is False else boolean(conjunction(first, truth(right(this, env), "`and`")))

    return step


def _or(left: Step, right: Step) -> Step:
    def step(this: Node, env: Env) -> list[Node]:
        first = truth(left(this, env), "`or`")
        return TRUE if first else boolean(disjunction(first, truth(right(this, env), "`or`")))

    return step


def _implies(left: Step, right: Step) -> Step:
    def step(this: Node, env: Env) -> list[Node]:
        first = truth(left(this, env), "`implies`")
        if first is False:
            return TRUE
        return boolean(disjunction(None if first is None else False, truth(right(this, env), "`implies`")))

    return step


def _union(left: Step, right: Step) -> Step:
    def step(this: Node, env: Env) -> list[Node]:
        items = left(this, env) + right(this, env)
        return distinct(items) if len(items) > 1 else items

    return step


_SHORTCUTS: dict[str, Callable[[Step, Step], Step]] = {"and": _and, "or": _or, "implies": _implies, "|": _union}
_MAKERS: dict[type, Callable[[_Compiler, Any], Step]] = {
    syntax.Literal: _Compiler.literal,
    syntax.Member: _Compiler.member,
    syntax.Variable: _Compiler.variable,
    syntax.Special: _Compiler.special,
    syntax.Call: _Compiler.call,
    syntax.Invoke: _Compiler.invoke,
    syntax.Indexer: _Compiler.indexer,
    syntax.Sign: _Compiler.sign,
    syntax.Binary: _Compiler.binary,
    syntax.TypeTest: _Compiler.type_test,
}
