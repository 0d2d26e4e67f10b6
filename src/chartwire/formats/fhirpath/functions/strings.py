"""Strings (N1, 5.6). Patterns are looked for anywhere in the text unless they are anchored."""

import base64
import binascii
import html
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from chartwire.formats.fhirpath.functions.conversion import text
from chartwire.formats.fhirpath.functions.registry import Function, exactly, text_of, whole_of
from chartwire.formats.fhirpath.nodes import Node, boolean, number, only, string
from chartwire.formats.fhirpath.surroundings import Env, Step
from chartwire.formats.fhirpath.syntax import FhirPathError

_REPLACEMENTS = frozenset({"replace", "replaceMatches"})
_PATTERN_FUNCTIONS = frozenset({"matches", "matchesFull", "replaceMatches"})


@lru_cache(maxsize=512)
def pattern(written: str, flags: str = "") -> re.Pattern[str]:
    """A compiled pattern (dots match line ends). Raises FhirPathError where it is none."""
    found = re.DOTALL
    for flag in flags:
        if flag not in "im":
            raise FhirPathError("a pattern's flags are `i` and `m`", code="fhirpath_pattern")
        found |= re.IGNORECASE if flag == "i" else re.MULTILINE
    try:
        return re.compile(written, found)
    except (re.error, OverflowError, RecursionError):
        raise FhirPathError("the pattern is no regular expression", code="fhirpath_pattern") from None


def _subject(items: list[Node], where: str) -> str | None:
    item = only(items, where)
    return None if item is None else text(item)


def _with(name: str, run: Callable[..., Any], arguments: int, answer: Callable[[Any], list[Node]]) -> Function:
    """A function of the subject's text and of argument texts; empty where any of them is."""
    where = f"`{name}()`"

    def step(env: Env, this: Node, items: list[Node], *given: Step) -> list[Node]:
        subject = _subject(items, where)
        if subject is None:
            return []
        texts = [text_of(argument, this, env, where) for argument in given]
        if None in texts:
            return []
        _charge(env, name, subject, texts)
        return answer(run(subject, *texts))

    return exactly(step, arguments)


def _charge(env: Env, name: str, subject: str, texts: list[str | None]) -> None:
    """Let a user's meter judge, before it is done, what grows with more than one text."""
    if env.meter is None:
        return
    if name in _PATTERN_FUNCTIONS:
        env.meter.subject(len(subject))
    if name in _REPLACEMENTS:
        env.meter.text((len(subject) + 1) * (len(texts[-1] or "") + 1))


def _substring(env: Env, this: Node, items: list[Node], start: Step, length: Step | None = None) -> list[Node]:
    subject, first = _subject(items, "`substring()`"), whole_of(start, this, env, "`substring()`")
    if subject is None or first is None or not 0 <= first < len(subject):
        return []
    count = None if length is None else whole_of(length, this, env, "`substring()`")
    return string(subject[first:] if count is None else subject[first : first + max(count, 0)])


def _matching(name: str, how: Callable[[re.Pattern[str], str], Any]) -> Function:
    def step(env: Env, this: Node, items: list[Node], written: Step, flags: Step | None = None) -> list[Node]:
        where = f"`{name}()`"
        subject, wanted = _subject(items, where), text_of(written, this, env, where)
        if subject is None or wanted is None:
            return []
        _charge(env, name, subject, [wanted])
        told = "" if flags is None else text_of(flags, this, env, where) or ""
        return boolean(bool(how(pattern(wanted, told), subject)))

    return Function(step, 1, 2)


def _replaced(subject: str, written: str, replacement: str) -> str:
    if not written:
        return subject
    try:
        return pattern(written).sub(re.sub(r"\$(\d+|\{\w+\})", _group, replacement), subject)
    except (re.error, IndexError):
        raise FhirPathError("the replacement names a group that the pattern lacks", code="fhirpath_pattern") from None


def _group(match: re.Match[str]) -> str:
    return rf"\g<{match[1].strip('{}')}>"


def _join(env: Env, this: Node, items: list[Node], separator: Step | None = None) -> list[Node]:
    between = "" if separator is None else text_of(separator, this, env, "`join()`") or ""
    texts = [text(item) for item in items]
    if env.meter is not None:
        env.meter.text(sum(len(one or "") + len(between) for one in texts))
    return string(between.join(one for one in texts if one is not None)) if items else []


def _strings(values: list[str]) -> list[Node]:
    return [Node(value, "System.String") for value in values]


def _optional(value: str | None) -> list[Node]:
    return [] if value is None else string(value)


def _encoded(subject: str, form: str) -> str | None:
    data = subject.encode()
    ways: dict[str, Callable[[], str]] = {
        "hex": data.hex,
        "base64": lambda: base64.b64encode(data).decode(),
        "urlbase64": lambda: base64.urlsafe_b64encode(data).decode(),
    }
    return ways[form]() if form in ways else None


def _decoded(subject: str, form: str) -> str | None:
    ways: dict[str, Callable[[str], bytes]] = {
        "hex": bytes.fromhex,
        "base64": lambda coded: base64.b64decode(coded, validate=True),
        "urlbase64": base64.urlsafe_b64decode,
    }
    try:
        return ways[form](subject).decode() if form in ways else None
    except (ValueError, binascii.Error):
        return None


def _escaped(subject: str, form: str) -> str | None:
    if form == "html":
        return html.escape(subject).replace("&#x27;", "&#39;")
    return subject.replace("\\", "\\\\").replace('"', '\\"') if form == "json" else None


def _unescaped(subject: str, form: str) -> str | None:
    if form == "html":
        return html.unescape(subject)
    return subject.replace('\\"', '"').replace("\\\\", "\\") if form == "json" else None


_PLAIN: dict[str, tuple[Callable[..., Any], int, Callable[[Any], list[Node]]]] = {
    "indexOf": (str.find, 1, number),
    "lastIndexOf": (str.rfind, 1, number),
    "startsWith": (str.startswith, 1, boolean),
    "endsWith": (str.endswith, 1, boolean),
    "contains": (str.__contains__, 1, boolean),
    "upper": (str.upper, 0, string),
    "lower": (str.lower, 0, string),
    "trim": (str.strip, 0, string),
    "length": (len, 0, number),
    "toChars": (list, 0, _strings),
    "replace": (str.replace, 2, string),
    "replaceMatches": (_replaced, 2, string),
    "split": (lambda subject, by: subject.split(by) if by else list(subject), 1, _strings),
    "encode": (_encoded, 1, _optional),
    "decode": (_decoded, 1, _optional),
    "escape": (_escaped, 1, _optional),
    "unescape": (_unescaped, 1, _optional),
    "urlEncode": (lambda subject: quote(subject, safe=""), 0, string),
    "urlDecode": (unquote, 0, string),
}
STRINGS: dict[str, Function] = {
    **{name: _with(name, run, arguments, answer) for name, (run, arguments, answer) in _PLAIN.items()},
    "substring": Function(_substring, 1, 2),
    "matches": _matching("matches", re.Pattern.search),
    "matchesFull": _matching("matchesFull", re.Pattern.fullmatch),
    "join": Function(_join, 0, 1),
}
