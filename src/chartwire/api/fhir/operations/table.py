"""Every operation of the FHIR door; /metadata tells of these and no others."""

from chartwire.api.fhir.operations.everything import EVERYTHING
from chartwire.api.fhir.operations.registry import Operation
from chartwire.api.fhir.operations.validate import VALIDATE

OPERATIONS: tuple[Operation, ...] = (EVERYTHING, VALIDATE)
