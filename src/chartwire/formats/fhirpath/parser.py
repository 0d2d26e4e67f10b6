"""Tokens -> expression tree, by precedence climbing. Depth and length are bounded, so no input exhausts the stack."""

from collections.abc import Callable
from decimal import Decimal

from chartwire.formats.fhirpath import syntax
from chartwire.formats.fhirpath.lexer import Token, tokens
from chartwire.formats.fhirpath.syntax import Expression, FhirPathError

CHARACTERS_MAX = 10_000
DEPTH_MAX = 60
OPERATORS_MAX = 200
"""Operators and dots of one chain: they nest when they are compiled."""

_BINDING = {
    operator: strength
    for strength, operators in enumerate(
        (
            ("implies",),
            ("or", "xor"),
            ("and",),
            ("in", "contains"),
            ("=", "~", "!=", "!~"),
            ("is", "as"),
            ("<=", "<", ">", ">="),
            ("|",),
            ("+", "-", "&"),
            ("*", "/", "div", "mod"),
        ),
        start=1,
    )
    for operator in operators
}
_POSTFIX = len(_BINDING) + 1
_RESERVED = frozenset({"and", "or", "xor", "implies", "div", "mod", "true", "false"})
_CALENDAR = frozenset(
    word + plural
    for word in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for plural in ("", "s")
)
_SPECIALS = frozenset({"$this", "$index", "$total"})


def parse(text: str) -> Expression:
    """The tree of an expression. Raises FhirPathError with the position of what is wrong."""
    if len(text) > CHARACTERS_MAX:
        raise FhirPathError(f"the expression is longer than {CHARACTERS_MAX} characters")
    reader = _Reader(tokens(text))
    expression = reader.expression(0)
    reader.expect("end", "")
    return expression


class _Reader:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._next = 0
        self._depth = 0

    def expression(self, strength: int) -> Expression:
        """An expression whose operators all bind tighter than `strength`."""
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise FhirPathError(f"the expression nests deeper than {DEPTH_MAX}", position=self._peek().at)
        left = self._prefix()
        for _ in range(OPERATORS_MAX):
            token = self._peek()
            if not self._continues(token, strength):
                self._depth -= 1
                return left
            left = self._extended(left, token)
        raise FhirPathError(f"more than {OPERATORS_MAX} operators in a row", position=self._peek().at)

    def expect(self, kind: str, text: str) -> Token:
        """The next token, which must be this one."""
        token = self._take()
        if token.kind != kind or (text and token.text != text):
            wanted = f"`{text}`" if text else "the end of the expression" if kind == "end" else f"a {kind}"
            raise FhirPathError(f"expected {wanted} at character {token.at + 1}", position=token.at)
        return token

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _skip(self, symbol: str) -> bool:
        token = self._peek()
        if token.kind == "symbol" and token.text == symbol:
            self._next += 1
            return True
        return False

    def _continues(self, token: Token, strength: int) -> bool:
        if token.kind == "symbol" and token.text in (".", "["):
            return True
        return token.kind in ("symbol", "word") and _BINDING.get(token.text, 0) > strength

    def _extended(self, left: Expression, token: Token) -> Expression:
        self._take()
        if token.text == ".":
            return syntax.Invoke(token.at, left, self._invocation())
        if token.text == "[":
            index = self.expression(0)
            self.expect("symbol", "]")
            return syntax.Indexer(token.at, left, index)
        if token.text in ("is", "as"):
            return syntax.TypeTest(token.at, token.text, left, self._type_name())
        return syntax.Binary(token.at, token.text, left, self.expression(_BINDING[token.text]))

    def _prefix(self) -> Expression:
        token = self._take()
        return _PREFIXES.get(token.kind, _Reader._unexpected)(self, token)

    def _unexpected(self, token: Token) -> Expression:
        place = "the expression ends too early" if token.kind == "end" else f"unexpected character {token.at + 1}"
        raise FhirPathError(place, position=token.at)

    def _symbol(self, token: Token) -> Expression:
        if token.text == "(":
            inner = self.expression(0)
            self.expect("symbol", ")")
            return inner
        if token.text == "{":
            self.expect("symbol", "}")
            return syntax.Literal(token.at, None, "")
        if token.text in ("+", "-"):
            return syntax.Sign(token.at, token.text, self.expression(_POSTFIX))
        if token.text == "%":
            return syntax.Variable(token.at, self._variable_name())
        return self._unexpected(token)

    def _variable_name(self) -> str:
        token = self._take()
        if token.kind not in ("word", "string", "delimited"):
            raise FhirPathError("a name must follow `%`", position=token.at)
        return token.text

    def _number(self, token: Token) -> Expression:
        value = Decimal(token.text) if "." in token.text else int(token.text)
        unit = self._peek()
        if unit.kind == "string" or (unit.kind == "word" and unit.text in _CALENDAR):
            self._take()
            written = f"'{unit.text}'" if unit.kind == "string" else unit.text
            return syntax.Literal(token.at, (Decimal(value), written), "System.Quantity")
        return syntax.Literal(token.at, value, "System.Integer" if isinstance(value, int) else "System.Decimal")

    def _word(self, token: Token) -> Expression:
        if token.text in ("true", "false"):
            return syntax.Literal(token.at, token.text == "true", "System.Boolean")
        return self._named(token)

    def _named(self, token: Token, *, reserved: bool = True) -> Expression:
        if reserved and token.kind == "word" and token.text in _RESERVED:
            return self._unexpected(token)
        if not self._skip("("):
            return syntax.Member(token.at, token.text)
        return syntax.Call(token.at, token.text, self._arguments())

    def _arguments(self) -> tuple[Expression, ...]:
        if self._skip(")"):
            return ()
        found = [self.expression(0)]
        while self._skip(","):
            found.append(self.expression(0))
        self.expect("symbol", ")")
        return tuple(found)

    def _special(self, token: Token) -> Expression:
        if token.text not in _SPECIALS:
            raise FhirPathError("only $this, $index and $total begin with $", position=token.at)
        return syntax.Special(token.at, token.text)

    def _invocation(self) -> Expression:
        """What follows a dot; a reserved word is a name there (`text.div`)."""
        token = self._take()
        if token.kind in ("word", "delimited"):
            return self._named(token, reserved=False)
        return self._special(token) if token.kind == "special" else self._unexpected(token)

    def _type_name(self) -> str:
        parts = [self._name()]
        while self._skip("."):
            parts.append(self._name())
        return ".".join(parts)

    def _name(self) -> str:
        token = self._take()
        if token.kind not in ("word", "delimited"):
            raise FhirPathError("expected the name of a type", position=token.at)
        return token.text


def _literal(kind: str) -> "Callable[[_Reader, Token], Expression]":
    return lambda _, token: syntax.Literal(token.at, token.text, f"System.{kind}")


_PREFIXES: dict[str, Callable[[_Reader, Token], Expression]] = {
    "symbol": _Reader._symbol,
    "number": _Reader._number,
    "word": _Reader._word,
    "delimited": _Reader._named,
    "special": _Reader._special,
    "string": _literal("String"),
    "date": _literal("Date"),
    "datetime": _literal("DateTime"),
    "time": _literal("Time"),
}
