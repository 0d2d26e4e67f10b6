"""Named functions of a whole frame, for what a map cannot say by paths: `(context, frame) -> value`."""

from collections.abc import Callable
from typing import Any, Final

from chartwire.mapping.context import Context
from chartwire.mapping.groups import Frame
from chartwire.mapping.transforms import authority_urn

Call = Callable[[Context, Any], Any]


def _patient_key(context: Context, frame: Frame) -> Any:
    """The strongest identifying key of the PATIENT frame, which convert.py worked out beforehand."""
    keys = context.keys_of.get(id(frame))
    return keys[0].key if keys else None


def _patient_keys(context: Context, frame: Frame) -> Any:
    """The further keys of that patient, strongest first."""
    return tuple(key.key for key in context.keys_of.get(id(frame), ())[1:])


def _own_authority(context: Context, place: Any) -> Any:
    """The authority that an identifier without one takes."""
    return context.source.authority


def _own_authority_system(context: Context, place: Any) -> Any:
    """That authority as the system of an identifier."""
    return authority_urn(context.source.authority)


def _trigger(context: Context, place: Any) -> Any:
    """The trigger event: A01."""
    return context.trigger


CALLS: Final[dict[str, Call]] = {
    "patient_key": _patient_key, "patient_keys": _patient_keys, "own_authority": _own_authority,
    "own_authority_system": _own_authority_system, "trigger": _trigger,
}  # fmt: skip
CALL_FIELDS: Final = {"patient_key": "PID-3"}
"""The source field that lineage names for what a call gives."""
