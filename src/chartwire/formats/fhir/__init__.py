"""FHIR R4 as bytes, bodies and definitions: no database, no socket."""
