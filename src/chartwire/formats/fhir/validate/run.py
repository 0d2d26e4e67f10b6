"""What a check carries with it while it walks through one resource."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from chartwire.formats.fhir.terminology import Terminology
from chartwire.formats.fhir.validate.issues import Findings, Place

Json = dict[str, Any]
Check = Callable[[Any, Json, Place, "Run"], None]
"""Checks one member: (its value, the object around it, the place of that object, the run)."""
NOTHING: Final[Mapping[str, str]] = {}
NO_VARIABLES: Final[Mapping[str, Any]] = {}


class Run:
    """One resource under check. `root` is the outermost resource (of a Bundle: of its entry), `resource` the one that
    the walk is in, `contained` the types of the root's contained resources by id."""

    __slots__ = ("contained", "findings", "resource", "root", "terminology", "variables")

    def __init__(self, findings: Findings, resource: Json, terminology: Terminology) -> None:
        self.findings = findings
        self.terminology = terminology
        self.root = self.resource = resource
        self.contained = contained_types(resource)
        self.variables = NO_VARIABLES

    def enter(self, resource: Json) -> None:
        """Go into a contained resource, or back into the root."""
        self.resource = resource
        self.variables = NO_VARIABLES if resource is self.root else {"rootResource": self.root}

    def within(self, resource: Json) -> "Run":
        """The run in a resource of its own within this one: an entry of a Bundle."""
        return Run(self.findings, resource, self.terminology)


def contained_types(resource: Json) -> Mapping[str, str]:
    """The type of each contained resource by id, of those that say both."""
    held = resource.get("contained")
    if type(held) is not list:
        return NOTHING
    told = ((one.get("id", ""), one.get("resourceType", "")) for one in held if type(one) is dict)
    return {logical_id: kind for logical_id, kind in told if type(logical_id) is str and type(kind) is str}
