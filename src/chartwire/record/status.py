"""The one status vocabulary of appointments, and how a body carries what FHIR has no element for. Pure."""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from chartwire.core.errors import ConflictError
from chartwire.mapping.conversion import Json


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load(files("chartwire.record").joinpath("status.yaml").read_text("utf-8"))
    return table


def practice_status(appointment: Json) -> str:
    """booked, confirmed, arrived, checked_in, fulfilled, cancelled, no_show or entered_in_error."""
    return _said(appointment) or str(_table()["practice"].get(appointment.get("status"), "booked"))


def source_status(appointment: Json) -> str | None:
    """The status in the source's own word (SCH-25), where one came."""
    return _extension(appointment, _table()["source_extension"], "valueString")


def cancelled_by(appointment: Json) -> str | None:
    """Who cancelled it: patient, provider or practice; None where nobody said."""
    return _extension(appointment.get("_status", {}), _table()["cancelled_by_extension"], "valueCode")


def cancellers() -> tuple[str, ...]:
    """Who can be said to have cancelled."""
    return tuple(_table()["cancelled_by"])


def moves() -> dict[str, list[str]]:
    """Where a write may take an appointment from each status of the practice."""
    table: dict[str, list[str]] = _table()["moves"]
    return table


def is_open(status: str) -> bool:
    """Whether an appointment of this status may still be moved to another time."""
    return status in _table()["open"]


def write_status(appointment: Json, status: str, canceller: str | None = None) -> None:
    """Let an appointment's body say this status of the practice, and who cancelled. What it said before is gone."""
    fhir = _table()["written"][status]
    said = [] if _table()["practice"][fhir] == status else [{"url": _table()["extension"], "valueCode": status}]
    if canceller:
        said.append({"url": _table()["cancelled_by_extension"], "valueCode": canceller})
    kept = [one for one in appointment.pop("extension", ()) if one.get("url") != _table()["extension"]]
    appointment.pop("_status", None)
    appointment |= {"status": fhir} | ({"_status": {"extension": said}} if said else {})
    if kept:
        appointment["extension"] = kept


def settled(standing: Json, wanted: Json) -> Json:
    """The body of an appointment as a FHIR client wants it (`standing`: {} for a new one), with what is told beside the
    status agreeing with it: a word of the practice that belongs to the status before goes with that status.

    Raises ConflictError (`illegal_move`) for a move that the table does not have, and where the time of an appointment
    changes that is past being moved.
    """
    table, moved = _table(), wanted.get("status") != standing.get("status")
    if wanted.get("status") != "cancelled":
        wanted = _without(wanted, table["cancelled_by_extension"])
    if standing and moved and _said(wanted) == _said(standing):
        wanted = _without(wanted, table["extension"])
    before, after = practice_status(standing) if standing else None, practice_status(wanted)
    if _said(wanted) and (moved or after != before) and table["written"].get(after) != wanted.get("status"):
        raise illegal_move("what `_status` tells of it is not the status beside it")
    if before is not None and after not in {before, *table["moves"][before]}:
        raise illegal_move(f"from {before} it can become {', '.join(table['moves'][before]) or 'nothing else'}")
    if standing and wanted.get("start") != standing.get("start") and not is_open(after):
        raise illegal_move(f"the appointment is {after}: its time stays")
    return wanted


def illegal_move(detail: str) -> ConflictError:
    """The status of an appointment does not allow this."""
    return ConflictError(f"Appointment.status: {detail}", code="illegal_move")


def _said(appointment: Json) -> str | None:
    """The practice's word for the status, where one is told beside it."""
    url = _table()["extension"]
    return _extension(appointment.get("_status", {}), url, "valueCode") or _extension(appointment, url, "valueCode")


def _without(appointment: Json, url: str) -> Json:
    """The appointment without the extension of this URL, its own and that of its status."""
    rest = {name: value for name, value in appointment.items() if name not in {"extension", "_status"}}
    if kept := [one for one in appointment.get("extension", ()) if one.get("url") != url]:
        rest["extension"] = kept
    if kept := [one for one in appointment.get("_status", {}).get("extension", ()) if one.get("url") != url]:
        rest["_status"] = {**appointment["_status"], "extension": kept}
    return rest


def status_extensions(status: str | None, source: str | None, fhir_status: str | None) -> list[Json]:
    """The extensions that a body needs so that `practice_status` and `source_status` read back what came."""
    found: list[Json] = []
    if status and status != _table()["practice"].get(fhir_status):
        found.append({"url": _table()["extension"], "valueCode": status})
    if source:
        found.append({"url": _table()["source_extension"], "valueString": source})
    return found


def replaces_extensions(references: Iterable[str]) -> list[Json]:
    """The extensions that link a rebooking to the appointments that it replaces."""
    return [{"url": _table()["replaces_extension"], "valueReference": {"reference": one}} for one in references]


def provisional_tag() -> Json:
    """The meta.tag of a resource that a message only needed to exist: the first one with authority completes it."""
    return dict(_table()["provisional_tag"])


def _extension(body: Json, url: str, member: str) -> str | None:
    for extension in body.get("extension", ()):
        if extension.get("url") == url:
            return str(extension.get(member))
    return None
