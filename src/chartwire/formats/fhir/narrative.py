"""The XHTML of a narrative (R4 2.4.0, txt-1 and txt-2): well-formed, basic formatting only, nothing that runs."""

import re
from functools import partial
from importlib.resources import files
from typing import Final
from xml.parsers import expat

import yaml

_ALLOWED: Final[dict[str, list[str]]] = yaml.safe_load((files(__package__) / "narrative.yaml").read_text("utf-8"))
_ELEMENTS: Final = frozenset(_ALLOWED["elements"])
_ATTRIBUTES: Final = frozenset(_ALLOWED["attributes"])
_ACTIVE: Final = ("javascript:", "vbscript:", "data:text/html")
_FILLED: Final = re.compile(r">\s*[^<\s]|<img\b|<!\[CDATA\[")
"""Something to see: text behind a tag, or an image (txt-2)."""


class _FaultError(Exception):
    pass


def narrative_fault(div: str) -> str | None:
    """What is wrong with the `div` of a narrative, in words that quote nothing of it; None when it is good."""
    if not div.lstrip().startswith("<div"):
        return "it begins with `<div`"
    if not _FILLED.search(div):
        return "it has no text"
    parser = expat.ParserCreate()
    parser.UseForeignDTD(True)  # names of HTML's characters (&nbsp;) need no declaration
    parser.StartElementHandler = _check_element
    parser.StartDoctypeDeclHandler = partial(_refuse, "it has a document type declaration")
    parser.ProcessingInstructionHandler = partial(_refuse, "it has a processing instruction")
    try:
        parser.Parse(div, True)
    except expat.ExpatError:
        return "it is not well-formed XML"
    except _FaultError as fault:
        return str(fault)
    return None


def _check_element(name: str, attributes: dict[str, str]) -> None:
    if name not in _ELEMENTS:
        raise _FaultError("it has an element that may not be in one")
    for attribute, value in attributes.items():
        if attribute not in _ATTRIBUTES and not attribute.startswith("xmlns:"):
            raise _FaultError("it has an attribute that may not be in one")
        if value.lstrip().lower().startswith(_ACTIVE):
            raise _FaultError("a link in it would run code")


def _refuse(reason: str, *_: object) -> None:
    raise _FaultError(reason)
