"""Documents to FHIR resources by maps that are data. Start with convert.py; conversion.py is the contract."""

from chartwire.mapping.bundle import to_bundle
from chartwire.mapping.conversion import Conversion, MapFinding, Mapped, Merge, PatientKey, Snapshot
from chartwire.mapping.convert import Mapper, event_of, load_maps
from chartwire.mapping.language import MapError

__all__ = [
    "Conversion", "MapError", "MapFinding", "Mapped", "Mapper", "Merge", "PatientKey", "Snapshot", "event_of",
    "load_maps", "to_bundle",
]  # fmt: skip
