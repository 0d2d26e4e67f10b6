"""The FHIR R4 door, /fhir/R4."""
