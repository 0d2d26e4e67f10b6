"""Text -> tokens. Blanks and comments are dropped; every token knows where it stands."""

import re
from typing import NamedTuple

from chartwire.formats.fhirpath.syntax import FhirPathError

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+|//[^\r\n]*|/\*.*?\*/)
  | (?P<datetime>@\d{4}(?:-\d\d(?:-\d\d)?)?T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?)?)
  | (?P<date>@\d{4}(?:-\d\d(?:-\d\d)?)?)
  | (?P<time>@T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)
  | (?P<number>\d+(?:\.\d+)?)
  | (?P<string>'(?:[^'\\]|\\.)*')
  | (?P<delimited>`(?:[^`\\]|\\.)*`)
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<special>\$[A-Za-z]+)
  | (?P<symbol><=|>=|!=|!~|[-+*/&|=~<>()\[\]{}.,%])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"} | {sign: sign for sign in "'\"`\\/"}


class Token(NamedTuple):
    """`kind` is a group of the pattern above or `end`; text of strings and delimited names is unescaped."""

    kind: str
    text: str
    at: int


def tokens(text: str) -> list[Token]:
    """All tokens of an expression, an `end` last. Raises FhirPathError where no token begins."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise FhirPathError(f"nothing that FHIRPath knows begins at character {at + 1}", position=at)
        kind = match.lastgroup or ""
        if kind != "blank":
            found.append(Token(kind, _value(kind, match.group(), at), at))
        at = match.end()
    found.append(Token("end", "", at))
    return found


def _value(kind: str, text: str, at: int) -> str:
    if kind in ("string", "delimited"):
        return _ESCAPE.sub(lambda match: _unescaped(match[1], at), text[1:-1])
    return text.lstrip("@") if kind in ("date", "datetime", "time") else text


def _unescaped(sign: str, at: int) -> str:
    if len(sign) == 5:
        return chr(int(sign[1:], 16))
    if sign not in _ESCAPED:
        raise FhirPathError(f"the text at character {at + 1} has an escape that FHIRPath does not know", position=at)
    return _ESCAPED[sign]
