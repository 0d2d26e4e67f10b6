"""The moves of an appointment by name: `POST /api/v1/appointments/{id}/cancel`, and what DELETE means.

An action is a PATCH of the status and of the members that go with it; where the status stands there already it changes
nothing. DELETE takes an appointment out as entered in error: it should never have been made. Who calls one off cancels.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from chartwire.api.http import Answer, Request
from chartwire.api.problem import ApiError, Fault
from chartwire.api.rest import checks, models
from chartwire.api.rest.checks import Faults
from chartwire.api.rest.etags import wanted_version
from chartwire.api.rest.fields import APPOINTMENT
from chartwire.api.rest.ids import in_path
from chartwire.api.rest.ordering import Order
from chartwire.api.rest.writes import write
from chartwire.api.routes import Route
from chartwire.api.services import Services


@dataclass(frozen=True, slots=True)
class Move:
    """One action: the status that it leads to (None: it stays), the members that it takes, and those that it needs."""

    name: str
    status: str | None
    summary: str
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    @property
    def sent(self) -> type:
        """Its body, for the documentation."""
        members = [(name, APPOINTMENT.by_name[name].check.python_type | None, None) for name in self.takes]
        title = "".join(word.capitalize() for word in self.name.split("-"))
        return msgspec.defstruct(f"{title}Appointment", members, forbid_unknown_fields=True)


MOVES = (
    Move("confirm", "confirmed", "The patient will come"),
    Move("arrive", "arrived", "The patient is there"),
    Move("check-in", "checked_in", "The patient is checked in"),
    Move("complete", "fulfilled", "The appointment took place"),
    Move("no-show", "no_show", "The patient did not come"),
    Move("cancel", "cancelled", "Call an appointment off", ("cancelled_by", "cancel_reason")),
    Move(
        "reschedule",
        None,
        "Move an appointment to another time; provider and place may change with it",
        ("starts_at", "ends_at", "duration_minutes", "timezone", "provider_ids", "location_id"),
        ("starts_at",),
    ),
)


def _route_of(move: Move) -> Route:
    async def handle(request: Request, services: Services) -> Answer:
        data = {} if request.has_no_body else await request.body(dict[str, Any])
        _check(move, data)
        if move.status is not None:
            data["status"] = move.status
        return await write(request, services, _patch(request, data))

    return Route(
        "POST",
        f"/api/v1/appointments/{{id}}/{move.name}",
        handle,
        move.summary,
        "appointments.write",
        "Appointment",
        "update",
        checked=True,
        answer=models.Appointment,
        body=move.sent if move.takes else None,
        body_optional=not move.needs,
        conditional=True,
        tag="appointments",
    )


def _patch(request: Request, data: dict[str, Any]) -> Order:
    return Order(APPOINTMENT, "patch", data, in_path("Appointment", request.parts[0]), wanted_version(request))


def _check(move: Move, data: dict[str, Any]) -> None:
    faults = Faults()
    checks.unknown(data, move.takes, "", faults)
    faults += [Fault(f"/{name}", "required", "is needed") for name in move.needs if data.get(name) is None]
    if faults:
        raise ApiError("the body does not fit this action", code="invalid_body", faults=faults)


async def remove(request: Request, services: Services) -> Answer:
    """`DELETE /api/v1/appointments/{id}`: entered in error from now on; 204."""
    answer = await write(request, services, _patch(request, {"status": "entered_in_error"}))
    return Answer(b"", 204, headers=answer.headers, count=answer.count, patients=answer.patients)


ROUTES = (
    *map(_route_of, MOVES),
    Route(
        "DELETE",
        "/api/v1/appointments/{id}",
        remove,
        "Take an appointment out as entered in error",
        "appointments.write",
        "Appointment",
        "delete",
        checked=True,
        status=204,
        conditional=True,
        tag="appointments",
    ),
)
