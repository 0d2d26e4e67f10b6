"""Named functions of a whole frame, for what a map cannot say by paths: `(context, frame) -> value`."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from chartwire.core.clock import instant
from chartwire.mapping.context import Context
from chartwire.mapping.documents import DOCUMENT_CALLS
from chartwire.mapping.groups import Frame
from chartwire.mapping.transforms import authority_urn

_IDENTIFIER_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_MINUTES_MAX: Final = 60 * 24 * 366
Call = Callable[[Context, Any], Any]


def _patient_key(context: Context, frame: Frame) -> Any:
    """The strongest identifying key of the PATIENT frame, which convert.py worked out beforehand."""
    keys = context.keys_of.get(id(frame))
    return keys[0].key if keys else None


def _patient_keys(context: Context, frame: Frame) -> Any:
    """The further keys of that patient, strongest first."""
    return tuple(key.key for key in context.keys_of.get(id(frame), ())[1:])


def _own_authority(context: Context, _place: Any) -> Any:
    """The authority that an identifier without one takes."""
    return context.source.authority


def _own_authority_system(context: Context, _place: Any) -> Any:
    """That authority as the system of an identifier."""
    return authority_urn(context.source.authority)


def _assumed_type(context: Context, parts: Any) -> Any:
    """The type of a CX that names none but identifies by the source's rule; None for any other, and on a desk."""
    authority, _, universal = (parts[3] if len(parts) > 3 else "").partition(context.sub)
    code = context.assume_type(authority, universal.partition(context.sub)[0])
    return {"coding": [{"system": _IDENTIFIER_TYPES, "code": code}]} if code else None


def _trigger(context: Context, _place: Any) -> Any:
    """The trigger event: A01."""
    return context.trigger


def _zone(context: Context, _place: Any) -> Any:
    """The IANA name of the zone that the message's times were read in; None where none is configured."""
    return context.zone.key if context.zone else None


def _start_plus_minutes(_context: Context, frame: Frame) -> Any:
    """The instant `$minutes` after `$start`, both named by `let` on this frame."""
    start, minutes = frame.variables.get("start"), frame.variables.get("minutes")
    if not isinstance(start, str) or not isinstance(minutes, int | float) or not 0 < minutes < _MINUTES_MAX:
        return None
    return instant(datetime.fromisoformat(start) + timedelta(minutes=minutes))


CALLS: Final[dict[str, Call]] = {
    "patient_key": _patient_key, "patient_keys": _patient_keys, "own_authority": _own_authority,
    "own_authority_system": _own_authority_system, "assumed_type": _assumed_type, "trigger": _trigger,
    "start_plus_minutes": _start_plus_minutes, "zone": _zone,
} | DOCUMENT_CALLS  # fmt: skip
CALL_FIELDS: Final = {"patient_key": "PID-3", "attachments": "OBX-5", "text_attachment": "OBX-5"}
"""The source field that lineage names for what a call gives."""
