"""The practice API, /api/v1."""
