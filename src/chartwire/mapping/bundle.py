"""A Conversion as one FHIR Bundle, for files and previews."""

from typing import Any

from chartwire.core.ids import source_key_id
from chartwire.mapping.conversion import Conversion, Json


def to_bundle(conversion: Conversion, *, kind: str = "collection") -> Json:
    """A Bundle of type `collection` or `transaction` with every resource of the conversion.

    `fullUrl` is `urn:uuid:<id>` and references inside become the same urn, so that they resolve within the Bundle
    (R4 3.1.7.1 Bundle resolution rules). A transaction creates or updates by id. Same conversion, same Bundle.
    """
    urls = {f"{mapped.type}/{mapped.body['id']}": f"urn:uuid:{mapped.body['id']}" for mapped in conversion.resources}
    entries = []
    for mapped in conversion.resources:
        entry: Json = {"fullUrl": f"urn:uuid:{mapped.body['id']}", "resource": _linked(mapped.body, urls)}
        if kind == "transaction":
            entry["request"] = {"method": "PUT", "url": f"{mapped.type}/{mapped.body['id']}"}
        entries.append(entry)
    identity = "|".join((conversion.event, conversion.control_id, *(key.key for key in conversion.patient_keys)))
    bundle: Json = {"resourceType": "Bundle", "id": str(source_key_id("Bundle", identity)), "type": kind}
    if conversion.recorded_at is not None and kind == "collection":
        bundle["timestamp"] = conversion.recorded_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if entries:
        bundle["entry"] = entries
    return bundle


def _linked(value: Any, urls: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            name: urls.get(item, item) if name == "reference" and isinstance(item, str) else _linked(item, urls)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_linked(item, urls) for item in value]
    return value
