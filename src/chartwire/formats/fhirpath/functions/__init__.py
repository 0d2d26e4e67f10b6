"""The functions of FHIRPath by name: tables, one file a chapter."""

from chartwire.formats.fhirpath.functions.conversion import CONVERSION
from chartwire.formats.fhirpath.functions.existence import EXISTENCE
from chartwire.formats.fhirpath.functions.fhir import FHIR
from chartwire.formats.fhirpath.functions.filtering import FILTERING
from chartwire.formats.fhirpath.functions.maths import MATHS
from chartwire.formats.fhirpath.functions.registry import Function
from chartwire.formats.fhirpath.functions.strings import STRINGS

FUNCTIONS: dict[str, Function] = {**EXISTENCE, **FILTERING, **CONVERSION, **STRINGS, **MATHS, **FHIR}
