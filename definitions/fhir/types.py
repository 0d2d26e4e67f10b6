"""The types of FHIR R4 and the elements that each has, in short words.

A type is `kind base` (`resource DomainResource`, `primitive uri`; `abstract` is added where there are no instances).
An element is its types joined by blanks, `*` behind them where it repeats; a type names the targets of its references
in brackets: `{"subject": "Reference(Patient|Group)", "value[x]": "Quantity string"}`. The type of a backbone element is
its path; an element that takes its content from another has that one's path.
"""

from typing import Any

from definitions.fhir.packages import Resource

_STRUCTURES = "http://hl7.org/fhir/StructureDefinition/"
_FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
_SYSTEM_STRING = "http://hl7.org/fhirpath/System.String"
_KINDS = {"primitive-type": "primitive", "complex-type": "complex", "resource": "resource"}


def types(structures: list[Resource]) -> dict[str, Any]:
    """The content of types.json: `types` and `elements`."""
    found: dict[str, str] = {}
    elements: dict[str, dict[str, str]] = {}
    for structure in structures:
        if structure["kind"] in _KINDS and structure.get("derivation") != "constraint":
            found[structure["type"]] = _type(structure)
            elements |= _elements(structure["snapshot"]["element"], structure["kind"] == "primitive-type")
    return {"types": found, "elements": elements}


def _type(structure: Resource) -> str:
    base = structure.get("baseDefinition", "").removeprefix(_STRUCTURES)
    words = (_KINDS[structure["kind"]], base, "abstract" if structure["abstract"] else "")
    return " ".join(word for word in words if word)


def _elements(listed: list[Resource], primitive: bool) -> dict[str, dict[str, str]]:
    paths = {element["path"] for element in listed}
    parents = {path.rpartition(".")[0] for path in paths}
    found: dict[str, dict[str, str]] = {path: {} for path in paths if path in parents or "." not in path}
    for element in listed:
        parent, _, name = element["path"].rpartition(".")
        if parent and not (primitive and name == "value"):
            found[parent][name] = _words(element, found.keys())
    return found


def _words(element: Resource, nested: Any) -> str:
    many = "*" if element["base"]["max"] == "*" else ""
    if "contentReference" in element:
        return element["contentReference"].removeprefix("#") + many
    if element["path"] in nested:
        return element["path"] + many
    return " ".join(_word(told, element) for told in element["type"]) + many


def _word(told: Resource, element: Resource) -> str:
    targets = sorted(target.removeprefix(_STRUCTURES) for target in told.get("targetProfile", ()))
    return type_code(told, element) + (f"({'|'.join(targets)})" if targets else "")


def type_code(told: Resource, element: Resource) -> str:
    """The FHIR type of an element's type: what stands as a FHIRPath system type names it in an extension.

    R4 says there that the id of a resource is a string, and in prose that it is an id.
    """
    if element["base"]["path"] == "Resource.id":
        return "id"
    named = [extension["valueUrl"] for extension in told.get("extension", ()) if extension["url"] == _FHIR_TYPE]
    return str(named[0] if named else told["code"]).replace(_SYSTEM_STRING, "string")
