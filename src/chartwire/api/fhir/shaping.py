"""Parts of resources: `_summary` and `_elements` (R4 3.1.1.5.8, 3.1.1.5.9). What was cut is tagged SUBSETTED."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from chartwire.api.problem import bad_parameter
from chartwire.api.routes import Parameter
from chartwire.formats.fhir.definitions import children, structure
from chartwire.record.bodies import plain_json, read_json

Summary = Literal["true", "text", "data", "count", "false"]
Json = dict[str, Any]

PARAMETERS = (
    Parameter("_summary", "Which part of resources", values=("true", "text", "data", "count", "false")),
    Parameter("_elements", "Elements of resources, joined by commas; mandatory ones come with them"),
)
NAMES = tuple(one.name for one in PARAMETERS)
_SUMMARIES: Mapping[str, Summary] = {"true": "true", "text": "text", "data": "data", "count": "count", "false": "false"}
_ALWAYS = frozenset({"resourceType", "id", "meta"})
_SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """Which part of resources is wanted: a kind of summary, or elements (with or without `Type.` before)."""

    summary: Summary = "false"
    elements: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        """Whether nothing is cut."""
        return self.summary in ("false", "count") and not self.elements

    def cut(self, resource_type: str, body: str, *, included: bool = False) -> str:
        """The wanted part of a body. Elements are asked of matches; what is `included` beside them stays whole."""
        if self.summary in _CUTS:
            kept = _CUTS[self.summary](resource_type, read_json(body))
        elif self.elements and not included:
            kept = _listed(resource_type, read_json(body), self.elements)
        else:
            return body
        return plain_json(_tagged(kept))


WHOLE = Shape()


def shape_of(told: Mapping[str, str]) -> Shape:
    """What `_summary` and `_elements` ask for. Raises ApiError (`invalid_parameter`)."""
    summary = _SUMMARIES.get(told.get("_summary", "false"))
    if summary is None:
        raise bad_parameter("_summary", f"is one of {', '.join(_SUMMARIES)}")
    elements = frozenset(name.strip() for name in told.get("_elements", "").split(",") if name.strip())
    if elements and summary not in ("false", "count"):
        raise bad_parameter("_elements", "is not asked together with _summary")
    return Shape(summary, elements)


def _tagged(body: Json) -> Json:
    meta = body.get("meta", {})
    tags = [tag for tag in meta.get("tag", ()) if tag.get("code") != "SUBSETTED"]
    return body | {"meta": {**meta, "tag": [*tags, _SUBSETTED]}}


def _listed(resource_type: str, body: Json, elements: frozenset[str]) -> Json:
    known, mandatory = children(resource_type), _mandatory(resource_type)
    wanted = elements | {name.removeprefix(f"{resource_type}.") for name in elements}

    def is_kept(name: str) -> bool:
        child = known.get(name.removeprefix("_"))
        return name in _ALWAYS or (child is not None and (child.element in wanted | mandatory or child.name in wanted))

    return {name: value for name, value in body.items() if is_kept(name)}


def _text(resource_type: str, body: Json) -> Json:
    return _listed(resource_type, body, frozenset({"text"}))


def _data(_: str, body: Json) -> Json:
    return {name: value for name, value in body.items() if name != "text"}


def _summary(resource_type: str, body: Json) -> Json:
    return {"resourceType": resource_type, **_summary_of(resource_type, body, _summary_paths(resource_type))}


_CUTS: Mapping[str, Callable[[str, Json], Json]] = {"true": _summary, "text": _text, "data": _data}


def _summary_of(path: str, held: Json, paths: frozenset[str]) -> Json:
    """The members of an object at `path` that are summary elements, those of backbone elements likewise."""
    kept = {}
    for name, value in held.items():
        child = children(path).get(name.removeprefix("_"))
        if child is not None and f"{path}.{child.element}" in paths:
            kept[name] = _within(child.type, value, paths)
    return kept


def _within(path: str, value: Any, paths: frozenset[str]) -> Any:
    """A backbone element is cut as its resource is; a data type is a whole."""
    if "." not in path:
        return value
    if isinstance(value, list):
        return [_within(path, one, paths) for one in value]
    return _summary_of(path, value, paths) if isinstance(value, dict) else value


@cache
def _mandatory(resource_type: str) -> frozenset[str]:
    """Elements that every such resource has."""
    return frozenset(
        element["path"].split(".")[1].removesuffix("[x]")
        for element in _elements(resource_type)
        if element["min"] and element["path"].count(".") == 1
    )


@cache
def _summary_paths(resource_type: str) -> frozenset[str]:
    return frozenset(
        element["path"].removesuffix("[x]") for element in _elements(resource_type) if element.get("isSummary")
    )


def _elements(resource_type: str) -> list[Json]:
    told = structure(resource_type)
    return [] if told is None else told["snapshot"]["element"]
