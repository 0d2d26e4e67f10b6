"""FHIRPath N1 (http://hl7.org/fhirpath/N1) as FHIR R4 uses it. Start with path.py."""

from chartwire.formats.fhirpath.meter import Limits, Meter
from chartwire.formats.fhirpath.nodes import Node
from chartwire.formats.fhirpath.path import Path, compile_path
from chartwire.formats.fhirpath.surroundings import NO_HOOKS, Hooks
from chartwire.formats.fhirpath.syntax import FhirPathError
from chartwire.formats.fhirpath.users import UserPath, compile_user_path

__all__ = [
    "NO_HOOKS",
    "FhirPathError",
    "Hooks",
    "Limits",
    "Meter",
    "Node",
    "Path",
    "UserPath",
    "compile_path",
    "compile_user_path",
]
