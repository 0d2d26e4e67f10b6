"""`$validate-code` of ValueSet and CodeSystem (R4 operation-valueset-validate-code, -codesystem-validate-code).

`result` is true or false only where that is known. What cannot be decided here is answered 422 `code_not_checked`.
"""

from collections.abc import Callable, Sequence

from chartwire.api.fhir.operations.coded import (
    CODING_PARAMETERS,
    Coding,
    asked_pairs,
    codings,
    parameters,
    shaped,
    unknown,
    value_set,
)
from chartwire.api.fhir.operations.given import Given, given, single, text, truth
from chartwire.api.fhir.operations.registry import Operation
from chartwire.api.http import Answer, Request
from chartwire.api.problem import bad_parameter
from chartwire.api.services import Services
from chartwire.core.errors import ValidationError
from chartwire.core.limits import HTTP_BODY_BYTES_MAX
from chartwire.formats.fhir.definitions import code_system
from chartwire.formats.fhir.definitions.grammars import GRAMMARS
from chartwire.formats.fhir.definitions.listing import display
from chartwire.formats.fhir.definitions.membership import Evaluator
from chartwire.record.terminology import LoadedContent, Terminologies

_IN_VALUE_SET = ("url", "valueSet", "valueSetVersion", *CODING_PARAMETERS, "abstract")
_IN_SYSTEM = ("url", "version", *CODING_PARAMETERS)
_NOT_KNOWN = "the code system does not come with R4 or US Core, and is not loaded: `chartwire terminology load`"


async def in_value_set(request: Request, services: Services) -> Answer:
    """`GET` or `POST /fhir/R4/ValueSet/$validate-code` and `/ValueSet/{id}/$validate-code`.

    Codes that only group others count, unless `abstract` is false.
    """
    found = await given(request, _IN_VALUE_SET)
    named = await value_set(request, services, found)
    told = codings(found, needs_system=False)
    content = await services.terminologies.content(asked_pairs(told))
    evaluator = Evaluator(content)
    grouping = "abstract" not in found or truth(found, "abstract")

    def holds(coding: Coding) -> bool | None:
        usable = grouping or not _is_abstract(coding)
        return evaluator.holds(named.told, coding.system, coding.code) if usable else False

    return _judged(told, content, holds, "the value set")


async def in_system(request: Request, services: Services) -> Answer:
    """`GET` or `POST /fhir/R4/CodeSystem/$validate-code`; `url` names the system, and of a concept only its codes
    count; else the codings name theirs."""
    found = await given(request, _IN_SYSTEM)
    url = text(found, "url").partition("|")[0]
    told = [_with_system(coding, url) for coding in codings(found, needs_system=not url)]
    told = [coding for coding in told if coding.system == (url or coding.system)]
    content = await services.terminologies.content(asked_pairs(told))
    for system in {url} if url else {coding.system for coding in told}:
        await must_be_known(services.terminologies, content, system, text(found, "version"))
    return _judged(told, content, lambda coding: content.has(coding.system, coding.code), "the code system")


async def must_be_known(known: Terminologies, content: LoadedContent, system: str, version: str) -> None:
    """Raises ApiError (`unknown_code_system`) for a system that no package lists, no grammar judges and nobody has
    loaded, and for another `version` ("" is any) than the one that is known."""
    if not (system in content.systems or system in GRAMMARS or code_system(system) is not None):
        raise unknown("unknown_code_system", _NOT_KNOWN)
    if version and version != await version_of(known, system):
        raise unknown("unknown_code_system", "this version of the code system is not known here")


async def version_of(known: Terminologies, system: str) -> str:
    """Which version of a system answers, "" where nobody says."""
    loaded = (await known.systems()).get(system)
    if loaded is not None:
        return loaded.version
    listed = code_system(system)
    return listed.version if listed else ""


def display_of(content: LoadedContent, coding: Coding) -> str:
    """What a code is called, "" where nobody says."""
    if fact := content.facts.get((coding.system, coding.code)):
        return fact.display
    return display(coding.system, coding.code)


def _is_abstract(coding: Coding) -> bool:
    listed = code_system(coding.system)
    place = None if listed is None else listed.place(coding.code)
    return listed is not None and place in listed.abstract


def _with_system(coding: Coding, url: str) -> Coding:
    return Coding(coding.code, coding.system or url, coding.display)


def _judged(
    told: Sequence[Coding], content: LoadedContent, holds: Callable[[Coding], bool | None], where: str
) -> Answer:
    """The answer for a concept: true where one of its codes is in."""
    answers = [holds(coding) for coding in told]
    if True in answers:
        return _found(told[answers.index(True)], content)
    if None in answers:
        raise ValidationError(
            f"whether {where} has the code is not known here: its code system is not loaded, or not listed in full "
            "(`chartwire terminology load`)",
            code="code_not_checked",
        )
    return parameters(("result", "valueBoolean", False), ("message", "valueString", f"{where} does not have the code"))


def _found(coding: Coding, content: LoadedContent) -> Answer:
    right = display_of(content, coding)
    fits = not (coding.display and right) or _folded(coding.display) == _folded(right)
    message = "" if fits else "the code is called something else"
    if coding.display and not right:
        message = "the display was not checked: it is not known here what the code is called"
    return parameters(
        ("result", "valueBoolean", fits), ("message", "valueString", message), ("display", "valueString", right)
    )


def _folded(display: str) -> str:
    return " ".join(display.casefold().split())


async def subsumes(request: Request, services: Services) -> Answer:
    """`GET` or `POST /fhir/R4/CodeSystem/$subsumes`: how two codes of one system stand to each other."""
    found = await given(request, ("codeA", "codeB", "system", "version", "codingA", "codingB"))
    first, second = (_side(found, side) for side in "AB")
    if first.system != second.system:
        raise bad_parameter("codingB", "is of the same system as `codingA`")
    content = await services.terminologies.content(asked_pairs([first, second]))
    await must_be_known(services.terminologies, content, first.system, text(found, "version"))
    for coding in (first, second):
        if content.has(coding.system, coding.code) is not True:
            raise unknown("unknown_code", "the code system has no such code")
    return parameters(("outcome", "valueCode", _outcome(content, first, second)))


def _side(found: Given, side: str) -> Coding:
    if (told := single(found, f"coding{side}")) is not None:
        coding: Coding = shaped(told, Coding, f"coding{side}")
        return coding
    code, system = text(found, f"code{side}"), text(found, "system")
    if not (code and system):
        raise bad_parameter("codeA", "is needed with `codeB` and `system`; or `codingA` and `codingB`")
    return Coding(code, system)


def _outcome(content: LoadedContent, first: Coding, second: Coding) -> str:
    if first.code == second.code:
        return "equivalent"
    if content.within(second.system, second.code, first.code):
        return "subsumes"
    return "subsumed-by" if content.within(first.system, first.code, second.code) else "not-subsumed"


VALIDATE_CODE = (
    Operation(
        "validate-code",
        "http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code",
        "Tell whether a value set has a code",
        in_value_set,
        ("type", "instance"),
        ("ValueSet",),
        body_bytes_max=HTTP_BODY_BYTES_MAX,
    ),
    Operation(
        "validate-code",
        "http://hl7.org/fhir/OperationDefinition/CodeSystem-validate-code",
        "Tell whether a code system has a code",
        in_system,
        ("type",),
        ("CodeSystem",),
    ),
)
SUBSUMES = Operation(
    "subsumes",
    "http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes",
    "Tell how two codes stand to each other",
    subsumes,
    ("type",),
    ("CodeSystem",),
)
