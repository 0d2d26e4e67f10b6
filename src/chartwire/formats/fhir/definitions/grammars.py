"""Code systems whose codes are judged by their form: units, language tags, media types, time zones."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from zoneinfo import available_timezones

from chartwire.core.remembering import remembered
from chartwire.formats.fhir.definitions.codes import languages
from chartwire.formats.fhir.definitions.units import UCUM, is_unit

LANGUAGES = "urn:ietf:bcp:47"
_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(?P<extlang>(-[a-z]{3}){0,3})(-(?P<script>[a-z]{4}))?"
    r"(-(?P<region>[a-z]{2}|\d{3}))?(?P<variant>(-([a-z0-9]{5,8}|\d[a-z0-9]{3}))*)"
    r"(?P<extension>(-[a-wy-z0-9](-[a-z0-9]{2,8})+)*)(-(?P<privateuse>x(-[a-z0-9]{1,8})+))?|(?P<private>x(-[a-z0-9]{1,8})+)",
    re.IGNORECASE | re.ASCII,
)
"""RFC 5646 section 2.1, without tags registered before it and languages of more than three letters: there are none."""
_SUBTAGS = {
    "language": "language",
    "ext-lang": "extlang",
    "script": "script",
    "region": "region",
    "variant": "variant",
    "extension": "extension",
    "private-use": "privateuse",
}
_RESTRICTED_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&\-^_.+]{0,126}"
_MEDIA_TYPE = re.compile(rf"{_RESTRICTED_NAME}/{_RESTRICTED_NAME}(\s*;\s*[^\s;=]+=(\"[^\"]*\"|[^\s;\"]+))*")
"""RFC 6838 section 4.2, parameters by RFC 2045."""
_SHORT_MEDIA_TYPES = {"xml", "json", "ttl"}
"""What R4 allows besides, for formats of FHIR itself."""
_CHARACTERS_MAX = 255


@remembered(1024)
def is_language(tag: str) -> bool:
    """Whether the text is a well-formed language tag whose two-letter language exists."""
    match = _TAG.fullmatch(tag) if len(tag) <= _CHARACTERS_MAX else None
    if match is None:
        return False
    language = match["language"]
    return language is None or len(language) != 2 or language.lower() in languages()


def subtag(tag: str, name: str) -> str | None:
    """The part of a language tag that R4 calls `script`, `region`, `ext-lang`...; "" if absent, None if unknown."""
    match = _TAG.fullmatch(tag)
    return match[_SUBTAGS[name]] or "" if match and name in _SUBTAGS else None


def _is_media_type(text: str) -> bool:
    known = text in _SHORT_MEDIA_TYPES
    return known or (len(text) <= _CHARACTERS_MAX and _MEDIA_TYPE.fullmatch(text) is not None)


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _is_time_zone(text: str) -> bool:
    return text in _time_zones()


GRAMMARS: Mapping[str, Callable[[str], bool]] = {
    UCUM: is_unit,
    LANGUAGES: is_language,
    "urn:ietf:bcp:13": _is_media_type,
    "https://www.iana.org/time-zones": _is_time_zone,
}
"""System -> whether a text is one of its codes."""
