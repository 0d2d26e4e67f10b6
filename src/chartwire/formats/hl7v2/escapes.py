"""Escape sequences of HL7 v2.9.2 section 2.7: one regular expression, run only where the escape character occurs."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

_REPEATED: Final = {"sp": "\n", "sk": " "}
_LINE_END: Final = {"br": "\n", "ce": "\n"}
_SWITCH: Final = "\udc1b"
"""Stands around a charset switch until the whole leaf is read; no text holds a lone surrogate."""
_SWITCHES: Final = re.compile(f"{_SWITCH}([^{_SWITCH}]*){_SWITCH}")
_SHORT_RUN_MAX: Final = 8
_HEX_FALLBACKS: Final = {"ascii": ("utf-8", "cp1252")}


class Delimiters(NamedTuple):
    """MSH-1 and the characters of MSH-2 in their order; '' where MSH-2 is too short to name one."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    @property
    def encoding_characters(self) -> str:
        """MSH-2 as these delimiters write it."""
        return "".join(self[1:])


DEFAULT_DELIMITERS: Final = Delimiters()


@lru_cache(maxsize=256)
def unescaper(delimiters: Delimiters, codec: str) -> Callable[[str], str]:
    """A function that unescapes one leaf value.

    Known are F S T R E P, runs of Xhh.. (bytes in `codec`), .br .sp .sk .ce .in .ti .fi .nf and H N (highlighting and
    indents leave no text), Cxxyy and Mxxyyzz (charset switches, read by ISO 2022). Whatever else stands between escape
    characters, a lone escape character, and bytes that `codec` cannot read or that are NUL stay as they are.
    """
    if not delimiters.escape:
        return str
    mark = re.escape(delimiters.escape)
    pattern = re.compile(
        rf"{mark}(?:([FSTREP])|([HN])|(C2[89A-Fa-f][3-7][0-9A-Fa-f]|M24(?:2[89A-Fa-f])?[3-7][0-9A-Fa-f](?:00)?)"
        rf"|\.([A-Za-z]{{2}})([+-]?\d{{1,2}})?){mark}"
        rf"|((?:{mark}X(?:[0-9A-Fa-f]{{2}})++{mark})++)"
    )
    letters = {
        "F": delimiters.field, "S": delimiters.component, "R": delimiters.repetition, "E": delimiters.escape,
        "T": delimiters.subcomponent or "&", "P": delimiters.truncation or "#",
    }  # fmt: skip

    def replace(match: re.Match[str]) -> str:
        letter, highlight, switch, command, count, run = match.groups()
        if letter:
            return letters[letter]
        if run:
            read = _short_hex_text if len(run) <= _SHORT_RUN_MAX else _hex_text
            return read(run, delimiters.escape, codec)
        if switch:
            return f"{_SWITCH}{bytes.fromhex(switch[1:].removesuffix('00')).decode('latin-1')}{_SWITCH}"
        return "" if highlight else _layout(command.lower(), count, match[0])

    def unescape(leaf: str) -> str:
        text = pattern.sub(replace, leaf)
        return _switch_charsets(text) if _SWITCH in text else text

    return unescape


def _switch_charsets(text: str) -> str:
    """Text between charset switches, read by ISO 2022; where that fails the switches alone are dropped."""
    try:
        read = _SWITCHES.sub("\x1b\\1", text).encode("ascii").decode("iso2022_jp_ext")
    except UnicodeError:
        read = "\x1b"
    return _SWITCHES.sub("", text) if "\x1b" in read else read


def _layout(command: str, count: str | None, whole: str) -> str:
    if command in _REPEATED:
        return _REPEATED[command] * max(int(count or 1), 0)
    if command in _LINE_END:
        return _LINE_END[command]
    return "" if command in {"in", "ti", "fi", "nf"} else whole


def _hex_text(run: str, escape: str, codec: str) -> str:
    data = bytes.fromhex(run.replace(f"{escape}X", "").replace(escape, ""))
    for candidate in _HEX_FALLBACKS.get(codec, (codec,)):
        try:
            text = data.decode(candidate)
        except UnicodeError:
            continue
        return run if "\x00" in text else text
    return run


_short_hex_text = lru_cache(maxsize=1024)(_hex_text)
