"""Query parameters of the message lists as data, and the conditions that they ask for."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chartwire.api.rest.filters import chosen, read_instant
from chartwire.api.rest.ids import in_query
from chartwire.api.rest.lists import LIMIT, PAGE_TOKEN
from chartwire.api.routes import Parameter
from chartwire.core.ids import uuid7_floor
from chartwire.store.search_sql import MESSAGE_STATES, Number

# A message's id is made when it is accepted, within moments of `received_at`: bounds the partitions that are read.
_ID_SLACK = timedelta(minutes=5)

_OR_WITH_AUTHORITY = "`number`, or `authority|number`; of messages that were read"
# parameter -> (kind of message_key, what it is)
_NUMBERS = {
    "visit": ("visit", f"A visit or account number (PV1-19, PV1-50, PID-18, MRG-3, MRG-5): {_OR_WITH_AUTHORITY}"),
    "placer_order": ("placer_order", f"A placer order number (ORC-2, OBR-2): {_OR_WITH_AUTHORITY}"),
    "filler_order": ("filler_order", f"A filler order number (ORC-3, OBR-3): {_OR_WITH_AUTHORITY}"),
    "accession": ("accession", f"An accession number (OBR-18, 19, 20, IPC-1, SPM-30): {_OR_WITH_AUTHORITY}"),
    "appointment_id": ("appointment", f"An appointment's number (SCH-1, SCH-2, ARQ-1, ARQ-2): {_OR_WITH_AUTHORITY}"),
}
SEARCH = (
    Parameter("event", "`ADT^A01`, or `ADT` for all of that kind"),
    Parameter("type", "The same as `event`"),
    Parameter("control_id", "MSH-10"),
    Parameter("mrn", "A number of a patient (PID-3, MRG-1), as it was sent: `number`, or `authority|number`"),
    *(Parameter(name, meaning) for name, (_, meaning) in _NUMBERS.items()),
    Parameter("patient_id", "Messages that were saved to this patient"),
    Parameter("error_code", "Dead or held for this reason, as `fault.code` tells it"),
    Parameter("source_id", "The id of a source"),
    Parameter("source", "The same as `source_id`"),
    Parameter("received_at_gte", "Received at or after this time", "instant"),
    Parameter("received_at_lt", "Received before this time", "instant"),
    LIMIT,
    PAGE_TOKEN,
)
STATE = Parameter("state", f"One or more of {', '.join(MESSAGE_STATES)}, joined by commas", "string", MESSAGE_STATES)


def conditions_of(query: Mapping[str, str]) -> dict[str, Any]:
    """What record/messages.py is asked for. Raises ApiError for a value that cannot be."""
    found: dict[str, Any] = {name: query[name] for name in ("control_id", "error_code") if name in query}
    if "state" in query:
        found["states"] = chosen("state", query["state"], MESSAGE_STATES)
    for name in ("source", "source_id"):
        if name in query:
            found["source_id"] = in_query("source", name, query[name])
    if "patient_id" in query:
        found["patient_id"] = in_query("Patient", "patient_id", query["patient_id"])
    if "mrn" in query:
        found["mrn"] = _number("patient", query["mrn"])
    found["numbers"] = [_number(kind, query[name]) for name, (kind, _) in _NUMBERS.items() if name in query]
    found |= _of_event(query.get("event") or query.get("type"))
    if "received_at_gte" in query:
        moment = read_instant("received_at_gte", query["received_at_gte"])
        found |= {"received_from": moment, "id_from": _id_at(moment - _ID_SLACK)}
    if "received_at_lt" in query:
        moment = read_instant("received_at_lt", query["received_at_lt"])
        found |= {"received_before": moment, "id_to": _id_at(moment + _ID_SLACK)}
    return found


def _number(kind: str, text: str) -> Number:
    """`number`, or `authority|number`."""
    authority, bar, value = text.rpartition("|")
    return Number(kind, value, authority if bar else None)


def _of_event(event: str | None) -> dict[str, str]:
    """`ADT^A01` is one event; `ADT` all of its kind."""
    if event is None:
        return {}
    if "^" in event:
        return {"event": event}
    return {"event_from": f"{event}^", "event_before": f"{event}_"}  # _ follows ^


def _id_at(moment: datetime) -> UUID:
    return uuid7_floor(max(0, int(moment.timestamp() * 1000)))
