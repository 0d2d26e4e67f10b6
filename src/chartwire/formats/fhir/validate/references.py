"""References: what they point to, and whether they may."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from chartwire.formats.fhir.definitions import is_resource
from chartwire.formats.fhir.validate.issues import Place
from chartwire.formats.fhir.validate.run import Check, Json, Run

_LITERAL: Final = re.compile(
    r"(?P<base>https?://\S+/)?(?P<type>[A-Z][A-Za-z]+)"
    r"(?:/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?(?:#\S*)?|\?\S+)"
)
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*:\S+")
_ANY: Final = "Resource"


def check_reference(value: Any, targets: Sequence[str], place: Place, run: Run) -> None:
    """Whether a Reference points to one of these types (none or `Resource`: to any). `place` is its own."""
    if type(value) is not dict:
        return
    literal, said = value.get("reference"), value.get("type")
    found = _target(literal, (place, "reference", -1), run) if type(literal) is str else None
    if found and type(said) is str and is_resource(said) and said != found:
        run.findings.add("reference-disagrees", place, said=said, found=found)
    found = found or (said if type(said) is str and is_resource(said) else None)
    if found and targets and found not in targets and _ANY not in targets:
        run.findings.add("reference-type", place, found=found, allowed=" or ".join(targets))


def targets_check(targets: Sequence[str]) -> Check:
    """`check_reference` for these types."""
    return lambda held, _, place, run: check_reference(held, targets, place, run)


def _target(literal: str, place: Place, run: Run) -> str | None:
    """The type that a reference names, None where it does not tell."""
    parts = _LITERAL.fullmatch(literal)
    if parts and is_resource(parts["type"]):
        return parts["type"]
    if literal.startswith("#"):
        return _contained(literal[1:], place, run)
    if not _ABSOLUTE.fullmatch(literal):
        run.findings.add("reference-form", place)
    return None


def _contained(wanted: str, place: Place, run: Run) -> str | None:
    """ref-1: what `#id` refers to is there; `#` alone is the resource around."""
    if not wanted:
        return str(run.root.get("resourceType"))
    found = run.contained.get(wanted)
    if found is None:
        run.findings.add("reference-not-contained", place)
    return found


def check_contained(resource: Json, place: Place, run: Run) -> None:
    """dom-2 to dom-5 of a resource with `contained`, and that its ids are unique within it (R4 2.27.1)."""
    held = resource["contained"]
    if type(held) is not list:
        return
    pointers = {text.removeprefix("#") for text in _texts(resource) if text.startswith("#")}
    seen: set[str] = set()
    for index, one in enumerate(held):
        if type(one) is dict:
            _check_one_contained(one, (place, "contained", index), pointers, run)
            if "id" in one and str(one["id"]) in seen:
                run.findings.add("contained-same-id", (place, "contained", index))
            seen.add(str(one.get("id")))


def _check_one_contained(one: Json, place: Place, pointers: set[str], run: Run) -> None:
    if "contained" in one:
        run.findings.add("contained-nested", (place, "contained", -1))
    if "id" not in one:
        run.findings.add("contained-without-id", place)
    elif str(one["id"]) not in pointers and "#" not in set(_texts(one)):
        run.findings.add("contained-unused", place)
    meta = one.get("meta")
    for name in ("versionId", "lastUpdated", "security"):
        if type(meta) is dict and name in meta:
            run.findings.add("contained-meta", ((place, "meta", -1), name, -1))


def _texts(held: Any) -> Iterable[str]:
    """Every text in a resource, in no order."""
    waiting = [held]
    while waiting:
        one = waiting.pop()
        if type(one) is str:
            yield one
        elif type(one) is dict:
            waiting += one.values()
        elif type(one) is list:
            waiting += one
