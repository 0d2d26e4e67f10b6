"""The entrance of the validator."""

from collections.abc import Sequence

from chartwire.formats.fhir.terminology import TERMINOLOGY, Terminology
from chartwire.formats.fhir.validate.issues import Findings, Issue, Place
from chartwire.formats.fhir.validate.profiles import check_profile
from chartwire.formats.fhir.validate.run import Json, Run
from chartwire.formats.fhir.validate.shapes import check_resource, profiles_named


def check(
    resource: Json, profiles: Sequence[str] = (), terminology: Terminology = TERMINOLOGY, *, strict: bool = False
) -> list[Issue]:
    """Everything that is wrong with a resource, or worth knowing: by R4, by the profiles that it names in meta.profile,
    and by `profiles` (canonicals, with or without `|version`). A profile that is not known here is a warning, an error
    where `strict`; a code that `terminology` cannot decide is information, never silence."""
    findings = Findings(strict=strict)
    run = Run(findings, resource, terminology)
    kind = resource.get("resourceType")
    place: Place = (None, kind if isinstance(kind, str) else "Resource", -1)
    check_resource(resource, place, run)
    named = profiles_named(resource)
    for canonical in profiles:
        if canonical not in named:
            check_profile(canonical, resource, place, run)
    return findings.all()
