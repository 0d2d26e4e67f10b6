"""Every operation of the FHIR door; /metadata tells of these and no others."""

from chartwire.api.fhir.operations.code_checks import SUBSUMES, VALIDATE_CODE
from chartwire.api.fhir.operations.docref import DOCREF
from chartwire.api.fhir.operations.everything import EVERYTHING
from chartwire.api.fhir.operations.expansion import EXPAND
from chartwire.api.fhir.operations.lastn import LASTN
from chartwire.api.fhir.operations.lookup import LOOKUP
from chartwire.api.fhir.operations.match import MATCH
from chartwire.api.fhir.operations.meta import META
from chartwire.api.fhir.operations.registry import Operation
from chartwire.api.fhir.operations.validate import VALIDATE

OPERATIONS: tuple[Operation, ...] = (
    EVERYTHING,
    MATCH,
    DOCREF,
    LASTN,
    *META,
    VALIDATE,
    EXPAND,
    *VALIDATE_CODE,
    LOOKUP,
    SUBSUMES,
)
