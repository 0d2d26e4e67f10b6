"""Operations of the FHIR door (`$everything`), one noun a file."""
