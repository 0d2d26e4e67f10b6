"""HTTP doors: the practice API, FHIR R4 reads, health and documentation."""
