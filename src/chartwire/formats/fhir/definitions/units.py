"""Which texts are units of UCUM (https://ucum.org/ucum, section 2: the grammar), by its case-sensitive atoms."""

import re

from chartwire.core.remembering import remembered
from chartwire.formats.fhir.definitions.codes import ucum

UCUM = "http://unitsofmeasure.org"
_CHARACTERS_MAX = 255
_NOTE = re.compile(r"\{[\x21-\x7a\x7c\x7e]*\}")
_COMPONENT = re.compile(r"(?:\[[^\[\]\s]*\]|[^\s./(){}\[\]])+")
_GROUP = re.compile(r"\(/?u([./]u)*\)")
_TERM = re.compile(r"/?u([./]u)*")
_EXPONENT = re.compile(r"[+-]?\d+$")
_DIGITS = re.compile(r"\d+")


@remembered(8192)
def is_unit(text: str) -> bool:
    """Whether the text is a unit: `mg/dL`, `10*3/uL`, `mm[Hg]`, `{score}`, `1`. The empty text is none."""
    if not 0 < len(text) <= _CHARACTERS_MAX:
        return False
    shape = _shape(text)
    while (smaller := _GROUP.sub("u", shape)) != shape:
        shape = smaller
    return _TERM.fullmatch(shape) is not None


def _shape(text: str) -> str:
    """The text with `u` for each component and its note; what is no component stays and fits nothing."""
    noted = _NOTE.sub("\t", text)
    named = _COMPONENT.sub(lambda match: "u" if _is_component(match[0]) else "?", noted)
    return named.replace("u\t", "u").replace("\t", "u")


def _is_component(text: str) -> bool:
    """A number, or a unit with or without prefix and exponent."""
    return bool(_DIGITS.fullmatch(text)) or _is_atom(text) or _is_atom(_EXPONENT.sub("", text))


def _is_atom(text: str) -> bool:
    atoms = ucum()
    if text in atoms.metric or text in atoms.other:
        return True
    return any(text[:size] in atoms.prefixes and text[size:] in atoms.metric for size in (1, 2))
