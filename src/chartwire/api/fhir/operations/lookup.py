"""`CodeSystem/$lookup` (R4 operation-codesystem-lookup): what is known about one code."""

from typing import Any

from chartwire.api.fhir.operations.code_checks import display_of, must_be_known, version_of
from chartwire.api.fhir.operations.coded import (
    CODING_PARAMETERS,
    Coding,
    asked_pairs,
    codings,
    parameters,
    unknown,
)
from chartwire.api.fhir.operations.given import all_texts, given, text
from chartwire.api.fhir.operations.registry import Operation
from chartwire.api.http import Answer, Request
from chartwire.api.services import Services
from chartwire.formats.codes import RELEASES
from chartwire.formats.fhir.definitions import CodeSystem, code_system
from chartwire.record.terminology import LoadedContent, Terminologies

_KNOWN = (*CODING_PARAMETERS[:2], "coding", "version", "property", "displayLanguage")
"""Displays are in English, whatever the last one wishes."""
_CHILDREN_MAX = 500
_TITLES = {release.system: release.title for release in RELEASES}
_Property = tuple[str, str, Any]
"""Code, `valueCode` and the like, value."""


async def lookup(request: Request, services: Services) -> Answer:
    """`GET` or `POST /fhir/R4/CodeSystem/$lookup`; `property` narrows what is told besides name and display."""
    found = await given(request, _KNOWN)
    coding = codings(found, needs_system=True)[0]
    content = await services.terminologies.content(asked_pairs([coding]))
    await must_be_known(services.terminologies, content, coding.system, text(found, "version"))
    if content.has(coding.system, coding.code) is not True:
        raise unknown("unknown_code", "the code system has no such code, as far as is known here")
    told = await _properties(services.terminologies, content, coding)
    wanted = all_texts(found, "property")
    return parameters(
        ("name", "valueString", _name(coding.system)),
        ("version", "valueString", await version_of(services.terminologies, coding.system)),
        ("display", "valueString", display_of(content, coding) or coding.code),
        *(
            ("property", "part", [{"name": "code", "valueCode": code}, {"name": "value", kind: value}])
            for code, kind, value in told
            if not wanted or code in wanted
        ),
    )


def _name(system: str) -> str:
    listed = code_system(system)
    return listed.name if listed else _TITLES.get(system, system)


async def _properties(known: Terminologies, content: LoadedContent, coding: Coding) -> list[_Property]:
    fact = content.facts.get((coding.system, coding.code))
    if fact is not None:
        near = await known.neighbours(coding.system, coding.code, _CHILDREN_MAX)
        return [
            ("inactive", "valueBoolean", fact.inactive),
            *((kind, "valueCode", code) for kind, code, _ in near),
            *((name, "valueString", value) for name, value in fact.properties.items()),
        ]
    listed = code_system(coding.system)
    place = None if listed is None else listed.place(coding.code)
    return [] if listed is None or place is None else _packaged(listed, place)


def _packaged(listed: CodeSystem, place: int) -> list[_Property]:
    return [
        ("inactive", "valueBoolean", place in listed.inactive),
        ("notSelectable", "valueBoolean", place in listed.abstract),
        *(("parent", "valueCode", listed.codes[other]) for other in listed.above(place)),
        *(("child", "valueCode", listed.codes[other]) for other in listed.children(place)[:_CHILDREN_MAX]),
    ]


LOOKUP = Operation(
    "lookup",
    "http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup",
    "Tell what is known about a code",
    lookup,
    ("type",),
    ("CodeSystem",),
)
