"""A Conversion as one FHIR Bundle, for files and previews."""

from base64 import b64encode
from typing import Any

from chartwire.core.ids import source_key_id
from chartwire.mapping.conversion import Content, Conversion, Json

_LINKS = frozenset({"reference", "url"})
"""Elements that may name another resource: references, and attachments their Binary."""


def to_bundle(conversion: Conversion, *, kind: str = "collection") -> Json:
    """A Bundle of type `collection` or `transaction` with every resource of the conversion, contents as Binary.

    `fullUrl` is `urn:uuid:<id>` and references inside become the same urn, so that they resolve within the Bundle
    (R4 3.1.7.1 Bundle resolution rules). A transaction creates or updates by id. Same conversion, same Bundle.
    """
    bodies = [*(mapped.body for mapped in conversion.resources), *map(binary, conversion.contents)]
    urls = {f"{body['resourceType']}/{body['id']}": f"urn:uuid:{body['id']}" for body in bodies}
    entries = []
    for body in bodies:
        entry: Json = {"fullUrl": f"urn:uuid:{body['id']}", "resource": _linked(body, urls)}
        if kind == "transaction":
            entry["request"] = {"method": "PUT", "url": f"{body['resourceType']}/{body['id']}"}
        entries.append(entry)
    identity = "|".join((conversion.event, conversion.control_id, *(key.key for key in conversion.patient_keys)))
    bundle: Json = {"resourceType": "Bundle", "id": str(source_key_id("Bundle", identity)), "type": kind}
    if conversion.recorded_at is not None and kind == "collection":
        bundle["timestamp"] = conversion.recorded_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if entries:
        bundle["entry"] = entries
    return bundle


def binary(content: Content) -> Json:
    """A content as an R4 Binary."""
    data = b64encode(content.data).decode("ascii")
    return {"resourceType": "Binary", "id": str(content.id), "contentType": content.media_type, "data": data}


def _linked(value: Any, urls: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _target(name, item, urls) for name, item in value.items()}
    if isinstance(value, list):
        return [_linked(item, urls) for item in value]
    return value


def _target(name: str, item: Any, urls: dict[str, str]) -> Any:
    if name in _LINKS and isinstance(item, str):
        return urls.get(item, item)
    return _linked(item, urls)
