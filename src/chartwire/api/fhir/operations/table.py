"""Every operation of the FHIR door; /metadata tells of these and no others."""

from chartwire.api.fhir.operations.registry import Operation

OPERATIONS: tuple[Operation, ...] = ()
